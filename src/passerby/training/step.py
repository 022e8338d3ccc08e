"""From a batch of images to gradients: in one pass, or image by image group where a batch does not fit in memory.

A metric loss needs every vector of the batch, so summing the losses of small batches is not the loss of the large
one. Gao, Zhang, Han, Callan 2021, arXiv:2101.06983 (GradCache) showed the way out: the loss needs all vectors, but the
network needs only the loss's gradient with respect to them, one micro-batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from passerby import distributed
from passerby.config import RunConfig
from passerby.models.model import Output, ReIDModel
from passerby.training.collapse import spread
from passerby.training.compiling import compile_backbone
from passerby.training.cuda_graphs import GraphedBackbone, record_backbone
from passerby.training.objective import Objective


class Step:
    """Leaves a batch's gradients on the parameters: scaled by `scaler`, averaged over processes.

    With `micro_batch`, the backbone and its pooling see so many images at a time, twice:

    1. Every micro-batch goes through without gradient (the last one with); what remains of an image is its pooled
       vector. The head, its neck and the losses run once, on all of them, and give the gradient of each vector.
    2. Every micro-batch but the last goes through again, with gradient, and takes its vectors' gradient back.

    The gradient is that of one pass, but for batch norm in the backbone, which sees one micro-batch at a time (as it
    sees one process's images at a time). Both passes draw the same dropout; running statistics move in the first.

    Args:
        model: the network.
        objective: the losses.
        scaler: float16's loss scaling; a disabled one otherwise.
        run: whether in groups (`micro_batch`), with kept or recomputed activations (`recompute`), compiled (`compile`),
            on a GPU recorded (`cuda_graphs`).
        device: where all of them are.
        precision: arithmetic of the backbone.

    Raises:
        ConfigError: a timm backbone that cannot recompute.
    """

    def __init__(
        self,
        model: ReIDModel,
        objective: Objective,
        scaler: torch.amp.GradScaler,
        run: RunConfig,
        *,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.model = model
        self.objective = objective
        self.scaler = scaler
        self.device = device
        self.precision = precision
        self.micro_batch = run.micro_batch
        self.recompute = run.recompute
        self._to_compile = run.compile
        # a recording has no hooks, in which replicas exchange gradients and activations are computed again
        plain = not (run.compile or run.recompute or run.micro_batch) and distributed.world_size() == 1
        self._records = run.cuda_graphs and device.type == "cuda" and plain
        self._graphs: dict[tuple[int, ...], GraphedBackbone | None] = {}
        if run.recompute:
            model.recompute_activations()
        self._parallel: nn.Module = model

    def replicate(self) -> None:
        """Join the processes' networks; again whenever other parameters learn."""
        if not self.micro_batch:
            self._parallel = distributed.replicate(self.model, self.device)

    def __call__(
        self, images: Tensor, labels: Tensor, teacher: Tensor | None = None, *, seed: tuple[int, ...]
    ) -> dict[str, Tensor]:
        """Forward and backward.

        Args:
            images: this process's images [B, 3, H, W], ready for the network.
            labels: their identities [B].
            teacher: a stronger encoder's vectors of them [B, D'], for distillation.
            seed: of dropout; another one at every step and in every process.

        Returns:
            The objective's terms; and "spread", of this process's vectors before the neck (see `collapse`).
        """
        if self._to_compile:
            self._to_compile = False
            group = image_groups(images, self.micro_batch)[-1]
            compile_backbone(self.model, group, precision=self.precision, recompute=self.recompute)
        if self.micro_batch and len(images) > self.micro_batch:
            terms = self._two_passes(images, labels, teacher, seed)
        else:
            graphs = self._recorded(images) if self._records else None
            _seed(*seed)
            with self._autocast():
                output = self._parallel(images) if graphs is None else self.model.vectors(graphs(images))
            terms = self._losses(output, labels, teacher)
        if self.micro_batch:
            distributed.average_gradients(self.model.parameters())
        return terms

    def _recorded(self, images: Tensor) -> GraphedBackbone | None:
        if not self.model.backbone.training:  # frozen: it has no backward pass
            return None
        size = tuple(images.shape)
        if size not in self._graphs:
            self._graphs.clear()  # batches of the size before do not come again, and their memory is needed
            self._graphs[size] = record_backbone(self.model, images, precision=self.precision)
        return self._graphs[size]

    def _two_passes(
        self, images: Tensor, labels: Tensor, teacher: Tensor | None, seed: tuple[int, ...]
    ) -> dict[str, Tensor]:
        *parts, last = image_groups(images, self.micro_batch)
        with torch.no_grad():
            vectors = [self._pooled(part, seed, i) for i, part in enumerate(parts)]
        final = self._pooled(last, seed, len(parts))
        for leaf in vectors:
            leaf.requires_grad_(final.requires_grad)  # a frozen backbone has no second pass
        _seed(*seed)
        terms = self._losses(self.model.vectors(torch.cat([*vectors, final])), labels, teacher)
        if final.requires_grad:
            with statistics_kept(self.model):
                for i, (part, leaf) in enumerate(zip(parts, vectors, strict=True)):
                    self._pooled(part, seed, i).backward(leaf.grad)  # type: ignore[no-untyped-call]
        return terms

    def _losses(self, output: Output, labels: Tensor, teacher: Tensor | None) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = self.objective(output, labels, teacher)
        # what is computed again in the backward pass was counted by batch norm in the forward pass
        with statistics_kept(self.model) if self.recompute else nullcontext():
            self.scaler.scale(terms["total"]).backward()  # type: ignore[no-untyped-call]
        return {**terms, "spread": spread(output.feature)}

    def _pooled(self, part: Tensor, seed: tuple[int, ...], number: int) -> Tensor:
        _seed(*seed, number)
        # A context of its own: autocast keeps the weights it has cast, and those cast without gradient have none
        with self._autocast():
            return self.model.pooled(part)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)


def image_groups(images: Tensor, micro_batch: int) -> tuple[Tensor, ...]:
    """The groups in which a batch passes through the backbone: of nearly the same size, as few as can be.

    Batch norm would make little of one last image.

    Args:
        images: of one process's batch [B, ...].
        micro_batch: most images of a group; 0: the batch is one group.
    """
    return tuple(images.tensor_split(-(-len(images) // micro_batch) if micro_batch else 1))


@contextmanager
def statistics_kept(model: nn.Module) -> Iterator[None]:
    """While it lasts, images that pass through `model` again do not move its running statistics again.

    Batch norm in training mode normalises by the images themselves, so nothing else changes. With a momentum of 0 the
    same tensors take part in the same arithmetic, as recomputed activations must.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def _seed(*numbers: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1))
