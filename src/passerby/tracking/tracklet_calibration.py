"""What a distance of two tracklets says: how much likelier it is if they show one person than if they show two."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from passerby.array_types import Bool, Float32, Float64, Int64
from passerby.embedding.embed import Embeddings
from passerby.errors import EmbeddingError
from passerby.files import replace_file
from passerby.models.encoder import Encoder, description_path

CALIBRATION_FILE = "tracklets.json"
"""Beside an encoder's weights; beside the description NAME.toml of a foreign model it is NAME.tracklets.json."""
_MOST_PAIRS = 200_000
_RIDGE = 1e-4  # keeps the slope finite where a line separates all pairs


@dataclass(frozen=True)
class DistanceLaw:
    """Log-likelihood ratio of a cosine distance d of tracklets of m and n crops: a + b d + c (1 / m + 1 / n).

    One person's distances are larger where few crops are averaged, which c makes up for; m and n stop at the largest
    number of crops that the law was fitted to.

    Attributes:
        intercept: a.
        slope: b, negative.
        few: c.
        most_crops: largest number of crops of a tracklet that it was fitted to.
        same: pairs of one person that it was fitted to.
        different: pairs of two people.
    """

    intercept: float
    slope: float
    few: float
    most_crops: int
    same: int
    different: int

    def even(self, crops: int) -> float:
        """Distance at which one person is as likely as two, for tracklets of so many crops."""
        return -(self.intercept + self.few * 2 / min(crops, self.most_crops)) / self.slope


