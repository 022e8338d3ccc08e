"""Which key a token is: the keys a service accepts."""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from passerby.errors import ConfigError
from passerby.service.api_keys import Key, digest_of, list_keys
from passerby.service.errors import ServiceError


class Authenticator:
    """The keys a service accepts, read again whenever their file changes.

    Args:
        path: a keys file; None where there are only `extra` keys.
        extra: keys besides those of the file.

    Raises:
        ConfigError: the file is not a keys file.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, extra: Sequence[Key] = ()) -> None:
        self._path = None if path is None else Path(path)
        self._extra = list(extra)
        self._lock = threading.Lock()
        self._version: tuple[int, int, int] | None = None
        self._keys = [*self._extra]
        self._read_if_changed()

    def _read_if_changed(self) -> None:
        if self._path is None:
            return
        try:
            found = self._path.stat()
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be read ({error.strerror})") from error
        version = (found.st_ino, found.st_mtime_ns, found.st_size)
        if version != self._version:
            self._keys = [*self._extra, *list_keys(self._path)]
            self._version = version

    def current(self) -> list[Key]:
        """The keys that are accepted now.

        Raises:
            ServiceError: 503, they cannot be read (no request is accepted then).
        """
        with self._lock:
            try:
                self._read_if_changed()
            except ConfigError:
                self._version = None
                raise ServiceError(503, "the service cannot read its keys", retry_after=5) from None
            return self._keys

    def find(self, token: str) -> Key:
        """The key of a token.

        Raises:
            ServiceError: 401 for an unknown token; 503 while the keys cannot be read.
        """
        digest = digest_of(token)
        keys = self.current()
        found = None
        for key in keys:  # all of them, so that the time taken reveals nothing
            if hmac.compare_digest(key.digest, digest):
                found = key
        if found is None:
            raise ServiceError(401, "this is not a valid key; send one as 'Authorization: Bearer KEY'")
        return found


def token_of(headers: Mapping[bytes, bytes]) -> str:
    """The token that a request carries, by `Authorization: Bearer` or `X-API-Key`.

    Raises:
        ServiceError: 401, there is none.
    """
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    other = headers.get(b"x-api-key", b"").decode("latin-1").strip()
    if not other:
        raise ServiceError(401, "a key is needed; send it as 'Authorization: Bearer KEY'")
    return other
