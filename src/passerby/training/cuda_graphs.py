"""The backbone's kernels as CUDA graphs: recorded once, then started by one call a pass instead of one a kernel.

A small network's kernels end sooner than Python can start the next one, so that the GPU waits for the CPU. A graph
(Nvidia's CUDA graphs, https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs) repeats exactly the same kernels
on the same memory, hence one graph for each size of a batch.
"""

from __future__ import annotations

import logging
import textwrap
import time
from typing import Any

import torch
from torch import Tensor

from passerby.models.model import ReIDModel

log = logging.getLogger("passerby")

_WARM_UP = 3  # passes in which cuDNN chooses its algorithms and the allocator finds its blocks; as torch's own capture


class GraphedBackbone:
    """`model.pooled` for batches of one size, with gradients, as two recorded graphs.

    Args:
        model: in training mode, on a GPU; its gradients are cleared and its running statistics stay as they are.
        images: a batch of the size to record [B, 3, H, W].
        precision: arithmetic of the backbone.

    Raises:
        RuntimeError: the network does something that cannot be recorded, such as waiting for the GPU.
    """

    def __init__(self, model: ReIDModel, images: Tensor, *, precision: torch.dtype) -> None:
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._images = images.clone()
        self._precision = precision
        before = [buffer.clone() for buffer in model.buffers()]
        try:
            self._warm_up(model)
            self._record(model)
        finally:
            with torch.no_grad():
                for buffer, value in zip(model.buffers(), before, strict=True):
                    buffer.copy_(value)

    def __call__(self, images: Tensor) -> Tensor:
        """Pooled vectors float32 [B, C] of images of the recorded size; may be called again after its backward pass."""
        pooled: Tensor = _Replay.apply(self, images, *self._parameters)  # type: ignore[no-untyped-call]
        return pooled

    def _pass(self, model: ReIDModel) -> Tensor:
        # autocast would keep weights that it has cast, and a graph must cast them each time anew
        enabled = self._precision != torch.float32
        with torch.autocast("cuda", self._precision, enabled=enabled, cache_enabled=False):
            return model.pooled(self._images)

    def _gradients(self, pooled: Tensor, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return torch.autograd.grad(pooled, self._parameters, gradient, allow_unused=True)

    def _warm_up(self, model: ReIDModel) -> None:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                pooled = self._pass(model)
                self._gradients(pooled, torch.zeros_like(pooled))
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()

    def _record(self, model: ReIDModel) -> None:
        # "thread_local": the loader's thread may ask for pinned memory meanwhile
        self._forward, self._backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._forward, capture_error_mode="thread_local"):
            pooled = self._pass(model)
        self._gradient = torch.zeros_like(pooled)
        with torch.cuda.graph(self._backward, pool=self._forward.pool(), capture_error_mode="thread_local"):
            self._results = self._gradients(pooled, self._gradient)
        # Without its autograd graph, whose nodes belong to the recording's stream: kept, they would make every later
        # backward pass wait for that stream. The memory stays the recording's own.
        self._pooled = pooled.detach()

    def replay_forward(self, images: Tensor) -> Tensor:
        """The pooled vectors, in memory that the next pass overwrites."""
        self._images.copy_(images)
        self._forward.replay()
        return self._pooled.detach()  # another tensor each time: autograd marks what it returns

    def replay_backward(self, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Each parameter's gradient, in memory that the next pass overwrites."""
        self._gradient.copy_(gradient)
        self._backward.replay()
        return tuple(None if g is None else g.detach() for g in self._results)


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graphs: GraphedBackbone, images: Tensor, *parameters: Tensor) -> Tensor:
        ctx.graphs = graphs
        return graphs.replay_forward(images)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *ctx.graphs.replay_backward(gradient))


def record_backbone(model: ReIDModel, images: Tensor, *, precision: torch.dtype) -> GraphedBackbone | None:
    """The graphs, or None where the network cannot be recorded; the log says which.

    Args:
        model: in training mode, on a GPU.
        images: a batch of the size that training will see.
        precision: arithmetic of the backbone.
    """
    started = time.monotonic()
    try:
        graphs = GraphedBackbone(model, images, precision=precision)
    except RuntimeError as error:
        log.warning(
            "run.cuda_graphs: goes on without, because the network cannot be recorded: %s",
            textwrap.shorten(f"{type(error).__name__}: {error}", 200),
        )
        return None
    height, width = images.shape[2:]
    log.info("backbone recorded for %dx%d in %.1f s", height, width, time.monotonic() - started)
    return graphs
