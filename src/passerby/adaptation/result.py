"""What an adaptation gave: rounds, and the encoder that was kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby.array_types import Int64
from passerby.embedding.camera_statistics import CameraStatistics
from passerby.models.encoder import Encoder, load_encoder
from passerby.strict_json import json_values


@dataclass(frozen=True)
class Round:
    """What one encoder saw in the place: the one to begin with (number 0), or that of a round.

    Attributes:
        number: of the round.
        fingerprint: of the encoder.
        clusters: people it found.
        outliers: crops in no cluster.
        trained_on: crops that the next round would train on.
        broken: cannot-links that its clusters broke before they were split.
        agreement: see `Criterion`.
        score: the criterion; larger is better.
        error: standard error of the score.
        seconds: embedding, clustering, and the training before.
    """

    number: int
    fingerprint: str
    clusters: int
    outliers: int
    trained_on: int
    broken: int
    agreement: float
    score: float
    error: float
    seconds: float


@dataclass(frozen=True)
class AdaptationResult:
    """What an adaptation gave; printing it shows the rounds.

    Attributes:
        folder: encoder/, camera_statistics.parquet in it, adaptation.json and rounds/.
        rounds: in order, the encoder to begin with first.
        best: number of the round whose encoder was kept; 0: the one to begin with, every round was worse.
        statistics: camera statistics of the place by the kept encoder, None where no camera is known.
        crops: how many.
    """

    folder: Path
    rounds: tuple[Round, ...]
    best: int
    statistics: CameraStatistics | None
    crops: int

    @property
    def encoder(self) -> Encoder:
        """The kept encoder.

        Raises:
            WeightsError: somebody has removed or damaged it.
        """
        return load_encoder(self.folder / "encoder")

    def clusters(self) -> Int64:
        """int64 [crops], the cluster that the kept encoder found for each, -1 for an outlier."""
        return np.asarray(np.load(labels_file(self.folder, self.best)), np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "folder": str(self.folder),
            "crops": self.crops,
            "best": self.best,
            "rounds": [json_values(vars(r)) for r in self.rounds],
            "camera_statistics": None if self.statistics is None else self.statistics.to_dict(),
        }

    def __str__(self) -> str:
        lines = ["round  clusters  outliers  agreement  score          minutes"]
        for r in self.rounds:
            kept = "  kept" if r.number == self.best else ""
            lines.append(
                f"{r.number:5d}  {r.clusters:8,}  {r.outliers / self.crops:8.1%}  {r.agreement:9.3f}  "
                f"{r.score:5.3f} ± {r.error:.3f}  {r.seconds / 60:7.1f}{kept}"
            )
        lines.append(
            str(self.statistics) if self.statistics is not None else "no camera is known: no camera statistics"
        )
        if self.best == 0 and len(self.rounds) > 1:
            lines.append("every round was worse by the criterion: the encoder is the one to begin with")
        return "\n".join([*lines, f"encoder: {self.folder / 'encoder'}"])


def labels_file(folder: Path, number: int) -> Path:
    """Where the clusters that the encoder of a round found lie, int64 [crops] (.npy)."""
    return folder / "clusters" / f"{number:02d}.npy"
