"""Every loss once more, as slow loops over plain floats written from its formula; and the variants to test."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from passerby.losses import LOSSES

Points = Sequence[Sequence[float]]
Labels = Sequence[int]
Loss = Any
"""A module of the table with its own attributes, which its formula reads."""


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def relu(value: float) -> float:
    return max(value, 0.0)


def softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def hinge(value: float, margin: float | None) -> float:
    return softplus(value) if margin is None else relu(value + margin)


def unit(points: Points) -> list[list[float]]:
    return [[v / max(math.hypot(*p), 1e-12) for v in p] for p in points]


def positives(i: int, labels: Labels) -> list[int]:
    return [j for j in range(len(labels)) if j != i and labels[j] == labels[i]]


def negatives(i: int, labels: Labels) -> list[int]:
    return [j for j in range(len(labels)) if labels[j] != labels[i]]


def dist(a: Sequence[float], b: Sequence[float], squared: bool = False) -> float:
    return math.dist(a, b) ** 2 if squared else math.dist(a, b)


def cross_entropy(logits: list[float], target: list[float]) -> float:
    top = max(logits)
    log_sum = top + math.log(sum(math.exp(z - top) for z in logits))
    return -sum(q * (z - log_sum) for z, q in zip(logits, target, strict=True))


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def softmax(x: Points, y: Labels, loss: Loss) -> float:
    weight, smoothing = loss.weight.tolist(), loss.label_smoothing
    bias = [0.0] * len(weight) if loss.bias is None else loss.bias.tolist()
    terms = []
    for point, label in zip(x, y, strict=True):
        target = [smoothing / len(weight) + (1 - smoothing) * (c == label) for c in range(len(weight))]
        terms.append(cross_entropy([dot(w, point) + b for w, b in zip(weight, bias, strict=True)], target))
    return mean(terms)


def sphere_softmax(x: Points, y: Labels, loss: Loss) -> float:
    weight = unit(loss.weight.tolist())
    return mean(
        [
            cross_entropy([loss.scale * dot(w, p) for w in weight], [float(c == label) for c in range(len(weight))])
            for p, label in zip(unit(x), y, strict=True)
        ]
    )


def verification(x: Points, y: Labels, loss: Loss) -> float:
    weight, bias = loss.weight.tolist(), loss.bias.tolist()
    same, different = [], []
    for i, j in combinations(range(len(y)), 2):
        square = [(a - b) ** 2 for a, b in zip(x[i], x[j], strict=True)]
        logits = [dot(weight[c], square) + bias[c] for c in (0, 1)]
        if y[i] == y[j]:
            same.append(cross_entropy(logits, [0.0, 1.0]))
        else:
            different.append(cross_entropy(logits, [1.0, 0.0]))
    if not same or not different:
        return mean(same + different)
    ratio = loss.negatives_per_positive
    return float((mean(same) + ratio * mean(different)) / (1 + ratio))


def contrastive(x: Points, y: Labels, loss: Loss) -> float:
    terms = []
    for i, j in combinations(range(len(y)), 2):
        d = dist(x[i], x[j])
        terms.append(d**2 if y[i] == y[j] else relu(loss.margin - d) ** 2)
    return mean(terms) * (0.5 if loss.form == "deepid" else 1)


def triplets(y: Labels) -> list[tuple[int, int, int]]:
    return [(a, p, n) for a in range(len(y)) for p in positives(a, y) for n in negatives(a, y)]


def semi_hard_triplets(x: Points, y: Labels, squared: bool) -> list[tuple[int, int, int]]:
    chosen = []
    for a in range(len(y)):
        far = [(dist(x[a], x[n], squared), n) for n in negatives(a, y)]
        for p in positives(a, y) if far else []:
            beyond = [(d, n) for d, n in far if d > dist(x[a], x[p], squared)]
            chosen.append((a, p, (min(beyond) if beyond else max(far))[1]))
    return chosen


def triplet(x: Points, y: Labels, loss: Loss) -> float:
    chosen = triplets(y) if loss.mining == "all" else semi_hard_triplets(x, y, loss.squared)
    terms = [relu(dist(x[a], x[p], loss.squared) - dist(x[a], x[n], loss.squared) + loss.margin) for a, p, n in chosen]
    return sum(terms) if loss.reduction == "sum" else mean(terms)


def improved_triplet(x: Points, y: Labels, loss: Loss) -> float:
    return mean(
        [
            dist(x[a], x[p]) + relu(dist(x[a], x[p]) - dist(x[a], x[n]) + loss.margin)
            for a, p, n in triplets(y)
        ]
    )  # fmt: skip


def thresholded_triplet(x: Points, y: Labels, loss: Loss) -> float:
    terms = []
    for a, p, n in triplets(y):
        d_p, d_n = dist(x[a], x[p], loss.squared), dist(x[a], x[n], loss.squared)
        terms.append(max(d_p - d_n, loss.tau1) + loss.beta * max(d_p, loss.tau2))
    return mean(terms)


def hard_anchors(x: Points, y: Labels, squared: bool = False) -> list[tuple[int, float, float]]:
    """(anchor, distance of its farthest positive, of its nearest negative) where both exist."""
    return [
        (
            a,
            max(dist(x[a], x[p], squared) for p in positives(a, y)),
            min(dist(x[a], x[n], squared) for n in negatives(a, y)),
        )
        for a in range(len(y))
        if positives(a, y) and negatives(a, y)
    ]


def batch_hard_triplet(x: Points, y: Labels, loss: Loss) -> float:
    return mean([hinge(d_p - d_n, loss.margin) for _, d_p, d_n in hard_anchors(x, y)])


def quadruplet(x: Points, y: Labels, loss: Loss) -> float:
    pairs = [(y[i], y[j], dist(x[i], x[j], loss.squared)) for i in range(len(y)) for j in range(len(y)) if y[i] != y[j]]
    if loss.mining == "all":
        strong = [
            relu(dist(x[a], x[p], loss.squared) - dist(x[a], x[n], loss.squared) + loss.alpha)
            for a, p, n in triplets(y)
        ]
        weak = [
            relu(dist(x[a], x[p], loss.squared) - d + loss.beta)
            for a in range(len(y))
            for p in positives(a, y)
            for left, right, d in pairs
            if y[a] not in (left, right)
        ]
        return mean(strong) + mean(weak)
    strong, weak = [], []
    for a, d_p, d_n in hard_anchors(x, y, loss.squared):
        strong.append(relu(d_p - d_n + loss.alpha))
        others = [d for left, right, d in pairs if y[a] not in (left, right)]
        weak += [relu(d_p - min(others) + loss.beta)] if others else []
    return mean(strong) + mean(weak)


def msml(x: Points, y: Labels, loss: Loss) -> float:
    pairs = list(combinations(range(len(y)), 2))
    same = [dist(x[i], x[j]) for i, j in pairs if y[i] == y[j]]
    different = [dist(x[i], x[j]) for i, j in pairs if y[i] != y[j]]
    return relu(max(same) - min(different) + loss.margin) if same and different else 0.0


def weighted(distances: list[float], weight: Callable[[float], float]) -> float:
    return sum(weight(d) * d for d in distances) / sum(weight(d) for d in distances)


def hap2s(x: Points, y: Labels, loss: Loss) -> float:
    loss = getattr(loss, "hap2s", loss)
    terms = []
    for a in range(len(y)):
        near = [dist(x[a], x[p]) for p in positives(a, y)]
        far = [dist(x[a], x[n]) for n in negatives(a, y)]
        if not near or not far:
            continue
        if loss.weighting == "exponential":
            gap = weighted(near, lambda d: math.exp(d / loss.sigma)) - weighted(
                far, lambda d: math.exp(-d / loss.sigma)
            )
        else:
            gap = weighted(near, lambda d: (1 + d) ** loss.alpha) - weighted(
                far, lambda d: (1 + d) ** (-2 * loss.alpha)
            )
        terms.append(hinge(gap, loss.margin))
    return mean(terms)


def ranked_list(x: Points, y: Labels, loss: Loss) -> float:
    x, terms = unit(x), []
    for a in range(len(y)):
        far = [d for p in positives(a, y) if (d := dist(x[a], x[p])) > loss.alpha - loss.margin]
        near = [d for n in negatives(a, y) if (d := dist(x[a], x[n])) < loss.alpha]
        pull = mean([d - (loss.alpha - loss.margin) for d in far])
        weights = [math.exp(loss.temperature * (loss.alpha - d)) for d in near]
        push = sum(w * (loss.alpha - d) for w, d in zip(weights, near, strict=True)) / (sum(weights) or 1)
        terms.append((1 if loss.combine == "sum" else 1 - loss.balance) * pull + loss.balance * push)
    return mean(terms)


def lin(x: Points, y: Labels, loss: Loss) -> float:
    x, terms = unit(x), []
    for a in range(len(y)):
        pull = mean([relu(dist(x[a], x[p]) - loss.radius) for p in positives(a, y)])
        far = [dist(x[a], x[n]) for n in negatives(a, y)]
        weights = [math.exp(loss.temperature * (2 - d)) * (math.exp(-d) if loss.form == "paper" else 1) for d in far]
        push = sum(w * relu(2 - d) for w, d in zip(weights, far, strict=True)) / (sum(weights) or 1)
        terms.append(pull + push)
    return mean(terms)


def support_neighbor(x: Points, y: Labels, loss: Loss) -> float:
    x, terms = unit(x), []
    for a in range(len(y)):
        if not positives(a, y):
            continue
        ranked = sorted((dist(x[a], x[j]), j) for j in range(len(y)) if j != a)
        near = ranked[: loss.neighbors]
        supporting = [(d, j) for d, j in near if y[j] == y[a]]
        opposing = [d for d, j in near if y[j] != y[a]]
        supporting = supporting or [min((dist(x[a], x[p]), p) for p in positives(a, y))]
        up = sum(math.exp(-loss.sigma * d) for d, _ in supporting)
        separation = -math.log(up / (up + sum(math.exp(-loss.sigma * d) for d in opposing)))
        farthest = max((dist(x[a], x[p]), p) for p in positives(a, y))
        nearest = min(supporting)
        squeeze = {
            "gap": max(supporting)[0] - nearest[0],
            "gap_all": farthest[0] - nearest[0],
            "pair": dist(x[nearest[1]], x[farthest[1]]),
            "nearest": nearest[0],
        }[loss.squeeze]
        terms.append(separation + loss.squeeze_weight * squeeze)
    return mean(terms)


def center(x: Points, y: Labels, loss: Loss) -> float:
    squares = [dist(p, c, squared=True) for p, c in zip(x, loss.centers[list(y)].tolist(), strict=True)]
    return {"half_sum": sum(squares) / 2, "half_mean": mean(squares) / 2, "mean": mean(squares)}[loss.form]


def center_invariant(x: Points, y: Labels, loss: Loss) -> float:
    centers = loss.centers.tolist()
    lengths = [dot(c, c) for c in centers]
    invariance = mean([(lengths[label] - mean(lengths)) ** 2 / 4 for label in y])
    pull = mean([dist(p, centers[label], squared=True) / 2 for p, label in zip(x, y, strict=True)])
    return float(loss.center_weight * pull + loss.invariance_weight * invariance)


def range_loss(x: Points, y: Labels, loss: Loss) -> float:
    intra, means = 0.0, []
    for label in sorted(set(y)):
        rows = [p for p, other in zip(x, y, strict=True) if other == label]
        means.append([mean(values) for values in zip(*rows, strict=True)])
        ranges = sorted((dist(a, b, loss.squared) for a, b in combinations(rows, 2)), reverse=True)[: loss.k]
        if ranges and min(ranges) > 0:
            intra += len(ranges) / sum(1 / d for d in ranges)
    gaps = [dist(a, b, loss.squared) for a, b in combinations(means, 2)]
    inter = relu(loss.margin - min(gaps)) if gaps else 0.0
    return float(loss.alpha * intra + loss.beta * inter)


FORMULAS: dict[str, Callable[[Points, Labels, nn.Module], float]] = {
    "softmax": softmax,
    "sphere_softmax": sphere_softmax,
    "verification": verification,
    "contrastive": contrastive,
    "triplet": triplet,
    "improved_triplet": improved_triplet,
    "thresholded_triplet": thresholded_triplet,
    "batch_hard_triplet": batch_hard_triplet,
    "quadruplet": quadruplet,
    "msml": msml,
    "hap2s": hap2s,
    "adaptive_weighted_triplet": hap2s,
    "ranked_list": ranked_list,
    "lin": lin,
    "support_neighbor": support_neighbor,
    "center": center,
    "center_invariant": center_invariant,
    "range": range_loss,
}


@dataclass(frozen=True)
class Variant:
    """One loss with some arguments; `build` makes it in float64, with weights drawn from a fixed seed."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.arguments.items())])

    def build(self, num_ids: int = 8, dim: int = 4) -> nn.Module:
        owned = {"num_ids": num_ids, "dim": dim}
        needed = {key: value for key, value in owned.items() if key in inspect.signature(LOSSES[self.name]).parameters}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return LOSSES[self.name](**needed, **self.arguments).double()

    def formula(self, x: Tensor, labels: Tensor, loss: Loss) -> float:
        points = unit(x.tolist()) if self.arguments.get("normalize", self.name == "contrastive") else x.tolist()
        return FORMULAS[self.name](points, labels.tolist(), loss)


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "softmax": [{"label_smoothing": 0.1}, {"bias": True}, {"normalize": True}],
    "verification": [{"negatives_per_positive": 4}, {"normalize": True}],
    "contrastive": [{"form": "deepid"}, {"normalize": False, "margin": 3.0}],
    "triplet": [
        {"squared": True},
        {"margin": 0.2, "squared": True, "normalize": True, "reduction": "sum"},
        {"mining": "semi_hard"},
        {"margin": 0.2, "squared": True, "normalize": True, "mining": "semi_hard"},
        {"margin": 0.2, "squared": True, "normalize": True, "mining": "semi_hard", "reduction": "sum"},
    ],
    "improved_triplet": [{"normalize": True}],
    "thresholded_triplet": [{"squared": False}, {"normalize": True}],
    "batch_hard_triplet": [{"margin": None}, {"normalize": True}],
    "quadruplet": [
        {"squared": True},
        {"mining": "all"},
        {"mining": "all", "squared": True},
        {"alpha": 0.4, "beta": 0.2, "normalize": True},
        {"alpha": 0.4, "beta": 0.2, "mining": "all", "normalize": True},
    ],
    "msml": [{"normalize": True}],
    "hap2s": [{"weighting": "polynomial"}, {"margin": None}, {"normalize": True}],
    "adaptive_weighted_triplet": [{"margin": 0.2}, {"normalize": True}],
    "ranked_list": [{"combine": "convex", "balance": 0.5}],
    "lin": [{"form": "code"}],
    "support_neighbor": [
        {"neighbors": 3},
        {"neighbors": 3, "squeeze": "gap"},
        {"neighbors": 3, "sigma": 5.0},
        {"squeeze": "pair"},
        {"neighbors": 2, "squeeze": "nearest"},
    ],
    "center": [{"form": "half_sum"}, {"form": "mean"}, {"normalize": True}],
    "center_invariant": [{"normalize": True}],
    "range": [{"squared": False}, {"k": 1, "margin": 20.0}, {"normalize": True}],
}
VARIANTS = [Variant(name, arguments) for name in LOSSES for arguments in ({}, *OPTIONS.get(name, []))]
