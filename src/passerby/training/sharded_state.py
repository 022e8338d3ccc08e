"""Class weights that are spread over processes: each saves its own rows, and any number of processes goes on.

`shares/EPOCH-STEP-RANK-of-WORLD.pt` holds the objective's and the optimiser's state of one process; the first one's
are in the checkpoint itself. As many processes as before read their own file; others cut their rows, and the moments
of the optimiser that belong to them, out of the files of those who held them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from passerby import distributed
from passerby.errors import ConfigError
from passerby.training.checkpoint import save_state
from passerby.training.objective import Objective

SHARES = "shares"
State = dict[str, Any]


def save_share(folder: Path, epoch: int, step: int, state: State) -> None:
    """Write what only this process has at a position of the training.

    Args:
        folder: the run's folder.
        epoch: of the position.
        step: of the position.
        state: "objective" and "optimizer", their state dicts.

    Raises:
        StorageError: it could not be written.
    """
    position = {"epoch": epoch, "step": step, "world_size": distributed.world_size()}
    save_state(_path(folder, position, distributed.rank()), state)


def load_share(folder: Path, saved: State, objective: Objective, optimizer: torch.optim.Optimizer) -> State:
    """This process's "objective" and "optimizer" state at the position of a checkpoint.

    Args:
        folder: the run's folder.
        saved: the checkpoint.
        objective: as it was built; says which rows this process holds.
        optimizer: as it was built; says where the moments of those rows are.

    Raises:
        ConfigError: a file of the other processes is missing.
    """
    rank, before = distributed.rank(), int(saved["world_size"])
    if before == distributed.world_size():
        return saved if rank == 0 else _read(folder, saved, rank)
    # mapped, so that a process reads no more than its rows of the others' files
    shares = [saved, *(_read(folder, saved, other, mapped=True) for other in range(1, before))]
    mine: State = {"objective": dict(saved["objective"]), "optimizer": _copied(saved["optimizer"])}
    index_of = {id(p): i for i, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    for name, rows in objective.rows_here().items():
        held = [_rows_of(share, rows.loss, name) for share in shares]
        mine["objective"][f"{rows.loss}._extra_state"] = {"first_row": rows.first, "num_ids": rows.of}
        mine["objective"][name] = _cut([s["objective"][name] for s in shares], held, rows.first, rows.last)
        index = index_of[id(rows.parameter)]
        own = mine["optimizer"]["state"].get(index, {})
        for key, value in own.items():
            if isinstance(value, Tensor) and value.shape == saved["objective"][name].shape:
                parts = [s["optimizer"]["state"].get(index, {}).get(key, value[:0]) for s in shares]
                own[key] = _cut(parts, held, rows.first, rows.last)
    return mine


def drop_shares(folder: Path, *, but: tuple[int, int]) -> None:
    """Remove shares that the checkpoint of position (epoch, step) and of this number of processes does not need."""
    kept = f"{but[0]}-{but[1]}-*-of-{distributed.world_size()}.pt"
    for path in (folder / SHARES).glob("*.pt"):
        if not path.match(kept):
            path.unlink(missing_ok=True)


def _path(folder: Path, position: State, rank: int) -> Path:
    return folder / SHARES / f"{position['epoch']}-{position['step']}-{rank}-of-{position['world_size']}.pt"


def _read(folder: Path, saved: State, rank: int, *, mapped: bool = False) -> State:
    path = _path(folder, saved, rank)
    if not path.exists():
        raise ConfigError(
            f"{path}: the class weights that process {rank} held are not there; the run's folder must be one that all "
            f"processes share, with the files of all {saved['world_size']} that saved it"
        )
    state: State = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    return state


def _rows_of(share: State, loss: str, name: str) -> range:
    first = int(share["objective"][f"{loss}._extra_state"]["first_row"])
    return range(first, first + len(share["objective"][name]))


def _cut(parts: list[Tensor], held: list[range], first: int, last: int) -> Tensor:
    """Rows first..last of a matrix whose rows `held[i]` are `parts[i]`."""
    cut = [part[max(first - h.start, 0) : max(last - h.start, 0)] for part, h in zip(parts, held, strict=True)]
    return torch.cat(cut)


def _copied(optimizer: State) -> State:
    """A state dict whose entries can be replaced without touching the checkpoint's."""
    return {**optimizer, "state": {index: dict(entries) for index, entries in optimizer["state"].items()}}
