"""Distillation: a stronger encoder's vectors as a second target beside the labels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from passerby.errors import EmbeddingError
from passerby.losses.inputs import check_tensors, whole_number


class DistillationLoss(nn.Module):
    """What a linear map makes of each vector should point where the teacher's vector of that image points.

    L = mean over i of 1 - cos(W x_i, t_i). W [D', D] is learned along and thrown away with the loss, so the two
    encoders may have vectors of different length, and the teacher's own axes do not matter. Regression on a teacher's
    vectors is that of Romero et al. 2015, arXiv:1412.6550 (FitNets), here on the last ones, whose length means nothing.

    Args:
        dim: D, length of the vectors.
        teacher_dim: D', length of the teacher's.
    """

    def __init__(self, dim: int, teacher_dim: int) -> None:
        super().__init__()
        dim, teacher_dim = whole_number("dim", dim, 1), whole_number("teacher_dim", teacher_dim, 1)
        self.projection = nn.Linear(dim, teacher_dim, bias=False)

    def forward(self, x: Tensor, teacher: Tensor) -> Tensor:
        """Loss of vectors [B, D] against the teacher's [B, D'] of the same images; 0 for an empty batch.

        Raises:
            EmbeddingError: no tensors, or other shapes.
        """
        check_tensors(vectors=x, teacher=teacher)
        dim, teacher_dim = self.projection.in_features, self.projection.out_features
        expected = (len(x), teacher_dim)
        if x.ndim != 2 or x.shape[1] != dim or tuple(teacher.shape) != expected:
            raise EmbeddingError(
                f"expected vectors [B, {dim}] and a teacher's vectors {list(expected)}, "
                f"found {list(x.shape)} and {list(teacher.shape)}"
            )
        projected: Tensor = self.projection(x)
        if len(x) == 0:
            return projected.sum()
        return (1 - F.cosine_similarity(projected, teacher.to(x.dtype))).mean()
