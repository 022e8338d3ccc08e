"""An encoder as one file that takes pixels and gives unit vectors, checked before it is kept.

The graph resizes, orders colours, normalises, runs the network and scales vectors to unit length, for any number of
images of any one size. Its file says where it comes from: fingerprint, input size, licence and provenance.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from passerby.errors import ConfigError, WeightsError, unknown_name
from passerby.files import replace_file
from passerby.models.encoder import description_path, load_encoder
from passerby.models.export.check import TOLERANCE, Export, compare_vectors, random_pictures
from passerby.models.export.int8 import export_int8
from passerby.models.export.writers import FILES, WRITERS
from passerby.models.image_inputs import Images, as_list, pixels_of


def export(
    encoder: str | os.PathLike[str],
    to: str = "onnx",
    *,
    out: str | os.PathLike[str] | None = None,
    int8: bool = False,
    images: Images | None = None,
) -> Export:
    """Write an encoder as one file for another runtime, and keep it only if it computes what PyTorch computes.

    `passerby.export` is this function with the ranking of a dataset beside it; its arguments are explained there.

    Raises:
        ConfigError: an unknown format, int8 for another than ONNX, or int8 without images.
        MissingExtraError: the exporter is not installed.
        WeightsError: no encoder there, or the file's vectors differ from PyTorch's by more than `TOLERANCE`.
        StorageError: writing failed; what was there before is intact.
    """
    if to not in FILES:
        raise ConfigError(unknown_name("export format", to, FILES))
    if int8 and to != "onnx":
        raise ConfigError(f"int8 is for the format 'onnx', found {to!r}: OpenVINO reads the ONNX file as well")
    if int8 and images is None:
        raise ConfigError("int8 needs images (some hundred images like those in use) to measure activations on")
    source = load_encoder(encoder, engine="torch")
    folder = description_path(encoder).parent
    pictures = [pixels_of(item) for item in as_list(images)] if images is not None else random_pictures(source)
    if not pictures:
        raise ConfigError("images: expected at least one image to check the export on")
    if int8:
        return export_int8(source, Path(out) if out is not None else folder / "int8", pictures)
    target = Path(out) if out is not None else folder / FILES[to]
    if target.is_dir():
        target = target / FILES[to]
    with tempfile.TemporaryDirectory(prefix="passerby-export-") as temporary:
        file = Path(temporary) / FILES[to]
        WRITERS[to](source, file)
        report = compare_vectors(source, file, to, pictures, target)
        if max(report.difference, report.resized_difference) > TOLERANCE:
            raise WeightsError(
                f"{target}: not written: the {to} graph's vectors differ from PyTorch's by {report.difference:.1e} "
                f"({report.resized_difference:.1e} where it resizes), more than {TOLERANCE:.0e}"
            )
        for written in sorted(file.parent.iterdir(), reverse=True):  # OpenVINO: the .xml before its .bin
            with replace_file(target.with_suffix(written.suffix)) as place:
                shutil.copyfile(written, place)
    return report
