"""What a run writes down as it goes: metrics.jsonl, and TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from passerby.files import replace_file


class Journal:
    """Appends one row an epoch and one an evaluation.

    Args:
        folder: the run's folder.
        first_epoch: rows of this 0-based epoch and later ones are dropped: the run is about to repeat them.
    """

    def __init__(self, folder: Path, first_epoch: int) -> None:
        self._path = folder / "metrics.jsonl"
        kept = self._rows_before(first_epoch)
        with replace_file(self._path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")
        self._board = _tensorboard(folder / "tensorboard", first_epoch)

    def epoch(self, epoch: int, losses: dict[str, float], **numbers: float) -> None:
        """Write a 0-based epoch's mean losses, spread of the vectors, rate, speed and share of time spent waiting."""
        self._append({"kind": "epoch", "epoch": epoch + 1, "losses": losses, **numbers})
        self._show({f"loss/{name}": value for name, value in losses.items()} | numbers, epoch)

    def evaluation(self, epoch: int, *, engine: str, **numbers: float) -> None:
        """Write what the held-out identities say after a 0-based epoch, and which engine ran the encoder."""
        self._append({"kind": "evaluation", "epoch": epoch + 1, "engine": engine, **numbers})
        self._show({f"held-out/{name}": value for name, value in numbers.items()}, epoch)

    def close(self) -> None:
        """Flush what is still on its way."""
        if self._board is not None:
            self._board.close()

    def _rows_before(self, first_epoch: int) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        rows = [json.loads(line) for line in self._path.read_text("utf-8").splitlines() if line.endswith("}")]
        return [row for row in rows if row["epoch"] <= first_epoch]

    def _append(self, row: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _show(self, numbers: dict[str, float], epoch: int) -> None:
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, epoch + 1)


def _tensorboard(folder: Path, first_epoch: int) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_epoch + 1)
