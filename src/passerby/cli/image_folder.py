"""All images below a folder."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from passerby.cli.output import is_first_process
from passerby.errors import DataError

if TYPE_CHECKING:
    from passerby.data.records import Sample

log = logging.getLogger(__name__)


def images_below(folder: Path) -> tuple[Sample, ...]:
    """Every image file below a folder, in order of its path, as samples of nobody in particular (pid 0).

    What is left out is counted in the log: other files by extension, and folders behind links or closed to the user.

    Raises:
        DataError: no such folder, no image in it, or a path that is no text in UTF-8.
    """
    from passerby.data.readers.tree import is_image_name, not_read, not_read_by_extension
    from passerby.data.records import Sample, not_text

    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of images, found none")
    files, linked, closed = _below(folder)
    found = [file for file in files if is_image_name(file.name)]
    others = [str(file.relative_to(folder)) for file in files if not is_image_name(file.name)]
    left = [not_read_by_extension(others)] if others else []
    left += [not_read("folder(s) behind symbolic links", linked)] if linked else []
    left += [not_read("folder(s) that cannot be opened", closed)] if closed else []
    if not found:
        raise DataError("; ".join([f"{folder}: no image below it", *left]))
    unwritable = not_text(found)
    if unwritable:
        raise DataError(f"{folder}: {unwritable}")
    if is_first_process():
        for note in left:
            log.warning("%s: %s", folder, note)
    return tuple(Sample(path, 0) for path in found)


def _below(folder: Path) -> tuple[list[Path], list[str], list[str]]:
    """Files, and names of folders behind links and of folders that cannot be opened, without litter and in order."""
    from passerby.data.readers.tree import is_litter

    files: list[Path] = []
    linked: list[str] = []
    closed: list[str] = []
    for place, folders, names in os.walk(folder, onerror=lambda error: closed.append(str(error.filename))):
        folders[:] = [name for name in folders if not is_litter(name)]
        linked += [
            str((Path(place) / name).relative_to(folder)) for name in folders if (Path(place) / name).is_symlink()
        ]
        files += [Path(place) / name for name in names if not is_litter(name)]
    return sorted(files), sorted(linked), sorted(str(Path(name).relative_to(folder)) for name in closed)
