"""From a mapping to a `Config`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passerby.config.group_validation import parse_settings
from passerby.config.recipe import Config


def parse_config(content: Mapping[str, Any], *, where: str) -> Config:
    """Check a mapping against the settings; `where` is what error messages call it.

    Raises:
        ConfigError: an unknown key (with the nearest known one) or a value that does not fit.
    """
    return parse_settings(Config, content, where=where)
