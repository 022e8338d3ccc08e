"""Terms of an objective: from their settings to losses, with everything refused that cannot work.

A term's loss is a name of `LOSSES` or an import path "module:Class" of any module called `loss(x, labels)`. Arguments
may be objects: written as an import path where the class needs no arguments, or as a table with the path as `class`.

    [objective.triplet]
    loss = "pytorch_metric_learning.losses:TripletMarginLoss"
    arguments.distance = "pytorch_metric_learning.distances:CosineSimilarity"
    arguments.miner = { class = "pytorch_metric_learning.miners:MultiSimilarityMiner", epsilon = 0.1 }
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from passerby.config import SamplerConfig, TermConfig
from passerby.config.settings_group import NONE
from passerby.errors import ConfigError, MissingExtraError, PasserbyError, unknown_name
from passerby.losses import LOSSES

# Constructor arguments filled in where a class takes them: ours, and pytorch-metric-learning's names for the same.
_NUM_IDS = ("num_ids", "num_classes")
_DIM = ("dim", "embedding_size")
_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*")
_CLASS = "class"
_MINER = "miner"
_TRIAL_DIM = 8


class MinedLoss(nn.Module):
    """A loss of the pairs or triplets that a miner chooses (pytorch-metric-learning's both).

    Args:
        loss: called `loss(x, labels, chosen)`.
        miner: called `miner(x, labels)`.
    """

    def __init__(self, loss: nn.Module, miner: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return cast(Tensor, self.loss(x, labels, self.miner(x, labels)))


def check_terms(terms: Mapping[str, TermConfig], sampler: SamplerConfig | None = None) -> None:
    """Refuse terms that cannot be built or cannot learn, before any image is read.

    Each is built once, and computes the loss of one random batch.

    Args:
        terms: settings by term name.
        sampler: what a batch holds; default: enough of everything.

    Raises:
        ConfigError: an unknown loss or argument, a missing argument, a value the loss refuses, or a loss that is 0
            in every batch that this sampler makes.
        MissingExtraError: the loss is of a package that is not installed.
    """
    batch = SamplerConfig(identities=4, images=4) if sampler is None else sampler
    has_pairs = batch.identities > 1 and batch.images > 1
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn; the run's random numbers stay as they were
        for name, term in terms.items():
            check_name(name)
            dim = _trial_dim(term)
            loss = build_term(name, term, num_ids=max(2, batch.identities), dim=dim)
            learns = _learns(name, term, loss, batch, dim) and (has_pairs or not getattr(loss, "needs_pairs", False))
            if term.weight != 0 and not learns and batch.kind != "shuffled":
                raise ConfigError(
                    f"objective.{name}: {term.loss or name} compares images of one identity with each other and with "
                    f"those of other identities, and a batch of sampler.identities = {batch.identities} and "
                    f"sampler.images = {batch.images} does not hold both, so that the "
                    "term would be 0 or one-sided. Set both to at least 2, or remove the term"
                )


def check_name(name: str) -> None:
    """Refuse a term name that means something else ("softmax@1" is the loss of a branch, see `Objective`).

    Raises:
        ConfigError: it does.
    """
    if name == "total" or not name or any(sign in name for sign in ".@") or hasattr(nn.ModuleDict, name):
        raise ConfigError(f"objective: a term cannot be called {name!r}; rename it and say loss = ... in the term")


def build_term(name: str, term: TermConfig, *, num_ids: int, dim: int) -> nn.Module:
    """The loss of a term.

    Args:
        name: of the term.
        term: its settings.
        num_ids: training identities, for losses with class weights or centres.
        dim: length of the vectors.

    Raises:
        ConfigError: an unknown loss or argument, a missing argument, a value the loss refuses, or fewer identities or
            another length than these.
        MissingExtraError: the loss is of a package that is not installed.
    """
    filled = dict.fromkeys(_NUM_IDS, num_ids) | dict.fromkeys(_DIM, dim)
    arguments, miner = _arguments_and_miner(name, term)
    where = f"objective.{name}.arguments"
    _check_sizes(arguments, where, num_ids, dim)
    loss = _construct(_loss_class(name, term), arguments, where, filled, called=term.loss or name)
    if miner is not None:
        loss = MinedLoss(loss, _object(miner, f"{where}.{_MINER}", filled))
    return cast(nn.Module, loss)


def _check_sizes(arguments: Mapping[str, Any], where: str, num_ids: int, dim: int) -> None:
    """Refuse sizes that do not fit the data and the model, where a recipe gives what is filled in anyway."""
    for key in (*_NUM_IDS, *_DIM):
        given = arguments.get(key)
        if not isinstance(given, int) or isinstance(given, bool):  # the loss says what is wrong with it
            continue
        if key in _NUM_IDS and given < num_ids:
            raise ConfigError(f"{where}: {key} = {given}, and there are {num_ids} identities; leave it out")
        if key in _DIM and given != dim:
            raise ConfigError(f"{where}: {key} = {given}, and the vectors have length {dim}; leave it out")


def _trial_dim(term: TermConfig) -> int:
    """Length of the vectors of a trial: the model's is not known yet, so that what the term says is right."""
    given = [term.arguments[key] for key in _DIM if key in term.arguments]
    return given[0] if given and isinstance(given[0], int) and given[0] > 0 else _TRIAL_DIM


def check_arguments(name: str, term: TermConfig) -> None:
    """Refuse a term's arguments by their names; nothing is built.

    Raises:
        ConfigError: an unknown loss or argument, or a missing one.
    """
    arguments, _ = _arguments_and_miner(name, term)
    _checked(_loss_class(name, term), arguments, f"objective.{name}.arguments", dict.fromkeys((*_NUM_IDS, *_DIM)))


def reads_of(name: str, term: TermConfig) -> str:
    """Which vector a term reads, "feature" or "embedding"."""
    loss = _loss_class(name, term)
    has_class_weights = bool({*_NUM_IDS} & set(_parameters(loss)))
    return term.reads or str(getattr(loss, "reads", "embedding" if has_class_weights else "feature"))


def _learns(name: str, term: TermConfig, loss: nn.Module, batch: SamplerConfig, dim: int) -> bool:
    """Whether a random batch gives any gradient; near each other first, where every margin still holds."""
    labels = torch.arange(batch.identities).repeat_interleave(batch.images)
    for scale in (0.01, 1.0):
        generator = torch.Generator().manual_seed(0)
        x = (scale * torch.randn(len(labels), dim, generator=generator)).requires_grad_()
        try:
            value = loss(x, labels)
            (gradient,) = torch.autograd.grad(value, x, allow_unused=True, materialize_grads=True)
        except Exception as error:  # losses of others refuse a batch with whatever they like
            texts = [f"{key} = {value!r}" for key, value in term.arguments.items() if _is_plain_text(value)]
            advice = (
                f" ({', '.join(texts)}: text; an object is written by its import path, such as "
                '"pytorch_metric_learning.distances:CosineSimilarity")'
            )
            raise ConfigError(
                f"objective.{name}: {term.loss or name} fails on a batch of {batch.identities} x {batch.images} "
                f"images: {_words(error)}{advice if texts else ''}"
            ) from error
        if bool(gradient.any()):
            return True
    return False


def _is_plain_text(value: Any) -> bool:
    return isinstance(value, str) and value != NONE and not _IMPORT_PATH.fullmatch(value)


def _loss_class(name: str, term: TermConfig) -> type[nn.Module]:
    path = term.loss or name
    if ":" in path:
        return cast(type[nn.Module], _imported(path, f"objective.{name}", nn.Module))
    if path not in LOSSES:
        raise ConfigError(f"objective.{name}: {unknown_name('loss', path, LOSSES)}, or an import path 'module:Class'")
    return LOSSES[path]


def _imported(path: str, where: str, kind: type) -> type:
    """The class at an import path."""
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the module's own lines raise
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if module_name.partition(".")[0] == "pytorch_metric_learning" == missing:
            raise MissingExtraError("pytorch_metric_learning", "metric-learning", where) from error
        raise ConfigError(f"{where}: cannot import {module_name!r} ({_words(error)}); check {path!r}") from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, kind)):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, kind)]
        what = "loss" if kind is nn.Module else "class"
        raise ConfigError(f"{where}: {unknown_name(f'{what} of {module_name}', class_name, classes)}")
    return found


