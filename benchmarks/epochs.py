"""How long an epoch of Market-1501 takes here, for every backbone.

    python -m benchmarks.epochs [--root DIR] [--backbone NAME ...] [--seconds 10] [--threads 1]

For each backbone and image size, the trainer's step (softmax and Lin terms, Adam, channels-last) runs on batches of 64
random images that lie in memory: once to warm up, then for `--seconds`, at least twice. An epoch is as many steps as
the P x K sampler makes of the training set (`--root`: the dataset's folder; without it, of its published 12,936 images
of 751 identities, evenly spread). What the input costs on top, `python -m benchmarks.training` says.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from passerby.config import ModelConfig, OptimizerConfig, RunConfig, SamplerConfig, TermConfig
from passerby.data.datasets import load_dataset
from passerby.data.records import labels_of
from passerby.data.sampling.sampler import make_sampler
from passerby.models.model import BACKBONES, build_model
from passerby.training.objective import Objective
from passerby.training.optim import build_optimizer, parameter_groups
from passerby.training.step import Step

BATCH = 64
SIZES = ((256, 128), (128, 64))
IMAGES, IDENTITIES = 12_936, 751


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    steps = _steps_of_an_epoch(options.root)
    where = f"{options.threads} torch threads" if options.device.type == "cpu" else str(options.device)
    print(f"torch {torch.__version__}, {options.precision}, {where}; {steps} steps of {BATCH} images an epoch")
    print(f"{'backbone':16}" + "".join(f"{f'{h}x{w}':>13}" for h, w in SIZES) + "   seconds an epoch (images/s)")
    for backbone in options.backbone:
        print(f"{backbone:16}", end="", flush=True)
        for height, width in SIZES:
            seconds = _seconds_of_a_step(options, backbone, height, width)
            print(f"{steps * seconds:7.0f} ({BATCH / seconds:3.0f})", end="", flush=True)
        print()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.epochs")
    parser.add_argument("--root")
    parser.add_argument("--backbone", nargs="+", default=list(BACKBONES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    options = parser.parse_args()
    options.device = torch.device(options.device)
    return options


def _steps_of_an_epoch(root: str | None) -> int:
    labels = [i % IDENTITIES for i in range(IMAGES)]
    if root is not None:
        labels, _ = labels_of(load_dataset("market1501", root).train)
    return make_sampler(SamplerConfig(), labels, [0] * len(labels), seed=0).steps(0)


def _seconds_of_a_step(options: argparse.Namespace, backbone: str, height: int, width: int) -> float:
    """Median of some steps."""
    device, precision = options.device, getattr(torch, options.precision)
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone=backbone)).train().to(device)
    model.to(memory_format=torch.channels_last)
    terms = {"softmax": TermConfig(arguments={"label_smoothing": 0.1}), "lin": TermConfig()}
    objective = Objective(terms, num_ids=IDENTITIES, dim=model.dim).to(device)
    optimizer = build_optimizer(parameter_groups(model, objective, OptimizerConfig()), OptimizerConfig())
    scaler = torch.amp.GradScaler(device.type, enabled=False)
    backpropagate = Step(model, objective, scaler, RunConfig(), device=device, precision=precision)
    images = torch.randn(BATCH, 3, height, width).to(device, memory_format=torch.channels_last)
    labels = (torch.arange(BATCH) // 4).to(device)
    times: list[float] = []
    while len(times) < 3 or sum(times[1:]) < options.seconds:
        started = time.perf_counter()
        backpropagate(images, labels, seed=(0,))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
