"""Datasets that come as one big file are written out once as images, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from passerby.data.readers.tree import image_names
from passerby.errors import DataError, StorageError

_COUNT = "extracted.json"
"""How many images were extracted into a folder; folders that were extracted elsewhere have none."""
_AGAIN = "and the images are extracted again"


def extract_once(folder: Path, write: Callable[[Path], None], *, dataset: str) -> Path:
    """Make `folder` by `write_whole`, unless it exists and holds as many images as were extracted into it.

    Raises:
        DataError: images have gone since.
        StorageError: the place cannot be written.
    """
    if folder.is_dir():
        _refuse_fewer(folder, dataset)
        return folder
    try:
        write_whole(folder, lambda place: _write_counted(place, write))
    except OSError as error:
        raise StorageError(
            f"{dataset}: its images cannot be written to {folder} ({error.strerror}); "
            "name another folder with extracted=FOLDER (--data.arguments extracted=FOLDER)"
        ) from error
    return folder


def _write_counted(folder: Path, write: Callable[[Path], None]) -> None:
    write(folder)
    (folder / _COUNT).write_text(json.dumps({"images": len(image_names(folder))}), "utf-8")


def _refuse_fewer(folder: Path, dataset: str) -> None:
    try:
        wanted = int(json.loads((folder / _COUNT).read_text("utf-8"))["images"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{dataset}: {folder / _COUNT} cannot be read ({error}); remove {folder}, {_AGAIN}") from None
    found = len(image_names(folder))
    if found < wanted:
        raise DataError(
            f"{dataset}: {wanted - found:,} images that {folder / _COUNT} lists are missing, of {wanted:,}; remove "
            f"that folder, {_AGAIN}"
        )


def write_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Call `write` on an empty folder beside `folder` and rename that one, so that nothing half-written has its name.

    An empty `folder` is replaced. Files are not flushed to the disk one by one, as what can be made again need not be.
    """
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write(partial)
        if folder.is_dir():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write RGB uint8 [H, W, 3] without loss (JPEG would change pixels)."""
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)