def _arguments_and_miner(name: str, term: TermConfig) -> tuple[dict[str, Any], Any]:
    """A term's own arguments, and the miner of a loss that takes none itself."""
    arguments = dict(term.arguments)
    loss = _loss_class(name, term)
    if _MINER not in arguments or _MINER in _parameters(loss):
        return arguments, None
    if len(inspect.signature(loss.forward).parameters) < 4:  # self, x, labels, chosen
        raise ConfigError(f"objective.{name}.arguments: {term.loss or name} takes no pairs from a miner")
    return arguments, arguments.pop(_MINER)


def _parameters(owner: type) -> dict[str, bool]:
    """Constructor arguments of a class: whether each is required.

    Arguments behind **kwargs are those of the classes above; which of them are required, the class itself knows.
    """
    found: dict[str, bool] = {}
    constructors = [vars(base)["__init__"] for base in owner.__mro__[:-1] if "__init__" in vars(base)]
    for depth, constructor in enumerate(constructors):
        own = list(inspect.signature(constructor).parameters.values())[1:]
        for parameter in own:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found.setdefault(parameter.name, depth == 0 and parameter.default is parameter.empty)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own):
            break
    return found


def _checked(owner: type, given: Mapping[str, Any], where: str, filled: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name, completed: none unknown, none missing."""
    known = _parameters(owner)
    for argument in given:
        if argument not in known:
            raise ConfigError(f"{where}: {unknown_name('argument', argument, known)}")
    arguments = {key: value for key, value in filled.items() if key in known} | dict(given)
    missing = [key for key, required in known.items() if required and key not in arguments]
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} must be given")
    return arguments


def _construct(owner: type, given: Mapping[str, Any], where: str, filled: Mapping[str, Any], *, called: str) -> Any:
    built = {key: _object(value, f"{where}.{key}", filled) for key, value in given.items()}
    arguments = _checked(owner, built, where, filled)
    try:
        return owner(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    except PasserbyError:
        raise
    except Exception as error:  # classes of others refuse a value with whatever they like
        given_to_it = " ".join(str(arguments).split())
        raise ConfigError(f"{where}: {called} refuses {given_to_it}: {_words(error)}") from error


def _words(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _object(value: Any, where: str, filled: Mapping[str, Any]) -> Any:
    """An argument's value: an object where it is an import path or a table with a class, null where it is "none"."""
    if isinstance(value, Mapping) and _CLASS in value:
        path, arguments = str(value[_CLASS]), {key: v for key, v in value.items() if key != _CLASS}
    elif isinstance(value, str) and _IMPORT_PATH.fullmatch(value):
        path, arguments = value, {}
    else:
        return None if value == NONE else value
    return _construct(_imported(path, where, object), arguments, where, filled, called=path)
