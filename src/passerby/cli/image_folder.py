"""All images below a folder."""

from __future__ import annotations

import logging
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
    from passerby.data.ignored_files import images_in_tree
    from passerby.data.records import Sample, not_text

    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of images, found none")
    found, left = images_in_tree(folder)
    if not found:
        raise DataError("; ".join([f"{folder}: no image below it", *left]))
    unwritable = not_text(found)
    if unwritable:
        raise DataError(f"{folder}: {unwritable}")
    if is_first_process():
        for note in left:
            log.warning("%s: %s", folder, note)
    return tuple(Sample(path, 0) for path in found)
