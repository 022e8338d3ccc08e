"""Tracklets, the images of one person and camera that share a number: which frames are taken, how sharp they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from passerby.array_types import UInt8
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import DataError

How = Literal["even", "random"]


def tracklets_of(samples: Sequence[Sample]) -> list[tuple[int, ...]]:
    """Places of the samples of each tracklet, ordered by time; a sample without a tracklet is one of its own.

    Args:
        samples: images in any order.

    Returns:
        One tuple of indices into `samples` a tracklet, tracklets in the order of their first sample.

    Raises:
        DataError: the images of a tracklet name several persons or cameras.
    """
    groups: dict[tuple[str, int], list[int]] = {}
    for i, sample in enumerate(samples):
        key = ("image", i) if sample.tracklet is None else ("tracklet", sample.tracklet)
        groups.setdefault(key, []).append(i)
    for group in groups.values():
        first = samples[group[0]]
        for i in group:
            if (samples[i].pid, samples[i].camid) != (first.pid, first.camid):
                raise DataError(
                    f"tracklet {first.tracklet}: {first.path} is person {first.pid}, camera {first.camid}, "
                    f"and {samples[i].path} person {samples[i].pid}, camera {samples[i].camid}"
                )
    return [tuple(sorted(group, key=lambda i: (samples[i].time or 0.0, i))) for group in groups.values()]


def pick_frames(length: int, count: int, *, how: How = "even", seed: Sequence[int] = (0,)) -> npt.NDArray[np.int64]:
    """Which frames of a tracklet are taken: at most `count` places below `length`, ascending, none twice.

    The tracklet is cut into `count` pieces of (almost) equal length, as in temporal segment sampling (Wang et al., ECCV
    2016, arXiv:1608.00859). "even" takes the middle of each piece, "random" a random frame of each.

    Args:
        length: frames in the tracklet.
        count: frames wanted; a shorter tracklet is taken whole.
        how: "even" or "random".
        seed: numbers that make the random choice, for example (seed, epoch, tracklet).

    Raises:
        DataError: a length or count below 1, or another way.
    """
    if length < 1 or count < 1:
        raise DataError(f"cannot take {count} frames of a tracklet of {length}; expected at least 1 of 1")
    if how not in ("even", "random"):
        raise DataError(f"frames are taken 'even' or 'random', found {how!r}")
    if length <= count:
        return np.arange(length)
    edges = np.arange(count + 1) * length // count
    if how == "even":
        return (edges[:-1] + edges[1:] - 1) // 2
    return np.random.default_rng(tuple(seed)).integers(edges[:-1], edges[1:])


def sample_frames(samples: Sequence[Sample], count: int, *, how: How = "even", seed: Sequence[int] = (0,)) -> list[int]:
    """Places of at most `count` frames of each tracklet; single images all stay.

    Args:
        samples: images in any order.
        count: frames of each tracklet.
        how: "even" or "random", see `pick_frames`.
        seed: numbers that make the random choice, for example (seed, epoch); each tracklet draws its own frames.

    Returns:
        Indices into `samples`, tracklet by tracklet.
    """
    chosen: list[int] = []
    for number, tracklet in enumerate(tracklets_of(samples)):
        places = pick_frames(len(tracklet), count, how=how, seed=(*seed, number))
        chosen += [tracklet[i] for i in places]
    return chosen


def thin_tracklets(dataset: ReIDDataset, count: int, *, how: How = "even", seed: Sequence[int] = (0,)) -> ReIDDataset:
    """The dataset with at most `count` frames of each tracklet in every part; noted, because results depend on it."""

    def thin(samples: Sequence[Sample]) -> tuple[Sample, ...]:
        return tuple(samples[i] for i in sample_frames(samples, count, how=how, seed=seed))

    note = f"at most {count} frames a tracklet, {'evenly spread' if how == 'even' else 'drawn at random'}"
    return replace(
        dataset,
        train=thin(dataset.train),
        query=thin(dataset.query),
        gallery=thin(dataset.gallery),
        notes=(*dataset.notes, note),
    )


def sharpness(image: UInt8) -> float:
    """Variance of the Laplacian of an image's grey values: small for a blurred picture.

    The Laplacian is the sum of the four neighbours minus four times the pixel (Pech-Pacheco et al., ICPR 2000); the
    border is left out. Compare pictures of one size only.

    Args:
        image: RGB uint8 [H, W, 3].

    Returns:
        The variance, grey values in 0..255; 0.0 for a picture of less than 3 x 3 pixels.
    """
    if min(image.shape[:2]) < 3:
        return 0.0
    grey = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var(around - 4.0 * inner))
