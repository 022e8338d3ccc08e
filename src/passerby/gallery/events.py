"""Entries of a gallery's log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """One entry of the audit log. Names are not in the log: they are looked up, as long as there is the identity."""

    id: int
    at: float
    action: str
    actor: str
    identity: int | None = None
    other: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    private: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What names people (for example the name before a renaming); erased with the identity."""
    undone: bool = False
    name: str | None = None
    """Current name of `identity`; None where it was forgotten (or there is none)."""


@dataclass(frozen=True)
class Note:
    """An entry that a program adds to the log itself. No names in `detail`."""

    action: str
    identity: str | None = None
    actor: str = ""
    detail: Mapping[str, float | str] = field(default_factory=dict)
