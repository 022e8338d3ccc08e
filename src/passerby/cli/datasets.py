"""`passerby data`: list, info, check, write, from-video."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from passerby.cli.arguments import Json, ReaderArguments, parse, pick_action, reader_arguments, show

ACTIONS = {
    "list": "the datasets that passerby reads",
    "info": "what a dataset is, how to get it, its terms and published counts",
    "check": "whether what lies in a folder is the dataset, whole and sound",
    "draw": "draw a dataset of pedestrians, deterministic from a seed",
    "write": "write drawn pedestrians in the layout of any dataset, to try its protocol without its data",
    "from-video": "crop tracklets from a video and a tracker's boxes (MOT format)",
}


def data(arguments: Sequence[str]) -> None:
    """Datasets: what there is, and whether yours is whole."""
    action = pick_action("data", arguments, ACTIONS)
    verbs = {
        "list": _list,
        "info": _info,
        "check": _check,
        "draw": _draw,
        "write": _write,
        "from-video": _from_video,
    }
    verbs[action](arguments[1:])


def _list(arguments: Sequence[str]) -> None:
    @dataclass(frozen=True)
    class Options:
        json: Json = False

    options = parse(Options, arguments, "data list", doc=ACTIONS["list"])
    from passerby.data import list_datasets

    rows = list_datasets()
    if options.json:
        print(json.dumps(rows, indent=2, default=str))
        return
    columns = list(rows[0])
    cells = [columns, *([str("" if row[c] is None else row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    print("\n".join("  ".join(f"{text:{w}}" for text, w in zip(line, widths, strict=True)).rstrip() for line in cells))


def _info(arguments: Sequence[str]) -> None:
    @dataclass(frozen=True)
    class Options:
        name: Positional[str]
        """A name of `passerby data list`."""
        json: Json = False

    options = parse(Options, arguments, "data info", doc=ACTIONS["info"])
    from passerby.data.info import dataset_info

    show(dataset_info(options.name), as_json=options.json)


def _check(arguments: Sequence[str]) -> None:
    @dataclass(frozen=True)
    class Options:
        name: Positional[str]
        """A name of `passerby data list`, or a manifest."""
        root: Path
        """Folder that holds the dataset."""
        images: bool = True
        """Also decode every image and look for unreadable and duplicate ones."""
        arguments: ReaderArguments = ()
        json: Json = False

    options = parse(Options, arguments, "data check", doc=ACTIONS["check"])
    from passerby.data import check_dataset

    report = check_dataset(options.name, options.root, images=options.images, **reader_arguments(options.arguments))
    show(report, as_json=options.json)
    if not report.ok:
        raise SystemExit(2)


def _draw(arguments: Sequence[str]) -> None:
    @dataclass(frozen=True)
    class Options:
        root: Positional[Path]
        """Folder to draw into."""
        identities: int = 150
        """People in all."""
        train_identities: int = 100
        """Of these, the ones in the training set."""
        cameras: int = 4
        """Each person passes all of them."""
        images_per_camera: int = 4
        """Images of a person in a camera."""
        seed: int = 0
        """The same seed draws the same pixels."""

    options = parse(Options, arguments, "data draw", doc=ACTIONS["draw"])
    from passerby.data.synthetic import draw_dataset

    print(
        draw_dataset(
            options.root,
            identities=options.identities,
            train_identities=options.train_identities,
            cameras=options.cameras,
            images_per_camera=options.images_per_camera,
            seed=options.seed,
        )
    )


def _write(arguments: Sequence[str]) -> None:
    @dataclass(frozen=True)
    class Options:
        name: Positional[str]
        """A name of `passerby data list`: its layout is written."""
        root: Positional[Path]
        """Folder to write into."""
        seed: int = 0
        """The same seed draws the same pixels."""

    options = parse(Options, arguments, "data write", doc=ACTIONS["write"])
    from passerby.data.layouts import write_layout

    print(write_layout(options.name, options.root, seed=options.seed))


def _from_video(arguments: Sequence[str]) -> None:
    @dataclass(frozen=True)
    class Options:
        video: Positional[Path]
        """Anything that FFmpeg decodes."""
        boxes: Path
        """The tracker's boxes in MOT format: frame,id,x,y,w,h,conf a line, frames from 1 (see --first-frame)."""
        out: Path
        """New or empty folder for the crops and their manifest.csv."""
        camera: int = 0
        """Camera number for the manifest."""
        every: int = 1
        """Keep one box of a track every so many frames."""
        margin: float = 0.0
        """Share of its size that a box grows on each side."""
        min_confidence: float | None = None
        """Skip less certain boxes (default: none; -1 means that no confidence is given)."""
        min_height: int = 16
        """Skip boxes with fewer visible rows."""
        first_frame: int = 1
        """Number that the file gives the film's first frame: 1 in MOT, 0 from many programs."""
        classes: tuple[int, ...] | None = None
        """Classes of a ground truth (8th of nine columns) that are taken (default: 1 2 7, MOT's pedestrians)."""

    options = parse(Options, arguments, "data from-video", doc=ACTIONS["from-video"])
    from passerby.data.video import crop_video

    settings = dict(vars(options))
    print(crop_video(settings.pop("video"), settings.pop("boxes"), settings.pop("out"), **settings))
