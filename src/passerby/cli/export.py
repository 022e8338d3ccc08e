"""`passerby export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
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
    input: Literal["uint8", "float"] = "uint8",  # noqa: A002
    normalization: Literal["inside", "outside"] | None = None,
    batch: Annotated[int | None, Parameter(metavar="N")] = None,
    precision: Literal["float32", "float16"] = "float32",
    opset: Annotated[int | None, Parameter(metavar="N")] = None,
    raw: Annotated[bool, Parameter(negative=())] = False,
    int8: Annotated[bool, Parameter(negative=())] = False,
    data: DatasetFlags = DatasetFlags(),
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Write an encoder with its preprocessing and L2 normalisation inside; refused if outputs differ.

    Args:
        encoder: see `Encoder`.
        to: Format.
        out: Where to (default: beside the encoder).
        images: Folder of crops to compare the outputs on, of which 128 are taken (default: random pictures).
        input: What the graph takes: uint8 pixels of any size, or float32 [batch, 3, height, width] of the encoder's
            input size, as trackers and TensorRT give.
        normalization: Where mean and std are applied: inside the graph (floats are then RGB in 0..1), or outside by
            the caller (default for float). Both numbers stand in the metadata.
        batch: Images at once (default: any number).
        precision: Arithmetic of the network; input and output stay as they are.
        opset: ONNX operator set (default: 18).
        raw: The embedding as the network gives it, not brought to unit length.
        int8: Quantise (ONNX only, needs --images): a new encoder in the folder int8.
        data: With --int8 or --precision float16: rank this dataset before and after, to see what it costs.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    if data.given and not (int8 or precision == "float16"):
        raise UsageError(
            "--data.* ranks a dataset before and after --int8 or --precision float16; without them the ranking does "
            "not change"
        )
    source = source_of(encoder, reading)
    pictures = None if images is None else _some_images(images)
    ranked = data.load() if data.given else None
    from passerby.experiments.export_ranking import export as run_export

    written = run_export(
        source,
        to,
        out=out,
        input=input,
        normalization=normalization,
        batch=batch,
        precision=precision,
        opset=opset,
        raw=raw,
        int8=int8,
        images=pictures,
        data=ranked,
    )
    show(written, as_json=json)


def _some_images(folder: Path) -> list[Path]:
    """Images from the whole folder: datasets are in order of person, so the first ones would show few people."""
    paths = [sample.path for sample in images_below(folder)]
    return paths[:: max(1, len(paths) // _COMPARED)][:_COMPARED]
