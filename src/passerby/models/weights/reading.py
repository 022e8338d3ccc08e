"""Reading checkpoint files safely: tensors, numbers, text and plain containers, and no code.

`torch.load(weights_only=True)` with numpy's arrays and argparse's namespaces let through, which hold plain values; or
safetensors. A pickle that holds anything else is refused before any of its code could run.
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import warnings
from collections import defaultdict
from contextlib import AbstractContextManager
from pathlib import PosixPath
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from passerby.errors import WeightsError
from passerby.zip_files import is_zip, zip_fault


def read_content(path: str | os.PathLike[str]) -> Any:
    """What a checkpoint file holds, on the CPU.

    Args:
        path: .safetensors, or anything `torch.save` wrote (.pth, .pth.tar, .pt); a folder with weights.safetensors.

    Raises:
        WeightsError: missing, damaged, no checkpoint, or a pickle that holds more than plain values.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        name = os.path.join(name, "weights.safetensors")
    if not os.path.isfile(name):
        raise WeightsError(f"{name}: no such checkpoint file")
    if name.endswith((".onnx", ".xml", ".pt2")):
        raise WeightsError(
            f"{name}: a graph, which runs and cannot be trained; expected a checkpoint with the parameters of the "
            "network (.pth, .pt or .safetensors)"
        )
    if not name.endswith(".safetensors"):
        return _load_pickle(name)
    try:
        return dict(load_file(name))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{name}: not a readable safetensors file ({error})") from error


def _load_pickle(name: str) -> Any:
    if is_zip(name) and (fault := zip_fault(name)):
        raise WeightsError(f"{name}: not a readable checkpoint ({fault})")
    try:
        with _plain_values(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols; what cannot be read is refused below
            return torch.load(name, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{name}: not a checkpoint of plain tensors, so it was not unpickled ({why_unreadable(error)}). "
            "Save its state_dict alone, or as safetensors"
        ) from error
    except (
        RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError, IndexError, MemoryError,
    ) as error:  # fmt: skip
        # torch's readers raise any of these on bytes that are cut short or no checkpoint at all
        raise WeightsError(f"{name}: not a readable checkpoint ({why_unreadable(error)})") from error


def _plain_values() -> AbstractContextManager[None]:
    """Let through what programs save beside the weights: numpy's numbers and arrays, histories, their arguments."""
    scalar: Any = np.float64(0).__reduce__()[0]
    rebuild: Any = np.zeros(1).__reduce__()[0]
    kinds = {type(np.dtype(code)) for code in "?bBhHiIlLqQefdFDSUO"}
    named = [
        (function, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for function, name in ((scalar, "scalar"), (rebuild, "_reconstruct"))
    ]
    plain = [argparse.Namespace, PosixPath, defaultdict, dict, list, set, int, float, str]
    return torch.serialization.safe_globals([np.dtype, np.ndarray, *kinds, *named, *plain])


def why_unreadable(error: Exception) -> str:
    """The informative part of what torch says about a file; the rest advises to run whatever the file holds."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    informative = next((line for line in lines if "nsupported" in line), lines[0].split(". ")[0])
    informative = informative.rpartition("your use case: ")[2]  # torch 2.6 has the advice in the same line
    held = re.search(r"GLOBAL (\S+)|class (\S+)", informative)
    if held is not None:
        return f"it holds a {held[1] or held[2]}"
    return informative.partition(" Please use")[0].strip().rstrip(".")
