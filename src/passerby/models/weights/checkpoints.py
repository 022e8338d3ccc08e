"""Reading checkpoints of other code bases safely, and saying what matched.

Only plain tensors are ever read: `torch.load(weights_only=True)` or safetensors. A pickle that holds anything else is
refused before any of its code could run.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from passerby.errors import WeightsError
from passerby.models.backbones import inception
from passerby.models.backbones.table import BACKBONES
from passerby.models.backbones.timm_backbone import TimmBackbone
from passerby.models.model import ReIDModel

# Where code bases keep the parameters inside what they save: torchreid and others, fast-reid, EMA copies.
_CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "weights")
# What they put in front of a backbone's parameter names: DataParallel, fast-reid and timm-based code, strong baseline.
_PREFIXES = ("module.", "backbone.", "base.", "model.", "encoder.", "_orig_mod.")
# First words of names that are no part of a backbone: classifiers, other heads, input statistics, losses.
_NOT_BACKBONE = re.compile(
    r"(classifier|fc|last_linear|heads?|bottleneck|pixel_mean|pixel_std|aux_logits|loss\w*)(\.|$)"
)
_RENAMED = (("heads.bottleneck.0.", "head.neck."), ("bottleneck.", "head.neck."))

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
    """Names in the file that the model lacks (a classifier, mostly)."""
    mismatched: tuple[str, ...] = ()
    """Names in both whose shapes differ."""
    note: str = field(default="", compare=False)

    def __str__(self) -> str:
        lines = [f"{self.path}: {len(self.matched)} tensors matched"]
        for title in ("missing", "unexpected", "mismatched"):
            names = getattr(self, title)
            if names:
                shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
                lines.append(f"  {title} {len(names)}: {shown}")
        return "\n".join(lines)


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Tensors of a checkpoint file by name, on the CPU.

    Args:
        path: .safetensors, or anything `torch.save` wrote (.pth, .pth.tar, .pt); a folder with weights.safetensors.

    Raises:
        WeightsError: missing, damaged, no checkpoint, or a pickle that holds more than plain tensors.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        name = os.path.join(name, "weights.safetensors")
    if not os.path.isfile(name):
        raise WeightsError(f"{name}: no such checkpoint file")
    if name.endswith(".safetensors"):
        try:
            return dict(load_file(name))
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{name}: not a readable safetensors file ({error})") from error
    tensors = _find_tensors(_load_pickle(name))
    if not tensors:
        raise WeightsError(f"{name}: expected named tensors (a state_dict), found none")
    return tensors


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> LoadReport:
    """Fill a model from a checkpoint file, whatever names it uses.

    Reads torchvision's, IBN-Net's, torchreid's, fast-reid's, timm's and our own layouts. Parts of the model that the
    file lacks keep their values, and the report names them.

    Args:
        model: a `ReIDModel` or a backbone.
        path: see `read_checkpoint`.

    Returns:
        What matched, what is missing, unexpected or of another shape.

    Raises:
        WeightsError: the file cannot be read safely, or belongs to another model (with the backbone it looks like).
    """
    tensors = read_checkpoint(path)
    own = model.state_dict()
    prefix = "backbone." if isinstance(model, ReIDModel) else ""
    if isinstance(getattr(model, "backbone", model), TimmBackbone):
        prefix += "model."
    renamed = _best_naming(tensors, own, prefix)
    matched = [k for k, v in renamed.items() if k in own and v.shape == own[k].shape]
    mismatched = [k for k, v in renamed.items() if k in own and v.shape != own[k].shape]
    report = LoadReport(
        path=os.fspath(path),
        matched=tuple(matched),
        missing=tuple(k for k in own if k not in renamed),
        unexpected=tuple(k for k in renamed if k not in own),
        mismatched=tuple(mismatched),
    )
    _refuse_another_model(report, own, renamed, prefix)
    model.load_state_dict({**own, **{k: renamed[k] for k in matched}})
    return report


def _load_pickle(name: str) -> Any:
    try:
        with _plain_numpy(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols; what cannot be read is refused below
            return torch.load(name, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{name}: not a checkpoint of plain tensors, so it was not unpickled ({why_unreadable(error)}). "
            "Save its state_dict alone, or as safetensors"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        # torch's readers raise any of these on bytes that are cut short or no checkpoint at all
        raise WeightsError(f"{name}: not a readable checkpoint ({why_unreadable(error)})") from error


def _plain_numpy() -> AbstractContextManager[None]:
    """Let numpy numbers through: torchreid's files keep the rank-1 reached beside the weights."""
    scalar: Any = np.float64(0).__reduce__()[0]
    types = [type(np.dtype(t)) for t in (np.float64, np.float32, np.int64, np.int32, np.bool_)]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return torch.serialization.safe_globals([np.dtype, *types, *[(scalar, name) for name in names]])


