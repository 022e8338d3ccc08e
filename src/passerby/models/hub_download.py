"""Downloads of a hub's files, by mirror or address, that go on where they stopped.

Imported where something is fetched alone: HTTP and progress bars take a while to load.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path

from passerby.errors import NetworkError
from passerby.files import storage_error
from passerby.models.hub_files import MIRROR, HubFile
from passerby.progress import progress_bar
from passerby.version import __version__

_BLOCK = 2**18
_TRIES = 3
_SECONDS = 30.0


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
    what = file.name if address in advice else address  # which is long, and once is enough
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(address, part, file, progress)
        problem = file.problem_of(part)
        if problem:
            part.unlink()
            raise NetworkError(f"{address}: what came is not the published file: {problem}")
        os.replace(part, folder / file.name)
    except urllib.error.URLError as error:  # and HTTPError below it
        raise NetworkError(f"{what}: cannot be fetched ({getattr(error, 'reason', error)}): {advice}") from error
    except (HTTPException, ConnectionError, TimeoutError, ValueError) as error:
        raise NetworkError(f"{what}: cannot be fetched ({error}); run it again to go on: {advice}") from error
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
