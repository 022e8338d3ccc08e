"""What stands in a trained encoder's folder, read without torch: enough to run its graph."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from passerby.models.calibrated_threshold import check_threshold
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.sources import EncoderSource

_FORMAT = 1


@dataclass(frozen=True)
class DescribedEncoder:
    """An encoder's folder.

    Attributes:
        folder: where encoder.json stands.
        fingerprint: of its weights and preprocessing.
        preprocessing: its input.
        model_config: how the network is built.
        provenance: where it comes from.
        calibration: what `passerby calibrate` found, {} before.
    """

    folder: Path
    fingerprint: str
    preprocessing: Preprocessing
    model_config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    calibration: Mapping[str, Any]


def described_encoder(place: str | os.PathLike[str]) -> DescribedEncoder | None:
    """Read an encoder's folder, or that of its run; None for every other kind of encoder and for damaged ones.

    Whoever gets None loads the encoder with `load_encoder`, which reads all kinds and names what is wrong.

    Raises:
        WeightsError: its threshold is no distance.
    """
    if isinstance(place, EncoderSource) and place.settings.given():
        return None
    given = Path(place)
    for folder in (given, given / "encoder"):
        content = _read(folder / "encoder.json")
        if content is None:
            continue
        try:
            if content["format"] != _FORMAT:
                return None
            return DescribedEncoder(
                folder=folder,
                fingerprint=str(content["fingerprint"]),
                preprocessing=Preprocessing.model_validate(content["input"]),
                model_config=content["model"],
                provenance=content.get("provenance", {}),
                calibration=_calibration(folder / "threshold.json"),
            )
        except (KeyError, ValidationError):
            return None
    return None


def _calibration(file: Path) -> dict[str, Any]:
    found = _read(file) or {}
    check_threshold(found, file)
    return found


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
