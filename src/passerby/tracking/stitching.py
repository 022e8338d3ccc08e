"""Joining tracklets of one person, over time and over cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from passerby.array_types import Bool, Float64, Int64
from passerby.embedding.camera_statistics import CameraStatistics
from passerby.embedding.tracklet import Tracklet
from passerby.tracking.tracklet_calibration import TrackletCalibration, log_ratios
from passerby.tracking.travel_times import TravelTimes, too_soon

_TOLERANCE = 1  # frames in which two boxes of one camera may be the same person's


def stitch(
    tracklets: Sequence[Tracklet],
    calibration: TrackletCalibration,
    *,
    least_quality: float = 0.0,
    prior: float = 0.5,
    travel_times: TravelTimes | None = None,
    statistics: CameraStatistics | None = None,
) -> Int64:
    """Number tracklets so that those of one person have one number, [n], from 0 in the order of their first moment.

    1. Pieces of one track that follow each other are joined again unless their vectors say that they show two people;
       a piece without a vector (always overlapped, or too small) goes with the piece of its track that is nearest in
       time.
    2. Average linkage, over all pairs weighted by their crops, of the log-likelihood ratio of their distance
       (`TrackletCalibration`); joining stops where the mean ratio, with the prior, favours two people. Tracklets of
       one camera that overlap by more than a frame are never joined, tracklets of two cameras with less time between
       them than the way takes neither, and neither are clusters that hold such a pair.

    Tracklets below `least_quality` stay with their track's other pieces but do not decide anything.

    Args:
        tracklets: of any number of cameras.
        calibration: of the encoder that made their vectors.
        least_quality: see above, 0 to 1.
        prior: probability, before looking, that two tracklets show one person.
        travel_times: least seconds from one camera to another; the cameras' times are of one clock.
        statistics: means of the cameras, by name, that are subtracted from vectors before they are compared; the
            calibration is then one of such vectors (`TrackletCalibration.of_centered_vectors`).
    """
    count = len(tracklets)
    if not count:
        return np.zeros(0, np.int64)
    vectors = [t.vector if t.quality >= least_quality else None for t in tracklets]
    seen = np.array([vector is not None for vector in vectors])
    apart = _apart(tracklets)
    if travel_times is not None:
        starts, ends = (np.array(moments) for moments in zip(*((t.start, t.end) for t in tracklets), strict=True))
        apart |= too_soon([t.camera for t in tracklets], starts, ends, travel_times)
    cost = np.full((count, count), 0.0)
    if seen.any():
        rows = np.flatnonzero(seen)
        stacked = np.array([vector for vector in vectors if vector is not None], np.float64)
        cameras = np.array([t.camera for t in tracklets])[rows]
        if statistics is not None:
            stacked = statistics.apply(stacked.astype(np.float32), cameras.tolist()).astype(np.float64)
        ratios = log_ratios(calibration, 1 - stacked @ stacked.T, cameras[:, None] == cameras[None])
        cost[np.ix_(rows, rows)] = -ratios
    groups = _continue_tracks(tracklets, cost, seen, apart)
    crops = np.where(seen, [len(t.vectors) for t in tracklets], 0)
    table, weights = _costs_of_groups(groups, cost, crops, apart)
    merged = _average_linkage(table, weights, limit=float(np.log(prior / (1 - prior))))
    return _in_order(merged[groups], tracklets)


def _apart(tracklets: Sequence[Tracklet]) -> Bool:
    """Pairs that cannot be one person: of one camera and film, in sight at the same time."""
    place = np.array([f"{t.camera}\0{t.source}" for t in tracklets])
    first = np.array([t.frames[0] for t in tracklets])
    last = np.array([t.frames[-1] for t in tracklets])
    shared = np.minimum(last[:, None], last[None]) - np.maximum(first[:, None], first[None]) + 1
    apart: Bool = (place[:, None] == place[None]) & (shared > _TOLERANCE)
    np.fill_diagonal(apart, False)
    return apart


def _continue_tracks(tracklets: Sequence[Tracklet], cost: Float64, seen: Bool, apart: Bool) -> Int64:
    """Groups of pieces that their tracker joined and their vectors do not part."""
    group = np.arange(len(tracklets))
    tracks: dict[tuple[str, str, int], list[int]] = {}
    for i in sorted(range(len(tracklets)), key=lambda i: int(tracklets[i].frames[0])):
        t = tracklets[i]
        if t.track >= 0:
            tracks.setdefault((t.camera, t.source, t.track), []).append(i)
    for pieces in tracks.values():
        last = None
        for piece in (p for p in pieces if seen[p]):
            if last is not None and cost[last, piece] <= 0 and not apart[last, piece]:
                group[piece] = group[last]
            last = piece
        known = [p for p in pieces if seen[p]]
        for piece in (p for p in pieces if not seen[p]):
            nearest = min(known or pieces[:1], key=lambda p: _gap(tracklets[p], tracklets[piece]))
            group[piece] = group[nearest]
    _, numbers = np.unique(group, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64)


def _gap(first: Tracklet, second: Tracklet) -> float:
    """Seconds between two tracklets."""
    return max(first.start, second.start) - min(first.end, second.end)


def _costs_of_groups(groups: Int64, cost: Float64, crops: Int64, apart: Bool) -> tuple[Float64, Float64]:
    """Mean cost of each two groups' pairs of pieces, weighted by their crops, [g, g], and the crops of each group [g].

    Infinite for groups that cannot be one person, for those without a vector, and on the diagonal.
    """
    order = np.argsort(groups, kind="stable")
    begins = np.flatnonzero(np.diff(groups[order], prepend=-1))

    def summed(pairs: Float64) -> Float64:
        rows: Float64 = np.add.reduceat(pairs[np.ix_(order, order)], begins, axis=0)
        both: Float64 = np.add.reduceat(rows, begins, axis=1)
        return both

    weights = np.add.reduceat(crops[order].astype(np.float64), begins)
    pairs = np.outer(weights, weights)
    table = summed(cost * np.outer(crops, crops)) / np.maximum(pairs, 1)
    table[(pairs == 0) | (summed(apart.astype(np.float64)) > 0)] = np.inf
    np.fill_diagonal(table, np.inf)
    return table, weights


def _average_linkage(table: Float64, weights: Float64, *, limit: float) -> Int64:
    """Cluster of each group [g]: the average is over all pairs of crops, however many groups a cluster was made of.

    By chains of nearest neighbours (Murtagh, The Computer Journal 26, 1983): two clusters that are each other's nearest
    are joined at once, since nothing that is joined later comes nearer to them; the same holds for a cluster whose
    nearest is beyond the limit, which is finished.
    """
    table, weights = table.copy(), weights.copy()
    label = np.arange(len(table))
    waiting, chain = set(range(len(table))), [0]
    while waiting:
        last = chain[-1] if chain else min(waiting)
        chain = chain or [last]
        nearest = int(table[last].argmin())
        if len(chain) > 1 and table[last, chain[-2]] <= table[last, nearest]:
            nearest = chain[-2]  # of equally near ones, so that the chain ends
        if table[last, nearest] > limit:
            chain.pop()
            waiting.remove(last)
        elif len(chain) > 1 and nearest == chain[-2]:
            chain = chain[:-2]
            waiting.remove(last)
            label[label == last] = nearest
            _merge(table, weights, last, nearest)
        else:
            chain.append(nearest)
    return label


def _merge(table: Float64, weights: Float64, gone: int, kept: int) -> None:
    """Make one cluster of two; the infinite cost of what cannot be joined stays infinite."""
    total = weights[gone] + weights[kept]
    both = (weights[gone] * table[gone] + weights[kept] * table[kept]) / total
    both[[gone, kept]] = np.inf
    table[kept], table[:, kept] = both, both
    table[gone], table[:, gone] = np.inf, np.inf
    weights[kept] = total


def _in_order(labels: Int64, tracklets: Sequence[Tracklet]) -> Int64:
    """Labels renumbered from 0 by the first moment of each."""
    first: dict[int, tuple[float, int]] = {}
    for place, (label, own) in enumerate(zip(labels.tolist(), tracklets, strict=True)):
        first[label] = min(first.get(label, (own.start, place)), (own.start, place))
    number = {label: n for n, label in enumerate(sorted(first, key=lambda label: first[label]))}
    return np.array([number[label] for label in labels.tolist()], np.int64)
