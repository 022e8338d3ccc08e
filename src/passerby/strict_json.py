"""JSON as its standard has it: no NaN and no infinity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def json_values(content: Any) -> Any:
    """Plain values (mappings, lists, numbers, texts) in which every number that is not finite is None, JSON's null."""
    if isinstance(content, Mapping):
        return {name: json_values(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [json_values(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
