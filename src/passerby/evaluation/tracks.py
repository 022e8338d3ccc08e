"""How good tracks are: IDF1, MOTA and HOTA, over one film or several with common identities.

The figures are those of the package `trackeval` (Luiten et al.), the reference code of the MOT challenge and of HOTA.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from passerby.array_types import Float64, Int64
from passerby.errors import EmbeddingError, MissingExtraError
from passerby.strict_json import json_values

OVERLAP = 0.5
"""IoU from which a box and a true box are the same."""


@dataclass(frozen=True, eq=False)
class TrackRows:
    """Boxes of one film with identities, row by row.

    Attributes:
        frames: int64 [n], from 1.
        identities: int64 [n], the same number for the same person (in all films that are evaluated together).
        boxes: float64 [n, 4], left, top, width, height in pixels.
    """

    frames: Int64
    identities: Int64
    boxes: Float64

    def __post_init__(self) -> None:
        n = len(self.frames)
        if np.shape(self.identities) != (n,) or np.shape(self.boxes) != (n, 4):
            raise EmbeddingError(
                f"tracks: {n} frames, identities {np.shape(self.identities)}, boxes {np.shape(self.boxes)}; expected "
                "one identity and one box [left, top, width, height] for each frame number"
            )


@dataclass(frozen=True)
class OnlineFigures:
    """How soon and how often a watch said who somebody is.

    Attributes:
        sightings: pieces of tracks that ended.
        undecided: share of them that were not good enough to say.
        undecided_boxes: share of the boxes that lie in these.
        median_seconds: from the first moment of a piece to the verdict on it, median.
        slowest_seconds: the same, 90th percentile.
    """

    sightings: int
    undecided: float
    undecided_boxes: float
    median_seconds: float
    slowest_seconds: float

    def __str__(self) -> str:
        return (
            f"{self.sightings:,} sightings, {100 * self.undecided:.1f}% of them undecided, with "
            f"{100 * self.undecided_boxes:.1f}% of the boxes; time to a verdict {self.median_seconds:.1f} s (median), "
            f"{self.slowest_seconds:.1f} s (90%)"
        )


@dataclass(frozen=True)
class TrackReport:
    """What `passerby.evaluate_tracks` found; fractions, not percents; printing it shows a table.

    Attributes:
        idf1: identity F1 (Ristani et al. 2016, arXiv:1609.01775), over all films with common identities.
        idp: identity precision.
        idr: identity recall.
        mota: multi-object tracking accuracy (Bernardin, Stiefelhagen 2008), errors summed over films.
        switches: identity switches, summed over films.
        hota: higher-order tracking accuracy (Luiten et al. 2021, arXiv:2009.07736), films in a row with common
            identities, mean over IoU 0.05 to 0.95.
        identities: identities in the result.
        true_identities: in the truth.
        boxes: boxes in the result.
        true_boxes: in the truth.
        films: IDF1, MOTA, HOTA and switches of each film on its own, by name.
        online: where verdicts came one after the other: how soon and how many.
        notes: what else should be known.
    """

    idf1: float
    idp: float
    idr: float
    mota: float
    switches: int
    hota: float
    identities: int
    true_identities: int
    boxes: int
    true_boxes: int
    films: Mapping[str, Mapping[str, float]]
    online: OnlineFigures | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return dict(json_values(asdict(self)))

    def __str__(self) -> str:
        head = (
            f"IDF1 {100 * self.idf1:.1f}  IDP {100 * self.idp:.1f}  IDR {100 * self.idr:.1f}  MOTA "
            f"{100 * self.mota:.1f}  HOTA {100 * self.hota:.1f}  switches {self.switches}"
        )
        counts = (
            f"{self.boxes:,} boxes of {self.identities} identities against {self.true_boxes:,} of "
            f"{self.true_identities} people, IoU >= {OVERLAP:g}"
        )
        if len(self.films) > 1:
            counts += f", over {len(self.films)} films with common identities (MTMC)"
        films = [
            f"  {name}: IDF1 {100 * one['idf1']:.1f}  MOTA {100 * one['mota']:.1f}  HOTA {100 * one['hota']:.1f}  "
            f"switches {one['switches']:g}"
            for name, one in self.films.items()
        ]
        more = [*(films if len(films) > 1 else []), *([str(self.online)] if self.online else []), *self.notes]
        return "\n".join([head, counts, *more])


def compare_tracks(result: Mapping[str, TrackRows], truth: Mapping[str, TrackRows]) -> TrackReport:
    """Compare tracks with the truth.

    Args:
        result: what was found, by film.
        truth: what is true, by film; the same names.

    Returns:
        The figures; identities count over all films, so that one person must have one identity everywhere.

    Raises:
        EmbeddingError: no film, other names, a film without true boxes, or two boxes of an identity in one frame.
        MissingExtraError: the package `trackeval` is not installed.
    """
    if not truth or result.keys() != truth.keys():
        raise EmbeddingError(
            f"tracks: a result for {', '.join(sorted(result)) or 'no film'} and the truth for "
            f"{', '.join(sorted(truth)) or 'no film'}; expected the same films"
        )
    metrics = _trackeval()
    for what, given in (("result", result), ("truth", truth)):
        for name, rows in given.items():
            _check(f"{what} of {name}", rows, empty=what == "result")
    names = sorted(truth)
    numbers = [_numbering([given[name] for name in names]) for given in (result, truth)]
    pairs = {name: _film_data(result[name], truth[name], *numbers) for name in names}
    # HOTA divides by how often each identity was seen, and so knows only those of the film
    own = {
        name: _film_data(result[name], truth[name], *(_numbering([g[name]]) for g in (result, truth))) for name in names
    }
    quiet = {"PRINT_CONFIG": False, "THRESHOLD": OVERLAP}
    clear, identity, hota = metrics.CLEAR(quiet), metrics.Identity(quiet), metrics.HOTA()
    joined = _in_a_row(list(pairs.values()))
    ids = identity.eval_sequence(joined)
    single = {name: clear.eval_sequence(data) for name, data in pairs.items()}
    total = {field: sum(one[field] for one in single.values()) for field in ("CLR_TP", "CLR_FN", "CLR_FP", "IDSW")}
    films: dict[str, dict[str, float]] = {
        name: {
            "idf1": float(identity.eval_sequence(pairs[name])["IDF1"]),
            "mota": float(single[name]["MOTA"]),
            "hota": float(np.mean(hota.eval_sequence(own[name])["HOTA"])),
            "switches": int(single[name]["IDSW"]),
        }
        for name in names
    }
    true_boxes = joined["num_gt_dets"]
    return TrackReport(
        idf1=float(ids["IDF1"]),
        idp=float(ids["IDP"]),
        idr=float(ids["IDR"]),
        mota=float((total["CLR_TP"] - total["CLR_FP"] - total["IDSW"]) / true_boxes),
        switches=int(total["IDSW"]),
        hota=float(np.mean(hota.eval_sequence(joined)["HOTA"])),
        identities=joined["num_tracker_ids"],
        true_identities=joined["num_gt_ids"],
        boxes=joined["num_tracker_dets"],
        true_boxes=true_boxes,
        films=films,
    )


def _check(what: str, rows: TrackRows, *, empty: bool) -> None:
    if not len(rows.frames) and not empty:
        raise EmbeddingError(f"{what}: expected boxes, found none")
    keys = np.stack([rows.frames, rows.identities], axis=1)
    unique, counts = np.unique(keys, axis=0, return_counts=True)
    if (counts > 1).any():
        frame, identity = unique[np.argmax(counts > 1)]
        raise EmbeddingError(f"{what}: identity {identity} has two boxes in frame {frame}; expected one")


def _numbering(films: Sequence[TrackRows]) -> Int64:
    """All identities, sorted: an identity's number is its place."""
    return np.unique(np.concatenate([rows.identities for rows in films]))


