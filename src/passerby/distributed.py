"""One process or many: rank, world size, and a gather that carries gradients."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from passerby.errors import PasserbyError, TrainingError

log = logging.getLogger("passerby")


def is_distributed() -> bool:
    """Whether a process group is running."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """This process's number, 0 when there is only one."""
    return dist.get_rank() if is_distributed() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if is_distributed() else 1


class _Gather(torch.autograd.Function):
    """all_gather forward; backward sums the gradient of every process and keeps this process's rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = x.shape[0]
        parts = [torch.empty_like(x) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)  # others may hold the incoming tensor
        dist.all_reduce(total)
        start = rank() * ctx.rows
        return total[start : start + ctx.rows]


def gather(x: Tensor) -> Tensor:
    """The rows of all processes, [world * B, ...], with gradient; `x` itself where there is one process.

    Every process must bring the same number of rows (the samplers see to it).
    """
    if world_size() == 1:
        return x
    if x.is_floating_point():
        return cast(Tensor, _Gather.apply(x))  # type: ignore[no-untyped-call]
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def local_rank() -> int:
    """This process's number on its machine, as torchrun sets it."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextmanager
def processes(device: torch.device, *, timeout_minutes: float = 10.0) -> Iterator[None]:
    """Join torchrun's processes while the block runs; nothing happens in a process that torchrun did not start.

    Args:
        device: of this process.
        timeout_minutes: how long one waits for the others.

    Raises:
        TrainingError: the others did not come, or one of them was lost.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or is_distributed():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    timeout = timedelta(minutes=timeout_minutes)
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        # at the beginning machines may be minutes apart
        board, number, world = next(rendezvous("env://", timeout=max(timeout, _MEETING)))
        dist.init_process_group(backend, store=board, rank=number, world_size=world, timeout=timeout)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"process {os.environ.get('RANK', '?')} of {os.environ['WORLD_SIZE']} did not meet the others within "
            f"{max(timeout, _MEETING)} (run.timeout_minutes): {_first_line(error)}"
        ) from error
    try:
        with _one_speaks(board, number, world):
            yield
    finally:
        dist.destroy_process_group()


_CAUSE, _SAID = "passerby/cause", "passerby/said"  # what processes write on the board: torchrun's store, or their own
_PATIENCE = timedelta(seconds=3)
_MEETING = timedelta(minutes=5)
# How gloo and NCCL say that another process is gone; not in every version of torch by a class of its own.
_LOST = (
    "gloo",
    "NCCL",
    "onnection closed by peer",
    "onnection reset by peer",
    "Timed out waiting",
    "caused pair closure",
    "Socket closed",
    "roken pipe",
)


@contextmanager
def _one_speaks(board: Any, number: int, world: int) -> Iterator[None]:
    """An error ends every process, soon; what all of them found is said once, and who lost another one says why.

    A process that dies closes its connections, so that whoever waits for it fails at once; one that hangs is waited for
    until the timeout.
    """
    try:
        yield
    except PasserbyError as error:
        _write(board, f"{_CAUSE}/{number}", str(error))
        _say(board, number, error)
        raise
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or any(words in str(error) for words in _LOST)):
            _write(board, f"{_CAUSE}/{number}", f"{type(error).__name__}: {_first_line(error)}")
            raise
        others = (_read(board, f"{_CAUSE}/{other}") for other in range(world) if other != number)
        why = next((f"it failed: {cause}" for cause in others if cause), "it was killed, or gave no sign of life")
        lost = TrainingError(
            f"another process was lost: {why}. The last checkpoint is kept, and the same command goes on "
            f"({_first_line(error)})"
        )
        _say(board, number, lost)
        raise lost from error


def _say(board: Any, number: int, error: PasserbyError) -> None:
    """Log an error, unless the first process says the same."""
    error.reported = True
    kind = str(error).partition(":")[0]
    if number == 0:
        log.error("error: %s", error)
        _write(board, _SAID, kind)
    elif _read(board, _SAID, patience=_PATIENCE) != kind:
        log.error("error in process %d: %s", number, error)


def _write(board: Any, key: str, text: str) -> None:
    with suppress(RuntimeError):  # the process that keeps the board is gone
        board.set(key, text)


def _read(board: Any, key: str, patience: timedelta | None = None) -> str:
    """What is written there, "" if nothing."""
    try:
        if patience is not None:
            board.wait([key], patience)
        return board.get(key).decode("utf-8", "replace") if board.check([key]) else ""
    except RuntimeError:  # nothing in time, or the process that keeps the board is gone
        return ""


def _first_line(error: Exception) -> str:
    """What a library says, without the place in its source and without its advice."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"^\[[^\]]*\.cc:\d+\] ", "", line).partition(". This is")[0]


