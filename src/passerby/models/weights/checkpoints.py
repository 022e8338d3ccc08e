"""Filling a model from a checkpoint of any code base, and saying what matched."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from passerby.config import ModelConfig
from passerby.errors import WeightsError
from passerby.models.backbones.table import BACKBONES
from passerby.models.backbones.timm_backbone import TimmBackbone
from passerby.models.model import ReIDModel, build_model
from passerby.models.weights.head_layers import read_head
from passerby.models.weights.head_placing import PlacedHead, place_head
from passerby.models.weights.naming import Naming, equal_tensors, find_naming, unwrapped
from passerby.models.weights.networks import Network, describe_content, find_networks, preference, shown
from passerby.models.weights.not_backbone import is_backbone
from passerby.models.weights.reading import read_content

_ENOUGH_OF_MODEL = 0.6
"""Share of the backbone's tensors that must be found. ResNet-50's file in a ResNet-101 reaches 0.51."""
_ENOUGH_OF_FILE = 0.9
"""Share of the file's backbone tensors that must find a place. ResNet-50's file in an IBN-a model reaches 0.8."""


@dataclass(frozen=True)
class LoadReport:
    """What became of the tensors of a checkpoint; `print` shows a summary."""

    path: str
    """The file."""
    matched: tuple[str, ...] = ()
    """Names in the model that were filled."""
    missing: tuple[str, ...] = ()
    """Names in the model that the file lacks; they keep their start values."""
    unexpected: tuple[str, ...] = ()
    """Names in the file that the model lacks (a classifier, mostly), as they stand there."""
    mismatched: tuple[str, ...] = ()
    """Names in both whose shapes differ."""
    note: str = field(default="", compare=False)
    """Which of several copies in the file was taken; "" where there was one."""

    def __str__(self) -> str:
        lines = [f"{self.path}: {len(self.matched)} tensors matched"]
        for title in ("missing", "unexpected", "mismatched"):
            names = getattr(self, title)
            if names:
                lines.append(f"  {title} {len(names)}: {shown(names, 4)}")
        return "\n".join([*lines, *([f"  {self.note}"] if self.note else [])])


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Tensors of a checkpoint file by name, on the CPU: those of its largest network.

    Args:
        path: .safetensors, or anything `torch.save` wrote (.pth, .pth.tar, .pt); a folder with weights.safetensors.

    Raises:
        WeightsError: missing, damaged, no checkpoint, or a pickle that holds more than plain values; or no named
            tensors (the message says what the file holds).
    """
    networks = _networks_in(path)
    most = max(len(network.tensors) for network in networks)
    largest = [network for network in networks if len(network.tensors) == most]
    return min(largest, key=lambda network: preference(network.place)).tensors


def _networks_in(path: str | os.PathLike[str]) -> list[Network]:
    content = read_content(path)
    networks = find_networks(content)
    if not networks:
        raise WeightsError(
            f"{os.fspath(path)}: expected named tensors (a state_dict), found none; the file holds "
            f"{describe_content(content)}"
        )
    return networks


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> LoadReport:
    """Fill a model from a checkpoint file, whatever names it uses.

    The file's structure decides: the mapping of tensors and the prefix under which most of the backbone's names are
    found. Parts of the model that the file lacks keep their values, and the report names them.

    Args:
        model: a `ReIDModel` or a backbone.
        path: see `read_checkpoint`.

    Returns:
        What matched, what is missing, unexpected or of another shape, and which of several copies was taken.

    Raises:
        WeightsError: the file cannot be read safely; it belongs to another model (with the backbone it looks like); it
            holds several networks that fit equally well; it lacks the running statistics of its batch norms; or its
            trained head finds no place while the model's own would stay at its start values.
    """
    name = os.fspath(path)
    own = model.state_dict()
    inner = backbone_prefix(model)
    found = find_backbone(_networks_in(path), _below(own, inner), name)
    filled = {inner + theirs: found.tensors[file] for file, theirs in found.naming.names.items()}
    _refuse_another_model(name, found, filled, own, inner)
    placed = PlacedHead()
    if isinstance(model, ReIDModel):
        placed = place_head(model, found.rest(), found.originals, name)
        filled |= placed.tensors
        filled = {ours: filled[source] for ours, source in model.copies.items() if source in filled} | filled
    refuse_lost_statistics(name, filled, own)
    matched = [k for k, v in filled.items() if v.shape == own[k].shape]
    model.load_state_dict({**own, **{k: filled[k] for k in matched}})
    return LoadReport(
        path=name,
        matched=tuple(matched),
        missing=tuple(k for k in own if k not in filled),
        unexpected=tuple(found.originals[k] for k in found.rest() if k not in placed.used),
        mismatched=tuple(k for k, v in filled.items() if v.shape != own[k].shape),
        note=found.note,
    )


