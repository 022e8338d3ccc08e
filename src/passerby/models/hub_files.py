"""The files of a hub's encoder: downloads that go on where they stopped, mirrors, local files, and checksums."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from passerby.errors import NetworkError, WeightsError
from passerby.files import replace_file, storage_error
from passerby.progress import progress_bar
from passerby.version import __version__

MIRROR = "PASSERBY_HUB_URL"
_BLOCK = 2**18
_TRIES = 3
_SECONDS = 30.0


class HubFile(BaseModel):
    """One file of a public encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    address: str = ""
    """From where it is downloaded over HTTP."""
    page: str = ""
    """Where a person downloads it by hand."""
    size: int | None = None
    """Bytes."""
    sha256: str = ""
    sha384: str = ""

    @property
    def checksum(self) -> tuple[str, str]:
        """Kind and value of its checksum; ("", "") where none is published."""
        return next(((kind, value) for kind in ("sha256", "sha384") if (value := getattr(self, kind))), ("", ""))

    def problem_of(self, path: Path) -> str:
        """Why a file is not this one; "" where it may be."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"expected {self.size:,} bytes, found {size:,}"
        kind, expected = self.checksum
        if kind:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, kind).hexdigest()
            if found != expected:
                return f"expected the {kind} {expected}, found {found}"
        return ""

    def __str__(self) -> str:
        kind, value = self.checksum
        known = [f"{self.size:,} bytes" if self.size else "size not published", f"{kind} {value}" if kind else
                 "checksum not published"]  # fmt: skip
        return f"file: {self.name} ({', '.join(known)}): {self.address or self.page or 'no address found'}"


def where_to_get(files: Sequence[HubFile], folder: Path, name: str) -> str:
    """What to fetch by hand, and where to put it."""
    places = "; ".join(f"{file.name} from {file.address or file.page or 'wherever you have it'}" for file in files)
    them = "it" if len(files) == 1 else "them"
    wanted = "FILE" if len(files) == 1 else " ".join(f"FILE{Path(file.name).suffix}" for file in files)
    return (
        f"fetch {places}, and run `passerby hub get {name} --from {wanted}` (or put {them} "
        f"into {folder}); {MIRROR} names a mirror"
    )


def take_file(file: HubFile, folder: Path, local: Sequence[Path], *, single: bool) -> None:
    """Copy one of the local files into the cache.

    Args:
        file: what is wanted.
        folder: of the cache.
        local: files, or folders that hold them; a file that lies beside one of them is found, too.
        single: the encoder has one file, so that a single local one is it whatever its name.

    Raises:
        WeightsError: none of them is the file, by its name, size or checksum.
        StorageError: the cache cannot be written.
    """
    candidates = [path / file.name if path.is_dir() else path for path in local]
    named = [path for path in candidates if path.name == file.name]
    named += candidates if single else [path.with_name(file.name) for path in local if path.is_file()]
    found = next((path for path in named if path.is_file()), None)
    if found is None:
        raise WeightsError(
            f"{file.name}: neither among {', '.join(map(str, local))} nor beside them; give the path of that file too"
        )
    problem = file.problem_of(found)
    if problem:
        raise WeightsError(f"{found}: not the published {file.name}: {problem}")
    with replace_file(folder / file.name) as temporary:
        shutil.copyfile(found, temporary)


def fetch_file(file: HubFile, folder: Path, name: str, *, advice: str, progress: bool = True) -> None:
    """Download a file into the cache, going on where an earlier download stopped.

    Args:
        file: what is wanted.
        folder: of the cache.
        name: of the encoder, for a mirror.
        advice: what to do where it cannot be fetched.
        progress: show a bar on stderr.

    Raises:
        NetworkError: no address, no connection, or what came is not the published file.
        StorageError: the cache cannot be written.
    """
    mirror = os.environ.get(MIRROR, "").rstrip("/")
    address = f"{mirror}/{name}/{urllib.parse.quote(file.name)}" if mirror else file.address
    if not address:
        raise NetworkError(f"{file.name}: it cannot be downloaded by a program: {advice}")
    part = folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(address, part, file, progress)
        problem = file.problem_of(part)
        if problem:
            part.unlink()
            raise NetworkError(f"{address}: what came is not the published file: {problem}")
        os.replace(part, folder / file.name)
    except urllib.error.URLError as error:  # and HTTPError below it
        raise NetworkError(f"{address}: cannot be fetched ({getattr(error, 'reason', error)}): {advice}") from error
    except (HTTPException, ConnectionError, TimeoutError, ValueError) as error:
        raise NetworkError(f"{address}: cannot be fetched ({error}); run it again to go on: {advice}") from error
    except OSError as error:
        raise storage_error(part, error) from error


def _download(address: str, part: Path, file: HubFile, progress: bool) -> None:
    for attempt in range(_TRIES):
        here = part.stat().st_size if part.exists() else 0
        if file.size is not None and here > file.size:
            part.unlink()
        elif file.size is not None and here == file.size:
            return
        try:
            _append(address, part, f"fetching {file.name}", progress)
            return
        except (HTTPException, ConnectionError, TimeoutError):
            if attempt == _TRIES - 1:
                raise


def _append(address: str, part: Path, title: str, progress: bool) -> None:
    """One request for what is still missing; a server that does not know ranges sends everything again.

    Raises:
        ConnectionError: fewer bytes came than were announced.
    """
    here = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"passerby/{__version__}", **({"Range": f"bytes={here}-"} if here else {})}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=_SECONDS) as response:
        goes_on = response.status == 206
        done = here if goes_on else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        with (
            part.open("ab" if goes_on else "wb") as out,
            progress_bar(title, total, done=done, quiet=not progress) as bar,
        ):
            while block := response.read(_BLOCK):
                out.write(block)
                done += len(block)
                bar.advance(len(block))
    if done < total:
        raise ConnectionError(f"{done:,} of {total:,} bytes came")
