"""What training minimises: a weighted sum of named losses over the global batch.

With several processes the vectors and labels of all of them are gathered here, and only here, so that every process
computes the same global loss. The gradient of the gather sums over processes and DistributedDataParallel averages
the network's gradients: together that is the gradient of the global loss. The losses' own parameters get the whole
gradient on every process and need no synchronisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from passerby.config import TermConfig
from passerby.distributed import gather, world_size
from passerby.errors import ConfigError
from passerby.losses.distillation import DistillationLoss
from passerby.training.objective_terms import build_term, check_arguments, check_name, reads_of
from passerby.training.objective_terms import check_terms as check_terms


class Vectors(Protocol):
    """What a model gives to the objective: [B, D] before and after the neck."""

    @property
    def feature(self) -> Tensor:
        """[B, D] before the neck."""

    @property
    def embedding(self) -> Tensor:
        """[B, D] after the neck."""


class Rows(NamedTuple):
    """Rows `first` to `last` (exclusive) of a parameter with `of` rows that is spread over processes.

    `loss` is the name of its loss in the objective's `state_dict`.
    """

    loss: str
    parameter: nn.Parameter
    first: int
    last: int
    of: int


class Objective(nn.Module):
    """Weighted sum of losses; each term is named in the result.

    A term's loss is a name of `LOSSES` or an import path "module:Class" of any module called `loss(x, labels)`. It
    reads the vector that its `reads` setting names, or else the loss's own `reads`; foreign losses read `embedding` if
    they own class weights and `feature` if not. A term of weight 0 is switched off: checked, but not built.

    Vectors of several parts (a model's branches) learn the labels part by part: each part has losses of its own, and a
    term's value is their mean. A teacher's vectors are learnt from the whole.

    Args:
        terms: settings by term name.
        num_ids: training identities.
        dim: length of the vectors, or of each of their parts.
        teacher_dim: length of a teacher's vectors, to learn from them as well; 0: no teacher.
        teacher_weight: factor of that term, which is called "distillation" and reads `embedding`.

    Raises:
        ConfigError: an unknown loss or argument, a missing argument, or a value the loss refuses.
        MissingExtraError: the loss is of a package that is not installed.
    """

    def __init__(
        self,
        terms: Mapping[str, TermConfig],
        *,
        num_ids: int,
        dim: int | Sequence[int],
        teacher_dim: int = 0,
        teacher_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.parts = (dim,) if isinstance(dim, int) else tuple(dim)
        for name in terms:
            check_name(name)
        active = {name: term for name, term in terms.items() if term.weight != 0}
        for name in terms.keys() - active.keys():
            check_arguments(name, terms[name])
        if not active:
            raise ConfigError("objective needs at least one term with a weight other than 0")
        self.terms = nn.ModuleDict(
            {
                _key(name, part): build_term(name, term, num_ids=num_ids, dim=width)
                for name, term in active.items()
                for part, width in enumerate(self.parts)
            }
        )
        self.weights = {name: term.weight for name, term in active.items()}
        self.reads = {name: reads_of(name, term) for name, term in active.items()}
        self.distillation = DistillationLoss(sum(self.parts), teacher_dim) if teacher_dim else None
        if self.distillation is not None:
            self.weights["distillation"] = teacher_weight
            self.reads["distillation"] = "embedding"
        self._alike = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every number that `forward` gives."""
        return ("total", *self.weights)

    def forward(self, output: Vectors, labels: Tensor, teacher: Tensor | None = None) -> dict[str, Tensor]:
        """The global batch's loss.

        Args:
            output: this process's vectors, `.feature` and `.embedding` [B, D].
            labels: this process's identities [B], 0..num_ids-1.
            teacher: the teacher's vectors [B, D'] of the same images, where there is distillation.

        Returns:
            "total", the weighted sum, to call backward on; then each term's value before weighting, detached.
        """
        if not self._alike:
            self._broadcast()
        # float32 at least before the gather, so that gradients are also summed in float32
        read = {name: _gather_full(getattr(output, name)) for name in sorted(set(self.reads.values()))}
        labels = gather(labels)
        with torch.autocast(labels.device.type, enabled=False):
            values = {
                name: self._value(name, read[reads], labels)
                for name, reads in self.reads.items()
                if name != "distillation"
            }
            if self.distillation is not None and teacher is not None:
                values["distillation"] = self.distillation(read["embedding"], gather(teacher))
        total = sum(
            (self.weights[name] * value for name, value in values.items()), next(iter(read.values())).new_zeros(())
        )
        return {"total": total, **{name: value.detach() for name, value in values.items()}}

    def _value(self, name: str, x: Tensor, labels: Tensor) -> Tensor:
        """A term's value: the mean over the parts of the vectors."""
        if len(self.parts) == 1:
            return cast(Tensor, self.terms[name](x, labels))
        parts = torch.split(x, list(self.parts), dim=1)
        return torch.stack([self.terms[_key(name, i)](part, labels) for i, part in enumerate(parts)]).mean()

    @property
    def sharded(self) -> bool:
        """Whether a loss keeps another share of its class weights in each process."""
        return any(getattr(loss, "sharded", False) for loss in self.terms.values())

    def whole_parameters(self) -> list[nn.Parameter]:
        """Parameters that are the same in every process."""
        return [parameter for loss in self._whole() for parameter in loss.parameters()]

    def _whole(self) -> list[nn.Module]:
        whole = [loss for loss in self.terms.values() if not getattr(loss, "sharded", False)]
        return whole if self.distillation is None else [*whole, self.distillation]

    def rows_here(self) -> dict[str, Rows]:
        """Parameters of which this process holds some rows only, by their names in `state_dict`."""
        rows: dict[str, Rows] = {}
        for term, loss in self.terms.items():
            if getattr(loss, "sharded", False):
                sharded = cast(Any, loss)
                for name, parameter in sharded.named_parameters():
                    last = sharded.first_row + len(parameter)
                    rows[f"terms.{term}.{name}"] = Rows(
                        f"terms.{term}", parameter, sharded.first_row, last, sharded.num_ids
                    )
        return rows

    def _broadcast(self) -> None:
        """Once, before the first step: all processes start from the first one's class weights and centres."""
        if world_size() > 1:
            for loss in self._whole():
                for tensor in (*loss.parameters(), *loss.buffers()):
                    dist.broadcast(tensor.data, src=0)
        self._alike = True


def _key(name: str, part: int) -> str:
    """Name of a term's loss of one part of the vectors in `state_dict`; the first one's is the term's own."""
    return name if part == 0 else f"{name}@{part}"


def _gather_full(x: Tensor) -> Tensor:
    return gather(x.to(torch.promote_types(x.dtype, torch.float32)))
