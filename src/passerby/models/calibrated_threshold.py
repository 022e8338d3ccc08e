"""The threshold in an encoder's threshold.json."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from passerby.errors import WeightsError
from passerby.models.description import DESCRIPTION_FILE, FOREIGN_FILE, read_json

log = logging.getLogger("passerby")

THRESHOLD_FILE = "threshold.json"


def check_threshold(calibration: Mapping[str, Any], where: object) -> None:
    """A calibration's "value" is a distance; with NaN nobody would be known, with infinity everybody.

    Args:
        calibration: content of the file; {} where there is none.
        where: the file, for the message.

    Raises:
        WeightsError: the value is no finite number of 0 or more.
    """
    value = calibration.get("value")
    if value is None:
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        raise WeightsError(
            f"{where}: 'value' is the distance below which two pictures show one person: expected a number of 0 or "
            f"more, found {value!r}; calibrate again (`passerby calibrate`) or delete the file"
        )


def threshold_path(description: Path) -> Path:
    """threshold.json; beside a foreign model's own description file, or a bare model, NAME.threshold.json."""
    if description.name in (DESCRIPTION_FILE, FOREIGN_FILE):
        return description.parent / THRESHOLD_FILE
    return description.with_name(f"{description.stem}.{THRESHOLD_FILE}")


def read_calibration(description: Path, fingerprint: str | None = None) -> dict[str, Any]:
    """The calibration beside an encoder; of a bare file, only one of the same preprocessing (`fingerprint`)."""
    path = threshold_path(description)
    found = read_json(path) if path.is_file() else {}
    check_threshold(found, path)
    if fingerprint is not None and found.get("encoder", fingerprint) != fingerprint:
        log.warning("%s: of the encoder %s, and not used: this one is %s", path, found["encoder"], fingerprint)
        return {}
    return found
