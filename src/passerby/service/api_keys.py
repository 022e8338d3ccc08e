"""API keys and the file that holds them: who may do what, how often.

A key is 256 random bits, shown once. The file holds its SHA-256 only: for secrets of that entropy a slow hash adds
nothing (there is no list of likely keys to try), and a fast one costs the service nothing per request. A presented key
is hashed and compared with every stored digest in constant time (`Authenticator`).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from passerby.errors import ConfigError
from passerby.files import replace_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ROLES = ("read", "write", "admin")
"""Each may do what those before it may: read (identify, list), write (enrol, observe, merge), admin (forget, audit)."""
FORMAT = "passerby-keys-1"
_PREFIX = "pb_"
_in_process = threading.Lock()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Key:
    """One key as it is stored; `rate` in requests per second, None for the service's default, 0 for no limit."""

    name: str
    role: str
    digest: str
    rate: float | None = None

    def may(self, role: str) -> bool:
        """Whether this key's role includes `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


def new_token() -> str:
    """A fresh secret."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """SHA-256 of a token, in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def add_key(path: str | os.PathLike[str], name: str, *, role: str = "read", rate: float | None = None) -> str:
    """Make a key and store its hash in a file, which is made where it does not exist.

    Args:
        path: the keys file.
        name: who holds it; written to logs and to the audit. Letters, digits, ".", "_" and "-".
        role: "read", "write" or "admin".
        rate: requests per second; default: the service's.

    Returns:
        The token. It is stored nowhere: hand it over now.

    Raises:
        ConfigError: a bad or taken name, an unknown role, or not a keys file.
        StorageError: the file cannot be written.
    """
    where = os.fspath(path)
    token = new_token()
    made = _checked(Key(name, role, digest_of(token), rate), where)
    with suppress(OSError):  # the error comes from writing the file
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with _locked(Path(path)):
        keys = list_keys(path) if Path(path).exists() else []
        if any(key.name == name for key in keys):
            raise ConfigError(f"{where}: there is a key {name!r} already; remove it first")
        _write(path, [*keys, made])
    return token


def remove_key(path: str | os.PathLike[str], name: str) -> None:
    """Remove a key; a running service notices at its next request.

    Raises:
        ConfigError: no such key.
        StorageError: the file cannot be written.
    """
    with _locked(Path(path)):
        keys = list_keys(path)
        if all(key.name != name for key in keys):
            known = ", ".join(key.name for key in keys) or "none"
            raise ConfigError(f"{os.fspath(path)}: no key {name!r}; known are {known}")
        _write(path, [key for key in keys if key.name != name])


def list_keys(path: str | os.PathLike[str]) -> list[Key]:
    """Keys of a file.

    Raises:
        ConfigError: it cannot be read, or is not a keys file.
    """
    where = os.fspath(path)
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ConfigError(f"{where}: not a keys file (expected the format {FORMAT!r})")
        if unknown := sorted(content.keys() - {"format", "keys"}):
            raise ConfigError(f"{where}: expected 'format' and 'keys', found {unknown[0]!r}; remove it")
        keys = [_checked(Key(**entry), where) for entry in content["keys"]]
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{where}: not a keys file ({type(error).__name__}: {error})") from None
    twice = sorted(name for name, count in Counter(key.name for key in keys).items() if count > 1)
    if twice:  # logs and audit say who it was by this name
        raise ConfigError(f"{where}: expected a name for each key, but {twice[0]!r} is that of several; rename one")
    return keys


def _checked(key: Key, where: str) -> Key:
    if not isinstance(key.name, str) or not _NAME.fullmatch(key.name):
        raise ConfigError(f"{where}: a key's name is 1 to 64 letters, digits, '.', '_' or '-', found {key.name!r}")
    if key.role not in ROLES:
        raise ConfigError(f"{where}: key {key.name!r}: expected a role of {', '.join(ROLES)}, found {key.role!r}")
    if not isinstance(key.digest, str) or not re.fullmatch(r"[0-9a-f]{64}", key.digest):
        raise ConfigError(f"{where}: key {key.name!r}: its digest is not a SHA-256")
    is_number = isinstance(key.rate, (int, float)) and not isinstance(key.rate, bool)
    if key.rate is not None and not (is_number and 0 <= key.rate < math.inf):
        raise ConfigError(f"{where}: key {key.name!r}: expected a rate of 0 or more, found {key.rate!r}")
    return key


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One change at a time: of two who read the same keys, the second to write would undo what the first did.

    The folder is locked, for the file is replaced by each change, and a lock file would stay behind.
    """
    with ExitStack() as held:
        held.enter_context(_in_process)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                folder = os.open(path.parent, os.O_RDONLY)
                held.callback(os.close, folder)
                fcntl.flock(folder, fcntl.LOCK_EX)
        yield


def _write(path: str | os.PathLike[str], keys: Sequence[Key]) -> None:
    entries = [{name: value for name, value in vars(key).items() if value is not None} for key in keys]
    with replace_file(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps({"format": FORMAT, "keys": entries}, indent=2) + "\n", "utf-8")
