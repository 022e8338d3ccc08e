"""Drawn pedestrians in the layout of any benchmark, so that each reader and each protocol can be tried without it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from passerby.array_types import UInt8
from passerby.data.layouts import mats, trees, video
from passerby.data.layouts.drawn_people import Draw, DrawnPeople
from passerby.data.readers.extract_once import write_whole
from passerby.errors import DataError, StorageError, unknown_name

__all__ = ["LAYOUTS", "write_layout"]

LAYOUTS: dict[str, Callable[[Path, DrawnPeople], None]] = {
    "market1501": trees.write_market1501,
    "dukemtmc_reid": trees.write_dukemtmc,
    "occluded_duke": trees.write_occluded_duke,
    "veri776": trees.write_veri776,
    "cuhk01": trees.write_cuhk01,
    "cuhk02": trees.write_cuhk02,
    "cuhk03": mats.write_cuhk03,
    "cuhk03_np": trees.write_cuhk03_np,
    "cuhk_sysu": mats.write_cuhk_sysu,
    "msmt17": trees.write_msmt17,
    "viper": trees.write_viper,
    "grid": mats.write_grid,
    "prid450s": trees.write_prid450s,
    "caviar4reid": trees.write_caviar4reid,
    "raid": mats.write_raid,
    "ilids": trees.write_ilids,
    "3dpes": trees.write_threedpes,
    "ethz": trees.write_ethz,
    "prid2011_single": trees.write_prid2011_single,
    "prid2011": video.write_prid2011,
    "ilids_vid": video.write_ilids_vid,
    "mars": video.write_mars,
}


def write_layout(
    name: str,
    root: str | os.PathLike[str],
    *,
    persons: int = 20,
    images: int = 3,
    seed: int = 0,
    draw: Draw | None = None,
) -> Path:
    """Write drawn pedestrians in the folders, names and index files of a benchmark.

    The readers read the result with `verify=False`; its counts are not the published ones.

    Args:
        name: a name of `passerby.data.DATASETS`.
        root: an empty or new folder.
        persons: how many people there are, at least 10; some layouts add people without a match.
        images: images of each person and camera (frames of each tracklet), where the layout leaves a choice.
        seed: of the drawing.
        draw: `draw(person, camera, image) -> RGB uint8 [H, W, 3]`; default: drawn pedestrians, 128 x 64.

    Returns:
        The folder to give to `load_dataset` as root.

    Raises:
        DataError: an unknown name, a negative seed, too few persons or images, or a folder that holds something.
        MissingExtraError: the layout has .mat files, and scipy or h5py is not installed.
        StorageError: the folder cannot be written.
    """
    if name not in LAYOUTS:
        raise DataError(unknown_name("layout", name, LAYOUTS))
    if seed < 0:
        raise DataError(f"{name}: seed is {seed}; expected 0 or more")
    if persons < 10 or images < 2:
        raise DataError(f"{name}: {persons} persons with {images} images; a layout needs at least 10 with 2")
    folder = Path(root).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not an empty folder; a drawn dataset is not mixed with anything")
    drawn = DrawnPeople(persons, images, draw or _pedestrians(seed))
    try:
        write_whole(folder, lambda place: LAYOUTS[name](place, drawn))
    except OSError as error:
        raise StorageError(f"{folder}: the drawn dataset cannot be written ({error.strerror})") from error
    return folder


def _pedestrians(seed: int) -> Draw:
    from passerby.data.synthetic.camera import Camera
    from passerby.data.synthetic.pedestrian import draw_person
    from passerby.data.synthetic.person import Person

    cameras = functools.cache(lambda camera: Camera.of(seed, camera))
    people = functools.cache(lambda person: Person.of(seed, person))

    def draw(person: int, camera: int, image: int) -> UInt8:
        rng = np.random.default_rng((seed, 3, person, camera, image))
        return draw_person(people(person), cameras(camera), rng)

    return draw
