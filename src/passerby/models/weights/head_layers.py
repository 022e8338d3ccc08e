"""The trained head in a checkpoint: the layers between pooling and vector, whatever they are called.

They are put in a row by their lengths, from the pooled vector on: a fully connected layer belongs to the row if
something reads what it gives, be it the classifier. A last matrix that nothing reads is the classifier, which belongs
to the loss, unless its name says that it embeds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from passerby.models.heads import GeM
from passerby.models.model import ReIDModel
from passerby.models.weights.file_layers import Layer, layers_of

_CLASSIFIER = re.compile(r"(^|\.)(classifiers?\w*|cls|logits?)(\.|$)")
_EMBEDDING = re.compile(r"(embed|feat|proj|reduc|bottleneck|neck|fc_out|add_block)", re.IGNORECASE)
_TORCHREID = re.compile(r"(^|\.)fc\.\d+$")


@dataclass(frozen=True)
class FileHead:
    """The head of a file.

    Attributes:
        chain: fully connected layers and batch norms in the order in which a vector passes them.
        gem: the pooling's exponent, if there is one.
        others: trained layers beside the chain.
        classified: a classifier reads the vector that the chain gives, which therefore is the embedding.
    """

    chain: tuple[Layer, ...] = ()
    gem: Layer | None = None
    others: tuple[Layer, ...] = ()
    classified: bool = False

    def settings(self) -> dict[str, Any] | None:
        """The settings of a model with this head; None where no setting makes one."""
        pooled_norm = self._begins_with_pooled_norm()
        layers = self.chain[1:] if pooled_norm else self.chain
        kinds = [layer.kind for layer in layers]
        linear = [layer for layer in layers if layer.kind == "linear"]
        ends_in_norm = bool(kinds) and kinds[-1] == "norm"
        between = kinds[:-1] if ends_in_norm else kinds
        if self.others or between != [("linear", "norm")[i % 2] for i in range(max(0, 2 * len(linear) - 1))]:
            return None
        # torchreid's `fc` ends in a ReLU, which has no tensors to be seen by
        rectified = ends_in_norm and bool(linear) and all(_TORCHREID.search(layer.name) for layer in layers)
        return {
            "fc_dims": tuple(layer.out for layer in linear),
            "fc_end": "norm_relu" if rectified else "linear",
            "neck": "bnneck" if ends_in_norm and not rectified else "none",
            **({"pooling": "gem"} if self.gem is not None else {}),
            **({"pooled_norm": True} if pooled_norm else {}),
        }

    def _begins_with_pooled_norm(self) -> bool:
        # Before or behind a square matrix the lengths do not say where a batch norm stands
        kinds = [layer.kind for layer in self.chain[:2]]
        return kinds == ["norm", "linear"] and self.chain[0].out != self.chain[1].out


def read_head(tensors: Mapping[str, Tensor], dim: int, slots: Sequence[Layer] = ()) -> FileHead:
    """The head among the tensors of a file that are not the backbone's.

    Args:
        tensors: those.
        dim: length of the pooled vector.
        slots: of a model that shall be filled: a last matrix that has a place there is no classifier.
    """
    layers = layers_of(tensors)
    of_losses = [layer for layer in layers if layer.of_loss and layer.kind == "linear"]
    layers = [layer for layer in layers if not layer.of_loss]
    gem = next((layer for layer in layers if layer.kind == "gem"), None)
    rest = [layer for layer in layers if layer is not gem]
    chain: list[Layer] = []
    lengths = [dim]
    while following := _next(rest, of_losses, lengths[-1], slots[len(chain) :], chain):
        chain.append(following)
        rest.remove(following)
        lengths.append(following.out)
    return FileHead(
        tuple(chain),
        gem,
        tuple(layer for layer in rest if _is_trained(layer, lengths)),
        bool(chain) and any(other.kind == "linear" and _reads(other, lengths[-1]) for other in (*rest, *of_losses)),
    )


def _is_trained(layer: Layer, lengths: Sequence[int]) -> bool:
    """Whether a layer beside the chain must be part of the head, and not a classifier's."""
    if layer.kind == "scale":
        return layer.out in lengths
    if layer.kind != "linear":
        return True
    return not _only_classifies(layer) and (layer.of_pooling or _EMBEDDING.search(layer.name) is not None)


def _next(
    rest: Sequence[Layer], of_losses: Sequence[Layer], dim: int, slots: Sequence[Layer], chain: Sequence[Layer]
) -> Layer | None:
    for layer in sorted(rest, key=_only_classifies):
        if layer.kind == "norm" and layer.out == dim:
            return layer
        if layer.kind != "linear" or not _reads(layer, dim):
            continue
        readers = [other for other in (*rest, *of_losses) if other is not layer and _reads(other, layer.out)]
        if not _is_classifier(layer, readers, slots) or (chain and _in_one_sequence(layer, chain[-1])):
            return layer
    return None


def _reads(layer: Layer, length: int) -> bool:
    """Whether it takes vectors of a length."""
    return layer.kind in ("linear", "norm", "scale") and layer.shape[-1] == length


def _is_classifier(layer: Layer, readers: Sequence[Layer], slots: Sequence[Layer]) -> bool:
    """Whether a matrix is the last one: nothing reads it, it has no place, and its name says no embedding."""
    called_so = _only_classifies(layer)
    if any(not (called_so and _only_classifies(other)) for other in readers):  # classifiers of several layers are whole
        return False
    return called_so or not (any(layer.fits(slot) for slot in slots) or _EMBEDDING.search(layer.name))


def _in_one_sequence(layer: Layer, before: Layer) -> bool:
    """Whether two layers are numbered parts of one module (fc.0, fc.2), as in the projections of self-supervision."""
    (place, _, number), (other, _, other_number) = layer.name.rpartition("."), before.name.rpartition(".")
    return place == other and number.isdecimal() and other_number.isdecimal()


def _only_classifies(layer: Layer) -> bool:
    called_so = _CLASSIFIER.search(layer.name)
    return layer.kind == "linear" and called_so is not None and not _EMBEDDING.search(layer.name, called_so.end())


def head_slots(model: ReIDModel) -> list[Layer]:
    """The layers of a model's head, in the order in which a vector passes them; its GeM last."""
    named = [("head.norm", model.head.norm)]
    named += [(f"head.fc.{name}", module) for name, module in model.head.fc.named_children()]
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
            value = tensors[layer.tensors[part]]
            # an exponent may stand there once for each channel
            filled[name] = (value.flatten()[0] if slot.kind == "gem" else value).reshape(own[name].shape)
        elif part in ("weight", "bias"):
            filled[name] = (torch.ones_like if part == "weight" else torch.zeros_like)(own[name])
    return filled
