"""`passerby bench-encoder`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.output import show
from passerby.cli.shared_parameters import BatchSize, Encoder, Json, Threads


def bench_encoder(
    encoder: Encoder,
    /,
    *,
    batch_size: BatchSize = 32,
    rounds: Annotated[int, Parameter(metavar="N", help="How often each engine runs.")] = 5,
    threads: Threads = None,
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Find the fastest way to run an encoder here: torch, ONNX Runtime or OpenVINO, side by side."""
    source = source_of(encoder, reading)
    from passerby.experiments.benchmark_encoder import bench_encoder as run_bench

    show(run_bench(source, batch_size=batch_size, rounds=rounds, threads=threads), as_json=json)
