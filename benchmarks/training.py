"""Training speed and memory: what the input costs, and what the fast path gains over plain eager float32.

    python -m benchmarks.training [--backbone osnet_x0_25] [--height 256 --width 128] [--rounds 5] [--threads 1]
    python -m benchmarks.training --device cuda --backbone osnet_x1_0 resnet50_ibn_a
    python -m benchmarks.training --memory --backbone resnet50_ibn_a

Loops take turns, some steps each (more than the loader works ahead), so that a busy machine slows all alike:
  plain     eager float32, default layout, unfused optimiser, on random tensors that lie in memory
  fast      the trainer's way (autocast, channels-last, fused optimiser; on a GPU also CUDA graphs) on random
            tensors that lie in memory
  mapped    like fast, with malloc's own thresholds: memory that is freed goes back to the system (only on a CPU)
  eager     like fast, without CUDA graphs (only on a GPU)
  fed       like fast, fed by TrainLoader: cache, augmentation, background thread
  compiled  like eager, with run.compile (only with --compile)
Printed: images/s of each, the share of time that `fed` waits, what the input costs against `fast`, and the share of the
machine's matmul ceiling (float32 for plain, the fast path's precision for the others) that the network's multiply-adds
reach. With --memory, each way of training runs a few steps in a process of its own, which says how far its memory rose
above what it held before the first step (on a GPU: the most that tensors took).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from passerby.config import (
    AugmentConfig,
    InputConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    SamplerConfig,
    TermConfig,
)
from passerby.data.augment import Augmenter
from passerby.data.datasets import load_dataset
from passerby.data.loader import Batch, TrainLoader
from passerby.data.records import labels_of
from passerby.data.sampling.sampler import make_sampler
from passerby.data.synthetic.dataset import draw_dataset
from passerby.images.cache import ImageStore
from passerby.models.model import build_model
from passerby.training.allocator import freed_memory_kept
from passerby.training.objective import Objective
from passerby.training.optim import build_optimizer, parameter_groups
from passerby.training.step import Step

Turn = Callable[[], int]
BATCH = 64
IDENTITIES = 64
MEMORY_STEPS = 3
# how a batch is trained on: the names of the loops, and of the rows of --memory
WAYS = {
    "plain": RunConfig(cuda_graphs=False),
    "fast": RunConfig(),
    "mapped": RunConfig(),
    "eager": RunConfig(cuda_graphs=False),
    "compiled": RunConfig(compile=True),
    "micro_batch 32": RunConfig(micro_batch=32),
    "micro_batch 16": RunConfig(micro_batch=16),
    "recompute": RunConfig(recompute=True),
    "both": RunConfig(recompute=True, micro_batch=16),
}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    for backbone in options.backbone:
        if options.alone:
            print(_peak(options, backbone, options.alone))
        elif options.memory:
            _measure_memory(options, backbone)
        else:
            _measure_speed(options, backbone)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training")
    parser.add_argument("--backbone", nargs="+", default=["osnet_x0_25"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--block", type=int, default=8, help="steps in a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--compile", action="store_true", help="a loop with run.compile takes turns with the others")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--alone", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.device = torch.device(options.device)
    return options


def _measure_speed(options: argparse.Namespace, backbone: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loader = _loader(options, Path(folder))
        batches = _forever(loader)
        ways = ("plain", "fast", "eager" if options.device.type == "cuda" else "mapped")
        loops = {name: _turn_on(options, backbone, name) for name in ways}
        loops["fed"] = _turn_fed(options, backbone, batches)
        if options.compile:
            loops["compiled"] = _turn_on(options, backbone, "compiled")
        for turn in loops.values():
            turn()
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for _ in range(options.rounds):
            for name, turn in loops.items():
                with _memory(options, name):
                    started = _now(options.device)
                    images = sum(turn() for _ in range(options.block))
                    seconds[name].append((_now(options.device) - started) / images)
        _print(options, backbone, seconds, loader.waiting)


def _memory(options: argparse.Namespace, way: str) -> AbstractContextManager[object]:
    as_it_is = way in ("plain", "mapped") or options.device.type != "cpu"
    return nullcontext() if as_it_is else freed_memory_kept()


def _measure_memory(options: argparse.Namespace, backbone: str) -> None:
    print(f"{backbone} {options.height}x{options.width}, batches of {BATCH} on {options.device}, {options.precision}")
    plain = 0.0
    for way in WAYS:
        elsewhere = "mapped" if options.device.type == "cuda" else "eager"
        if (way == "compiled" and not options.compile) or way == elsewhere:
            continue
        arguments = ["--backbone", backbone, "--alone", way, "--device", str(options.device)]
        for name in ("height", "width", "threads", "precision"):
            arguments += [f"--{name}", str(getattr(options, name))]
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.training", *arguments], check=True, capture_output=True, text=True
        )
        peak, before = map(float, child.stdout.split())
        plain = plain or peak
        print(f"{way:15}{peak:8.0f} MiB above {before:.0f} MiB {peak / plain:6.2f}x plain", flush=True)


def _peak(options: argparse.Namespace, backbone: str, way: str) -> str:
    """How far memory rises during a few steps, and what there was before; in MiB."""
    turn = _turn_on(options, backbone, way)
    if options.device.type == "cuda":
        before = torch.cuda.memory_allocated(options.device) / 2**20
    else:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    with _memory(options, way):
        for _ in range(MEMORY_STEPS):
            turn()
    if options.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(options.device) / 2**20
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return f"{peak - before} {before}"


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _loader(options: argparse.Namespace, folder: Path) -> TrainLoader:
    draw_dataset(folder / "people", identities=IDENTITIES + 6, train_identities=IDENTITIES, progress=False)
    data = load_dataset("synthetic", folder / "people")
    labels, _ = labels_of(data.train)
    camids = [s.camid for s in data.train]
    size = InputConfig(height=options.height, width=options.width)
    return TrainLoader(
        ImageStore([s.path for s in data.train], options.height, options.width, progress=False),
        labels,
        camids,
        make_sampler(SamplerConfig(), labels, camids, seed=0),
        Augmenter(AugmentConfig(), size),
        device=options.device,
    )


def _forever(loader: TrainLoader) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1


def _stepper(options: argparse.Namespace, backbone: str, way: str) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """The trainer's step, or for "plain" what one would write without thinking of speed."""
    fast, device = way != "plain", options.device
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone=backbone)).train().to(device)
    if fast:
        model.to(memory_format=torch.channels_last)
    terms = {"softmax": TermConfig(arguments={"label_smoothing": 0.1}), "lin": TermConfig()}
    objective = Objective(terms, num_ids=IDENTITIES, dim=model.dim).to(device)
    learning = OptimizerConfig(lr=1e-4, fused=fast)
    optimizer = build_optimizer(parameter_groups(model, objective, learning), learning)
    precision = getattr(torch, options.precision) if fast else torch.float32
    scaler = torch.amp.GradScaler(device.type, enabled=False)
    backpropagate = Step(model, objective, scaler, WAYS[way], device=device, precision=precision)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        backpropagate(images, labels, seed=(0,))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _turn_on(options: argparse.Namespace, backbone: str, way: str) -> Turn:
    step = _stepper(options, backbone, way)
    layout = torch.contiguous_format if way == "plain" else torch.channels_last
    images = torch.randn(BATCH, 3, options.height, options.width).to(options.device, memory_format=layout)
    labels = (torch.arange(BATCH) // 4).to(options.device)

    def turn() -> int:
        step(images, labels)
        return BATCH

    return turn


def _turn_fed(options: argparse.Namespace, backbone: str, batches: Iterator[Batch]) -> Turn:
    step = _stepper(options, backbone, "fast")

    def turn() -> int:
        batch = next(batches)
        step(batch.images, batch.labels)
        return len(batch.labels)

    return turn


def _print(options: argparse.Namespace, backbone: str, seconds: dict[str, list[float]], waiting: float) -> None:
    flops = flops_per_image(backbone, options.height, options.width)
    where = f"{options.threads} torch threads" if options.device.type == "cpu" else str(options.device)
    print(f"{backbone} {options.height}x{options.width}, batches of {BATCH}, {where}")
    print(f"torch {torch.__version__}; medians of {options.rounds} interleaved turns of {options.block} steps")
    print(f"{flops / 1e9:.3f} GFLOP an image, forward")
    speed = {name: 1 / statistics.median(s) for name, s in seconds.items()}
    for name, images in speed.items():
        dtype = torch.float32 if name == "plain" else getattr(torch, options.precision)
        share = 3 * flops * images / _matmul_flops(dtype, options.device)  # forward once, backward twice
        print(
            f"{name:9}{images:8.1f} images/s {images / speed['plain']:6.2f}x plain {share:7.1%} of the matmul ceiling"
        )
    costs = [fed / fast - 1 for fast, fed in zip(seconds["fast"], seconds["fed"], strict=True)]
    print(f"input: {statistics.median(costs):+.1%} against tensors in memory; {waiting:.2%} of the time waiting")
    if options.device.type == "cuda":
        print(f"most memory of all loops together: {torch.cuda.max_memory_allocated(options.device) / 2**20:.0f} MiB")


def flops_per_image(backbone: str, height: int, width: int) -> float:
    """Floating-point operations of a forward pass, a multiply-add counted as two."""
    model = build_model(ModelConfig(backbone=backbone)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, height, width))
    return float(counter.get_total_flops())


def _matmul_flops(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large square product: the most that a network could reach."""
    n = 1024 if device.type == "cpu" else 8192
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(5):
        started = _now(device)
        a @ b
        times.append(_now(device) - started)
    return 2 * n**3 / min(times)


if __name__ == "__main__":
    main()
