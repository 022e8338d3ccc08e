"""An encoder as one file that takes pixels and gives unit vectors, checked before it is kept.

The graph resizes, orders colours, normalises, runs the network and scales vectors to unit length, for any number of
images of any one size. Its file says where it comes from: fingerprint, input size, licence and provenance.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from passerby.array_types import UInt8
from passerby.errors import ConfigError, WeightsError, unknown_name
from passerby.files import replace_file
from passerby.models.description import description_path
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.export.check import (
    LEAST_LIKENESS,
    RESIZED_TOLERANCE,
    TOLERANCE,
    Export,
    compare_vectors,
    random_pictures,
)
from passerby.models.export.form import ExportForm
from passerby.models.export.int8 import check_int8_folder, export_int8, holds_int8
from passerby.models.export.writers import FILES, WRITERS
from passerby.models.image_inputs import Images, as_list, pixels_of


def export(
    encoder: str | os.PathLike[str],
    to: str = "onnx",
    *,
    out: str | os.PathLike[str] | None = None,
    form: ExportForm = ExportForm(),  # noqa: B008  (frozen)
    int8: bool = False,
    images: Images | None = None,
) -> Export:
    """Write an encoder as one file for another runtime, and keep it only if it computes what PyTorch computes.

    `passerby.export` is this function with the ranking of a dataset beside it; its arguments are explained there.

    Raises:
        ConfigError: an unknown format, choices that do not go together, or int8 without images.
        MissingExtraError: the exporter is not installed.
        WeightsError: no encoder there, or the file's vectors differ from PyTorch's by more than `TOLERANCE`.
        StorageError: writing failed; what was there before is intact.
    """
    if to not in FILES:
        raise ConfigError(unknown_name("export format", to, FILES))
    form.check(to)
    if int8 and to != "onnx":
        raise ConfigError(f"int8 is for the format 'onnx', found {to!r}: OpenVINO reads the ONNX file as well")
    if int8 and form != ExportForm():
        raise ConfigError("int8 goes with uint8 input alone: leave input, batch, precision, opset and raw as they are")
    if int8 and images is None:
        raise ConfigError("int8 needs images (some hundred images like those in use) to measure activations on")
    folder = description_path(encoder).parent
    place = Path(out) if out is not None else folder / "int8" if int8 else folder
    target = check_int8_folder(place) if int8 else _target(place, to, form)
    if not int8 and target.name == FILES["onnx"] and holds_int8(target.parent):
        raise ConfigError(f"{target}: the graph of an int8 encoder is there and stays; say where to with out (--out)")
    source = load_encoder(encoder, engine="torch")
    pictures = (
        [pixels_of(item, bits=source.preprocessing.bits) for item in as_list(images)]
        if images is not None
        else random_pictures(source)
    )
    if not pictures:
        raise ConfigError("images: expected at least one image to check the export on")
    if int8:
        return export_int8(source, target, pictures)
    return write_checked(source, to, target, form=form, pictures=pictures)


def _target(place: Path, to: str, form: ExportForm) -> Path:
    """The file to write: in a folder under the form's own name, else as it was given, with an ending if it has none.

    `load_encoder` knows graphs by their endings; `torch.export.load` reads a program under any name.

    Raises:
        ConfigError: a graph whose name has another ending.
    """
    name = Path(FILES[to]).with_stem(form.stem())
    if place.is_dir():
        return place / name
    if not place.suffix:
        return place.with_suffix(name.suffix)
    if to != "exported_program" and place.suffix != name.suffix:
        raise ConfigError(f"out: expected a folder that exists or a name that ends in {name.suffix}, found {place}")
    return place


def write_checked(
    source: Encoder, to: str, target: Path, *, form: ExportForm | None = None, pictures: Sequence[UInt8] = ()
) -> Export:
    """Write an encoder that is in memory, and keep the file only if it computes what PyTorch computes.

    Args:
        source: on torch, on the CPU.
        to: a name of `FILES`.
        target: the file to write or replace.
        form: what it takes and gives; None: the form that `load_encoder` runs.
        pictures: RGB uint8 [H, W, 3] each, to compare on; none: random ones.

    Raises:
        MissingExtraError, WeightsError, StorageError: as of `export`.
    """
    form, pictures = form or ExportForm(), pictures or random_pictures(source)
    with tempfile.TemporaryDirectory(prefix="passerby-export-") as temporary:
        file = Path(temporary) / FILES[to]
        WRITERS[to](source, file, form)
        report = compare_vectors(source, file, to, pictures, target, form)
        _refuse_other_vectors(report, form)
        for written in sorted(file.parent.iterdir(), reverse=True):  # OpenVINO: the .xml before its .bin
            beside = written.suffix != file.suffix
            with replace_file(target.with_suffix(written.suffix) if beside else target) as place:
                shutil.copyfile(written, place)
    return report


def _refuse_other_vectors(report: Export, form: ExportForm) -> None:
    if form.exact and (report.difference > TOLERANCE or report.resized_difference > RESIZED_TOLERANCE):
        raise WeightsError(
            f"{report.path}: not written: the {report.format} graph's vectors differ from PyTorch's by "
            f"{report.difference:.1e} ({report.resized_difference:.1e} where it resizes), more than {TOLERANCE:.0e} "
            f"({RESIZED_TOLERANCE:.0e})"
        )
    if not report.cosine[1] >= LEAST_LIKENESS:
        raise WeightsError(
            f"{report.path}: not written: the {report.format} graph's vectors have a cosine similarity of "
            f"{report.cosine[1]:.4f} to PyTorch's at least, expected {LEAST_LIKENESS}: this network does not bear "
            f"{form.precision}"
        )