def _film_data(result: TrackRows, truth: TrackRows, identities: Int64, people: Int64) -> dict[str, Any]:
    """One film in the form that trackeval's metrics read."""
    found, true, similarity = [], [], []
    for frame in np.unique(np.concatenate([result.frames, truth.frames])):
        mine, theirs = result.frames == frame, truth.frames == frame
        found.append(np.searchsorted(identities, result.identities[mine]))
        true.append(np.searchsorted(people, truth.identities[theirs]))
        similarity.append(_overlap(truth.boxes[theirs], result.boxes[mine]))
    return {
        "num_timesteps": len(found),
        "gt_ids": true,
        "tracker_ids": found,
        "similarity_scores": similarity,
        "num_gt_ids": len(people),
        "num_tracker_ids": len(identities),
        "num_gt_dets": len(truth.frames),
        "num_tracker_dets": len(result.frames),
    }


def _in_a_row(films: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several films as if one came after the other."""
    joined = dict(films[0])
    for name in ("gt_ids", "tracker_ids", "similarity_scores"):
        joined[name] = [item for film in films for item in film[name]]
    for name in ("num_timesteps", "num_gt_dets", "num_tracker_dets"):
        joined[name] = sum(film[name] for film in films)
    return joined


def _overlap(first: Float64, second: Float64) -> Float64:
    """IoU of boxes (left, top, width, height) [n, 4] and [m, 4]: [n, m]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, :2] + first[:, None, 2:], second[None, :, :2] + second[None, :, 2:])
    inner = np.prod(np.clip(high - low, 0, None), axis=2)
    union = np.prod(first[:, 2:], axis=1)[:, None] + np.prod(second[:, 2:], axis=1)[None, :] - inner
    return np.asarray(inner / np.maximum(union, np.finfo(np.float64).tiny), np.float64)


def _trackeval() -> Any:
    try:
        return importlib.import_module("trackeval.metrics")
    except ImportError:
        raise MissingExtraError("trackeval", "track", "evaluating tracks") from None
