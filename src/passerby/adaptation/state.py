"""What an adaptation's folder says about how far it came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from passerby.adaptation.result import Round, labels_file
from passerby.array_types import Bool
from passerby.errors import DataError

STATE_FILE = "adaptation.json"
HELD_FILE = "held_out.npy"


def read_state(folder: Path) -> tuple[Mapping[str, Any], list[Round]]:
    """What `STATE_FILE` says, and the rounds that are done.

    Raises:
        DataError: it is damaged, or the clusters of a round are missing.
    """
    try:
        found = json.loads((folder / STATE_FILE).read_text("utf-8"))
        rounds = [Round(**row) for row in found["rounds"]]
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(folder / STATE_FILE, f"no state of an adaptation ({error!r})") from None
    for each in rounds:
        if not labels_file(folder, each.number).is_file():
            raise _damaged(labels_file(folder, each.number), f"the clusters of round {each.number} are missing")
    return found, rounds


def read_held_out(folder: Path, crops: int) -> Bool:
    """[crops], those that never train.

    Raises:
        DataError: the file is missing or damaged.
    """
    file = folder / HELD_FILE
    try:
        held = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(file, f"which crops are held out cannot be read ({error})") from None
    if held.shape != (crops,) or held.dtype != np.bool_:
        raise _damaged(file, f"expected {crops:,} truth values, found {held.dtype} {list(held.shape)}")
    return np.asarray(held)


def changed_settings(found: Mapping[str, Any], about: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ between two adaptations."""
    before, now = found.get("settings"), about["settings"]
    known = before if isinstance(before, Mapping) else {}
    return sorted(name for name in {*known, *now} if known.get(name) != now.get(name))


def _damaged(file: Path, words: str) -> DataError:
    return DataError(f"{file}: {words}: remove the adaptation's folder to begin again, or choose another")