@dataclass(frozen=True)
class TrackletCalibration:
    """How to read distances of tracklets of one encoder.

    Attributes:
        same_camera: for two tracklets of one camera.
        other_camera: for tracklets of two cameras.
        fingerprint: of the encoder.
        people: that it was fitted to.
        source: where the law comes from, in words.
    """

    same_camera: DistanceLaw
    other_camera: DistanceLaw
    fingerprint: str
    people: int
    source: str

    def __str__(self) -> str:
        own, other = (
            f"{law.even(1):.3f} (1 crop) to {law.even(law.most_crops):.3f} ({law.most_crops})"
            if law.few
            else f"{law.even(1):.3f}"
            for law in (self.same_camera, self.other_camera)
        )
        return (
            f"tracklets of one camera: one person below cosine distance {own}; of two cameras: below {other} "
            f"({self.source})"
        )

    @classmethod
    def of_threshold(cls, threshold: float, *, fingerprint: str = "", source: str = "given") -> TrackletCalibration:
        """One cosine distance for all pairs, with the slope that is usual for unit vectors (25 a unit).

        Raises:
            EmbeddingError: a threshold that is no distance between 0 and 2.
        """
        if not 0 < threshold < 2:
            raise EmbeddingError(f"threshold: expected a cosine distance between 0 and 2, found {threshold!r}")
        law = DistanceLaw(25.0 * threshold, -25.0, 0.0, 1, 0, 0)
        return cls(law, law, fingerprint, 0, f"threshold {threshold:g}, {source}")

    def save(self, encoder: str | os.PathLike[str]) -> Path:
        """Write it beside an encoder.

        Args:
            encoder: the encoder's folder or description file.

        Raises:
            WeightsError: no encoder there.
            StorageError: writing failed.
        """
        path = calibration_path(encoder)
        with replace_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrackletCalibration:
        """Read what `save` wrote.

        Raises:
            EmbeddingError: not such a file.
        """
        try:
            content = json.loads(Path(path).read_text("utf-8"))
            own, other = (DistanceLaw(**content.pop(name)) for name in ("same_camera", "other_camera"))
            return cls(own, other, **content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EmbeddingError(f"{path}: not a calibration of tracklets ({error})") from None


def calibration_path(encoder: str | os.PathLike[str]) -> Path:
    """Where an encoder's calibration of tracklets lies.

    Raises:
        WeightsError: no encoder there.
    """
    description = description_path(encoder)
    if description.name in ("encoder.json", "encoder.toml"):
        return description.parent / CALIBRATION_FILE
    return description.with_name(f"{description.stem}.{CALIBRATION_FILE}")


def find_calibration(encoder: Encoder, location: str | os.PathLike[str] | None) -> TrackletCalibration:
    """The calibration beside an encoder, else one made of the encoder's threshold (`passerby calibrate`).

    Args:
        encoder: the loaded encoder.
        location: its folder or description file, where known.

    Raises:
        EmbeddingError: neither is there, or it belongs to another encoder.
    """
    if location is not None and calibration_path(location).is_file():
        found = TrackletCalibration.load(calibration_path(location))
        if found.fingerprint != encoder.fingerprint:
            raise EmbeddingError(
                f"{calibration_path(location)}: fitted to the encoder {found.fingerprint}, this one is "
                f"{encoder.fingerprint}; calibrate again with calibrate_tracklets"
            )
        return found
    if encoder.threshold is not None:
        # the threshold is a Euclidean distance of unit vectors: |a - b|^2 = 2 (1 - cos)
        return TrackletCalibration.of_threshold(
            encoder.threshold**2 / 2, fingerprint=encoder.fingerprint, source="the encoder's, of single images"
        )
    raise EmbeddingError(
        "joining tracklets needs to know how near two of one person are: calibrate the encoder on people it was not "
        "trained on (calibrate_tracklets, or `passerby calibrate`), or give a threshold (a cosine distance)"
    )


def read_calibration(path: str | os.PathLike[str]) -> TrackletCalibration:
    """A calibration from a .json that `TrackletCalibration.save` wrote, or fitted to a .parquet of embeddings.

    Raises:
        EmbeddingError: another kind of file, or one that cannot be read.
    """
    if Path(path).suffix == ".parquet":
        return calibrate_tracklets(Embeddings.from_parquet(path))
    return TrackletCalibration.load(path)


def calibrate_tracklets(
    embeddings: Embeddings, *, crops: Sequence[int] = (1, 2, 4), seed: int = 0
) -> TrackletCalibration:
    """Fit the law of distances to labelled images of people whom the encoder was not trained on.

    A person's images under one camera, in the order of their times, are cut into two pieces; images of a piece, evenly
    spread, are averaged into the vector of a pseudo-tracklet, for each of the numbers `crops`. The log-likelihood ratio
    of distances of one person's pieces against two people's is fitted by logistic regression in which both kinds weigh
    the same (Brümmer, du Preez, Computer Speech & Language 20, 2006), for pieces of one camera and of two cameras
    apart.

    Args:
        embeddings: vectors with persons, cameras and, if known, times.
        crops: images of a piece (or fewer, where it has no more).
        seed: chooses pairs where there are very many.

    Raises:
        EmbeddingError: no person with pieces in one camera, or in two cameras.
    """
    found: dict[bool, list[_Pairs]] = {True: [], False: []}
    people: set[int] = set()
    for count in crops:
        pieces = _pieces(embeddings, count)
        people |= set(pieces.people.tolist())
        for same_camera, pairs in found.items():
            pairs.append(_pairs(pieces, same_camera=same_camera, seed=seed))
    laws = {}
    for same_camera, pairs in found.items():
        joined = _Pairs(*(np.concatenate(column) for column in zip(*pairs, strict=True)))
        if not joined.same.any() or joined.same.all():
            one, two = int(joined.same.sum()), int((~joined.same).sum())
            raise EmbeddingError(
                f"calibrating tracklets: {one} pairs of one person and {two} of two people under "
                f"{'one camera' if same_camera else 'two cameras'}; expected some of both (people with at least two "
                "images a camera, in at least two cameras)"
            )
        laws[same_camera] = _fit(joined)
    source = f"fitted to {len(people):,} people"
    return TrackletCalibration(laws[True], laws[False], embeddings.fingerprint, len(people), source)


class _Pieces(NamedTuple):
    """Pseudo-tracklets."""

    vectors: Float32
    people: Int64
    cameras: Int64
    counts: Int64


class _Pairs(NamedTuple):
    """Pairs of pseudo-tracklets; `inverse` is 1 / m + 1 / n."""

    distances: Float64
    inverse: Float64
    same: Bool


def _pieces(embeddings: Embeddings, crops: int) -> _Pieces:
    vectors, people, cameras, counts = [], [], [], []
    times = np.arange(len(embeddings)) if embeddings.times is None else np.nan_to_num(embeddings.times)
    for person, camera, rows in _by_person_and_camera(embeddings):
        ordered = rows[np.argsort(times[rows], kind="stable")]
        for half in np.array_split(ordered, 2):
            if not len(half):
                continue
            chosen = half[np.linspace(0, len(half) - 1, min(crops, len(half))).round().astype(int)]
            mean = embeddings.vectors[chosen].mean(axis=0)
            vectors.append(mean / np.linalg.norm(mean))
            people.append(person)
            cameras.append(camera)
            counts.append(len(chosen))
    stacked = np.array(vectors, np.float32).reshape(-1, embeddings.vectors.shape[1])
    return _Pieces(stacked, np.array(people, np.int64), np.array(cameras, np.int64), np.array(counts, np.int64))


def _by_person_and_camera(embeddings: Embeddings) -> Iterator[tuple[int, int, Int64]]:
    known = np.flatnonzero(embeddings.pids > 0)
    keys = np.stack([embeddings.pids[known], embeddings.camids[known]], axis=1)
    unique, member = np.unique(keys, axis=0, return_inverse=True)
    for number, (person, camera) in enumerate(unique.tolist()):
        yield person, camera, known[member.reshape(-1) == number]


def _pairs(pieces: _Pieces, *, same_camera: bool, seed: int) -> _Pairs:
    """Pairs under one camera or two; of very many some."""
    upper = np.triu(np.ones((len(pieces.people),) * 2, bool), 1)
    chosen = upper & ((pieces.cameras[:, None] == pieces.cameras[None]) == same_camera)
    one_person = pieces.people[:, None] == pieces.people[None]
    rng = np.random.default_rng(seed)
    rows = [_some(np.flatnonzero(chosen & kind), rng) for kind in (one_person, ~one_person)]
    first, second = np.unravel_index(np.concatenate(rows), upper.shape)
    distances = 1 - np.einsum("ij,ij->i", pieces.vectors[first], pieces.vectors[second]).astype(np.float64)
    inverse = 1 / pieces.counts[first] + 1 / pieces.counts[second]
    return _Pairs(distances, inverse, np.repeat([True, False], [len(part) for part in rows]))


def _some(rows: Int64, rng: np.random.Generator) -> Int64:
    return rows if len(rows) <= _MOST_PAIRS else np.sort(rng.choice(rows, _MOST_PAIRS, replace=False))


def _fit(pairs: _Pairs) -> DistanceLaw:
    """Logistic regression by Newton's method; both kinds of pairs have the same total weight."""
    target = pairs.same.astype(np.float64)
    same, different = int(pairs.same.sum()), int((~pairs.same).sum())
    weight = np.where(pairs.same, 0.5 / same, 0.5 / different)
    varied = float(np.ptp(pairs.inverse)) > 0  # else the number of crops says nothing
    inputs = np.stack([np.ones_like(target), pairs.distances, pairs.inverse * varied], axis=1)
    theta = np.zeros(3)
    for _ in range(100):
        share: Float64 = 1 / (1 + np.exp(-inputs @ theta))
        gradient = inputs.T @ (weight * (target - share)) - _RIDGE * theta
        curvature = (inputs * (weight * share * (1 - share))[:, None]).T @ inputs + _RIDGE * np.eye(3)
        step = np.linalg.solve(curvature, gradient)
        theta = theta + step
        if float(np.abs(step).max()) < 1e-9:
            break
    if not theta[1] < 0:
        raise EmbeddingError("calibrating tracklets: distances do not tell people apart (they do not grow)")
    most = round(2 / float(pairs.inverse.min()))
    return DistanceLaw(float(theta[0]), float(theta[1]), float(theta[2]), most, same, different)


def log_ratios(calibration: TrackletCalibration, distances: Float64, counts: Int64, same_camera: Bool) -> Float64:
    """Log-likelihood ratio of "one person" against "two people" for every pair of tracklets, [n, n].

    Args:
        calibration: the laws.
        distances: cosine distances [n, n].
        counts: numbers of crops [n].
        same_camera: [n, n].
    """
    own, other = (
        law.intercept + law.slope * distances + law.few * _inverse(np.minimum(counts, law.most_crops))
        for law in (calibration.same_camera, calibration.other_camera)
    )
    return np.where(same_camera, own, other)


def _inverse(counts: Int64) -> Float64:
    """1 / m + 1 / n of every pair."""
    inverse = 1 / counts
    return np.asarray(inverse[:, None] + inverse[None])
