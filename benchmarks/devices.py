"""Does a GPU compute what the CPU does? Losses, gradients, evaluation, an epoch of each recipe; what waits for the GPU.

    python -m benchmarks.devices --device cuda [--part losses graphs evaluation recipes waits]

Every line says what was compared and how far it is apart; a part that fails is named in the end, and the command ends
with 1. The reference is float64 on the CPU for the losses, and the CPU's own figures elsewhere.
"""

from __future__ import annotations

import argparse
import copy
import inspect
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import passerby as pb
from passerby.config import ModelConfig, OptimizerConfig, RunConfig, TermConfig
from passerby.config.overrides import with_overrides
from passerby.data.synthetic.dataset import draw_dataset
from passerby.losses import LOSSES
from passerby.models.model import build_model
from passerby.training.objective import Objective
from passerby.training.optim import build_optimizer, parameter_groups
from passerby.training.step import Step

PEOPLE, IMAGES, DIM = 16, 4, 256
LOSS_LIMIT, GRADIENT_LIMIT = 1e-3, 1e-2  # float32 against float64, near ties of mining included


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--recipe", nargs="+", default=None, help="which recipes take a step (default: all)")
    options = parser.parse_args()
    device = torch.device(options.device)
    failed = []
    for part in options.part:
        print(f"== {part}", flush=True)
        failed += [f"{part}: {name}" for name in PARTS[part](device, options)]
    if failed:
        sys.exit("failed: " + ", ".join(failed))


def _tried(name: str, run: Callable[[], str | None], failed: list[str]) -> None:
    """Print what `run` says about `name`; None or an error is a failure."""
    try:
        said = run()
    except Exception as error:  # the other lines are wanted all the same
        traceback.print_exc(limit=-1)
        said = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
        failed.append(name)
    print(f"{name:32} {said}", flush=True)


def _losses(device: torch.device, options: argparse.Namespace) -> list[str]:
    failed: list[str] = []
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(PEOPLE * IMAGES, DIM, dtype=torch.float64, generator=generator)
    labels = torch.arange(PEOPLE).repeat_interleave(IMAGES)
    for name, kind in LOSSES.items():
        _tried(name, lambda kind=kind: _one_loss(kind, vectors, labels, device), failed)
    return failed


def _one_loss(kind: type, vectors: Tensor, labels: Tensor, device: torch.device) -> str:
    wanted = inspect.signature(kind.__init__).parameters
    arguments = {k: v for k, v in {"num_ids": PEOPLE, "dim": DIM}.items() if k in wanted}
    torch.manual_seed(1)
    exact = kind(**arguments).double()
    there = kind(**arguments)
    there.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in exact.state_dict().items()})
    there.to(device)
    unmoved = copy.deepcopy(there)  # centres learn as they are asked
    x, y = vectors.clone().requires_grad_(), vectors.float().to(device).requires_grad_()
    torch.manual_seed(2)
    expected = exact(x, labels)
    expected.backward()
    torch.manual_seed(2)
    found = there(y, labels.to(device))
    found.backward()
    value = abs(expected.item() - found.item()) / max(1e-12, abs(expected.item()))
    gradient = float((x.grad - y.grad.cpu().double()).norm() / x.grad.norm().clamp(min=1e-12))
    with torch.autocast(device.type, torch.bfloat16):
        half = unmoved(vectors.float().to(device), labels.to(device))
    if not torch.isfinite(half):
        raise ValueError(f"{half.item()} under bfloat16 autocast")
    if value > LOSS_LIMIT or gradient > GRADIENT_LIMIT:
        raise ValueError(f"relative difference {value:.1e}, of the gradient {gradient:.1e}")
    shift = abs(half.item() - expected.item()) / max(1e-12, abs(expected.item()))
    return f"{expected.item():12.6f}  apart {value:.1e}, gradient {gradient:.1e}, under bfloat16 {shift:.1e}"


def _graphs(device: torch.device, options: argparse.Namespace) -> list[str]:
    failed: list[str] = []
    for backbone in ("osnet_x0_25", "resnet50_ibn_a"):
        for precision in ("float32", "bfloat16"):
            _tried(f"{backbone} {precision}", lambda b=backbone, p=precision: _same_steps(b, p, device), failed)
    return failed


