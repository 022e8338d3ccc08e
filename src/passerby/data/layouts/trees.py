"""Layouts that are folders and file names alone."""

from __future__ import annotations

from pathlib import Path

from passerby.data.layouts.drawn_people import DrawnPeople

_EXTRA_PEOPLE = 3


def write_market1501(root: Path, drawn: DrawnPeople) -> None:
    """Market-1501, with distractors, junk, hand-drawn boxes and a double extension; persons start at 2 as there."""
    half = drawn.persons // 2
    top = root / "Market-1501-v15.09.15"
    for person, camera, image in drawn.views(3):
        name = f"{person + 1:04d}_c{camera + 1}s1_{100 * image + 51:06d}_{{box:02d}}.jpg"
        if person <= half:
            drawn.save(top / "bounding_box_train" / name.format(box=1), person, camera, image)
            continue
        end = ".jpg" if person == drawn.persons and image == 1 else ""
        drawn.save(top / "bounding_box_test" / (name.format(box=1) + end), person, camera, image)
        drawn.save(top / "gt_bbox" / name.format(box=0), person, camera, image)
        if image == 0:
            drawn.save(top / "query" / name.format(box=0), person, camera, image)
    for number in range(2 * _EXTRA_PEOPLE):
        pid = "0000" if number % 2 else "-1"
        path = top / "bounding_box_test" / f"{pid}_c1s1_{number + 1:06d}_01.jpg"
        drawn.save(path, drawn.extra_person(number), 0, 0)


def write_dukemtmc(root: Path, drawn: DrawnPeople) -> None:
    """DukeMTMC-reID's folders and names, with drawn people in them."""
    half = drawn.persons // 2
    top = root / "DukeMTMC-reID"
    for person, camera, image in drawn.views(3):
        name = f"{person:04d}_c{camera + 1}_f{46985 + image:07d}.jpg"
        part = "bounding_box_train" if person <= half else "query" if image == 0 else "bounding_box_test"
        drawn.save(top / part / name, person, camera, image)


def write_occluded_duke(root: Path, drawn: DrawnPeople) -> None:
    """Occluded-DukeMTMC's folders and names, with drawn people in them."""
    _write_parts(root / "Occluded_Duke", drawn, "{person:04d}_c{camera}_f{frame:07d}.jpg")


def write_cuhk03_np(root: Path, drawn: DrawnPeople) -> None:
    """CUHK03-NP: two kinds of boxes, two cameras."""
    for mode in ("detected", "labeled"):
        _write_parts(root / "cuhk03-np" / mode, drawn, "{person:04d}_c{camera}_{image}.png", cameras=2)


def write_veri776(root: Path, drawn: DrawnPeople) -> None:
    """VeRi-776's folders and names, with drawn people in the place of vehicles."""
    parts = ("image_train", "image_query", "image_test")
    _write_parts(root / "VeRi", drawn, "{person:04d}_c{camera:03d}_{frame:08d}_{image}.jpg", parts=parts)


def _write_parts(
    top: Path,
    drawn: DrawnPeople,
    name: str,
    *,
    cameras: int = 3,
    parts: tuple[str, str, str] = ("bounding_box_train", "query", "bounding_box_test"),
) -> None:
    """Half of the people in training, the first image of each other one and camera as query, the rest as gallery."""
    for person, camera, image in drawn.views(cameras):
        part = parts[0] if person <= drawn.persons // 2 else parts[1] if image == 0 else parts[2]
        path = top / part / name.format(person=person, camera=camera + 1, frame=46985 + image, image=image)
        drawn.save(path, person, camera, image)


