"""Numbers that JSON has no word for become null."""

from __future__ import annotations

import json
import math

from passerby.strict_json import json_values


def test_numbers_that_are_not_finite_become_null_wherever_they_stand() -> None:
    content = {"a": math.nan, "b": [1.5, -math.inf, {"c": (math.inf, "text", None, True, 3)}], "d": 1.0}
    assert json_values(content) == {"a": None, "b": [1.5, None, {"c": [None, "text", None, True, 3]}], "d": 1.0}
    json.dumps(json_values(content), allow_nan=False)
