"""Which of a file's tensors are which of a backbone's, whatever stands before their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from passerby.models.backbones import inception
from passerby.models.weights.networks import preference


@dataclass(frozen=True)
class Naming:
    """The tensors of a file that have the backbone's names behind one prefix.

    Attributes:
        prefix: what stands before the names in the file, such as "module.encoder_q.".
        names: the backbone's name of each, by the name in the file.
        fits: how many have the backbone's shape too.
        rivals: other copies that fit as well.
    """

    prefix: str = ""
    names: dict[str, str] = field(default_factory=dict)
    fits: int = 0
    rivals: tuple[Naming, ...] = ()

    def of_other_copy(self, name: str) -> bool:
        """Whether a name in the file belongs to a copy that was not taken."""
        return name not in self.names and any(name.startswith(rival.prefix) for rival in self.rivals)


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
    return replace(equal[0], rivals=tuple(equal[1:]))


def equal_tensors(
    naming: Naming, tensors: Mapping[str, Tensor], rival: Naming, its_tensors: Mapping[str, Tensor]
) -> bool:
    """Whether two copies hold the same numbers."""
    theirs = {own: name for name, own in rival.names.items()}
    return all(
        own in theirs and torch.equal(tensors[name], its_tensors[theirs[own]]) for name, own in naming.names.items()
    )
