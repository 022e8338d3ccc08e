"""Training speed: what the input costs, and what the fast path gains over plain eager float32.

    python -m benchmarks.training [--backbone osnet_x0_25] [--height 256 --width 128] [--rounds 5] [--threads 1]

Three loops take turns, some steps each (more than the loader works ahead), so that a busy machine slows all alike:
  plain     eager float32 on random tensors that lie in memory
  fast      the trainer's way (bfloat16 autocast where asked, channels-last) on random tensors that lie in memory
  fed       the same, fed by TrainLoader: cache, augmentation, background thread
Printed: images/s of each, the share of time that `fed` waits, what the input costs against `fast`, and the share of the
machine's matmul ceiling (float32 for plain, bfloat16 for fast) that the network's multiply-adds reach.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from passerby.config import AugmentConfig, InputConfig, ModelConfig, SamplerConfig, TermConfig
from passerby.data import load_dataset
from passerby.data.augment import Augmenter
from passerby.data.images import ImageStore
from passerby.data.loader import TrainLoader
from passerby.data.records import labels_of
from passerby.data.sampler import make_sampler
from passerby.data.synthetic import draw_dataset
from passerby.models.model import build_model
from passerby.training.objective import Objective

Step = Callable[[], int]
BLOCK = 8  # steps in a turn


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        loader = _loader(options, Path(folder))
        batches = _forever(loader)
        fixed = [next(batches) for _ in range(2)]
        plain = _step_on(options, fixed, fast=False)
        fast = _step_on(options, fixed, fast=True)
        fed = _step_fed(options, batches)
        loops = {"plain": plain, "fast": fast, "fed": fed}
        for step in loops.values():
            step()
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for _ in range(options.rounds):
            for name, step in loops.items():
                started = time.perf_counter()
                images = sum(step() for _ in range(BLOCK))
                seconds[name].append((time.perf_counter() - started) / images)
        _print(options, {name: 1 / statistics.median(s) for name, s in seconds.items()}, seconds, loader.waiting)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training")
    parser.add_argument("--backbone", default="osnet_x0_25")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    return parser.parse_args()


def _loader(options: argparse.Namespace, folder: Path) -> TrainLoader:
    draw_dataset(folder / "people", identities=70, train_identities=64, progress=False)
    data = load_dataset("synthetic", folder / "people")
    labels, _ = labels_of(data.train)
    camids = [s.camid for s in data.train]
    size = InputConfig(height=options.height, width=options.width)
    return TrainLoader(
        ImageStore(data.train, options.height, options.width, progress=False),
        labels,
        camids,
        make_sampler(SamplerConfig(), labels, camids, seed=0),
        Augmenter(AugmentConfig(), size),
    )


def _forever(loader: TrainLoader) -> Iterator[object]:
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1


def _stepper(options: argparse.Namespace, *, fast: bool) -> Callable[[torch.Tensor, torch.Tensor], None]:
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone=options.backbone)).train()
    if fast:
        model.to(memory_format=torch.channels_last)
    terms = {"softmax": TermConfig(arguments={"label_smoothing": 0.1}), "lin": TermConfig()}
    objective = Objective(terms, num_ids=64, dim=model.dim)
    optimizer = torch.optim.Adam([*model.parameters(), *objective.parameters()], lr=1e-4)
    dtype = getattr(torch, options.precision)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        with torch.autocast("cpu", dtype, enabled=fast and dtype != torch.float32):
            output = model(images)
        objective(output, labels)["total"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _step_on(options: argparse.Namespace, batches: list, *, fast: bool) -> Step:  # type: ignore[type-arg]
    step = _stepper(options, fast=fast)
    layout = torch.channels_last if fast else torch.contiguous_format
    fixed = [(torch.randn(b.images.shape).contiguous(memory_format=layout), b.labels.clone()) for b in batches]
    turn = 0

    def run() -> int:
        nonlocal turn
        turn += 1
        step(*fixed[turn % len(fixed)])
        return len(fixed[0][1])

    return run


def _step_fed(options: argparse.Namespace, batches: Iterator) -> Step:  # type: ignore[type-arg]
    step = _stepper(options, fast=True)

    def run() -> int:
        batch = next(batches)
        step(batch.images, batch.labels)
        return len(batch.labels)

    return run


def _print(
    options: argparse.Namespace, speed: dict[str, float], seconds: dict[str, list[float]], waiting: float
) -> None:
    flops = _flops_per_image(options)
    print(f"{options.backbone} {options.height}x{options.width}, batches of 64, {options.threads} torch threads")
    print(f"torch {torch.__version__}; medians of {options.rounds} interleaved turns of {BLOCK} steps")
    print(f"{flops / 1e9:.3f} GFLOP an image, forward")
    for name, images in speed.items():
        ceiling = _matmul_flops(torch.float32 if name == "plain" else getattr(torch, options.precision))
        share = 3 * flops * images / ceiling  # forward once, backward twice
        print(
            f"{name:6}{images:8.1f} images/s {images / speed['plain']:6.2f}x plain {share:7.1%} of the matmul ceiling"
        )
    costs = [fed / fast - 1 for fast, fed in zip(seconds["fast"], seconds["fed"], strict=True)]
    print(f"input: {statistics.median(costs):+.1%} against tensors in memory; {waiting:.2%} of the time waiting")


def _flops_per_image(options: argparse.Namespace) -> float:
    model = build_model(ModelConfig(backbone=options.backbone)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, options.height, options.width))
    return float(counter.get_total_flops())


def _matmul_flops(dtype: torch.dtype) -> float:
    """Operations a second of a large square product: the most that a network could reach."""
    n = 1024
    a, b = torch.randn(n, n).to(dtype), torch.randn(n, n).to(dtype)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - started)
    return 2 * n**3 / min(times)


if __name__ == "__main__":
    main()
