"""Joining tracklets of one person, over time and over cameras."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from passerby.array_types import Bool, Float64, Int64
from passerby.embedding.camera_statistics import CameraStatistics
from passerby.embedding.tracklet import Tracklet
from passerby.errors import MissingExtraError
from passerby.tracking.tracklet_calibration import TrackletCalibration, log_ratios
from passerby.tracking.travel_times import TravelTimes, too_soon

_FORBIDDEN = 1e9  # large and finite: in average linkage it outweighs everything and still adds up
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
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    crops = np.where(seen, [len(t.vectors) for t in tracklets], 0)
    merged = _average_linkage(members, cost, crops, apart, limit=float(np.log(prior / (1 - prior))))
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


def _average_linkage(members: Sequence[Int64], cost: Float64, crops: Int64, apart: Bool, *, limit: float) -> Int64:
    """Cluster of each group. Groups none of whose pieces has a vector stay alone."""
    count = len(members)
    table = np.zeros((count, count))
    for a in range(count):
        for b in range(a + 1, count):
            table[a, b] = table[b, a] = _cost_of(members[a], members[b], cost, crops, apart)
    if count == 1:
        return np.zeros(1, np.int64)
    hierarchy, spatial = _scipy()
    shift = float(table.min())  # scipy wants distances; average linkage does not mind a constant
    table -= shift
    np.fill_diagonal(table, 0)
    tree = hierarchy.linkage(spatial.squareform(table, checks=False), "average")
    return np.asarray(hierarchy.fcluster(tree, limit - shift, "distance"), np.int64) - 1


def _cost_of(first: Int64, second: Int64, cost: Float64, crops: Int64, apart: Bool) -> float:
    """Mean cost of two groups' pairs of pieces, weighted by their crops; pieces without a vector have none."""
    if apart[np.ix_(first, second)].any():
        return _FORBIDDEN
    weight = np.outer(crops[first], crops[second])
    total = int(weight.sum())
    return float((cost[np.ix_(first, second)] * weight).sum()) / total if total else _FORBIDDEN


def _in_order(labels: Int64, tracklets: Sequence[Tracklet]) -> Int64:
    """Labels renumbered from 0 by the first moment of each."""
    first: dict[int, tuple[float, int]] = {}
    for place, (label, own) in enumerate(zip(labels.tolist(), tracklets, strict=True)):
        first[label] = min(first.get(label, (own.start, place)), (own.start, place))
    number = {label: n for n, label in enumerate(sorted(first, key=lambda label: first[label]))}
    return np.array([number[label] for label in labels.tolist()], np.int64)


def _scipy() -> tuple[Any, Any]:
    try:
        return importlib.import_module("scipy.cluster.hierarchy"), importlib.import_module("scipy.spatial.distance")
    except ImportError:
        raise MissingExtraError("scipy", "track", "joining tracklets") from None
