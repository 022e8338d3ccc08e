"""`passerby export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.image_folder import images_below
from passerby.cli.output import show
from passerby.cli.shared_parameters import Encoder, Json
from passerby.errors import UsageError

_COMPARED = 128


def export(
    encoder: Encoder,
    /,
    *,
    to: Literal["onnx", "openvino", "exported_program"],
    out: Annotated[Path | None, Parameter(metavar="PATH")] = None,
    images: Annotated[Path | None, Parameter(metavar="FOLDER")] = None,
    int8: Annotated[bool, Parameter(negative=())] = False,
    data: DatasetFlags = DatasetFlags(),
    json: Json = False,
) -> None:
    """Write an encoder with its preprocessing and L2 normalisation inside; refused if outputs differ.

    Args:
        encoder: see `Encoder`.
        to: Format.
        out: Where to (default: beside the encoder).
        images: Folder of crops to compare the outputs on, of which 128 are taken (default: random pictures).
        int8: Quantise (ONNX only, needs --images): a new encoder in the folder int8.
        data: With --int8: rank this dataset before and after, to see what it costs.
        json: see `Json`.
    """
    if data.given and not int8:
        raise UsageError("--data.* ranks a dataset before and after --int8; without --int8 the ranking does not change")
    from passerby.experiments.export_ranking import export as run_export

    pictures = None if images is None else _some_images(images)
    ranked = data.load() if data.given else None
    show(run_export(encoder, to, out=out, int8=int8, images=pictures, data=ranked), as_json=json)


def _some_images(folder: Path) -> list[Path]:
    """Images from the whole folder: datasets are in order of person, so the first ones would show few people."""
    paths = [sample.path for sample in images_below(folder)]
    return paths[:: max(1, len(paths) // _COMPARED)][:_COMPARED]
