"""Datasets that come as one big file are written out once as images, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from passerby.errors import StorageError


def extract_once(folder: Path, write: Callable[[Path], None], *, dataset: str) -> Path:
    """Make `folder` by calling `write` on an empty folder beside it and renaming that one, unless it exists.

    Raises:
        StorageError: the place cannot be written; nothing half-written is left under the final name.
    """
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        partial.rename(folder)
    except OSError as error:
        raise StorageError(
            f"{dataset}: its images cannot be written to {folder} ({error.strerror}); "
            "name another folder with extracted=FOLDER"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def write_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write RGB uint8 [H, W, 3] without loss (JPEG would change pixels)."""
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)
