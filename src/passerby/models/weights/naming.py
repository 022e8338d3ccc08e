"""Which of a file's tensors are which of a backbone's, whatever stands before their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from passerby.models.backbones import inception
from passerby.models.weights.networks import preference

_LEAST_OF_COPY = 0.25
"""Share of the backbone's names from which on they are another copy's; a block of a ResNet-18 has 5% of them."""
_WRAPPINGS = ("_orig_mod", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module")
"""What torch.compile, sharding and recomputed activations put between the names of modules."""


def unwrapped(name: str) -> str:
    """A name without the parts that wrappers of modules put into it, wherever they stand."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPINGS)


@dataclass(frozen=True)
class Naming:
    """The tensors of a file that have the backbone's names behind one prefix.

    Attributes:
        prefix: what stands before the names in the file, such as "module.encoder_q.".
        names: the backbone's name of each, by the name in the file.
        fits: how many have the backbone's shape too.
        rivals: other copies that fit as well.
        copies: every other copy, also one that fits in part alone.
    """

    prefix: str = ""
    names: dict[str, str] = field(default_factory=dict)
    fits: int = 0
    rivals: tuple[Naming, ...] = ()
    copies: tuple[Naming, ...] = ()

    def beside(self, names: Iterable[str]) -> list[str]:
        """The names that are neither the backbone's nor another copy's, be it of its backbone or of its head.

        Args:
            names: of the file.
        """
        others = [name for name in names if name not in self.names]
        own = [n for n in others if not any(_of_second(n, self.prefix, copy.prefix) for copy in self.copies)]
        # copies of the backbone may share a head that stands with one of them
        return own or [n for n in others if not any(n in copy.names for copy in self.copies)]


def _of_second(name: str, taken: str, other: str) -> bool:
    """Whether a name lies in the second of two networks: behind the first part in which their prefixes differ."""
    ours, theirs = taken.split(".")[:-1], other.split(".")[:-1]
    while ours and theirs and ours[-1] == theirs[-1]:  # the backbone's name within its network
        ours, theirs = ours[:-1], theirs[:-1]
    differs = (i for i, (one, another) in enumerate(zip(ours, theirs, strict=False)) if one != another)
    same = next(differs, min(len(ours), len(theirs)))
    inside = "".join(f"{part}." for part in theirs[: same + 1])
    own = "".join(f"{part}." for part in ours[: same + 1])
    nested = own != inside and own.startswith(inside)
    return name.startswith(inside) and not (nested and name.startswith(own))


def suffixes(name: str) -> list[tuple[str, str]]:
    """Every way to cut a dotted name into what stands before and the rest."""
    parts = name.split(".")
    return [("".join(f"{part}." for part in parts[:i]), ".".join(parts[i:])) for i in range(len(parts))]


def find_naming(tensors: Mapping[str, Tensor], backbone: Mapping[str, Tensor]) -> Naming:
    """The prefix behind which most of the file's names are names of the backbone.

    Args:
        tensors: of the file.
        backbone: the backbone's own tensors (shapes count, values do not).

    Returns:
        The naming; of several that fit equally well, the one that `preference` names first.
    """
    by_prefix: dict[str, dict[str, str]] = defaultdict(dict)
    for name in tensors:
        for before, rest in suffixes(name):
            own = rest if rest in backbone else inception.own_name(rest)
            if own in backbone:
                by_prefix[before][name] = own
    namings = [
        Naming(prefix, names, sum(tensors[name].shape == backbone[own].shape for name, own in names.items()))
        for prefix, names in by_prefix.items()
    ]
    if not namings:
        return Naming()
    best = max((naming.fits, len(naming.names)) for naming in namings)
    equal = sorted(
        (naming for naming in namings if (naming.fits, len(naming.names)) == best),
        key=lambda naming: preference(naming.prefix),
    )
    taken = equal[0]
    least = _LEAST_OF_COPY * len(backbone)
    copies = tuple(naming for naming in namings if naming is not taken and len(naming.names) >= least)
    return replace(taken, rivals=tuple(equal[1:]), copies=copies)


def equal_tensors(
    naming: Naming, tensors: Mapping[str, Tensor], rival: Naming, its_tensors: Mapping[str, Tensor]
) -> bool:
    """Whether two copies hold the same numbers."""
    theirs = {own: name for name, own in rival.names.items()}
    return all(
        own in theirs and torch.equal(tensors[name], its_tensors[theirs[own]]) for name, own in naming.names.items()
    )