def head_settings(backbone: str, path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings of a model whose head is the one in a file.

    They are neck, fc_dims and fc_end; with a GeM pooling; with a batch norm before fully connected layers pooled_norm.

    Args:
        backbone: name of the backbone in the file.
        path: see `read_checkpoint`.

    Raises:
        WeightsError: the file cannot be read, holds another backbone, lacks the running statistics of its batch norms,
            or has a head that no setting makes.
        ConfigError: an unknown backbone.
    """
    name = os.fspath(path)
    plain = ModelConfig(backbone=backbone, neck="none")
    with nullcontext() if backbone.startswith("timm:") else torch.device("meta"):
        model = build_model(plain)
    own, inner = model.state_dict(), backbone_prefix(model)
    found = find_backbone(_networks_in(path), _below(own, inner), name)
    filled = {inner + theirs: found.tensors[file] for file, theirs in found.naming.names.items()}
    _refuse_another_model(name, found, filled, own, inner)
    refuse_lost_statistics(name, filled, own)
    head = read_head(found.rest(), cast(int, model.backbone.dim))
    settings = head.settings()
    if settings is None:
        layers = shown([layer.titled(layer.name) for layer in (*head.chain, *head.others)])
        raise WeightsError(
            f"{name}: no setting of a model makes the trained head of this file ({layers}): the embedding would not be "
            "the file's. Save the backbone's tensors alone if its own vector is what you want"
        )
    return settings


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def backbone_prefix(model: nn.Module) -> str:
    """What stands before the backbone's own names in a model's."""
    prefix = "backbone." if isinstance(model, ReIDModel) else ""
    return prefix + ("model." if isinstance(getattr(model, "backbone", model), TimmBackbone) else "")


@dataclass(frozen=True)
class FoundBackbone:
    """Where in a file a backbone was found.

    Attributes:
        tensors: of the network that was taken, without what wrappers of modules put into names.
        originals: their names as they stand in the file.
        naming: which of them are the backbone's.
        note: which of several copies was taken.
    """

    tensors: dict[str, Tensor]
    originals: dict[str, str]
    naming: Naming
    note: str = ""

    def rest(self) -> dict[str, Tensor]:
        """What is neither the backbone's nor another copy's."""
        return {name: self.tensors[name] for name in self.naming.beside(self.tensors)}


def find_backbone(networks: Sequence[Network], backbone: Mapping[str, Tensor], path: str) -> FoundBackbone:
    """The network of a file that fits a backbone best, and the names behind which it does.

    Args:
        networks: of the file.
        backbone: the backbone's own tensors.
        path: of the file, for messages.

    Raises:
        WeightsError: several copies fit equally well, hold different numbers, and nothing says which one is meant.
    """
    choices = [_named(network, backbone) for network in networks]
    best = max((choice.naming.fits, len(choice.naming.names)) for _, choice in choices)
    equal = [(n, c) for n, c in choices if (c.naming.fits, len(c.naming.names)) == best]
    # a mapping of mappings holds what its parts hold, behind longer names
    leaves = [(n, c) for n, c in equal if not any(_is_part(o.place, n.place) for o, _ in equal if o is not n)]
    wholes = [(n, c) for n, c in equal if (n, c) not in leaves]
    leaves.sort(key=lambda pair: preference(pair[0].place))
    network, taken = leaves[0]
    whole = next(((n, c) for n, c in wholes if _is_part(network.place, n.place) and c.rest()), None)
    if whole is not None and not taken.rest():  # a network in parts: the backbone here, its head beside it
        network, taken = whole
        leaves = [whole]
    copies = [(_where(n.place, c.naming.prefix), preference(n.place), c.tensors, c.naming) for n, c in leaves[1:]]
    copies += [(_where(network.place, r.prefix), preference(r.prefix), taken.tensors, r) for r in taken.naming.rivals]
    note = _choice(path, network, taken, copies) if best[0] else ""
    return FoundBackbone(taken.tensors, taken.originals, taken.naming, note)


def _named(network: Network, backbone: Mapping[str, Tensor]) -> tuple[Network, FoundBackbone]:
    originals = {unwrapped(name): name for name in network.tensors}
    tensors = {name: network.tensors[original] for name, original in originals.items()}
    return network, FoundBackbone(tensors, originals, find_naming(tensors, backbone))


def _is_part(place: str, whole: str) -> bool:
    return not whole or place.startswith(f"{whole}.")


def _where(place: str, prefix: str) -> str:
    return ".".join(part for part in (place, prefix.rstrip(".")) if part) or "the file itself"


def _choice(
    path: str, network: Network, taken: FoundBackbone, copies: Sequence[tuple[str, int, dict[str, Tensor], Naming]]
) -> str:
    """Which of several copies was taken, in words; "" where they hold the same numbers, or there is one."""
    others = [copy for copy in copies if not equal_tensors(taken.naming, taken.tensors, copy[3], copy[2])]
    if not others:
        return ""
    here = _where(network.place, taken.naming.prefix)
    for where, rank, _, naming in others:
        of_prefix = naming in taken.naming.rivals
        if rank == preference(taken.naming.prefix if of_prefix else network.place):
            raise WeightsError(
                f"{path}: holds several networks that fit this model equally well, and nothing says which one is "
                f"meant: {', '.join([here, *(where for where, *_ in others)])}. Save the one you mean alone"
            )
    return f"of several copies, {here} was taken, and not {', '.join(where for where, *_ in others)}"


def _refuse_another_model(
    path: str, found: FoundBackbone, filled: Mapping[str, Tensor], own: Mapping[str, Tensor], inner: str
) -> None:
    naming, tensors = found.naming, found.tensors
    mine = [k for k in own if k.startswith(inner) and not k.endswith("num_batches_tracked")]
    rest = found.rest()
    theirs = [
        k
        for k in tensors
        if not k.endswith("num_batches_tracked")
        and (k in naming.names or (k in rest and is_backbone(k, naming.prefix)))
    ]
    fitting = {k for k, own_name in naming.names.items() if tensors[k].shape == own[inner + own_name].shape}
    of_model = sum(k in filled and filled[k].shape == own[k].shape for k in mine) / max(1, len(mine))
    of_file = sum(k in fitting for k in theirs) / max(1, len(theirs))
    wrong = [k for k in naming.names if k not in fitting]
    if of_model >= _ENOUGH_OF_MODEL and of_file >= _ENOUGH_OF_FILE and not wrong:
        return
    example = ""
    if wrong:
        here = tuple(own[inner + naming.names[wrong[0]]].shape)
        example = f"; {found.originals[wrong[0]]} is {tuple(tensors[wrong[0]].shape)} there and {here} here"
    raise WeightsError(
        f"{path}: a checkpoint of another model: {of_model:.0%} of this backbone's tensors are in the file and "
        f"{of_file:.0%} of the file's tensors fit{example}. The file begins with "
        f"{shown(list(found.originals.values()), 3)}; {looks_like(tensors)}"
    )


def refuse_lost_statistics(path: str, filled: Collection[str], own: Collection[str]) -> None:
    """Refuse a file whose batch norms would normalise by statistics that belong to no training.

    Args:
        path: of the file, for messages.
        filled: names in the model that the file fills.
        own: all names in the model.

    Raises:
        WeightsError: it fills a batch norm in part, and not its running statistics.
    """
    begun = {name.rpartition(".")[0] for name in filled if not name.endswith("num_batches_tracked")}
    statistics = [name for name in own if name.endswith((".running_mean", ".running_var"))]
    lost = {name.rpartition(".")[0]: None for name in statistics if name not in filled}
    torn = [module for module in lost if module in begun]
    if torn:
        raise WeightsError(
            f"{path}: {len(torn)} batch norms have no running statistics in the file ({shown(torn, 3)}), so that the "
            "vectors would not be the file's: save the whole state_dict, not the parameters alone (a norm of another "
            "kind, such as a layer norm, has no place in this model)"
        )


def looks_like(tensors: Mapping[str, Tensor]) -> str:
    """Which known backbone the tensors of a file look like, in words."""
    best, share = nearest_backbone(tensors)
    return "it looks like none of the known backbones" if share < 0.5 else f"it looks like {best}"


@cache
def _shaped_tensors(backbone: str) -> dict[str, Tensor]:
    """Its tensors with their shapes and without numbers; building all backbones takes a second."""
    with torch.device("meta"):
        state = BACKBONES[backbone].factory(1).state_dict()
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def nearest_backbone(tensors: Mapping[str, Tensor]) -> tuple[str, float]:
    """The known backbone whose names and shapes most of a file's tensors have, and the share of both that agree."""
    tensors = {unwrapped(name): tensor for name, tensor in tensors.items()}
    best, share = "", 0.0
    for name in BACKBONES:
        own = _shaped_tensors(name)
        naming = find_naming(tensors, own)
        theirs = [k for k in tensors if k.startswith(naming.prefix) and not k.endswith("num_batches_tracked")]
        rest = sum(k not in naming.names and is_backbone(k, naming.prefix) for k in theirs)
        overlap = naming.fits / (len(own) + len(naming.names) - naming.fits + rest)
        if overlap > share:
            best, share = name, overlap
    return best, share
