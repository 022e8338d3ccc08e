"""Commands about where a model runs: export, bench-encoder, doctor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from passerby.cli.arguments import DataChoice, Json, images_below, parse, show


@dataclass(frozen=True)
class _ExportOptions:
    encoder: Positional[Path]
    """Folder of a run or an encoder."""
    to: Literal["onnx", "openvino", "exported_program"]
    """Format."""
    out: Path | None = None
    """Where to (default: beside the encoder)."""
    images: Path | None = None
    """Folder of crops to compare the outputs on, of which 128 are taken (default: random pictures)."""
    int8: bool = False
    """Quantise (ONNX only, needs --images): a new encoder in the folder int8."""
    data: DataChoice = DataChoice()
    """With --int8: rank this dataset before and after, to see what it costs."""


def export(arguments: Sequence[str]) -> None:
    """Write an encoder with its preprocessing and L2 normalisation inside; refused if outputs differ."""
    options = parse(_ExportOptions, arguments, "export", doc=export.__doc__)
    from passerby.experiments.export_ranking import export as run_export

    images = None if options.images is None else _some_images(options.images)
    data = None if options.data.name is None else options.data.load()
    print(run_export(options.encoder, options.to, out=options.out, int8=options.int8, images=images, data=data))


def _some_images(folder: Path, count: int = 128) -> list[Path]:
    """Images from the whole folder: datasets are in order of person, so the first ones would show few people."""
    paths = [sample.path for sample in images_below(folder)]
    return paths[:: max(1, len(paths) // count)][:count]


@dataclass(frozen=True)
class _BenchOptions:
    encoder: Positional[Path]
    """Folder of a run or an encoder."""
    batch_size: int = 32
    """Images a forward pass."""
    json: Json = False


def bench_encoder(arguments: Sequence[str]) -> None:
    """Find the fastest way to run an encoder here: torch, ONNX Runtime or OpenVINO, side by side."""
    options = parse(_BenchOptions, arguments, "bench-encoder", doc=bench_encoder.__doc__)
    from passerby.experiments.benchmark_encoder import bench_encoder as run_bench

    show(run_bench(options.encoder, batch_size=options.batch_size), as_json=options.json)


@dataclass(frozen=True)
class _DoctorOptions:
    json: Json = False


def doctor(arguments: Sequence[str]) -> None:
    """What is installed, what this machine can do, and what is missing."""
    options = parse(_DoctorOptions, arguments, "doctor", doc=doctor.__doc__)
    from passerby.doctor import doctor as run_doctor

    show(run_doctor(), as_json=options.json)
