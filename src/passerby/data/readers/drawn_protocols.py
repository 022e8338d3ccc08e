"""Small sets whose protocol draws one image (or N) of each person: CAVIAR4REID, i-LIDS, 3DPeS, ETHZ, RAiD."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from passerby.data.random_split import SEED, shuffled
from passerby.data.readers.extract_once import extract_once, write_png
from passerby.data.readers.mat import open_mat73
from passerby.data.readers.shots import check_choice, check_shots, counted_from_one, draw, halves, of, own_split
from passerby.data.readers.tree import find_folder, image_names, parse_names, person_folders
from passerby.data.records import UNKNOWN_CAMERA, ReIDDataset, Sample
from passerby.errors import DataError
from passerby.progress import progress_bar

CAVIAR_FOLDERS = ("CAVIARa", "CAVIAR4REID/CAVIARa", "caviar/CAVIARa", "CAVIAR4REID", "caviar4reid")
ILIDS_FOLDERS = ("i-LIDS_Pedestrian", "ilids/i-LIDS_Pedestrian", "i-LIDS", "ilids")
THREEDPES_FOLDERS = ("3DPeS", "3dpes")
ETHZ_FOLDERS = ("ETHZ", "ethz", "dataset_ETHZ")
RAID_FOLDERS = ("RAiD", "raid", "RAiD_4Cams")
PERSON_AND_NUMBER = r"(?P<pid>\d{4})(?P<number>(?!000)\d{3})\.jpg"
THREEDPES_NAME = r"(?P<pid>\d+)_(?P<view>\d+)_FRAME_(?P<frame>\d+)_RGB\.bmp"
RAID_NAME = r"(?P<pid>\d{4})_c(?P<cam>[1-4])_(?P<image>\d{5})\.png"
_CAVIAR_A_CAMERA = 10
_ETHZ_IDS_A_SEQUENCE = 1000
_RAID_MAT = "RAiD_4Cams.mat"


def scan_caviar4reid(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of CAVIAR4REID. Names hold no camera: of a person with more than ten images, the first ten are one's.

    That rule is a convention that could not be verified on the files; `check` counts whether 50 persons obey it.

    Raises:
        DataError: numbers of images that the dataset does not have.
    """
    top = find_folder(root, (), CAVIAR_FOLDERS, dataset="caviar4reid")
    folder = next((top / name for name in CAVIAR_FOLDERS if (top / name).is_dir()), top)
    names = list(parse_names(folder, PERSON_AND_NUMBER, "0001001.jpg", dataset="caviar4reid"))
    number = [int(name["number"]) for _, name in names]
    samples = counted_from_one(
        [
            Sample(path, int(name["pid"]), (n - 1) // _CAVIAR_A_CAMERA)
            for (path, name), n in zip(names, number, strict=True)
        ]
    )
    if max(number) > 2 * _CAVIAR_A_CAMERA:
        raise DataError(f"caviar4reid: image number {max(number)} in {folder}; expected 1 to 20 for each person")
    return {"CAVIARa": samples}


def read_caviar4reid(root: Path, *, split: int = 0, shots: int = 1, extras: bool = False) -> ReIDDataset:
    """CAVIAR4REID (Cheng et al., BMVC 2011): the 50 persons of two cameras in random halves 25/25.

    Args:
        root: the dataset's folder or its parent.
        split: which random half, 0 to 9.
        shots: images of each test person and camera; 1 and 5 are usual.
        extras: train on the 22 persons of one camera too.

    Raises:
        DataError: wrong names, or nobody with images of two cameras.
    """
    samples = scan_caviar4reid(root)["CAVIARa"]
    two = {s.pid for s in samples if s.camid == 1}
    if not two:
        raise DataError(f"caviar4reid: nobody in {root} has more than ten images, so its cameras are not known")
    train, test = halves("caviar4reid", two, split)
    one = {s.pid for s in samples} - two if extras else set()
    drawn = draw(of(samples, test), shots, "caviar4reid", split)
    notes = (own_split(split), "cameras taken from image numbers (1 to 10, 11 to 20): an unverified convention")
    query, gallery = of(drawn, test, 0), of(drawn, test, 1)
    protocol = check_shots("caviar4reid", shots)
    return ReIDDataset("caviar4reid", of(samples, train | one), query, gallery, protocol, notes)


def scan_ilids(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of i-LIDS; cameras are not named, so each image of a person counts as its own."""
    folder = find_folder(root, ("Persons",), ILIDS_FOLDERS, dataset="ilids") / "Persons"
    names = parse_names(folder, PERSON_AND_NUMBER, "0001001.jpg", dataset="ilids")
    samples = [Sample(path, int(name["pid"]), int(name["number"]) - 1) for path, name in names]
    return {"Persons": counted_from_one(samples)}


def read_ilids(root: Path, *, split: int = 0) -> ReIDDataset:
    """i-LIDS (Zheng, Gong, Xiang, BMVC 2009; 119 persons): random halves 59/60, one query and one gallery image each.

    Args:
        root: the dataset's folder or its parent.
        split: which random half, 0 to 9.

    Raises:
        DataError: wrong names, or a person with one image only.
    """
    samples = scan_ilids(root)["Persons"]
    train, test = halves("ilids", {s.pid for s in samples}, split)
    query, gallery = _two_of_each("ilids", of(samples, test), split)
    notes = (own_split(split), "cameras are not named: each image of a person counts as its own camera")
    return ReIDDataset("ilids", of(samples, train), query, gallery, "single_shot", notes)


def scan_threedpes(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of 3DPeS; the second number of a name (a sequence or view) stands for the camera."""
    folder = find_folder(root, ("RGB",), THREEDPES_FOLDERS, dataset="3dpes") / "RGB"
    names = parse_names(folder, THREEDPES_NAME, "100_3_FRAME_26_RGB.bmp", dataset="3dpes")
    samples = [Sample(path, int(name["pid"]), int(name["view"]), float(name["frame"])) for path, name in names]
    return {"RGB": counted_from_one(samples)}


def read_threedpes(root: Path, *, split: int = 0, tracklets: bool = False) -> ReIDDataset:
    """3DPeS (Baltieri, Vezzani, Cucchiara 2011): random halves of the persons with two views, one image of each view.

    Args:
        root: the dataset's folder or its parent.
        split: which random half, 0 to 9; there is no official split.
        tracklets: as video: all images of a person and view, in the order of their frames, are a tracklet; one view
            of each test person asks, the others are the gallery.

    Raises:
        DataError: wrong names or too few persons.
    """
    samples = scan_threedpes(root)["RGB"]
    if tracklets:
        samples = _by_person_and_camera(samples)
    views: dict[int, set[int]] = {}
    for s in samples:
        views.setdefault(s.pid, set()).add(s.camid)
    several = {pid for pid, seen in views.items() if len(seen) > 1}
    train, test = halves("3dpes", several, split)
    if tracklets:
        asking = {(pid, shuffled(map(str, sorted(views[pid])), SEED, "3dpes", split, pid)[0]) for pid in test}
        query = tuple(s for s in samples if (s.pid, str(s.camid)) in asking)
        gallery = tuple(s for s in of(samples, test) if (s.pid, str(s.camid)) not in asking)
    else:
        query, gallery = _two_of_each("3dpes", draw(of(samples, test), 1, "3dpes", split), split)
    alone = f"{len(views) - len(several)} persons of one view are left out"
    notes = (own_split(split), f"the view number of a name stands for the camera; {alone}")
    return ReIDDataset("3dpes", of(samples, train), query, gallery, "video" if tracklets else "single_shot", notes)


def scan_ethz(root: Path) -> dict[str, tuple[Sample, ...]]:
    """Every image of ETHZ by sequence; a person's number is 1,000 x sequence + the number in the sequence."""
    sequences = ("seq1", "seq2", "seq3")
    folder = find_folder(root, sequences, ETHZ_FOLDERS, dataset="ethz")
    return {sequence: _ethz_samples(folder / sequence, i) for i, sequence in enumerate(sequences, start=1)}


def read_ethz(root: Path, *, split: int = 0, sequence: int = 1, shots: int = 1, tracklets: bool = False) -> ReIDDataset:
    """ETHZ (Ess et al., ICCV 2007; crops of Schwartz and Davis 2009): one moving camera, one sequence at a time.

    Args:
        root: the dataset's folder or its parent.
        split: which draw, 0 to 9.
        sequence: 1, 2 or 3.
        shots: gallery images of each person; the rest are queries. 1, 5 and 10 are usual.
        tracklets: as video: a person's images in the order of their numbers are cut in the middle into two tracklets,
            of which the first asks (split 0) or the second (split 1).

    Raises:
        DataError: no folders of persons, too few images, or shots or another split beside tracklets.
    """
    check_choice("ethz", "sequence", sequence, (1, 2, 3))
    check_shots("ethz", shots)
    samples = scan_ethz(root)[f"seq{sequence}"]
    if tracklets:
        return _ethz_tracklets(samples, split, sequence, shots)
    gallery = draw(samples, shots, "ethz", split)
    chosen = {s.path for s in gallery}
    query = tuple(s for s in samples if s.path not in chosen)
    if not query:
        raise DataError(f"ethz: shots is {shots}, and nobody in sequence {sequence} has more images to ask with")
    notes = [f"sequence {sequence}, draw {split} of {shots} gallery images a person; no cameras, no training split"]
    if unasked := len({s.pid for s in gallery} - {s.pid for s in query}):
        notes.append(f"{unasked} persons have no more images than shots ({shots}): nobody asks for them")
    return ReIDDataset("ethz", (), query, gallery, "no_cameras", tuple(notes))


def scan_raid(root: Path, *, extracted: str | Path | None = None) -> dict[str, tuple[Sample, ...]]:
    """Every image of RAiD, extracted from `RAiD_4Cams.mat` at first use."""
    try:
        folder = find_folder(root, (_RAID_MAT,), RAID_FOLDERS, dataset="raid")
    except DataError:
        try:
            folder = find_folder(root, ("images",), RAID_FOLDERS, dataset="raid")
        except DataError:
            folder = find_folder(root, (_RAID_MAT,), RAID_FOLDERS, dataset="raid")  # for its message
    target = Path(extracted).expanduser() if extracted else folder / "images"
    extract_once(target, lambda place: _extract_raid(folder / _RAID_MAT, place), dataset="raid")
    names = parse_names(target, RAID_NAME, "0001_c1_00001.png", dataset="raid")
    samples = [Sample(path, int(name["pid"]), int(name["cam"]) - 1) for path, name in names]
    return {"images": counted_from_one(samples)}


def read_raid(
    root: Path,
    *,
    split: int = 0,
    query_camera: int = 1,
    gallery_camera: int = 2,
    shots: int = 1,
    extracted: str | Path | None = None,
) -> ReIDDataset:
    """RAiD (Das, Chakraborty, Roy-Chowdhury, ECCV 2014): one pair of its four cameras, random persons.

    Args:
        root: the folder with `RAiD_4Cams.mat`, or its parent.
        split: which random half of the persons that both cameras saw, 0 to 9.
        query_camera: 1 and 2 are indoors, 3 and 4 outdoors.
        gallery_camera: likewise; papers average over the six pairs.
        shots: images of each test person and camera; 1 and 10 are usual.
        extracted: folder for the images of the .mat; default: `images` beside it.

    Raises:
        DataError: a missing or foreign file, or a camera that does not exist.
        MissingExtraError: h5py is not installed.
        StorageError: the images cannot be written.
    """
    for argument, camera in (("query_camera", query_camera), ("gallery_camera", gallery_camera)):
        check_choice("raid", argument, camera, (1, 2, 3, 4))
    if query_camera == gallery_camera:
        raise DataError(f"raid: query and gallery are both camera {query_camera}; expected two cameras")
    samples = scan_raid(root, extracted=extracted)["images"]
    q, g = (tuple(s for s in samples if s.camid == camera - 1) for camera in (query_camera, gallery_camera))
    both = {s.pid for s in q} & {s.pid for s in g}
    train, test = halves("raid", both, split, len(both) // 2)
    notes = (own_split(split), f"camera {query_camera} against camera {gallery_camera}, {shots} images each")
    query, gallery = (draw(of(part, test), shots, "raid", split) for part in (q, g))
    return ReIDDataset("raid", of((*q, *g), train), query, gallery, check_shots("raid", shots), notes)


def _extract_raid(mat: Path, target: Path) -> None:
    with open_mat73(mat) as file:
        if "dataset" not in file:
            raise DataError(f"{mat}: no struct 'dataset'; is this the right file?")
        struct = file["dataset"]
        missing = [field for field in ("images", "personID", "cam") if field not in struct]
        if missing:
            raise DataError(f"{mat}: the struct 'dataset' has no field {', '.join(missing)}")
        persons, cameras = (np.asarray(struct[field]).ravel().astype(int) for field in ("personID", "cam"))
        images = struct["images"]
        if len(images) != len(persons) or len(persons) != len(cameras) or images.ndim != 4:
            raise DataError(
                f"{mat}: {images.shape} images, {len(persons)} persons and {len(cameras)} cameras do not fit"
            )
        with progress_bar("extracting RAiD", len(persons)) as bar:
            for i, (person, camera) in enumerate(zip(persons, cameras, strict=True)):
                write_png(target / f"{person:04d}_c{camera}_{i + 1:05d}.png", _upright(images[i]))
                bar.advance()


def _upright(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """HDF5 holds MATLAB's [H, W, 3] transposed, as [3, W, H]."""
    return np.asarray(image, dtype=np.uint8).T


def _two_of_each(
    dataset: str, samples: tuple[Sample, ...], split: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """One query and one gallery image of each person, of different cameras."""
    by_pid: dict[int, list[Sample]] = {}
    for s in samples:
        by_pid.setdefault(s.pid, []).append(s)
    chosen: list[list[Sample]] = []
    for pid, images in by_pid.items():
        names = shuffled((s.path.name for s in images), SEED, dataset, split, pid)[:2]
        if len(names) < 2:
            raise DataError(f"{dataset}: person {pid} has one image, {images[0].path}; a test person needs two")
        chosen.append(sorted((s for s in images if s.path.name in names), key=lambda s: names.index(s.path.name)))
    return tuple(pair[0] for pair in chosen), tuple(pair[1] for pair in chosen)


def _ethz_samples(folder: Path, sequence: int) -> tuple[Sample, ...]:
    persons = person_folders(folder, r"p\d{3}", "p001", dataset="ethz")
    if not persons:
        raise DataError(f"ethz: {folder} holds no folders p001, p002, ...; flat copies do not say who is who")
    empty = [person for person in persons if not image_names(folder / person)]
    if empty:
        raise DataError(f"ethz: {len(empty):,} folders of persons hold no image, first {folder / empty[0]}")
    return tuple(
        Sample(folder / person / name, sequence * _ETHZ_IDS_A_SEQUENCE + int(person[1:]), UNKNOWN_CAMERA)
        for person in persons
        for name in image_names(folder / person)
    )


def _by_person_and_camera(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """The samples as tracklets, one a person and camera, in the order of their times."""
    numbers = {key: n for n, key in enumerate(sorted({(s.pid, s.camid) for s in samples}))}
    ordered = sorted(samples, key=lambda s: (s.pid, s.camid, s.time or 0.0, s.path.name))
    return tuple(replace(s, tracklet=numbers[s.pid, s.camid]) for s in ordered)


def _ethz_tracklets(samples: tuple[Sample, ...], split: int, sequence: int, shots: int) -> ReIDDataset:
    """A person's images, cut in the middle: two tracklets of one camera."""
    if shots != 1 or split not in (0, 1):
        raise DataError(
            f"ethz: tracklets hold all images of a person and have two splits, found shots {shots} and split {split}; "
            "leave shots out and take split 0 or 1"
        )
    by_pid: dict[int, list[Sample]] = {}
    for s in samples:
        by_pid.setdefault(s.pid, []).append(replace(s, time=float(_frame(s.path))))
    halves_of: tuple[list[Sample], list[Sample]] = ([], [])
    alone = 0
    for number, images in enumerate(by_pid.values()):
        if len(images) < 2:
            alone += 1
            continue
        ordered = sorted(images, key=lambda s: (s.time or 0.0, s.path.name))
        middle = len(ordered) // 2
        for half, part in enumerate((ordered[:middle], ordered[middle:])):
            halves_of[half].extend(replace(s, tracklet=2 * number + half) for s in part)
    cut = "each person's images cut in the middle into two tracklets of the one moving camera, a convention of passerby"
    notes = [f"sequence {sequence}: {cut}; no training split"]
    if alone:
        notes.append(f"{alone} persons with one image left out")
    query, gallery = halves_of[split], halves_of[1 - split]
    return ReIDDataset("ethz", (), tuple(query), tuple(gallery), "video", tuple(notes))


def _frame(path: Path) -> int:
    """The last number in an image's name, which orders a person's images."""
    found = re.findall(r"\d+", path.stem)
    if not found:
        raise DataError(f"ethz: {path} has no number in its name, so its place in the sequence is not known")
    return int(found[-1])
