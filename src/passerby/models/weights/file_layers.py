"""The layers among the tensors of a checkpoint that are not the backbone's, told by their tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Kind = Literal["linear", "norm", "gem", "scale", "pooling"]

_LOSS = re.compile(r"(^|\.)(aux_logits|loss\w*|criterion\w*|queue\w*|pixel_mean|pixel_std)(\.|$)")
_POOLING = re.compile(r"(pool|gem|(^|[._])gap)", re.IGNORECASE)
_EXPONENT = re.compile(r"(^|_)(p|power|exponent|norm)$")
_STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class Layer:
    """One layer, of a file or of a model.

    Attributes:
        kind: what it is; "scale" is a norm without running statistics (layer norm), "pooling" a trained pooling that is
            no generalised mean with one exponent.
        name: of the module.
        shape: of a matrix (out, in), of a norm (n,), of GeM (1,).
        tensors: names by their last part: {"weight": "heads.bnneck.weight", ...}.
    """

    kind: Kind
    name: str
    shape: tuple[int, ...]
    tensors: dict[str, str] = field(compare=False)

    @property
    def out(self) -> int:
        """Length of the vector that it gives."""
        return self.shape[0]

    @property
    def of_loss(self) -> bool:
        """Whether it belongs to a loss, hence not to the head."""
        return _LOSS.search(self.name) is not None

    @property
    def of_pooling(self) -> bool:
        """Whether its name says that it pools."""
        return _POOLING.search(self.name) is not None

    def fits(self, other: Layer) -> bool:
        """Whether its numbers can be another layer's."""
        return self.kind == other.kind and self.shape == other.shape

    def titled(self, name: str) -> str:
        """What to call it in a message.

        Args:
            name: of the module, as it stands in the file.
        """
        what = {"scale": "a norm without running statistics", "pooling": "a trained pooling of another kind"}
        return f"{name}, {what[self.kind]}" if self.kind in what else name


def layers_of(tensors: Mapping[str, Tensor]) -> list[Layer]:
    """Every layer among tensors, in their order.

    Args:
        tensors: of a file, but for the backbone's.
    """
    modules: dict[str, dict[str, str]] = {}
    for name in tensors:
        module, _, last = name.rpartition(".")
        modules.setdefault(module, {})[last] = name
    found = (_layer(module, parts, tensors) for module, parts in modules.items())
    return [layer for layer in found if layer is not None]


def _layer(module: str, parts: dict[str, str], tensors: Mapping[str, Tensor]) -> Layer | None:
    if all(name in parts for name in _STATISTICS):
        return Layer("norm", module, tuple(tensors[parts["running_mean"]].shape), parts)
    if exponent := _exponent(parts):
        numbers = tensors[exponent].flatten()
        one = bool((numbers == numbers[:1]).all()) and len(numbers) > 0
        return Layer("gem" if one else "pooling", module, (1,), {"p": exponent})
    weight = tensors.get(parts.get("weight", ""))
    if weight is not None and weight.ndim == 1:
        return Layer("scale", module, tuple(weight.shape), parts)
    if weight is not None and weight.ndim > 1 and weight.shape[2:].numel() == 1:
        return Layer("linear", module, tuple(weight.shape[:2]), parts)
    trained = {last: name for last, name in parts.items() if tensors[name].is_floating_point()}
    return Layer("pooling", module, (1,), trained) if trained and _POOLING.search(module) else None


def _exponent(parts: Mapping[str, str]) -> str | None:
    """The name of a GeM's exponent: p, or a power or a norm of something that is called a pooling."""
    for last, name in parts.items():
        if last == "p" or (_EXPONENT.search(last) and _POOLING.search(name)):
            return name
    return None
