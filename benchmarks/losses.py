"""Forward and backward of every loss against a floor and against pytorch-metric-learning.

`python -m benchmarks.losses` prints, for each batch size B and dimension D: milliseconds, the ratio to the floor (a
B x B Gram product, forward and backward), how many times faster than the peer, and the peak of additional memory in
B x B float32 matrices (copies of x count too: D / B of a matrix each). All candidates of one size take turns; times are
medians. On a busy machine use `--threads 1 --clock cpu`, which counts the processor's time instead of elapsed time.
"""

from __future__ import annotations

import argparse
import inspect
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import profile

from benchmarks.measure import interleaved
from passerby.losses import LOSSES

IMAGES = 4  # of each identity
LARGEST_ALL_TRIPLETS = 1024  # the peer lists them through a B x B x B mask
Step = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--dims", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--losses", nargs="+", default=list(LOSSES), choices=list(LOSSES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=["elapsed", "cpu"], default="elapsed")
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.perf_counter if arguments.clock == "elapsed" else time.process_time
    for batch in arguments.batches:
        for dim in arguments.dims:
            measure(batch, dim, arguments.losses, arguments.rounds, clock, peers=not arguments.no_peers)


def measure(batch: int, dim: int, names: list[str], rounds: int, clock: Callable[[], float], *, peers: bool) -> None:
    x = torch.randn(batch, dim, requires_grad=True)
    labels = torch.arange(batch) // IMAGES
    steps = {name: step(build(name, batch, dim), x, labels) for name in names}
    rivals = {f"peer {name}": step(peer, x, labels) for name in names if peers and (peer := peer_of(name, batch, dim))}
    weights = torch.randn(batch, batch)

    def floor() -> None:
        x.grad = None
        (x @ x.T).backward(weights)

    seconds = interleaved({"floor": floor, **steps, **rivals}, rounds=rounds, clock=clock)
    table = Table(title=f"B = {batch}, D = {dim}: floor {1e3 * seconds['floor']:.2f} ms", title_justify="left")
    for column in ("loss", "ms", "of the floor", "faster than the peer", "memory (B x B)"):
        table.add_column(column, justify="left" if column == "loss" else "right")
    for name, run in steps.items():
        rival = seconds.get(f"peer {name}")
        table.add_row(
            name,
            f"{1e3 * seconds[name]:.2f}",
            f"{seconds[name] / seconds['floor']:.2f} x",
            f"{rival / seconds[name]:.1f} x" if rival else "-",
            f"{peak_bytes(run) / (4 * batch * batch):.1f}",
        )
    Console().print(table)


def build(name: str, num_ids: int, dim: int) -> nn.Module:
    owned = {"num_ids": num_ids, "dim": dim}
    needed = inspect.signature(LOSSES[name]).parameters
    return LOSSES[name](**{key: value for key, value in owned.items() if key in needed})


def step(loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, labels: Tensor) -> Step:
    def run() -> None:
        x.grad = None
        loss(x, labels).backward()

    return run


def peer_of(name: str, batch: int, dim: int) -> Callable[[Tensor, Tensor], Tensor] | None:
    """pytorch-metric-learning's way to the same loss (its contrastive loss does not square)."""
    from pytorch_metric_learning import losses, miners
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.reducers import MeanReducer

    plain = LpDistance(normalize_embeddings=False)
    triplet = losses.TripletMarginLoss(margin=0.3, distance=plain, reducer=MeanReducer())
    miner = miners.BatchHardMiner(distance=plain)
    peers: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "sphere_softmax": losses.NormalizedSoftmaxLoss(batch, dim, temperature=1 / 14),
        "contrastive": losses.ContrastiveLoss(),
        "batch_hard_triplet": lambda x, labels: triplet(x, labels, miner(x, labels)),
        "ranked_list": losses.RankedListLoss(margin=0.4, Tn=5, alpha=1.2),
    }
    if batch <= LARGEST_ALL_TRIPLETS:
        peers["triplet"] = triplet
    return peers.get(name)


def peak_bytes(run: Step) -> int:
    """Largest sum of tensors' bytes that one step holds at once beyond what was there before."""
    with profile(profile_memory=True) as recorded:
        run()
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


if __name__ == "__main__":
    main()
