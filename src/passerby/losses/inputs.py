"""What every loss does first: check the batch, leave autocast, answer an empty batch."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from passerby.errors import ConfigError, EmbeddingError, unknown_name

Loss = TypeVar("Loss", bound=nn.Module)


def guarded(forward: Callable[[Loss, Tensor, Tensor], Tensor]) -> Callable[[Loss, Tensor, Tensor], Tensor]:
    """Give a loss's `forward(x, labels)` the behaviour that all losses share.

    Shapes and types are checked; autocast is off inside and `x` is float32 at least (distances of half-precision
    products are noise); an empty batch costs 0, connected to the graph of `x` and of the loss's own parameters. A loss
    whose attribute `normalize` is true gets unit vectors, x / max(|x|, 1e-12).
    """

    @functools.wraps(forward)
    def checked(self: Loss, x: Tensor, labels: Tensor) -> Tensor:
        check_batch(x, labels)
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(torch.promote_types(x.dtype, torch.float32))
            if x.shape[0] == 0:
                return nothing(x, self.parameters())
            x = functional.normalize(x) if getattr(self, "normalize", False) else x
            return forward(self, x, labels.long())

    return checked


def check_batch(x: Tensor, labels: Tensor) -> None:
    """Refuse anything but float [B, D] vectors with integer [B] labels.

    Raises:
        EmbeddingError: no tensors, another shape or type, or two devices.
    """
    check_tensors(vectors=x, labels=labels)
    if x.ndim != 2 or not x.is_floating_point():
        raise EmbeddingError(f"a loss needs floating-point vectors [B, D], found {x.dtype} {list(x.shape)}")
    if labels.ndim != 1 or labels.shape[0] != x.shape[0]:
        raise EmbeddingError(f"a loss needs one label a vector, [{x.shape[0]}], found labels {list(labels.shape)}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise EmbeddingError(f"labels are integers, found {labels.dtype}; convert them with labels.long()")
    if labels.device != x.device:
        raise EmbeddingError(f"vectors are on {x.device} and labels on {labels.device}; move one of them")


def check_tensors(**given: object) -> None:
    """Refuse what is no torch tensor, by its name.

    Raises:
        EmbeddingError: such a value.
    """
    for name, value in given.items():
        if not isinstance(value, Tensor):
            kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
            raise EmbeddingError(f"a loss needs its {name} as a torch tensor, found {kind}; use torch.as_tensor")


def check_ids(labels: Tensor, num_ids: int) -> None:
    """Refuse labels outside 0..num_ids-1 (on an accelerator without waiting for it: the step then fails there).

    Raises:
        EmbeddingError: such a label, on the CPU.
    """
    inside = ((labels >= 0) & (labels < num_ids)).all()
    if labels.device.type != "cpu":
        torch._assert_async(inside, f"labels must lie in 0..{num_ids - 1}")
    elif not inside:
        low, high = int(labels.min()), int(labels.max())
        raise EmbeddingError(
            f"labels of a loss with one row an identity lie in 0..{num_ids - 1}, found {low}..{high}; "
            "number the training identities with passerby.data.records.labels_of"
        )


def check_dim(x: Tensor, dim: int) -> None:
    """Refuse vectors of another length than a loss's own rows.

    Raises:
        EmbeddingError: such vectors.
    """
    if x.shape[1] != dim:
        raise EmbeddingError(
            f"this loss was made for vectors [B, {dim}], found {list(x.shape)}; make it with dim={x.shape[1]}"
        )


def check_choice(name: str, value: str, known: Iterable[str]) -> str:
    """Return `value` if it is one of `known`.

    Raises:
        ConfigError: it is not.
    """
    choices = tuple(known)
    if value not in choices:
        raise ConfigError(unknown_name(name, str(value), choices))
    return value


def check_at_least(name: str, value: float, low: float, *, exclusive: bool = False) -> None:
    """Refuse a number below `low` (or equal to it, if exclusive), and infinity.

    Raises:
        ConfigError: such a number, or something that is no number.
    """
    finite = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not finite or not (value > low or (value == low and not exclusive)):
        raise ConfigError(
            f"{name} must be a finite number {'above' if exclusive else 'of at least'} {low}, found {value!r}"
        )


def check_below(name: str, value: float, high: float, why: str = "") -> None:
    """Refuse a number of `high` and above; `why` says in which case that holds.

    Raises:
        ConfigError: such a number.
    """
    if value >= high:
        raise ConfigError(f"{name} must be below {high}{why}, found {value!r}")


def flag(name: str, value: bool) -> bool:
    """Return `value` if it is True or False.

    Raises:
        ConfigError: it is anything else, text such as "false" for one, which would count as true.
    """
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be true or false, found {value!r}")
    return value


def always_normalizes(normalize: bool) -> bool:
    """Return the `normalize` of a loss that is defined on unit vectors.

    Raises:
        ConfigError: it is not True.
    """
    if not flag("normalize", normalize):
        raise ConfigError("normalize must be true, found False: this loss is defined on unit vectors")
    return normalize


def whole_number(name: str, value: int, low: int) -> int:
    """Return `value` if it is a whole number of at least `low`.

    Raises:
        ConfigError: it is not.
    """
    try:
        whole = low - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        whole = low - 1
    if whole < low:
        raise ConfigError(f"{name} must be a whole number of at least {low}, found {value!r}")
    return whole


def number(name: str, value: float) -> float:
    """Return `value` if it is a finite number.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number, found {value!r}")
    return value


def number_or_none(name: str, value: float | None) -> float | None:
    """Return `value` if it is a finite number or None.

    Raises:
        ConfigError: it is neither.
    """
    return None if value is None else number(name, value)


def nothing(x: Tensor, parameters: Iterable[Tensor] = ()) -> Tensor:
    """A zero that is connected to `x` and the parameters, so that backward gives finite zeros."""
    return sum((p.sum() * 0 for p in parameters), x.sum() * 0)