def _same_steps(backbone: str, precision: str, device: torch.device) -> str:
    """Five steps with recorded kernels against five without: losses, weights and running statistics."""
    losses: dict[bool, Tensor] = {}
    states: dict[bool, Tensor] = {}
    for graphs in (False, True):
        step, model = _step_of(backbone, device, RunConfig(cuda_graphs=graphs), getattr(torch, precision))
        generator = torch.Generator().manual_seed(3)
        rows = []
        for i in range(5):
            images = torch.randn(32, 3, 128, 64, generator=generator).to(device, memory_format=torch.channels_last)
            rows.append(step(images, (torch.arange(32) // 4).to(device), (i,))["total"].detach())
        losses[graphs] = torch.stack(rows)
        state = [t.float().flatten() for t in model.state_dict().values()]
        states[graphs] = torch.cat(state)
    apart = (losses[True] - losses[False]).abs().max() / losses[False].abs().max()
    weights = (states[True] - states[False]).norm() / states[False].norm()
    if not (apart < 0.05 and weights < 0.05):
        raise ValueError(f"losses apart by {apart:.1e}, weights and statistics by {weights:.1e}")
    return f"losses apart by {apart:.1e}, weights and statistics by {weights:.1e} after 5 steps"


def _step_of(
    backbone: str, device: torch.device, run: RunConfig, precision: torch.dtype
) -> tuple[Callable[[Tensor, Tensor, tuple[int, ...]], dict[str, Tensor]], torch.nn.Module]:
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone=backbone)).train().to(device)
    model.to(memory_format=torch.channels_last)
    terms = {"softmax": TermConfig(arguments={"label_smoothing": 0.1}), "lin": TermConfig()}
    objective = Objective(terms, num_ids=PEOPLE, dim=model.dim).to(device)
    learning = OptimizerConfig(lr=1e-4)
    optimizer = build_optimizer(parameter_groups(model, objective, learning), learning)
    scaler = torch.amp.GradScaler(device.type, enabled=False)
    backpropagate = Step(model, objective, scaler, run, device=device, precision=precision)

    def step(images: Tensor, labels: Tensor, seed: tuple[int, ...]) -> dict[str, Tensor]:
        terms = backpropagate(images, labels, seed=seed)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return terms

    return step, model


def _evaluation(device: torch.device, options: argparse.Namespace) -> list[str]:
    """Query and gallery of Market-1501's size."""
    failed: list[str] = []
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(800, DIM, generator=generator)

    def part(n: int) -> tuple[Any, Any, Any]:
        pids = torch.randint(1, 751, (n,), generator=generator)
        vectors = centres[pids] + 1.5 * torch.randn(n, DIM, generator=generator)
        camids = torch.randint(0, 6, (n,), generator=generator)
        return torch.nn.functional.normalize(vectors).numpy(), pids.numpy(), camids.numpy()

    (q, qp, qc), (g, gp, gc) = part(3368), part(15913)
    expected: dict[str | None, tuple[float, float]] = {}

    def evaluate(where: str, rerank: str | None) -> str:
        started = time.perf_counter()
        report = pb.evaluate_embeddings(q, g, qp, gp, qc, gc, device=where, rerank=rerank)
        seconds = time.perf_counter() - started
        figures = (report.mAP, report.rank(1))
        first = expected.setdefault(rerank, figures)
        apart = max(abs(a - b) for a, b in zip(first, figures, strict=True))
        if apart > 1e-4:
            raise ValueError(f"mAP {figures[0]:.6f}, rank-1 {figures[1]:.6f} instead of {first}")
        return f"mAP {figures[0]:.6f}, rank-1 {figures[1]:.6f}, apart {apart:.1e}; {seconds:.2f} s"

    for where in ("cpu", str(device), str(device)):
        for rerank in (None, "k_reciprocal"):
            _tried(f"{where} {rerank or ''}", lambda w=where, r=rerank: evaluate(w, r), failed)
    return failed


def _recipes(device: torch.device, options: argparse.Namespace) -> list[str]:
    """One short epoch of every recipe on drawn people, with a resumed run of one of them."""
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        draw_dataset(Path(folder) / "people", identities=40, train_identities=32, progress=False)
        data = pb.load_dataset("synthetic", Path(folder) / "people")
        for name in options.recipe or pb.list_recipes():
            _tried(name, lambda n=name: _one_epoch(n, data, Path(folder), device), failed)
    return failed


def _one_epoch(name: str, data: Any, folder: Path, device: torch.device) -> str:
    changes: dict[str, Any] = {
        "input.height": 64,
        "input.width": 32,
        "schedule.epochs": 1,
        "schedule.small_until": 0,
        "schedule.freeze_backbone_epochs": 0,
        "data.held_out_identities": 0,
        "run.device": str(device),
        "run.evaluate_epochs": 0,
    }
    recipe = with_overrides(pb.load_recipe(name), changes, where=name)
    started = time.perf_counter()
    run = pb.train(recipe, data, out=folder / name)
    row = run.metrics[-1]
    return f"loss {row['losses']['total']:.3f}, {time.perf_counter() - started:.1f} s"


def _waits(device: torch.device, options: argparse.Namespace) -> list[str]:
    """Calls in a step for which the CPU waits until the GPU is done."""
    failed: list[str] = []
    if device.type != "cuda":
        print("only on a GPU")
        return failed
    step, _ = _step_of("osnet_x0_25", device, RunConfig(), torch.bfloat16)
    images = torch.randn(64, 3, 128, 64, device=device).to(memory_format=torch.channels_last)
    labels = torch.arange(16, device=device).repeat_interleave(4)
    for i in range(3):
        step(images, labels, (i,))
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step(images, labels, (9,))
    torch.cuda.set_sync_debug_mode("default")
    for warning in caught:
        print(f"waits at {warning.filename}:{warning.lineno}")
    print(f"{len(caught)} waiting calls in a step")
    return failed


PARTS: dict[str, Callable[[torch.device, argparse.Namespace], list[str]]] = {
    "losses": _losses,
    "graphs": _graphs,
    "evaluation": _evaluation,
    "recipes": _recipes,
    "waits": _waits,
}

if __name__ == "__main__":
    main()
