"""One process or many: rank, world size, and a gather that carries gradients."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


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
def processes(device: torch.device) -> Iterator[None]:
    """Join torchrun's processes while the block runs; nothing happens in a process that torchrun did not start."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or is_distributed():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


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
    said = torch.tensor(float(flag), device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(said, dist.ReduceOp.MAX)
    return bool(said.item())
