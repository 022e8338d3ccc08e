"""One reader a benchmark: `read(root, split=...) -> ReIDDataset`, `scan(root) -> every image on the disk`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerby.data.readers import market
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import DataError, unknown_name


@dataclass(frozen=True)
class Reader:
    """How one benchmark is read.

    Attributes:
        read: `read(root, split=0, ...) -> ReIDDataset`.
        scan: `scan(root) -> {folder or part: samples}`, everything on the disk, whatever the split.
    """

    read: Callable[..., ReIDDataset]
    scan: Callable[[Path], Mapping[str, tuple[Sample, ...]]]

    def options(self) -> dict[str, Any]:
        """The reader's own arguments and their defaults."""
        parameters = inspect.signature(self.read).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "split"}

    def complete(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The given arguments with the defaults of the others.

        Raises:
            DataError: an argument that the reader does not have (with the nearest known one).
        """
        options = self.options()
        for key in arguments:
            if key not in options:
                known = unknown_name("argument", key, options) if options else f"unknown argument {key!r}: it has none"
                raise DataError(f"{name}: {known}")
        return {**options, **arguments}


READERS: dict[str, Reader] = {
    "market1501": Reader(market.read_market1501, market.scan_market1501),
    "dukemtmc_reid": Reader(market.read_dukemtmc, market.scan_dukemtmc),
}