def why_unreadable(error: Exception) -> str:
    """The informative line of what torch says about a file; its first one advises to run whatever the file holds."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    informative = next((line for line in lines if "nsupported" in line), lines[0].split(". ")[0])
    return informative.rpartition("your use case: ")[2].rstrip(".")  # torch 2.6 has the advice in the same line


def _find_tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    for key in _CONTAINERS:
        if isinstance(content.get(key), Mapping):
            return _find_tensors(content[key])
    return {str(k): v for k, v in content.items() if isinstance(v, Tensor)}


def _best_naming(tensors: dict[str, Tensor], own: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The renaming under which most of the file's names are names of the model."""
    candidates = [_strip(tensors, "module.")]
    candidates += [_strip(candidates[0], p) for p in _PREFIXES]
    candidates += [_strip(c, p) for c in candidates[1:] for p in _PREFIXES]
    named = [_rename(c, own, prefix) for c in candidates]
    return max(named, key=lambda names: sum(k in own for k in names))


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items()}


def _rename(tensors: dict[str, Tensor], own: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    named = {}
    for key, value in tensors.items():
        for foreign, ours in _RENAMED:
            if prefix and key.startswith(foreign):
                key = ours + key[len(foreign) :]
        if prefix + key not in own and key not in own:
            key = inception.own_name(key)
        named[key if key in own or not prefix else prefix + key] = value
    return named


def _refuse_another_model(report: LoadReport, own: dict[str, Tensor], renamed: dict[str, Tensor], prefix: str) -> None:
    mine = [k for k in own if k.startswith(prefix) and not k.endswith("num_batches_tracked")]
    found = [k for k in renamed if not k.endswith("num_batches_tracked")]
    theirs = [k for k in found if k in own or not _NOT_BACKBONE.match(k.removeprefix(prefix))]
    filled = set(report.matched)
    of_model = sum(k in filled for k in mine) / max(1, len(mine))
    of_file = sum(k in filled for k in theirs) / max(1, len(theirs))
    wrong = [k for k in report.mismatched if k.startswith(prefix) and not _NOT_BACKBONE.match(k.removeprefix(prefix))]
    if of_model >= _ENOUGH_OF_MODEL and of_file >= _ENOUGH_OF_FILE and not wrong:
        return
    example = (
        f"; {wrong[0]} is {tuple(renamed[wrong[0]].shape)} there and {tuple(own[wrong[0]].shape)} here" if wrong else ""
    )
    names = ", ".join(k.removeprefix(prefix) for k in list(renamed)[:3])
    raise WeightsError(
        f"{report.path}: a checkpoint of another model: {of_model:.0%} of this backbone's tensors are in the file and "
        f"{of_file:.0%} of the file's tensors fit{example}. The file begins with {names}; {_nearest(renamed, prefix)}"
    )


def _nearest(renamed: dict[str, Tensor], prefix: str) -> str:
    """Which known backbone the tensors look like."""
    shapes = {(k.removeprefix(prefix), v.shape) for k, v in renamed.items()}
    best, share = "", 0.0
    for name, entry in BACKBONES.items():
        with torch.device("meta"):
            own = {(k, v.shape) for k, v in entry.factory(1).state_dict().items()}
        overlap = len(own & shapes) / len(own | shapes)
        if overlap > share:
            best, share = name, overlap
    if share < 0.5:
        return "it looks like none of the known backbones"
    return f"it looks like {best}"
