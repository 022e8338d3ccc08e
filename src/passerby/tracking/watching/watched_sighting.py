"""Somebody whom a camera saw, and what the gallery says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from passerby.embedding.tracklet import Tracklet
from passerby.gallery.result_types import Sighting


@dataclass(frozen=True)
class WatchedSighting:
    """Somebody was seen by a camera; printing it says who, when and where.

    Attributes:
        tracklet: where the person was in which frames, and the vectors that were compared.
        decided: moment of the verdict, on the clock of the frames, seconds.
        sighting: what the gallery says; None: not good enough to say.
    """

    tracklet: Tracklet
    decided: float
    sighting: Sighting | None

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self.tracklet.camera

    @property
    def start(self) -> float:
        """First moment, seconds."""
        return self.tracklet.start

    @property
    def end(self) -> float:
        """Last moment, seconds."""
        return self.tracklet.end

    @property
    def boxes(self) -> int:
        """Frames with a box."""
        return len(self.tracklet)

    @property
    def crops(self) -> int:
        """Of them, the ones that were compared."""
        return len(self.tracklet.vectors)

    def to_dict(self, *, boxes: bool = False) -> dict[str, Any]:
        """As plain values.

        Args:
            boxes: also the frames and boxes (left, top, right, bottom), from which `evaluate_tracks` measures.
        """
        said = self.sighting
        answer = None if said is None else said.identification
        values: dict[str, Any] = {
            "event": "sighting",
            "camera": self.camera,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "decided": round(self.decided, 3),
            "track": self.tracklet.track,
            "boxes": self.boxes,
            "crops": self.crops,
            "quality": round(self.tracklet.quality, 4),
            "identity": None if said is None else said.identity,
            "new": None if said is None else said.new,
            "distance": None if said is None or said.distance is None else round(said.distance, 6),
            "threshold": None if answer is None else answer.threshold,
            "p_value": None if said is None else said.p_value,
            "id": None if said is None else said.id,
        }
        if boxes:
            values["frames"] = self.tracklet.frames.tolist()
            values["xyxy"] = [[round(side, 1) for side in box] for box in self.tracklet.boxes.astype(float).tolist()]
        return values

    def __str__(self) -> str:
        who = "somebody, not good enough to say who" if self.sighting is None else str(self.sighting)
        return f"{self.camera} {self.start:.1f} to {self.end:.1f} s: {who}"
