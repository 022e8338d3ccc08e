"""Which engine runs an encoder fastest on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from passerby.errors import ConfigError, MissingExtraError, WeightsError
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.precision import lower_precision
from passerby.models.engines.threads import usable_threads
from passerby.models.engines.timing import seconds_of_each
from passerby.models.export.encoder_export import export
from passerby.models.export.writers import FILES


@dataclass(frozen=True)
class EngineSpeed:
    """One way to run an encoder."""

    name: str
    """Engine, and precision where it is not float32."""
    images_per_second: float
    """Best of the rounds."""
    ratio: float
    """Against torch in float32 (of a graph: the engine that its file needs), the median over rounds taken in turns."""
    difference: float
    """Largest difference of any number of a vector from that engine's."""


@dataclass(frozen=True)
class SpeedReport:
    """What `bench_encoder` found; `print` shows a table, fastest first."""

    engines: tuple[EngineSpeed, ...]
    """Fastest first."""
    absent: tuple[str, ...]
    """Engines that could not run, with the reason."""
    batch_size: int
    threads: int

    @property
    def fastest(self) -> str:
        """Name of the fastest engine."""
        return self.engines[0].name

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {**asdict(self), "fastest": self.fastest}

    def __str__(self) -> str:
        lines = [
            f"batches of {self.batch_size}, {self.threads} threads",
            "engine          images/s   ratio   difference",
        ]
        for e in self.engines:
            lines.append(f"{e.name:<14}{e.images_per_second:>10.1f}{e.ratio:>7.2f}x{e.difference:>12.1e}")
        return "\n".join([*lines, *self.absent])


def bench_encoder(
    folder: str | os.PathLike[str], *, batch_size: int = 32, rounds: int = 5, threads: int | None = None
) -> SpeedReport:
    """Run every engine in turn, several rounds, on the same random batch.

    Graphs that `passerby export` has not put into the encoder's folder are made for the occasion and thrown away.

    Args:
        folder: any encoder that `load_encoder` takes.
        batch_size: images in a batch.
        rounds: how often each engine runs; interleaved, so that all see the same machine.
        threads: of each engine; None: as many as this process may use.

    Raises:
        WeightsError: no encoder there.
        ConfigError: less than one thread, image or round.
    """
    for name, value in (("batch_size", batch_size), ("rounds", rounds)):
        if value < 1:
            raise ConfigError(f"{name}: expected at least 1, found {value}")
    reference = load_encoder(folder, threads=threads)
    first = reference.engine.name
    ways: dict[str, Callable[[Tensor], Tensor]] = {first: reference.encode_batch}
    absent = []
    if first == "torch":
        try:
            ways["torch bf16"] = lower_precision(reference, "bfloat16").encode_batch
        except ConfigError as error:  # emulated, it takes twenty times as long as all others together
            absent.append(f"torch bf16: {error}")
    for engine, to in (("onnxruntime", "onnx"), ("openvino", "openvino")):
        if engine == first:
            continue
        try:
            ways[engine] = _graph(folder, reference, engine, to, threads)
        except (WeightsError, MissingExtraError) as error:
            absent.append(f"{engine}: {error}")
    size = (reference.preprocessing.height, reference.preprocessing.width)
    images = torch.randint(
        0, 256, (batch_size, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    expected = reference.encode_batch(images)
    differences = {name: float((run(images) - expected).abs().max()) for name, run in ways.items()}
    seconds = seconds_of_each({name: partial(run, images) for name, run in ways.items()}, rounds=rounds)
    measured = [
        EngineSpeed(
            name=name,
            images_per_second=batch_size / min(times),
            ratio=float(torch.tensor(seconds[first]).div(torch.tensor(times)).median()),
            difference=differences[name],
        )
        for name, times in seconds.items()
    ]
    measured.sort(key=lambda e: -e.images_per_second)
    return SpeedReport(tuple(measured), tuple(absent), batch_size, threads or usable_threads())


def _graph(
    folder: str | os.PathLike[str], reference: Encoder, engine: str, to: str, threads: int | None
) -> Callable[[Tensor], Tensor]:
    try:
        return load_encoder(folder, engine=engine, threads=threads).encode_batch
    except WeightsError:  # not exported yet, or from other weights
        if reference.engine.name != "torch":
            raise
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            file = export(folder, to, out=Path(temporary) / FILES[to]).path
            return GraphEngine(file, engine, reference.preprocessing, threads=threads or 0)