def replicate(model: nn.Module, device: torch.device) -> nn.Module:
    """The model whose gradients are averaged over all processes; the model itself where there is one process."""
    if world_size() == 1:
        return model
    return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their means over all processes, in one exchange for each dtype."""
    if world_size() == 1:
        return
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            kinds.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in kinds.values():
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= world_size()
        parts = torch.split(flat, [g.numel() for g in gradients])
        torch._foreach_copy_(gradients, [part.view(g.shape) for part, g in zip(parts, gradients, strict=True)])


def wait() -> None:
    """Let every process arrive here before any goes on."""
    if is_distributed():
        dist.barrier()


class _SumGradient(torch.autograd.Function):
    """Identity forward; backward sums the gradient over processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def sum_gradient(x: Tensor) -> Tensor:
    """`x`, the same in all processes, to be used by each for its share of a sum: its gradient is that of the whole."""
    return x if world_size() == 1 else cast(Tensor, _SumGradient.apply(x))  # type: ignore[no-untyped-call]


def reduce_sum(x: Tensor) -> Tensor:
    """Sum of `x` over all processes, in place, without gradient."""
    if world_size() > 1:
        dist.all_reduce(x)
    return x


def reduce_max(x: Tensor) -> Tensor:
    """Largest `x` of all processes, element by element, in place, without gradient."""
    if world_size() > 1:
        dist.all_reduce(x, op=dist.ReduceOp.MAX)
    return x


def any_process(flag: bool) -> bool:
    """Whether any process says so; all of them must ask."""
    if world_size() == 1:
        return flag
    said = torch.tensor(float(flag), device=_device())
    dist.all_reduce(said, dist.ReduceOp.MAX)
    return bool(said.item())


def alike(*numbers: int) -> bool:
    """Whether every process says the same; all of them must ask."""
    if world_size() == 1:
        return True
    own = torch.tensor([*numbers, *(-n for n in numbers)], device=_device())
    top = own.clone()
    dist.all_reduce(top, dist.ReduceOp.MAX)
    return bool((top[: len(numbers)] == -top[len(numbers) :]).all().item())


def broadcast(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of the first process."""
    if world_size() > 1:
        for tensor in tensors:
            plain = tensor.detach().contiguous()  # whatever the memory format
            dist.broadcast(plain, src=0)
            tensor.detach().copy_(plain)


def of_first(value: Any) -> Any:
    """What the first process has (plain values and arrays), in all processes; all of them must ask."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=_device())
    return box[0]


def gather_rows(x: Tensor) -> list[Tensor]:
    """The [n, D] of each process, n different in each, without gradient, on the CPU."""
    if world_size() == 1:
        return [x]
    counts = [torch.zeros(1, dtype=torch.int64, device=_device()) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([len(x)], device=_device()))
    rows = [int(count.item()) for count in counts]
    padded = torch.zeros((max(rows), *x.shape[1:]), dtype=x.dtype, device=_device())
    padded[: len(x)] = x
    parts = [torch.empty_like(padded) for _ in rows]
    dist.all_gather(parts, padded)
    return [part[:n].cpu() for part, n in zip(parts, rows, strict=True)]


def _device() -> torch.device:
    """Where the process group's messages must be."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
