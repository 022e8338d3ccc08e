"""What a distance of two tracklets says: how much likelier it is if they show one person than if they show two."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from passerby.array_types import Bool, Float32, Float64, Int64
from passerby.embedding.camera_statistics import measure_camera_statistics
from passerby.embedding.embeddings import Embeddings
from passerby.errors import EmbeddingError
from passerby.files import replace_file
from passerby.models.description import description_path
from passerby.models.encoder import Encoder

CALIBRATION_FILE = "tracklets.json"
"""Beside an encoder's weights; beside the description NAME.toml of a foreign model it is NAME.tracklets.json."""
_MOST_PAIRS = 200_000
_RIDGE = 1e-4  # keeps the slope finite where a line separates all pairs


@dataclass(frozen=True)
class DistanceLaw:
    """Log-likelihood ratio of a cosine distance d: intercept + slope * d; the slope is negative.

    Attributes:
        intercept: at distance 0.
        slope: for each unit of distance.
        same: pairs of one person that it was fitted to.
        different: pairs of two people.
    """

    intercept: float
    slope: float
    same: int
    different: int

    @property
    def even(self) -> float:
        """Distance at which one person is as likely as two."""
        return -self.intercept / self.slope


@dataclass(frozen=True)
class TrackletCalibration:
    """How to read distances of tracklets of one encoder.

    Attributes:
        same_camera: for two tracklets of one camera.
        other_camera: for tracklets of two cameras.
        fingerprint: of the encoder.
        people: that it was fitted to.
        source: where the law comes from, in words.
        centered_same_camera: for two tracklets of one camera, from whose vectors their cameras' means are subtracted;
            None: too few people to say.
        centered_other_camera: the same, for tracklets of two cameras.
    """

    same_camera: DistanceLaw
    other_camera: DistanceLaw
    fingerprint: str
    people: int
    source: str
    centered_same_camera: DistanceLaw | None = None
    centered_other_camera: DistanceLaw | None = None

    def of_centered_vectors(self) -> TrackletCalibration:
        """The calibration of vectors from which each camera's mean is subtracted.

        Raises:
            EmbeddingError: there is none.
        """
        own, other = self.centered_same_camera, self.centered_other_camera
        if own is None or other is None:
            raise EmbeddingError(
                f"camera statistics change what a distance means, and this calibration ({self.source}) has no law for "
                "them; calibrate_tracklets fits one where two cameras saw at least 50 labelled people each"
            )
        return replace(self, same_camera=own, other_camera=other)

    def __str__(self) -> str:
        return (
            f"tracklets of one camera: one person below cosine distance {self.same_camera.even:.3f}; of two cameras: "
            f"below {self.other_camera.even:.3f} ({self.source})"
        )

    @classmethod
    def of_threshold(cls, threshold: float, *, fingerprint: str = "", source: str = "given") -> TrackletCalibration:
        """One cosine distance for all pairs, with the slope that is usual for unit vectors (25 a unit).

        Raises:
            EmbeddingError: a threshold that is no distance between 0 and 2.
        """
        if not 0 < threshold < 2:
            raise EmbeddingError(f"threshold: expected a cosine distance between 0 and 2, found {threshold!r}")
        law = DistanceLaw(25.0 * threshold, -25.0, 0, 0)
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
            centered = [
                None if (law := content.pop(name, None)) is None else DistanceLaw(**law)
                for name in ("centered_same_camera", "centered_other_camera")
            ]
            return cls(own, other, **content, centered_same_camera=centered[0], centered_other_camera=centered[1])
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
    """The calibration beside an encoder, else a known public encoder's own, else the threshold of `passerby calibrate`.

    Args:
        encoder: the loaded encoder.
        location: its folder or description file, where known.

    Raises:
        EmbeddingError: there is none, or it belongs to another encoder.
    """
    if location is not None and calibration_path(location).is_file():
        found = TrackletCalibration.load(calibration_path(location))
        if found.fingerprint != encoder.fingerprint:
            raise EmbeddingError(
                f"{calibration_path(location)}: fitted to the encoder {found.fingerprint}, this one is "
                f"{encoder.fingerprint}; calibrate again with calibrate_tracklets"
            )
        return found
    if "tracklets" in encoder.calibration:
        known = encoder.calibration["tracklets"]
        own, other = (DistanceLaw(**known[name]) for name in ("same_camera", "other_camera"))
        people = int(known["people"])
        return TrackletCalibration(
            own, other, encoder.fingerprint, people, f"fitted to {people:,} people of {known['source']}"
        )
    if encoder.threshold is not None:
        # the threshold is a Euclidean distance of unit vectors: |a - b|^2 = 2 (1 - cos)
        return TrackletCalibration.of_threshold(
            encoder.threshold**2 / 2, fingerprint=encoder.fingerprint, source="the encoder's, of single images"
        )
    raise EmbeddingError(
        "joining tracklets needs to know how near two of one person are: give vectors of labelled people whom the "
        "encoder was not trained on (--calibration FILE.parquet, as `passerby embed` writes them; in Python "
        "calibration, of calibrate_tracklets), or a cosine distance (--threshold), or calibrate the encoder "
        "(`passerby calibrate`)"
    )


