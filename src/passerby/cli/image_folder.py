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

    Other files are counted by extension in the log.

    Raises:
        DataError: no such folder, or no image in it.
    """
    from passerby.data.readers.tree import is_image_name, is_litter, not_read_by_extension
    from passerby.data.records import Sample

    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of images, found none")
    below = [p for p in folder.rglob("*") if not any(map(is_litter, p.relative_to(folder).parts)) and not p.is_dir()]
    found = sorted(p for p in below if is_image_name(p.name))
    others = [str(p.relative_to(folder)) for p in sorted(below) if not is_image_name(p.name)]
    left = not_read_by_extension(others) if others else ""
    if not found:
        raise DataError(f"{folder}: no image below it{'; ' if left else ''}{left}")
    if left and is_first_process():
        log.warning("%s: %s", folder, left)
    return tuple(Sample(path, 0) for path in found)
