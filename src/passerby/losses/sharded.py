"""Class weights spread over processes and sampled, for more identities than one device holds (Partial FC).

An, Deng, Guo, Feng, Zhu, Yang, Liu 2022, arXiv:2203.15565. Process r of W holds rows r ceil(C / W) and following of the
class weights. All processes see the global batch (the objective gathers it); each multiplies it with its own rows, and
only three numbers an image cross between processes: the largest product, the sum of exponentials and the product with
the image's own row. In training only the identities of the batch and, of the others, as many as bring the share to
`sample_rate` take part.

In a recipe: loss = "passerby.losses.sharded:ShardedSoftmaxLoss". With sample_rate = 1 the value and gradients are those
of `softmax` and `sphere_softmax`. `state_dict` holds this process's rows: every process saves and loads its own.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from passerby.distributed import rank, reduce_max, reduce_sum, sum_gradient, world_size
from passerby.errors import ConfigError, WeightsError
from passerby.losses.inputs import (
    always_normalizes,
    check_at_least,
    check_below,
    check_dim,
    check_ids,
    flag,
    guarded,
    whole_number,
)

_BLOCK = 1024  # rows whose initial values are drawn with one seed


class _ShardedClassWeights(nn.Module):
    """This process's rows of the class weights, and which of them take part in a step.

    Args:
        num_ids: training identities, C.
        dim: D.
        deviation: standard deviation of the initial weights.
        sample_rate: share of the rows that takes part in a step, above 0 and at most 1.
        seed: of the draws.
    """

    sharded = True
    steps: Tensor

    def __init__(self, num_ids: int, dim: int, *, deviation: float, sample_rate: float, seed: int) -> None:
        super().__init__()
        num_ids, dim = whole_number("num_ids", num_ids, 1), whole_number("dim", dim, 1)
        check_at_least("sample_rate", sample_rate, 0.0, exclusive=True)
        if sample_rate > 1:
            raise ConfigError(f"sample_rate must be at most 1, found {sample_rate}")
        self.num_ids = num_ids
        self.sample_rate = sample_rate
        self.seed = whole_number("seed", seed, 0)
        self.first_row, rows = _share(num_ids)
        self.weight = nn.Parameter(_draw(self.first_row, rows, dim) * deviation)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def get_extra_state(self) -> dict[str, int]:
        """Which rows these are."""
        return {"first_row": self.first_row, "num_ids": self.num_ids}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Refuse the rows of another process.

        Raises:
            WeightsError: they are.
        """
        own = self.get_extra_state()
        if state != own:
            raise WeightsError(
                f"these class weights start at row {state['first_row']} of {state['num_ids']}, and this process holds "
                f"those from row {own['first_row']} of {own['num_ids']}: every process saves and loads its own, and "
                "as many processes must go on as there were (the trainer divides them anew)"
            )

    def take_part(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The rows that take part, [n, D], and the column of each image's own row among them, [B], -1 if elsewhere.

        Raises:
            EmbeddingError: labels out of range.
        """
        check_ids(labels, self.num_ids)
        rows = self.weight.shape[0]
        local = labels - self.first_row
        mine = (local >= 0) & (local < rows)
        if not self.training or self.sample_rate == 1:
            return self.weight, torch.where(mine, local, -1)
        generator = np.random.default_rng([self.seed, int(self.steps), rank()])
        self.steps += 1
        chance = torch.from_numpy(generator.random(rows, dtype=np.float32)).to(labels.device)
        chance[local[mine]] = 2.0  # the identities of the batch come first
        present = int((chance == 2.0).sum())
        number = max(present, round(self.sample_rate * rows))
        chosen = chance.topk(number).indices.sort().values
        return self.weight[chosen], torch.where(mine, torch.searchsorted(chosen, local.clamp(0, rows)), -1)


class ShardedSoftmaxLoss(_ShardedClassWeights):
    """`softmax` with class weights that are spread over processes and sampled.

    Mean over images of -sum_c q_c log softmax_c(z), z_c = w_c . x, c over the identities that take part.

    Shape: x [B, D] float and labels [B] in 0..num_ids-1, both global -> scalar, the same in every process.
        `.weight` [rows, dim] are rows `first_row`.. of the [num_ids, dim] class weights.
    Source: An et al. 2022, arXiv:2203.15565.
    Defaults: all rows take part.
    Relations: sample_rate = 1 is `softmax`.
    Degenerate: as `softmax`. In eval mode all rows take part.
    Differs: the gradient of `.weight` is dense, so rows that were not drawn still feel momentum and weight decay.

    Args:
        num_ids: training identities, C.
        dim: D.
        label_smoothing: e, spread over the identities that take part.
        sample_rate: share of the rows that takes part in a step, above 0 and at most 1; the identities of the batch
            always do.
        seed: of the draws; what is drawn depends on the seed, the step and the process.
        normalize: take unit vectors; the class weights stay as they are.
    """

    reads = "embedding"

    def __init__(
        self,
        num_ids: int,
        dim: int,
        label_smoothing: float = 0.0,
        sample_rate: float = 1.0,
        seed: int = 0,
        normalize: bool = False,
    ) -> None:
        check_at_least("label_smoothing", label_smoothing, 0.0)
        check_below("label_smoothing", label_smoothing, 1)
        super().__init__(num_ids, dim, deviation=0.001, sample_rate=sample_rate, seed=seed)
        self.label_smoothing = label_smoothing
        self.normalize = flag("normalize", normalize)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of the global batch."""
        check_dim(x, self.weight.shape[1])
        weight, columns = self.take_part(labels)
        logits = functional.linear(sum_gradient(x), weight.to(x.dtype))
        return _cross_entropy(logits, columns, self.label_smoothing)


class ShardedSphereSoftmaxLoss(_ShardedClassWeights):
    """`sphere_softmax` with class weights that are spread over processes and sampled.

    Mean over images of -log softmax_y(z), z_c = scale * cos(x, w_c), c over the identities that take part.

    Shape, draws and state: as `ShardedSoftmaxLoss`.
    Source: An et al. 2022, arXiv:2203.15565; Fan, Jiang, Luo, Fei 2019, arXiv:1807.00537.
    Defaults: scale 14 as `sphere_softmax`; all rows take part.
    Relations: sample_rate = 1 is `sphere_softmax`.
    Degenerate: as `sphere_softmax`. In eval mode all rows take part.
    Differs: as `ShardedSoftmaxLoss`.

    Args:
        num_ids: training identities, C.
        dim: D.
        scale: s, above 0.
        sample_rate: share of the rows that takes part in a step, above 0 and at most 1.
        seed: of the draws.
        normalize: take unit vectors; always true.
    """

    reads = "embedding"

    def __init__(
        self,
        num_ids: int,
        dim: int,
        scale: float = 14.0,
        sample_rate: float = 1.0,
        seed: int = 0,
        normalize: bool = True,
    ) -> None:
        num_ids, dim = whole_number("num_ids", num_ids, 1), whole_number("dim", dim, 1)
        check_at_least("scale", scale, 0.0, exclusive=True)
        super().__init__(num_ids, dim, deviation=(2 / (num_ids + dim)) ** 0.5, sample_rate=sample_rate, seed=seed)
        self.scale = scale
        self.normalize = always_normalizes(normalize)

    @guarded
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of the global batch."""
        check_dim(x, self.weight.shape[1])
        weight, columns = self.take_part(labels)
        directions = functional.normalize(weight.to(x.dtype))
        logits = functional.linear(sum_gradient(self.scale * x), directions)
        return _cross_entropy(logits, columns, 0.0)


def _draw(first: int, rows: int, dim: int) -> Tensor:
    """Normal numbers for some rows of the class weights, the same whichever process draws them.

    Blocks of rows have a seed each, so that no process draws more than its own rows and a block at either end.
    """
    start = int(torch.randint(2**62, ()))
    end = first + rows
    blocks = range(first // _BLOCK, -(-end // _BLOCK))
    drawn = [torch.randn(_BLOCK, dim, generator=torch.Generator().manual_seed(start + block)) for block in blocks]
    if not drawn:
        return torch.empty(0, dim)
    skipped = first - blocks.start * _BLOCK
    return torch.cat(drawn)[skipped : skipped + rows]


def _share(num_ids: int) -> tuple[int, int]:
    """This process's first row and number of rows."""
    per_process = -(-num_ids // world_size())
    first = min(rank() * per_process, num_ids)
    return first, min(per_process, num_ids - first)


def _cross_entropy(logits: Tensor, columns: Tensor, smoothing: float) -> Tensor:
    return cast(Tensor, _ShardedCrossEntropy.apply(logits, columns, smoothing))  # type: ignore[no-untyped-call]


class _ShardedCrossEntropy(torch.autograd.Function):
    """Mean over images of -sum_c q_c log softmax_c, the classes spread over processes as columns of `logits`."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, columns: Tensor, smoothing: float) -> Tensor:
        batch = len(logits)
        classes = reduce_sum(torch.tensor(float(logits.shape[1]), device=logits.device, dtype=logits.dtype))
        lowest = logits.new_full((batch, 1), torch.finfo(logits.dtype).min)  # a process may hold no rows
        top = reduce_max(torch.cat([logits, lowest], dim=1).amax(dim=1))
        shifted = logits - top[:, None]
        probabilities = shifted.exp()
        mine = columns >= 0
        own = shifted.gather(1, columns.clamp(min=0)[:, None])[:, 0] if logits.shape[1] else logits.new_zeros(batch)
        sums = reduce_sum(torch.stack([probabilities.sum(dim=1), torch.where(mine, own, 0), shifted.sum(dim=1)]))
        probabilities /= sums[0, :, None]
        gradient = probabilities.sub_(smoothing / classes)
        rows = torch.nonzero(mine)[:, 0]
        gradient[rows, columns[rows]] -= 1 - smoothing
        ctx.save_for_backward(gradient / batch)
        return (sums[0].log() - (1 - smoothing) * sums[1] - smoothing / classes * sums[2]).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None, None
