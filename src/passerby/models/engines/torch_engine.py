"""The network itself, run by torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from passerby.models.engines.batch_norm_fusion import fused
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.model import ReIDModel


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """While it lasts, torch uses so many threads on the CPU; 0 leaves torch's choice."""
    if count == 0:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class TorchEngine:
    """The model itself, wherever its weights lie, in evaluation mode for the time of a call.

    Args:
        model: the network.
        preprocessing: its input.
        fuse: run a copy with folded batch norms, remade when the weights change. Not for a model in training, whose
            weights somebody may change behind the back of torch's version counters (`parameter.data`).
        threads: on a CPU; 0: torch's own number.
        dtype: arithmetic of the network: torch.bfloat16 runs it under autocast, vectors stay float32.
    """

    name = "torch"

    def __init__(
        self,
        model: ReIDModel,
        preprocessing: Preprocessing,
        *,
        fuse: bool = False,
        threads: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self.dim = model.dim
        self.fuse = fuse
        self.threads = threads
        self.dtype = dtype
        self._copy: tuple[list[tuple[int, int]], ReIDModel] | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.model.parameters()).device

    def weights_version(self) -> list[tuple[int, int]]:
        """Another value once weights or statistics have changed (but for changes through `parameter.data`)."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return [(tensor.data_ptr(), tensor._version) for tensor in tensors]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """See `Engine`."""
        pixels = self.preprocessing(images.to(self.device, non_blocking=True))
        exact = self.dtype == torch.float32
        with cpu_threads(self.threads), nullcontext() if exact else torch.autocast(self.device.type, self.dtype):
            if self.fuse:
                return F.normalize(self._fused()(pixels).embedding.float())
            was_training = self.model.training
            self.model.eval()
            try:
                return F.normalize(self.model(pixels).embedding.float())
            finally:
                self.model.train(was_training)

    def _fused(self) -> ReIDModel:
        state = self.weights_version()
        if self._copy is None or self._copy[0] != state:
            self._copy = (state, fused(self.model).to(memory_format=torch.channels_last))  # type: ignore[call-overload]
        return self._copy[1]
