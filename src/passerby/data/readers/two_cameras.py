"""Two cameras, one image of each person under each: VIPeR, PRID450S, PRID2011's single shots; and GRID's tunnels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from passerby.data.readers.mat import as_list, load_mat
from passerby.data.readers.shots import counted_from_one, halves, of, own_split, swapped
from passerby.data.readers.tree import find_folder, parse_names
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import DataError

VIPER_FOLDERS = ("VIPeR", "viper")
GRID_FOLDERS = ("underground_reid", "GRID/underground_reid", "grid/underground_reid", "GRID", "grid")
PRID450S_FOLDERS = ("prid_450s", "PRID450S", "prid450s", "PRID_450S")
PRID2011_FOLDERS = ("prid_2011", "PRID2011", "prid2011", "PRID2011/prid_2011", "prid2011/prid_2011")
VIPER_NAME = r"(?P<pid>\d{3})_(?P<angle>\d{1,3})\.bmp"
GRID_NAME = r"(?P<pid>\d{4})_(?P<cam>[1-8])_(?P<frame>\d+)_\d+_\d+_\d+_\d+\.jpeg"
PRID450S_NAME = r"img_(?P<pid>\d+)\.png"
PRID2011_NAME = r"person_(?P<pid>\d{4})\.png"
_GRID_SPLITS = "features_and_partitions.mat"
PRID2011_SHARED = 200
_PRID2011_ONLY_B = 1000  # numbers above 200 are other people under camera b than under camera a


def scan_viper(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of VIPeR; the second number of a name is the angle of view, so persons match by the first."""
    return _two_cameras(root, VIPER_FOLDERS, VIPER_NAME, "000_45.bmp", "viper")


def read_viper(root: Path, *, split: int = 0, direction: str = "ab") -> ReIDDataset:
    """VIPeR (Gray, Brennan, Tao, PETS 2007): random halves 316/316, single shot.

    Args:
        root: the dataset's folder or its parent.
        split: which random half, 0 to 9.
        direction: "ab" asks for cam_a in cam_b, "ba" the other way round.

    Raises:
        DataError: wrong names or too few persons.
    """
    return swapped(_halved("viper", scan_viper(root), split), direction)


