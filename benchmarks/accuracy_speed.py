"""Accuracy against speed: encoders with their measured mAP, timed in turns on one thread; a table and a picture.

    python -m benchmarks.accuracy_speed --out docs/accuracy-speed.svg \
        --encoder "branches, 0.35 M" runs/branches/encoder 86.8 --encoder "retail-0277, 2.1 M" retail-0277.xml 87.7

Every encoder runs on the same engine (--engine, default openvino: reference models are published as its graphs), so an
encoder of this package is exported first: `passerby export ENCODER --to openvino`.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from benchmarks.measure import interleaved
from passerby.models.encoder import Encoder, load_encoder

BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy_speed")
    parser.add_argument("--encoder", nargs=3, action="append", required=True, metavar=("NAME", "ENCODER", "MAP"))
    parser.add_argument("--engine", default="openvino", choices=("openvino", "onnxruntime", "torch"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="a picture (.svg, .png)")
    options = parser.parse_args()
    encoders = {name: load_encoder(place, options.engine, threads=1) for name, place, _ in options.encoder}
    accuracy = {name: float(value) for name, _, value in options.encoder}
    speed = images_per_second(encoders, options.rounds)
    print(f"{options.engine}, one thread, batches of {BATCH}, medians of {options.rounds} turns")
    for name in sorted(speed, key=lambda name: speed[name]):
        print(f"{name:40} {speed[name]:8.1f} images/s   mAP {accuracy[name]:.1f}")
    if options.out:
        draw(speed, accuracy, options.engine).savefig(options.out)


def images_per_second(encoders: dict[str, Encoder], rounds: int) -> dict[str, float]:
    """Of each encoder, on random images of its own size."""
    tasks = {}
    for name, encoder in encoders.items():
        size = encoder.preprocessing
        images = torch.randint(0, 256, (BATCH, 3, size.height, size.width), dtype=torch.uint8)
        tasks[name] = partial(encoder.encode_batch, images)
    return {name: BATCH / seconds for name, seconds in interleaved(tasks, rounds=rounds).items()}


def draw(speed: dict[str, float], accuracy: dict[str, float], engine: str) -> Figure:
    """A dot an encoder; right and up is better."""
    figure = Figure(figsize=(7.0, 4.0), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for name in speed:
        axes.scatter(speed[name], accuracy[name], s=28, color="C0" if "retail" not in name else "C7")
        place = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center", "fontsize": 8}
        axes.annotate(name, (speed[name], accuracy[name]), **place)
    axes.set(xscale="log", xlabel=f"images/s, {engine}, one thread", ylabel="mAP on Market-1501 (%)")
    axes.grid(alpha=0.3, which="both")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.tick_params(which="both", labelsize=7)
    axes.margins(x=0.2, y=0.15)
    return figure


if __name__ == "__main__":
    main()
