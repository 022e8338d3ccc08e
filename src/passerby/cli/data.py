"""`passerby data`: list, info, check, draw, write, from-video, look-alikes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from passerby.cli.dataset_flags import ReaderArguments, reader_arguments
from passerby.cli.exit_codes import FAILED
from passerby.cli.output import show, table
from passerby.cli.shared_parameters import Json, Seed
from passerby.cli.vector_flags import VectorFile, VectorFlags
from passerby.errors import DataError, UsageError

Dataset: TypeAlias = Annotated[str, Parameter(help="A name of `passerby data list`.")]
_FLAGS_OF_CHECK = {
    "name": "it first",
    "root": "--root",
    "images": "--images or --no-images",
    "bits": "--bits",
    "progress": "nothing: there is no such flag",
}
Number: TypeAlias = Annotated[int, Parameter(metavar="N")]


def list_datasets(*, json: Json = False) -> None:
    """The datasets that passerby reads."""
    from passerby.data.datasets import list_datasets as run_list

    rows = run_list()
    show(rows, as_json=json, text=table(rows, empty="no dataset"))


def dataset_info(name: Dataset, /, *, json: Json = False) -> None:
    """What a dataset is, how to get it, its terms and published counts."""
    from passerby.data.info import dataset_info as run_info

    show(run_info(name), as_json=json)


def check_dataset(
    name: Annotated[
        str, Parameter(help="A name of `passerby data list`, a manifest (.csv, .parquet), or a folder of folders.")
    ],
    /,
    *,
    root: Annotated[Path | None, Parameter(metavar="FOLDER")] = None,
    images: bool = True,
    bits: Annotated[int, Parameter(metavar="N")] = 16,
    arguments: ReaderArguments = (),
    json: Json = False,
) -> int:
    """Whether what lies in a folder is the dataset, whole and sound; faults end with exit code 1.

    Args:
        name: A name, or a manifest.
        root: Folder that holds the dataset, or the images a manifest names.
        images: Also decode every image and look for unreadable and duplicate ones.
        bits: Bits of the values that files store in 16: 10, 12 or 14 for such a thermal camera.
        arguments: see `ReaderArguments`.
        json: see `Json`.
    """
    if root is not None and not root.exists():
        raise DataError(f"{root}: no such folder; --root names the one that holds the dataset")
    if not 9 <= bits <= 16:
        raise UsageError(f"--bits: expected 9 to 16, found {bits}")
    from passerby.data.check.dataset_check import check_dataset as run_check

    given = reader_arguments(arguments, flag="--arguments", elsewhere=_FLAGS_OF_CHECK)
    report = run_check(name, root, images=images, bits=bits, **given)
    show(report, as_json=json)
    return 0 if report.ok else FAILED


def draw_dataset(
    root: Annotated[Path, Parameter(help="Folder to draw into.")],
    /,
    *,
    identities: Number = 150,
    train_identities: Number = 100,
    cameras: Number = 4,
    images_per_camera: Number = 4,
    distractors: Number = 40,
    seed: Seed = 0,
    common_outfits: Number = 12,
    json: Json = False,
) -> None:
    """Draw a dataset of pedestrians, deterministic from a seed.

    Args:
        root: Folder to draw into.
        identities: People in all.
        train_identities: Of these, the ones in the training set.
        cameras: Each person passes all of them.
        images_per_camera: Images of a person in a camera.
        distractors: Gallery images of nobody who is searched for, and half as many junk images.
        seed: The same seed draws the same pixels.
        common_outfits: Nearly half of the people wear one of so many; the fewer, the more people look alike.
        json: see `Json`.
    """
    from passerby.data.synthetic.dataset import draw_dataset as run_draw

    folder = run_draw(
        root,
        identities=identities,
        train_identities=train_identities,
        cameras=cameras,
        images_per_camera=images_per_camera,
        distractors=distractors,
        seed=seed,
        common_outfits=common_outfits,
    )
    show({"root": str(folder)}, as_json=json, text=str(folder))


def write_layout(
    name: Annotated[str, Parameter(help="A name of `passerby data list`: its layout is written.")],
    root: Annotated[Path, Parameter(help="Folder to write into.")],
    /,
    *,
    persons: Number = 20,
    images: Number = 3,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write drawn pedestrians in the layout of any dataset, to try its protocol without its data.

    Args:
        name: Whose layout.
        root: An empty or new folder.
        persons: How many people there are, at least 10.
        images: Images of each person and camera (frames of each tracklet), where the layout leaves a choice.
        seed: The same seed draws the same pixels.
        json: see `Json`.
    """
    from passerby.data.layouts.write import write_layout as run_write

    folder = run_write(name, root, persons=persons, images=images, seed=seed)
    show({"root": str(folder)}, as_json=json, text=str(folder))


