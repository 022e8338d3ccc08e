"""A file's trained head in a model's: every layer finds its place, or the file is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from torch import Tensor

from passerby.errors import WeightsError
from passerby.models.model import ReIDModel
from passerby.models.weights.file_layers import Layer
from passerby.models.weights.head_layers import FileHead, fill_slot, head_slots, read_head
from passerby.models.weights.naming import suffixes
from passerby.models.weights.networks import shown


@dataclass(frozen=True)
class PlacedHead:
    """What became of a file's head.

    Attributes:
        tensors: the model's, by the model's names.
        used: names of the file that they come from.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    used: frozenset[str] = frozenset()


def place_head(model: ReIDModel, rest: Mapping[str, Tensor], originals: Mapping[str, str], path: str) -> PlacedHead:
    """The model's head from what a file holds beside the backbone.

    Args:
        model: to be filled.
        rest: tensors of the file that are not the backbone's.
        originals: their names as they stand in the file.
        path: of the file, for messages.

    Raises:
        WeightsError: a trained layer of the file finds no place, while a layer of the same kind in the model would
            stay at its start values, or any layer if the file's is sure to make its embedding or can have no place in
            any model; or the rest of the file's head would be torn from it.
    """
    own = model.state_dict()
    named = _under_our_names(rest, own)
    tensors = {ours: rest[name] for name, ours in named.items()}
    fitting = {ours for ours, value in tensors.items() if value.shape == own[ours].shape}
    slots = [slot for slot in head_slots(model) if not fitting.intersection(slot.tensors.values())]
    layered = [slot for slot in slots if slot.kind != "gem"]
    foreign = {name: value for name, value in rest.items() if named.get(name) not in fitting}
    head = read_head(foreign, cast(int, model.backbone.dim), layered)
    pairs: list[tuple[Layer, Layer]] = []
    for slot, layer in zip(layered, head.chain, strict=False):
        if not slot.fits(layer):
            break
        pairs.append((slot, layer))
    pairs += [(slot, head.gem) for slot in slots if slot.kind == "gem" and head.gem is not None]
    _refuse_loss(path, head, pairs, slots, originals, torn=bool(pairs or fitting))
    for slot, layer in pairs:
        tensors |= fill_slot(slot, layer, rest, own)
    used = {name for _, layer in pairs for name in layer.tensors.values()}
    return PlacedHead(tensors, frozenset(used | set(named)))


def _under_our_names(rest: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, str]:
    """Our own files, whatever stands before the names: "module.head.neck.weight"."""
    ours = {name for name in own if not name.startswith("backbone.")}
    found = {name: next((end for _, end in suffixes(name) if end in ours), None) for name in rest}
    return {name: end for name, end in found.items() if end is not None}


def _refuse_loss(
    path: str,
    head: FileHead,
    pairs: Sequence[tuple[Layer, Layer]],
    slots: Sequence[Layer],
    originals: Mapping[str, str],
    *,
    torn: bool,
) -> None:
    placed = [layer for _, layer in pairs]
    of_head = [layer for layer in (*head.chain, *([head.gem] if head.gem else [])) if layer not in placed]
    lost = [*of_head, *head.others]
    filled = [slot for slot, _ in pairs]
    at_start = [slot for slot in slots if slot not in filled]
    same_kind = {slot.kind for slot in at_start} & {layer.kind for layer in lost}
    of_no_model = [layer for layer in head.others if layer.kind in ("scale", "pooling")]
    embeds = head.classified and any(layer.kind == "linear" for layer in of_head)
    replaced = bool(at_start) and (embeds or bool(of_no_model))
    if not (same_kind or replaced or (torn and (of_head or of_no_model))):
        return
    settings = head.settings()
    advice = (
        "no setting of a model makes such a head"
        if settings is None
        else f"the file's head is {', '.join(f'model.{k} = {_toml(v)}' for k, v in settings.items())}"
    )
    state = (
        f"while {shown([slot.name for slot in at_start])} would stay at start values"
        if at_start
        else ("although other layers of it do")
    )
    names = [layer.titled(originals[next(iter(layer.tensors.values()))].rpartition(".")[0]) for layer in lost]
    raise WeightsError(
        f"{path}: the file's trained head finds no place in this model ({shown(names)}), {state}: "
        f"the embedding would not be the file's. {advice[0].upper()}{advice[1:]}; to train another head, save the "
        "backbone's tensors alone"
    )


def _toml(value: object) -> str:
    return str(list(value)) if isinstance(value, tuple) else json.dumps(value)
