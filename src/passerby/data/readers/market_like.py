"""Fixed splits in folders like Market-1501's, under other names: CUHK03-NP, Occluded-DukeMTMC, VeRi-776 (vehicles)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from passerby.data.readers.market import DUKE_NAME, RETRACTED
from passerby.data.readers.tree import find_folder, parse_names
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import DataError

_BOXES = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
_VEHICLES = {"train": "image_train", "query": "image_query", "gallery": "image_test"}
CUHK03_NP_NAME = r"(?P<pid>\d{4})_c(?P<cam>[12])_(?P<frame>\d+).*\.(?:png|jpg)"
VERI_NAME = r"(?P<pid>\d{4})_c(?P<cam>\d{3})_(?P<frame>\d{8})_\d+\.jpg"
_CUHK03_NP_MODES = ("detected", "labeled")
_CUHK03_NP_FOLDERS = ("cuhk03-np", "CUHK03-NP", "cuhk03_np")
_OCCLUDED_DUKE_FOLDERS = ("Occluded_Duke", "Occluded-DukeMTMC", "occluded_duke")
_VERI_FOLDERS = ("VeRi", "VeRi-776", "VeRi_with_plate", "veri", "veri776")


def scan_cuhk03_np(root: Path, *, mode: str = "detected") -> dict[str, tuple[Sample, ...]]:
    """Every image of one kind of boxes by folder.

    Raises:
        DataError: an unknown mode, a folder is missing or a name does not parse.
    """
    if mode not in _CUHK03_NP_MODES:
        raise DataError(f"cuhk03_np: mode is {mode!r}; expected {' or '.join(_CUHK03_NP_MODES)}")
    needs = [f"{mode}/{part}" for part in _BOXES.values()]
    top = root if root.name != mode else root.parent  # the folder of the boxes itself was given
    folder = find_folder(top, needs, _CUHK03_NP_FOLDERS, dataset="cuhk03_np") / mode
    return _scan(folder, _BOXES, CUHK03_NP_NAME, "0003_c1_21.png", "cuhk03_np")


def read_cuhk03_np(root: Path, *, split: int = 0, mode: str = "detected") -> ReIDDataset:
    """CUHK03 under the new protocol (Zhong et al., CVPR 2017) as its authors share it: folders like Market-1501's.

    Args:
        root: the folder that holds `detected/` and `labeled/`, or its parent.
        split: 0, the only one.
        mode: boxes of a detector, or drawn by hand ("labeled").
    """
    del split
    return _read("cuhk03_np", scan_cuhk03_np(root, mode=mode), _BOXES)


def scan_occluded_duke(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of Occluded-DukeMTMC by folder."""
    folder = find_folder(root, list(_BOXES.values()), _OCCLUDED_DUKE_FOLDERS, dataset="occluded_duke")
    return _scan(folder, _BOXES, DUKE_NAME, "0005_c2_f0046985.jpg", "occluded_duke")


def read_occluded_duke(root: Path, *, split: int = 0) -> ReIDDataset:
    """Occluded-DukeMTMC (Miao et al., ICCV 2019): DukeMTMC-reID's images, **retracted**, split anew."""
    del split
    return _read("occluded_duke", scan_occluded_duke(root), _BOXES, notes=(RETRACTED,))


def scan_veri776(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of VeRi-776 by folder."""
    folder = find_folder(root, list(_VEHICLES.values()), _VERI_FOLDERS, dataset="veri776")
    return _scan(folder, _VEHICLES, VERI_NAME, "0002_c002_00030600_0.jpg", "veri776")


def read_veri776(root: Path, *, split: int = 0) -> ReIDDataset:
    """VeRi-776 (Liu et al., ECCV 2016): vehicles; cameras 1 to 20 as 0 to 19, an id is a vehicle."""
    del split
    return _read("veri776", scan_veri776(root), _VEHICLES)


def _scan(
    folder: Path, parts: Mapping[str, str], grammar: str, example: str, dataset: str
) -> dict[str, tuple[Sample, ...]]:
    return {
        part: tuple(
            Sample(path, int(name["pid"]), int(name["cam"]) - 1, float(name["frame"]))
            for path, name in parse_names(folder / part, grammar, example, dataset=dataset)
        )
        for part in parts.values()
    }


def _read(
    name: str, scanned: Mapping[str, tuple[Sample, ...]], parts: Mapping[str, str], notes: tuple[str, ...] = ()
) -> ReIDDataset:
    train, query, gallery = (scanned[parts[part]] for part in ("train", "query", "gallery"))
    return ReIDDataset(name, train, query, gallery, "market1501", notes)