def read_calibration(path: str | os.PathLike[str]) -> TrackletCalibration:
    """A calibration from a .json that `TrackletCalibration.save` wrote, or fitted to a .parquet of embeddings.

    Raises:
        EmbeddingError: another kind of file, or one that cannot be read.
    """
    if Path(path).suffix == ".parquet":
        return calibrate_tracklets(Embeddings.from_parquet(path))
    return TrackletCalibration.load(path)


def calibrate_tracklets(embeddings: Embeddings, *, crops: int = 4, seed: int = 0) -> TrackletCalibration:
    """Fit the law of distances to labelled images of people whom the encoder was not trained on.

    A person's images under one camera, in the order of their times, are cut into two pieces; up to `crops` images of a
    piece, evenly spread, are averaged into the vector of a pseudo-tracklet. The log-likelihood ratio of distances of
    one person's pieces against two people's is fitted by logistic regression in which both kinds weigh the same
    (Brümmer, du Preez, Computer Speech & Language 20, 2006), for pieces of one camera and of two cameras apart. Where
    enough people were seen by each camera, the same is done with their cameras' means subtracted
    (`measure_camera_statistics`).

    Args:
        embeddings: vectors with persons, cameras and, if known, times.
        crops: images of a piece.
        seed: chooses pairs where there are very many.

    Raises:
        EmbeddingError: no person with pieces in one camera, or in two cameras.
    """
    own, other = _laws(embeddings, crops, seed)
    statistics = measure_camera_statistics(embeddings, groups=np.where(embeddings.pids > 0, embeddings.pids, -1))
    centered = _laws(statistics.map(embeddings), crops, seed) if statistics.active else (None, None)
    people = len(np.unique(embeddings.pids[embeddings.pids > 0]))
    return TrackletCalibration(own, other, embeddings.fingerprint, people, f"fitted to {people:,} people", *centered)


def _laws(embeddings: Embeddings, crops: int, seed: int) -> tuple[DistanceLaw, DistanceLaw]:
    """Of pieces of one camera and of two."""
    vectors, people, cameras = _pieces(embeddings, crops)
    distance = 1 - vectors @ vectors.T
    upper = np.triu(np.ones(distance.shape, bool), 1)
    same_person, same_camera = people[:, None] == people[None], cameras[:, None] == cameras[None]
    laws = []
    for chosen, what in ((same_camera, "one camera"), (~same_camera, "two cameras")):
        same, different = distance[upper & chosen & same_person], distance[upper & chosen & ~same_person]
        if not len(same) or not len(different):
            raise EmbeddingError(
                f"calibrating tracklets: {len(same)} pairs of one person and {len(different)} of two people under "
                f"{what}; expected some of both (people with at least two images a camera, in at least two cameras)"
            )
        laws.append(_fit(_some(same, seed), _some(different, seed)))
    return laws[0], laws[1]


def _pieces(embeddings: Embeddings, crops: int) -> tuple[Float32, Int64, Int64]:
    vectors, people, cameras = [], [], []
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
    dim = embeddings.vectors.shape[1]
    return np.array(vectors, np.float32).reshape(-1, dim), np.array(people, np.int64), np.array(cameras, np.int64)


def _by_person_and_camera(embeddings: Embeddings) -> Iterator[tuple[int, int, Int64]]:
    known = np.flatnonzero(embeddings.pids > 0)
    keys = np.stack([embeddings.pids[known], embeddings.camids[known]], axis=1)
    unique, member = np.unique(keys, axis=0, return_inverse=True)
    for number, (person, camera) in enumerate(unique.tolist()):
        yield person, camera, known[member.reshape(-1) == number]


def _some(distances: Float32, seed: int) -> Float64:
    if len(distances) <= _MOST_PAIRS:
        return distances.astype(np.float64)
    return np.random.default_rng(seed).choice(distances, _MOST_PAIRS, replace=False).astype(np.float64)


def _fit(same: Float64, different: Float64) -> DistanceLaw:
    """Logistic regression by Newton's method; both kinds of pairs have the same total weight."""
    distance = np.concatenate([same, different])
    target = np.concatenate([np.ones(len(same)), np.zeros(len(different))])
    weight = np.concatenate([np.full(len(same), 0.5 / len(same)), np.full(len(different), 0.5 / len(different))])
    inputs = np.stack([np.ones_like(distance), distance], axis=1)
    theta = np.zeros(2)
    for _ in range(100):
        share: Float64 = 1 / (1 + np.exp(-inputs @ theta))
        gradient = inputs.T @ (weight * (target - share)) - _RIDGE * theta
        curvature = (inputs * (weight * share * (1 - share))[:, None]).T @ inputs + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        theta = theta + step
        if math.isclose(float(np.abs(step).max()), 0.0, abs_tol=1e-9):
            break
    if not theta[1] < 0:
        raise EmbeddingError("calibrating tracklets: distances do not tell people apart (they do not grow)")
    return DistanceLaw(float(theta[0]), float(theta[1]), len(same), len(different))


def log_ratios(calibration: TrackletCalibration, distances: Float64, same_camera: Bool) -> Float64:
    """Log-likelihood ratio of "one person" against "two people" for each pair of a matrix of distances."""
    laws = (calibration.same_camera, calibration.other_camera)
    own, other = (law.intercept + law.slope * distances for law in laws)
    return np.where(same_camera, own, other)
