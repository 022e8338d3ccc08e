"""The trained head in a checkpoint: the layers between pooling and vector, whatever they are called.

A layer is told by its tensors: a fully connected layer has a matrix, a batch norm has running statistics, a
generalised mean (GeM) one number called p. They are put in a row by their lengths, from the pooled vector on; a last
matrix that nothing follows is the classifier, which belongs to the loss, unless its name says that it embeds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from passerby.models.heads import GeM
from passerby.models.model import ReIDModel

Kind = Literal["linear", "norm", "gem"]

_CLASSIFIER = re.compile(r"(^|\.)(classifiers?\w*|cls|logits?)(\.|$)")
_EMBEDDING = re.compile(r"(embed|feat|proj|reduc|bottleneck|neck|fc_out|add_block)", re.IGNORECASE)
_OTHER = re.compile(r"(^|\.)(aux_logits|loss\w*|criterion\w*|queue\w*|pixel_mean|pixel_std)(\.|$)")
_NECK = re.compile(r"(^|\.)(bottleneck|bn_?neck|bn\w*)(\.\d+)?$")
_TORCHREID = re.compile(r"(^|\.)fc\.\d+$")


@dataclass(frozen=True)
class Layer:
    """One layer, of a file or of a model.

    Attributes:
        kind: what it is.
        name: of the module.
        shape: of a matrix (out, in), of a batch norm (n,), of GeM (1,).
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

    def fits(self, other: Layer) -> bool:
        """Whether its numbers can be another layer's."""
        return self.kind == other.kind and self.shape == other.shape


@dataclass(frozen=True)
class FileHead:
    """The head of a file.

    Attributes:
        chain: fully connected layers and batch norms in the order in which a vector passes them.
        gem: the pooling's exponent, if there is one.
        others: trained layers beside the chain.
    """

    chain: tuple[Layer, ...] = ()
    gem: Layer | None = None
    others: tuple[Layer, ...] = ()

    def settings(self) -> dict[str, Any] | None:
        """The settings of a model with this head; None where no setting makes one."""
        kinds = [layer.kind for layer in self.chain]
        linear = [layer for layer in self.chain if layer.kind == "linear"]
        ends_in_norm = bool(kinds) and kinds[-1] == "norm"
        between = kinds[:-1] if ends_in_norm else kinds
        if self.others or between != [("linear", "norm")[i % 2] for i in range(max(0, 2 * len(linear) - 1))]:
            return None
        # torchreid's `fc` ends in a ReLU, which has no tensors to be seen by
        rectified = ends_in_norm and bool(linear) and all(_TORCHREID.search(layer.name) for layer in self.chain)
        return {
            "fc_dims": tuple(layer.out for layer in linear),
            "fc_end": "norm_relu" if rectified else "linear",
            "neck": "bnneck" if ends_in_norm and not rectified else "none",
            **({"pooling": "gem"} if self.gem is not None else {}),
        }


def read_head(tensors: Mapping[str, Tensor], dim: int, slots: Sequence[Layer] = ()) -> FileHead:
    """The head among the tensors of a file that are not the backbone's.

    Args:
        tensors: those.
        dim: length of the pooled vector.
        slots: of a model that shall be filled: a last matrix that has a place there is no classifier.
    """
    layers = _layers(tensors)
    gem = next((layer for layer in layers if layer.kind == "gem"), None)
    rest = [layer for layer in layers if layer.kind != "gem"]
    chain: list[Layer] = []
    while following := _next(rest, dim, slots[len(chain) :], chain):
        chain.append(following)
        rest.remove(following)
        dim = following.out
    others = [layer for layer in rest if layer.kind == "norm" or _EMBEDDING.search(layer.name)]
    return FileHead(tuple(chain), gem, tuple(others))


def _next(rest: Sequence[Layer], dim: int, slots: Sequence[Layer], chain: Sequence[Layer]) -> Layer | None:
    for layer in rest:
        if layer.kind == "norm" and layer.out == dim:
            return layer
        if (
            layer.kind == "linear"
            and layer.shape[1] == dim
            and not (_is_classifier(layer, rest, slots) and not (chain and _in_one_sequence(layer, chain[-1])))
        ):
            return layer
    return None


def _is_classifier(layer: Layer, rest: Sequence[Layer], slots: Sequence[Layer]) -> bool:
    """Whether a matrix is the last one: nothing follows it, it has no place, and its name says no embedding."""
    if any(other.shape[-1] == layer.out and not _only_classifies(other) for other in rest if other is not layer):
        return False
    if _only_classifies(layer):
        return True
    return not (slots and layer.fits(slots[0])) and not _EMBEDDING.search(layer.name)


def _in_one_sequence(layer: Layer, before: Layer) -> bool:
    """Whether two layers are numbered parts of one module (fc.0, fc.2), as in the projections of self-supervision."""
    (place, _, number), (other, _, other_number) = layer.name.rpartition("."), before.name.rpartition(".")
    return place == other and number.isdecimal() and other_number.isdecimal()


def _only_classifies(layer: Layer) -> bool:
    return layer.kind == "linear" and _CLASSIFIER.search(layer.name) is not None


def _layers(tensors: Mapping[str, Tensor]) -> list[Layer]:
    modules: dict[str, dict[str, str]] = {}
    for name in tensors:
        module, _, last = name.rpartition(".")
        modules.setdefault(module, {})[last] = name
    found = (_layer(module, parts, tensors) for module, parts in modules.items() if not _OTHER.search(module))
    return [layer for layer in found if layer is not None]


def _layer(module: str, parts: dict[str, str], tensors: Mapping[str, Tensor]) -> Layer | None:
    if "running_mean" in parts:
        return Layer("norm", module, tuple(tensors[parts["running_mean"]].shape), parts)
    if "p" in parts and tensors[parts["p"]].numel() == 1:
        return Layer("gem", module, (1,), {"p": parts["p"]})
    weight = tensors.get(parts.get("weight", ""))
    if weight is not None and weight.ndim == 1 and _NECK.search(module):  # without its statistics
        return Layer("norm", module, tuple(weight.shape), parts)
    if weight is None or weight.ndim not in (2, 4) or weight.shape[2:].numel() != 1:
        return None
    return Layer("linear", module, tuple(weight.shape[:2]), parts)


def head_slots(model: ReIDModel) -> list[Layer]:
    """The layers of a model's head, in the order in which a vector passes them; its GeM last."""
    named = [(f"head.fc.{name}", module) for name, module in model.head.fc.named_children()]
    named.append(("head.neck", model.head.neck))
    slots = []
    for name, module in named:
        parts = {last: f"{name}.{last}" for last in module.state_dict()}
        if isinstance(module, nn.Linear):
            slots.append(Layer("linear", name, tuple(module.weight.shape), parts))
        elif isinstance(module, nn.BatchNorm1d):
            slots.append(Layer("norm", name, (module.num_features,), parts))
    if isinstance(model.pool, GeM):
        slots.append(Layer("gem", "pool", (1,), {"p": "pool.p"}))
    return slots


def fill_slot(slot: Layer, layer: Layer, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's tensors of one layer, from the file's; a bias or weight that the file leaves out does nothing."""
    filled = {}
    for part, name in slot.tensors.items():
        if part in layer.tensors:
            filled[name] = tensors[layer.tensors[part]].reshape(own[name].shape)
        elif part in ("weight", "bias"):
            filled[name] = (torch.ones_like if part == "weight" else torch.zeros_like)(own[name])
    return filled
