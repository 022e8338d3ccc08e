"""What training minimises: a weighted sum of named losses over the global batch.

With several processes the vectors and labels of all of them are gathered here, and only here, so that every process
computes the same global loss. The gradient of the gather sums over processes and DistributedDataParallel averages
the network's gradients: together that is the gradient of the global loss. The losses' own parameters get the whole
gradient on every process and need no synchronisation.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from passerby.config import TermConfig
from passerby.distributed import gather, world_size
from passerby.errors import ConfigError, MissingExtraError, unknown_name
from passerby.losses import LOSSES
from passerby.losses.distillation import DistillationLoss

# Constructor arguments filled in where a loss takes them: ours, and pytorch-metric-learning's names for the same.
_NUM_IDS = ("num_ids", "num_classes")
_DIM = ("dim", "embedding_size")


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

    Args:
        terms: settings by term name.
        num_ids: training identities.
        dim: length of the vectors.
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
        dim: int,
        teacher_dim: int = 0,
        teacher_weight: float = 1.0,
    ) -> None:
        super().__init__()
        active = {name: term for name, term in terms.items() if _checked_name(name) and term.weight != 0}
        for name in terms.keys() - active.keys():
            _arguments(name, terms[name], num_ids=num_ids, dim=dim)
        if not active:
            raise ConfigError("objective needs at least one term with a weight other than 0")
        self.terms = nn.ModuleDict(
            {name: _build(name, term, num_ids=num_ids, dim=dim) for name, term in active.items()}
        )
        self.weights = {name: term.weight for name, term in active.items()}
        self.reads = {name: _reads(term, _resolve(name, term)) for name, term in active.items()}
        self.distillation = DistillationLoss(dim, teacher_dim) if teacher_dim else None
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
            values = {name: loss(read[self.reads[name]], labels) for name, loss in self.terms.items()}
            if self.distillation is not None and teacher is not None:
                values["distillation"] = self.distillation(read["embedding"], gather(teacher))
        total = sum(
            (self.weights[name] * value for name, value in values.items()), next(iter(read.values())).new_zeros(())
        )
        return {"total": total, **{name: value.detach() for name, value in values.items()}}

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


def check_terms(terms: Mapping[str, TermConfig]) -> None:
    """Refuse terms that cannot be built, before any image is read: each is built once for two identities.

    Raises:
        ConfigError: an unknown loss or argument, a missing argument, or a value the loss refuses.
        MissingExtraError: the loss is of a package that is not installed.
    """
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn; the run's random numbers stay as they were
        for name, term in terms.items():
            _checked_name(name)
            _build(name, term, num_ids=2, dim=2)


def _checked_name(name: str) -> bool:
    if name == "total" or "." in name or not name or hasattr(nn.ModuleDict, name):
        raise ConfigError(f"objective: a term cannot be called {name!r}; rename it and say loss = ... in the term")
    return True


def _gather_full(x: Tensor) -> Tensor:
    return gather(x.to(torch.promote_types(x.dtype, torch.float32)))


def _resolve(name: str, term: TermConfig) -> type[nn.Module]:
    """The class that a term names."""
    path = term.loss or name
    if ":" not in path:
        if path not in LOSSES:
            raise ConfigError(
                f"objective.{name}: {unknown_name('loss', path, LOSSES)}, or an import path 'module:Class'"
            )
        return LOSSES[path]
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if module_name.partition(".")[0] == "pytorch_metric_learning" == error.name:
            raise MissingExtraError("pytorch_metric_learning", "metric-learning", f"objective.{name}") from error
        raise ConfigError(
            f"objective.{name}: cannot import {module_name!r} ({error}); check loss = {path!r}"
        ) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        classes = [
            key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, nn.Module)
        ]
        raise ConfigError(f"objective.{name}: {unknown_name(f'loss of {module_name}', class_name, classes)}")
    return found


def _reads(term: TermConfig, loss: type[nn.Module]) -> str:
    """Which vector a term reads."""
    has_class_weights = bool({*_NUM_IDS} & set(_parameters(loss)))
    return term.reads or str(getattr(loss, "reads", "embedding" if has_class_weights else "feature"))


def _parameters(loss: type[nn.Module]) -> dict[str, bool]:
    """Constructor arguments of a class: whether each is required.

    Arguments behind **kwargs are those of the classes above; which of them are required, the class itself knows.
    """
    found: dict[str, bool] = {}
    constructors = [vars(owner)["__init__"] for owner in loss.__mro__ if "__init__" in vars(owner)]
    for depth, constructor in enumerate(constructors):
        own = list(inspect.signature(constructor).parameters.values())[1:]
        for parameter in own:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found.setdefault(parameter.name, depth == 0 and parameter.default is parameter.empty)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own):
            break
    return found


def _arguments(name: str, term: TermConfig, *, num_ids: int, dim: int) -> dict[str, Any]:
    """A term's constructor arguments, checked by name and completed."""
    known = _parameters(_resolve(name, term))
    for argument in term.arguments:
        if argument not in known:
            raise ConfigError(f"objective.{name}.arguments: {unknown_name('argument', argument, known)}")
    filled = dict.fromkeys(_NUM_IDS, num_ids) | dict.fromkeys(_DIM, dim)
    # TOML has no null: "none" stands for it (batch_hard_triplet's margin = "none" is the soft margin)
    given = {key: None if value == "none" else value for key, value in term.arguments.items()}
    arguments = {key: value for key, value in filled.items() if key in known} | given
    missing = [key for key, required in known.items() if required and key not in arguments]
    if missing:
        raise ConfigError(f"objective.{name}.arguments: {', '.join(missing)} must be given")
    return arguments


def _build(name: str, term: TermConfig, *, num_ids: int, dim: int) -> nn.Module:
    arguments = _arguments(name, term, num_ids=num_ids, dim=dim)
    try:
        return _resolve(name, term)(**arguments)
    except ConfigError as error:
        raise ConfigError(f"objective.{name}.arguments: {error}") from error
    except (TypeError, ValueError, AssertionError) as error:  # how foreign losses refuse a value
        raise ConfigError(f"objective.{name}.arguments: {term.loss or name} refuses {arguments}: {error}") from error
