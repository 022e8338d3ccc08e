"""The networks in a checkpoint file: every mapping of names to tensors, under whatever word and however deep.

The structure decides, no list of words. Words only decide between copies that fit a model equally well: an averaged
copy (EMA, SWA, the teacher of a mean teacher or of self-distillation) is what its program evaluates, so it comes
first; the slowly following copy of contrastive learning (encoder_k, the target or momentum encoder) comes last, as its
programs hand on the other one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_AVERAGED = re.compile(r"(^|[._])(ema|teacher|swa|shadow|averaged?)([._\d]|$)|(^|[._])ema[A-Z]", re.IGNORECASE)
_FOLLOWING = re.compile(r"(^|[._])(encoder_?k|key_encoder|target\w*|momentum\w*)([._]|$)", re.IGNORECASE)
_USUAL = ("state_dict", "model_state_dict", "model", "net", "weights")
_NO_WEIGHTS = re.compile(
    r"(^|[._])(optim\w*|exp_avg\w*|momentum_buffer|grads?|gradients?|scheduler)([._]|$)", re.IGNORECASE
)
_SHOWN = 6
_NUMBERS = "fiub"
_DEEPEST = 100
"""Levels of mappings; a network's own names have some ten dots."""


@dataclass(frozen=True)
class Network:
    """Named tensors that lie together in a file.

    Attributes:
        place: where in the file: "" for the file itself, "state_dict", "models.0", ...
        tensors: by their names in the file.
    """

    place: str
    tensors: dict[str, Tensor]


def find_networks(content: Any) -> list[Network]:
    """Every mapping of names to tensors, and every mapping of such mappings (a network saved in parts).

    Optimizer states hold tensors too, but no network: what has `param_groups` is left out.

    Args:
        content: what the file holds; it may contain itself.
    """
    found: list[Network] = []
    _collect(content, "", found, set())
    return found


def _collect(content: Any, place: str, found: list[Network], seen: set[int]) -> dict[str, Tensor]:
    """All tensors below `content`, by their dotted places in it; networks on the way are added to `found`."""
    if id(content) in seen or not isinstance(content, (Mapping, list, tuple)) or place.count(".") > _DEEPEST:
        return {}
    seen.add(id(content))
    if isinstance(content, Mapping) and "param_groups" in content:
        return {}
    tensors: dict[str, Tensor] = {}
    arrays: dict[str, Tensor] = {}
    parts = 0
    index = len(found)
    for key, value in _items(content):
        if isinstance(value, Tensor):
            if isinstance(content, Mapping):
                tensors[key] = value
        elif isinstance(value, np.ndarray):
            if isinstance(content, Mapping) and value.dtype.kind in _NUMBERS:
                arrays[key] = torch.from_numpy(value.astype(value.dtype.newbyteorder("=")))
        elif below := _collect(value, f"{place}.{key}" if place else key, found, seen):
            parts += 1
            tensors |= {f"{key}.{name}": tensor for name, tensor in below.items()}
    own = any(isinstance(value, Tensor) for value in content.values()) if isinstance(content, Mapping) else False
    if arrays and not parts:  # beside networks they are what a program has recorded
        tensors |= arrays
        own = True
    if own or parts > 1:
        found.insert(index, Network(place, tensors))
    return tensors


def _items(content: Any) -> Iterator[tuple[str, Any]]:
    items = content.items() if isinstance(content, Mapping) else enumerate(content)
    return ((str(key), value) for key, value in items)


def preference(place: str) -> int:
    """Which of several equal copies comes first, by its place or by what stands before its names; lower is better."""
    if _NO_WEIGHTS.search(place):
        return 20
    if _AVERAGED.search(place):
        return 0
    if _FOLLOWING.search(place):
        return 10
    last = place.rstrip(".").rpartition(".")[2]
    return 1 + _USUAL.index(last) if last in _USUAL else 9 if place else 1


def describe_content(content: Any) -> str:
    """What a file holds, for a message: its keys, and the names of the first tensors."""
    if not isinstance(content, (Mapping, list, tuple)):
        return f"a {type(content).__name__}"
    keys = [str(key) for key in content] if isinstance(content, Mapping) else [type(item).__name__ for item in content]
    text = f"{'the keys' if isinstance(content, Mapping) else 'a list of'} {shown(keys)}" if keys else "nothing"
    networks = find_networks(content)
    if not networks:
        return f"{text}, and no named tensors"
    names = "; ".join(f"{network.place or 'itself'}: {shown(list(network.tensors), 3)}" for network in networks[:3])
    return f"{text}; named tensors lie in {names}"


def shown(names: Sequence[str], most: int = _SHOWN) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
