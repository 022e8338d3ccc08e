"""The files of a hub's encoder: what they are called, where they are, local copies of them, and their checksums."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from passerby.errors import WeightsError
from passerby.files import replace_file

MIRROR = "PASSERBY_HUB_URL"


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
