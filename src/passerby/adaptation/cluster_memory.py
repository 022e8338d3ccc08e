"""A loss with a memory of clusters (Cluster-Contrast): one vector a cluster, moved by the images that are seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from passerby.errors import EmbeddingError
from passerby.losses.inputs import check_at_least, check_ids, guarded


class ClusterMemoryLoss(nn.Module):
    """Contrast of each image with the memory of all clusters.

    Mean over images of -log softmax_y(z), z_c = cos(x, m_c) / temperature, over the clusters c seen so far. After that,
    in training mode, the memory of each cluster y in the batch moves towards its hardest image there, the one with
    the smallest cosine: m_y <- momentum m_y + (1 - momentum) x, scaled to length 1. A cluster that was never seen
    starts with the mean of its images in the batch.

    Shape: x [B, D] float, labels [B] in 0..num_ids-1 -> scalar. `.memory` [num_ids, dim] and `.seen` [num_ids] are
        buffers.
    Source: Dai, Wang, Yuan, Zhu, Tan 2022 (ACCV), Cluster Contrast for Unsupervised Person Re-Identification,
        arXiv:2103.11568.
    Defaults: temperature 0.05 and momentum 0.1, the authors'.
    Differs: without `start`, the first batch that shows a cluster starts it, and learns nothing from its own cluster.
    Degenerate: none, a single image is fine.

    Args:
        num_ids: clusters.
        dim: D.
        temperature: of the softmax, above 0.
        momentum: share of the old memory that stays, in [0, 1).
    """

    reads = "embedding"
    memory: Tensor
    seen: Tensor

    def __init__(self, num_ids: int, dim: int, temperature: float = 0.05, momentum: float = 0.1) -> None:
        super().__init__()
        check_at_least("temperature", temperature, 0.0, exclusive=True)
        check_at_least("momentum", momentum, 0.0)
        check_at_least("1 - momentum", 1 - momentum, 0.0, exclusive=True)
        self.temperature = temperature
        self.momentum = momentum
        self.register_buffer("memory", torch.zeros(num_ids, dim))
        self.register_buffer("seen", torch.zeros(num_ids, dtype=torch.bool))

    @torch.no_grad()
    def start(self, centroids: Tensor) -> None:
        """Begin with known means of all clusters, [num_ids, dim], as the authors do.

        Raises:
            EmbeddingError: another shape.
        """
        if centroids.shape != self.memory.shape:
            raise EmbeddingError(
                f"memory of clusters: expected means {list(self.memory.shape)}, found {list(centroids.shape)}"
            )
        self.memory.copy_(functional.normalize(centroids))
        self.seen.fill_(True)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch with the memory as it was; in training mode the memory moves afterwards."""
        check_ids(labels, self.memory.shape[0])
        unit = functional.normalize(x)
        memory, seen = self._with_new(unit.detach(), labels)
        cosines = functional.linear(unit, memory)
        logits = (cosines / self.temperature).masked_fill(~seen, float("-inf"))
        if self.training:
            self._move(unit.detach(), labels, cosines.detach(), memory, seen)
        return functional.cross_entropy(logits, labels)

    def _with_new(self, unit: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Memory and `seen` as if the clusters of the batch had all been seen, copies."""
        memory, seen = self.memory.to(unit.dtype).clone(), self.seen.clone()
        new = labels[~seen[labels]]
        sums = torch.zeros_like(memory).index_add_(0, new, unit[~seen[labels]])
        started = torch.unique(new)
        memory[started] = functional.normalize(sums[started])
        seen[started] = True
        return memory, seen

    @torch.no_grad()
    def _move(self, unit: Tensor, labels: Tensor, cosines: Tensor, memory: Tensor, seen: Tensor) -> None:
        own = cosines.gather(1, labels[:, None]).squeeze(1)
        order = torch.argsort(own, descending=True, stable=True)  # the hardest of a cluster is written last
        hardest = torch.full_like(labels.new_empty(len(memory)), -1)
        for row in order.tolist():
            hardest[labels[row]] = row
        present = torch.unique(labels)
        moved = self.momentum * memory[present] + (1 - self.momentum) * unit[hardest[present]]
        self.memory.copy_(memory)
        self.memory[present] = functional.normalize(moved).to(self.memory.dtype)
        self.seen.copy_(seen)
