"""Branches behind a shared trunk: the whole map, horizontal stripes of it, and groups of its channels.

Herzog, Ji, Teepe, Hörmann, Gilg, Rigoll 2021, "Lightweight Multi-Branch Network for Person Re-Identification",
arXiv:2101.10774 (LightMBN). What is the same: the last layers stand once for each of the three views of the map, all
start from the same weights; a stripe or a group has a vector and a batch-norm neck of its own, learns the labels by
itself, and all vectors in a row are the embedding. What differs: no branch that drops a part of its map, no second,
max-pooled vector of the whole map, no weights shared between the groups, and short vectors.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from passerby.models.heads import Embedding, Output

STRIPES = 2
GROUPS = 2
_SHORTER = 4  # a stripe's or group's vector is this many times shorter than the whole map's


class Branches(nn.Module):
    """Copies of a backbone's last layers for stripes and for channel groups, and a head for each vector.

    Pooled vectors of an image stand in one row: the whole map [C]; of the stripes' copy the whole map [C] and each
    stripe [C]; of the groups' copy each group [C / GROUPS].

    Args:
        last: the layers to copy, one after the other.
        channels: C, of the map that they give.
        dim: length of the whole map's vector; every other branch's is a quarter of it.
        dropout: as in `Embedding`.
        neck: as in `Embedding`, one for each branch.
    """

    def __init__(
        self,
        last: Sequence[nn.Module],
        channels: int,
        dim: int,
        *,
        dropout: float = 0.0,
        neck: Literal["none", "bnneck"] = "bnneck",
    ) -> None:
        super().__init__()
        self.stripes, self.groups = (nn.Sequential(*(copy.deepcopy(layer) for layer in last)) for _ in range(2))
        self.pooled = (channels, *[channels] * (1 + STRIPES), *[channels // GROUPS] * GROUPS)
        """Length of each branch's pooled vector."""
        short = dim // _SHORTER
        self.widths = (dim, *[short] * (1 + STRIPES + GROUPS))
        """Length of each branch's part of the embedding."""
        self.heads = nn.ModuleList(
            Embedding(length, fc_dims=(short,), dropout=dropout, neck=neck) for length in self.pooled[1:]
        )

    def maps(self, before: Tensor) -> tuple[Tensor, ...]:
        """What is pooled besides the backbone's own map, given the map before the last layers."""
        striped, grouped = self.stripes(before), self.groups(before)
        return (striped, *striped.tensor_split(STRIPES, dim=2), grouped)

    def forward(self, whole: Output, pooled: Tensor) -> Output:
        """Vectors of all branches in a row.

        Args:
            whole: what the model's own head makes of the whole map.
            pooled: the pooled maps in a row, the whole one first, [B, sum of `pooled`].
        """
        rest = torch.split(pooled, list(self.pooled), dim=1)[1:]
        outputs = [whole, *(head(x) for head, x in zip(self.heads, rest, strict=True))]
        feature, embedding = (torch.cat(vectors, dim=1) for vectors in zip(*outputs, strict=True))
        return Output(feature, embedding)
