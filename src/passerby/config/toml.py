"""Settings as TOML text, and TOML files as plain values."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from passerby.config.settings_group import NONE
from passerby.errors import ConfigError


def to_toml(content: Mapping[str, Any]) -> str:
    """Plain values as TOML; None becomes "none", and empty tables are left out."""
    return tomli_w.dumps(_writable(content))


def _writable(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value(value) for key, value in table.items() if value != {}}


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _writable(value)
    if isinstance(value, (list, tuple)):
        return [_value(item) for item in value]
    return NONE if value is None else value


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A TOML file as a dict.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{os.fspath(path)}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # tomllib's, and bytes that are no UTF-8
        raise ConfigError(f"{os.fspath(path)}: not TOML ({error})") from None


def read_value(text: str) -> Any:
    """A value as it stands behind a flag: read as TOML where it can be (0.3, true, [1, 2]), else as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
