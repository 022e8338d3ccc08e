"""What losses do to vectors, in two dimensions: drawn people under five objectives, one picture.

    python -m benchmarks.loss_pictures [--out docs/loss-pictures.svg] [--steps 400]

A small network with two outputs learns ten drawn people from three cameras, once under each objective, from the same
start and the same batches. The picture shows the images that it learned from, as those of the papers do; printed is how
often the nearest other image of images that it did not see is right. In two dimensions far less room is left for many
identities than in the 512 of a real encoder: the picture shows how losses differ, not how good they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from passerby.data.synthetic.camera import Camera
from passerby.data.synthetic.pedestrian import draw_person
from passerby.data.synthetic.person import Person
from passerby.losses import BatchHardTripletLoss, CenterLoss, LinLoss, RankedListLoss, SoftmaxLoss

PEOPLE, CAMERAS, IMAGES = 10, 3, 12
"""Images of a person and camera; half of them are trained on."""
PER_PERSON = 6
"""Images of each person in a batch of all people."""
SEED = 0

Objective: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loss_pictures")
    parser.add_argument("--out", type=Path, default=Path("docs/loss-pictures.svg"))
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    images, pids, cameras, unseen = drawn_people()
    with rc_context({"svg.hashsalt": "passerby"}):  # the same ids each time
        figure = Figure(figsize=(10.0, 2.5), layout="constrained", facecolor="white")
        for axes, (title, on_circle) in zip(figure.subplots(1, len(TITLES)), TITLES.items(), strict=True):
            torch.manual_seed(SEED)
            vectors = learned(title, images, pids, ~unseen, options.steps)
            print(f"{title}: rank-1 {rank1(vectors, pids, cameras, unseen):.0%}")
            draw(axes, title, vectors[~unseen], pids[~unseen], cameras[~unseen], on_circle=on_circle)
        figure.savefig(options.out, metadata={"Date": None, "Creator": None} if options.out.suffix == ".svg" else None)


def drawn_people() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images [n, 3, 32, 16] in -1..1, people [n], cameras [n], and which are not trained on [n]."""
    rows = []
    for pid in range(PEOPLE):
        for number in range(CAMERAS):
            camera = Camera.of(SEED, number)
            for image in range(IMAGES):
                rng = np.random.default_rng((SEED, pid, number, image))
                pixels = torch.from_numpy(draw_person(Person.of(SEED, pid + 1), camera, rng).copy())
                rows.append((pixels, pid, number, image % 2 == 1))
    pixels = torch.stack([row[0] for row in rows]).permute(0, 3, 1, 2).float() / 127.5 - 1
    small = nn.functional.interpolate(pixels, (32, 16), mode="area")
    pids, cameras, unseen = (torch.tensor([row[k] for row in rows]) for k in (1, 2, 3))
    return small, pids, cameras, unseen


TITLES = {
    "softmax": False,
    "softmax + 0.1 center": False,
    "batch-hard triplet": False,
    "ranked list": True,
    "softmax + 0.4 Lin": True,
}
"""Objective -> whether its distances are those of unit vectors, so that directions are all there is."""


def objective(title: str) -> tuple[Objective, list[nn.Parameter]]:
    """The objective, and the weights that it owns."""
    softmax = SoftmaxLoss(PEOPLE, 2)
    if title == "softmax":
        return softmax, list(softmax.parameters())
    if title == "softmax + 0.1 center":
        center = CenterLoss(PEOPLE, 2)
        return lambda x, labels: softmax(x, labels) + 0.1 * center(x, labels), list(softmax.parameters())
    if title == "batch-hard triplet":
        return BatchHardTripletLoss(margin=0.3), []
    if title == "ranked list":
        return RankedListLoss(), []
    lin = LinLoss()
    return lambda x, labels: softmax(x, labels) + 0.4 * lin(x, labels), list(softmax.parameters())


def learned(title: str, images: Tensor, pids: Tensor, trained: Tensor, steps: int) -> Tensor:
    """Vectors [n, 2] of all images by a network that learned some of them under an objective."""
    network = nn.Sequential(*_layer(3, 16), *_layer(16, 32), *_layer(32, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.extend([nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)])
    loss, weights = objective(title)
    optimizer = torch.optim.Adam([*network.parameters(), *weights], lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rng = np.random.default_rng(SEED)
    of_person = [torch.nonzero((pids == pid) & trained).flatten().numpy() for pid in range(PEOPLE)]
    for _ in range(steps):
        batch = torch.from_numpy(np.concatenate([rng.choice(rows, PER_PERSON, replace=False) for rows in of_person]))
        optimizer.zero_grad()
        loss(network(images[batch]), pids[batch]).backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        vectors: Tensor = network(images)
    return vectors


def _layer(channels: int, out: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()


def rank1(vectors: Tensor, pids: Tensor, cameras: Tensor, unseen: Tensor) -> float:
    """Share of the unseen images whose nearest one by another camera is of the same person, by angle."""
    unit = nn.functional.normalize(vectors[unseen])
    distances = torch.cdist(unit, unit)
    distances[cameras[unseen][:, None] == cameras[unseen][None, :]] = torch.inf
    return float((pids[unseen][distances.argmin(dim=1)] == pids[unseen]).float().mean())


def draw(axes: Axes, title: str, vectors: Tensor, pids: Tensor, cameras: Tensor, *, on_circle: bool) -> None:
    """A dot an image, a colour a person, a marker a camera; unit vectors stand on one circle a camera."""
    if on_circle:
        vectors = nn.functional.normalize(vectors) * (1 + 0.12 * cameras[:, None])
    colors = [f"C{int(pid)}" for pid in range(PEOPLE)]
    for camera, marker in enumerate("o^s"):
        rows = cameras == camera
        x, y = vectors[rows].numpy().T
        axes.scatter(x, y, s=9, marker=marker, c=[colors[int(pid)] for pid in pids[rows]], alpha=0.75, linewidths=0)
    axes.scatter([0], [0], s=20, marker="+", color="black", linewidths=0.8)
    axes.set_title(title, fontsize=9)
    reach = 1.1 * float(vectors.abs().max())  # one scale for both axes, or angles would not be angles
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.tick_params(labelsize=6)


if __name__ == "__main__":
    main()
