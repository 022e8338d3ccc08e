"""`export`, and what int8 and float16 cost: how the exact and the changed vectors rank a dataset."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from passerby.data.records import ReIDDataset
from passerby.errors import ConfigError
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.evaluate import evaluate
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.export.check import TOLERANCE, Export
from passerby.models.export.encoder_export import export as write
from passerby.models.export.form import ExportForm, InputType, Normalization, Precision
from passerby.models.export.writers import FILES
from passerby.models.image_inputs import Images
from passerby.models.sources import kind_of

_MARK = b"passerby"
"""Stands in the metadata of every file that is exported."""


@dataclass(frozen=True)
class RankedExport(Export):
    """An export, and how a dataset is ranked before and after it; `print` shows a summary."""

    before: Report | None = None
    """int8 or float16 with data: how the exact vectors rank it."""
    after: Report | None = None
    """... and the changed ones."""

    def __str__(self) -> str:
        checked = super().__str__()
        if self.before is None or self.after is None:
            return checked
        return (
            f"{checked}\nbefore: {100 * self.before.mAP:.1f} mAP, {100 * self.before.rank(1):.1f} rank-1; "
            f"after: {100 * self.after.mAP:.1f} mAP, {100 * self.after.rank(1):.1f} rank-1 "
            f"({self.before.protocol}, {self.before.queries:,} queries, {self.before.skipped:,} skipped)"
        )


def export(
    encoder: str | os.PathLike[str],
    to: str = "onnx",
    *,
    out: str | os.PathLike[str] | None = None,
    input: InputType = "uint8",  # noqa: A002
    normalization: Normalization | None = None,
    batch: int | None = None,
    precision: Precision = "float32",
    opset: int | None = None,
    raw: bool = False,
    int8: bool = False,
    images: Images | None = None,
    data: ReIDDataset | None = None,
) -> RankedExport:
    """Write an encoder as one file for another runtime, and keep it only if it computes what PyTorch computes.

    Args:
        encoder: an encoder's or a training run's folder.
        to: "onnx" (ONNX Runtime and others), "openvino", or "exported_program" (`torch.export.load`).
        out: where to; default: encoder.onnx, encoder.xml or encoder.pt2 in the encoder's folder, where
            `load_encoder(folder, engine=...)` finds it (other choices below have names of their own:
            encoder-float.onnx, ...); of a checkpoint, a file of its name beside it (net.onnx, net-float.onnx, ...),
            unless a file of another program is there. A graph's name ends in .onnx or .xml; int8 takes a new folder,
            or that of an int8 encoder, which it replaces.
        input: "uint8": RGB pixels [batch, 3, height, width] of any size, resized in the graph. "float": float32 of
            the encoder's input size alone, as trackers and most other programs give.
        normalization: where mean and std are applied: "inside" (floats are RGB in 0..1) or "outside" (floats are
            normalised already). Default: inside for uint8, outside for float. The metadata say both numbers.
        batch: images at once; None: any number.
        precision: "float16" computes in half precision (OpenVINO: stores the weights so); input and output stay
            float32 or uint8. Vectors change in the third decimal, so such a file has no fingerprint.
        opset: ONNX operator set, at least 18 for uint8 and 15 for float; default 18.
        raw: the embedding as the network gives it, not brought to unit length.
        int8: quantise weights and activations (ONNX only; static, per channel). This makes a new encoder with its own
            fingerprint, in the folder `out` (default: int8 in the encoder's folder): vectors of the two must not be
            mixed in one gallery.
        images: crops to check on, and to calibrate int8 on; default: random pictures (int8 needs real ones).
        data: int8 and float16: rank its queries and gallery with the exact and with the changed vectors, to see what
            it costs.

    Returns:
        Where it is and how near it comes to PyTorch.

    Raises:
        ConfigError: an unknown choice, choices that do not go together, int8 without images, data where the vectors do
            not change, a file of another program in the default place, a graph's name with another ending, or a folder
            for int8 that holds something else.
        EmbeddingError: `data` has no query or no gallery.
        MissingExtraError: the exporter is not installed.
        WeightsError: no encoder there, or the file's vectors differ from PyTorch's by more than 1e-5 (float16: by a
            cosine similarity below 0.999).
        StorageError: writing failed; what was there before is intact.
    """
    form = ExportForm(input, normalization, batch, precision, opset, raw)
    if data is not None and (not (int8 or precision == "float16") or to != "onnx"):
        raise ConfigError(
            f"data: only int8 and float16 (as ONNX) change a ranking; other exports differ by {TOLERANCE:.0e} at most"
        )
    if out is None and not int8 and kind_of(encoder) == "checkpoint":  # several may lie in one folder
        out = _beside(Path(encoder), to, form)
    written = write(encoder, to, out=out, form=form, int8=int8, images=images)
    if data is None:
        return RankedExport(**vars(written))
    source = load_encoder(encoder, engine="torch")
    with tempfile.TemporaryDirectory(prefix="passerby-export-") as temporary:
        exact = write(encoder, to, out=Path(temporary) / FILES["onnx"])
        before = _ranked(source, exact.path, data)
    changed = written.path / FILES["onnx"] if int8 else written.path
    return RankedExport(**vars(written), before=before, after=_ranked(source, changed, data))


def _beside(checkpoint: Path, to: str, form: ExportForm) -> Path:
    """Where a checkpoint's export goes: a name of its own, and never over what another program wrote."""
    name = f"{checkpoint.stem}{form.stem().removeprefix('encoder')}{Path(FILES.get(to, '')).suffix}"
    place = checkpoint.with_name(name)
    if place.is_file() and _MARK not in place.read_bytes():
        raise ConfigError(f"{place}: another program's file is there already, and stays; say where to with --out")
    return place


def _ranked(encoder: Encoder, file: Path, data: ReIDDataset) -> Report:
    """How an ONNX file ranks the data; both files run on ONNX Runtime, PyTorch is several times slower on a CPU."""
    engine = GraphEngine(file, "onnxruntime", encoder.preprocessing)
    exported = Encoder(
        engine,
        encoder.preprocessing,
        fingerprint=f"{encoder.fingerprint}:{file.name}",
        model_config=encoder.model_config,
        provenance=encoder.provenance,
    )
    return evaluate(exported, data)