def crop_video(
    video: Annotated[Path, Parameter(help="Anything that FFmpeg decodes.")],
    /,
    *,
    boxes: Annotated[Path, Parameter(metavar="FILE")],
    out: Annotated[Path, Parameter(metavar="FOLDER")],
    camera: Number = 0,
    every: Number = 1,
    margin: Annotated[float, Parameter(metavar="SHARE")] = 0.0,
    min_confidence: Annotated[float | None, Parameter(metavar="X")] = None,
    min_height: Number = 16,
    first_frame: Annotated[int | None, Parameter(metavar="N")] = None,
    classes: Annotated[tuple[int, ...], Parameter(metavar="N")] = (),
    bits: Number = 16,
    json: Json = False,
) -> None:
    """Crop tracklets from a video and a tracker's boxes (MOT, CSV, YOLO, COCO, CVAT, KITTI, JSON lines).

    Args:
        video: The film.
        boxes: The tracker's boxes: MOT (frame,id,x,y,w,h,conf a line), a table with a header, a folder of YOLO labels,
            COCO, CVAT, KITTI or JSON lines.
        out: New or empty folder for the crops and their manifest.csv.
        camera: Camera number for the manifest.
        every: Keep one box of a track every so many frames.
        margin: Share of its size that a box grows on each side.
        min_confidence: Skip less certain boxes (default: none; -1 means that no confidence is given).
        min_height: Skip boxes with fewer visible rows.
        first_frame: Number that the file gives the film's first frame (default: 1 in MOT, 0 in CVAT and KITTI, else as
            it looks).
        classes: Classes of a ground truth (8th of nine columns) that are taken (default: 1 2 7, MOT's pedestrians).
        bits: Bits of the values that frames in a folder store in 16: 10, 12 or 14 for such a thermal camera.
        json: see `Json`.
    """
    from passerby.tracking.crop_dataset import crop_video as run_crop

    crops = run_crop(
        video,
        boxes,
        out,
        camera=camera,
        every=every,
        margin=margin,
        min_confidence=min_confidence,
        min_height=min_height,
        first_frame=first_frame,
        classes=classes or None,
        bits=bits,
    )
    show(crops, as_json=json)


def look_alikes(
    vectors: VectorFile,
    /,
    *,
    source: VectorFlags = VectorFlags(),
    top: Number = 20,
    linkage: Literal["mean", "min", "average"] = "mean",
    out: Annotated[Path | None, Parameter(metavar="FILE.html")] = None,
    json: Json = False,
) -> None:
    """The pairs of identities that look most alike, with pictures: hard negatives, or one person under two labels.

    Args:
        vectors: Vectors of a labelled set, such as `passerby embed ENCODER --parts train` writes.
        source: Where labels stand.
        top: Pairs to list.
        linkage: Distance of two identities: of their mean vectors, of their nearest images, or the average over images.
        out: Also write a page with the pictures of every pair.
        json: see `Json`.
    """
    labelled = source.read(vectors)
    from passerby.report.look_alikes import look_alikes as run_look_alikes

    found = run_look_alikes(labelled, top=top, linkage=linkage)
    if out is not None:
        found.to_html(out)
    show(found, as_json=json)
