"""The threshold in an encoder's threshold.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from passerby.errors import WeightsError


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