def scan_prid450s(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of PRID450S; masks that lie beside the images are left alone."""
    return _two_cameras(root, PRID450S_FOLDERS, PRID450S_NAME, "img_001.png", "prid450s", others="skip")


def read_prid450s(root: Path, *, split: int = 0, direction: str = "ab") -> ReIDDataset:
    """PRID450S (Roth et al. 2014): random halves 225/225, single shot; arguments as for VIPeR."""
    return swapped(_halved("prid450s", scan_prid450s(root), split), direction)


def scan_prid2011_single(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every single shot of PRID2011; persons above 200 of camera b get numbers above 1,200."""
    needs = ("single_shot/cam_a", "single_shot/cam_b")
    folder = find_folder(root, needs, PRID2011_FOLDERS, dataset="prid2011_single") / "single_shot"
    parts = {}
    for camid, part in enumerate(("cam_a", "cam_b")):
        names = parse_names(folder / part, PRID2011_NAME, "person_0001.png", dataset="prid2011_single")
        parts[part] = tuple(Sample(path, prid2011_pid(int(name["pid"]), camid), camid) for path, name in names)
    return parts


def prid2011_pid(number: int, camid: int) -> int:
    """A person's own number: the first 200 are the same people under both cameras, the others are not."""
    return number if camid == 0 or number <= PRID2011_SHARED else number + _PRID2011_ONLY_B


def read_prid2011_single(root: Path, *, split: int = 0) -> ReIDDataset:
    """PRID2011 single shot (Hirzer et al., SCIA 2011): 100/100 of the shared persons; 549 other people in the gallery.

    Args:
        root: the dataset's folder or its parent.
        split: which random half, 0 to 9.

    Raises:
        DataError: wrong names or too few persons.
    """
    a, b = scan_prid2011_single(root).values()
    shared = {s.pid for s in a} & {s.pid for s in b}
    train, test = halves("prid2011_single", shared, split)
    unmatched = {s.pid for s in b} - shared
    gallery = of(b, test | unmatched)
    return ReIDDataset("prid2011_single", of((*a, *b), train), of(a, test), gallery, "single_shot", (own_split(split),))


def scan_grid(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of GRID; the gallery's person 0 stands for 775 different people."""
    folder = find_folder(root, ("probe", "gallery"), GRID_FOLDERS, dataset="grid")
    return {
        part: tuple(
            Sample(path, int(name["pid"]), int(name["cam"]) - 1, float(name["frame"]))
            for path, name in parse_names(folder / part, GRID_NAME, "0005_2_25100_229_94_99_249.jpeg", dataset="grid")
        )
        for part in ("probe", "gallery")
    }


def read_grid(root: Path, *, split: int = 0) -> ReIDDataset:
    """GRID (Loy, Xiang, Gong, CVPR 2009): ten fixed partitions 125/125, single shot, 775 other people in the gallery.

    Args:
        root: the dataset's folder or its parent.
        split: which partition, 0 to 9; without `features_and_partitions.mat` they are drawn at random.

    Raises:
        DataError: wrong names, or a partition file of something else.
        MissingExtraError: scipy is not installed, and there is a partition file.
    """
    parts = scan_grid(root)
    folder = find_folder(root, ("probe", "gallery"), GRID_FOLDERS, dataset="grid")
    pids = {s.pid for s in parts["probe"]}
    train, note = _grid_partition(folder / _GRID_SPLITS, pids, split)
    test = pids - train
    images = (*parts["probe"], *parts["gallery"])
    gallery = of(parts["gallery"], test | {0})
    notes = [note]
    if unasked := len({s.pid for s in parts["gallery"]} - pids - {0}):
        notes.append(f"{unasked} persons of gallery/ whom probe/ does not hold left out")
    return ReIDDataset("grid", of(images, train), of(parts["probe"], test), gallery, "single_shot", tuple(notes))


def _grid_partition(file: Path, pids: set[int], split: int) -> tuple[set[int], str]:
    if not file.is_file():
        return halves("grid", pids, split)[0], f"{_GRID_SPLITS} is missing: {own_split(split)}"
    partitions = as_list(load_mat(file, "trainIdxAll")[0])
    if len(partitions) <= split:
        raise DataError(f"{file}: {len(partitions)} partitions, asked for was number {split}")
    struct = partitions[split]
    fields = list(struct.values()) if isinstance(struct, dict) else []
    if len(fields) < 3:
        raise DataError(f"{file}: partition {split} is no struct with three fields")
    train = {int(pid) for pid in np.asarray(fields[2]).ravel()}
    if not train or not train <= pids:
        raise DataError(f"{file}: partition {split} names persons that probe/ does not hold")
    return train, f"partition {split} of {_GRID_SPLITS}"


def _two_cameras(
    root: Path, known: tuple[str, ...], grammar: str, example: str, dataset: str, *, others: str = "refuse"
) -> dict[str, tuple[Sample, ...]]:
    folder = find_folder(root, ("cam_a", "cam_b"), known, dataset=dataset)
    samples = [
        Sample(path, int(name["pid"]), camid)
        for camid, part in enumerate(("cam_a", "cam_b"))
        for path, name in parse_names(folder / part, grammar, example, dataset=dataset, others=others)
    ]
    shifted = counted_from_one(samples)
    return {part: tuple(s for s in shifted if s.camid == camid) for camid, part in enumerate(("cam_a", "cam_b"))}


def _halved(dataset: str, parts: dict[str, tuple[Sample, ...]], split: int) -> ReIDDataset:
    a, b = parts["cam_a"], parts["cam_b"]
    both, everyone = {s.pid for s in a} & {s.pid for s in b}, {s.pid for s in (*a, *b)}
    train, test = halves(dataset, both, split)
    notes = [own_split(split)]
    if both < everyone:
        notes.append(f"{len(everyone - both)} persons under one camera only left out")
    return ReIDDataset(dataset, of((*a, *b), train), of(a, test), of(b, test), "single_shot", tuple(notes))