def write_cuhk01(root: Path, drawn: DrawnPeople) -> None:
    """CUHK01: four images a person, two of each view."""
    for person in drawn.everyone():
        for image in range(4):
            path = root / "CUHK01" / "campus" / f"{person:04d}{image + 1:03d}.png"
            drawn.save(path, person, image // 2, image % 2)


def write_cuhk02(root: Path, drawn: DrawnPeople) -> None:
    """CUHK02: five pairs of cameras, numbers restart in each."""
    for person in drawn.everyone():
        pair = (person - 1) % 5
        for camera in range(2):
            for image in range(2):
                folder = root / "Dataset" / f"P{pair + 1}" / f"cam{camera + 1}"
                drawn.save(folder / f"{(person - 1) // 5 + 1:04d}_{image + 1:03d}.png", person, camera, image)


def write_msmt17(root: Path, drawn: DrawnPeople) -> None:
    """MSMT17, version 2: folders and lists; labels start at 0 in training and in the test."""
    half = drawn.persons // 2
    top = root / "MSMT17_V2"
    lists: dict[str, list[str]] = {"train": [], "val": [], "query": [], "gallery": []}
    for person, camera, image in drawn.views(3):
        label = person - 1 if person <= half else person - 1 - half
        number = camera * drawn.images + image
        name = f"{label:04d}/{label:04d}_{number:03d}_{camera + 1:02d}_0303morning_{image:04d}_2.jpg"
        if person <= half:
            part, folder = ("val" if image == drawn.images - 1 else "train"), "mask_train_v2"
        else:
            part, folder = ("query" if image == 0 else "gallery"), "mask_test_v2"
        drawn.save(top / folder / name, person, camera, image)
        lists[part].append(f"{name} {label}")
    for part, lines in lists.items():
        (top / f"list_{part}.txt").write_text("\n".join(lines) + "\n", "utf-8")


def write_viper(root: Path, drawn: DrawnPeople) -> None:
    """VIPeR: numbers start at 0 and have gaps, angles differ between the cameras."""
    for person in drawn.everyone():
        number = 2 * (person - 1)
        drawn.save(root / "VIPeR" / "cam_a" / f"{number:03d}_{45 * (person % 3)}.bmp", person, 0, 0)
        drawn.save(root / "VIPeR" / "cam_b" / f"{number:03d}_{90 + 45 * (person % 3)}.bmp", person, 1, 0)


def write_prid450s(root: Path, drawn: DrawnPeople) -> None:
    """PRID450S, with masks beside the images."""
    for person in drawn.everyone():
        for camera, part in enumerate(("cam_a", "cam_b")):
            drawn.save(root / "prid_450s" / part / f"img_{person:03d}.png", person, camera, 0)
            drawn.save(root / "prid_450s" / part / f"mask_{person:03d}.png", person, camera, 0)


def write_caviar4reid(root: Path, drawn: DrawnPeople) -> None:
    """CAVIAR4REID: ten images a camera; every fourth person was seen by one camera only."""
    for person in drawn.everyone():
        for image in range(10 if person % 4 == 0 else 20):
            path = root / "CAVIARa" / f"{person:04d}{image + 1:03d}.jpg"
            drawn.save(path, person, image // 10, image % 10)


def write_ilids(root: Path, drawn: DrawnPeople) -> None:
    """i-LIDS: images are counted, cameras are not named."""
    for person in drawn.everyone():
        for image in range(2 + person % 3):
            path = root / "i-LIDS_Pedestrian" / "Persons" / f"{person:04d}{image + 1:03d}.jpg"
            drawn.save(path, person, image, 0)


def write_threedpes(root: Path, drawn: DrawnPeople) -> None:
    """3DPeS: person, view and frame in the name; every fifth person has one view only."""
    for person, camera, image in drawn.views(2):
        if camera == 0 or person % 5:
            path = root / "3DPeS" / "RGB" / f"{person}_{camera}_FRAME_{26 + image}_RGB.bmp"
            drawn.save(path, person, camera, image)


def write_ethz(root: Path, drawn: DrawnPeople) -> None:
    """ETHZ: three sequences of one camera, a folder a person."""
    for person in drawn.everyone():
        sequence, number = (person - 1) % 3 + 1, (person - 1) // 3 + 1
        for image in range(drawn.images):
            path = root / "ETHZ" / f"seq{sequence}" / f"p{number:03d}" / f"{image + 1:05d}.png"
            drawn.save(path, person, 0, image)


def write_prid2011_single(root: Path, drawn: DrawnPeople) -> None:
    """PRID2011 single shots; numbers above 200 are other people under camera b."""
    top = root / "prid_2011" / "single_shot"
    for person in drawn.everyone():
        for camera, part in enumerate(("cam_a", "cam_b")):
            drawn.save(top / part / f"person_{person:04d}.png", person, camera, 0)
    for extra in range(_EXTRA_PEOPLE):
        for camera, part in enumerate(("cam_a", "cam_b")):
            who = drawn.extra_person(2 * extra + camera)
            drawn.save(top / part / f"person_{201 + extra:04d}.png", who, camera, 0)
