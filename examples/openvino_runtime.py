"""An exported encoder run by OpenVINO alone: pixels in, unit vectors out.

passerby export runs/first --to openvino --out people.xml
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino


def open_encoder(path: str | os.PathLike[str]) -> Any:
    """Compile the exported .xml for the CPU, in float32: elsewhere OpenVINO may choose bfloat16, and vectors differ."""
    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def vectors_of(compiled: Any, crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """One unit vector [dim] of a crop, RGB uint8 [H, W, 3] of any size."""
    images = np.ascontiguousarray(crop.transpose(2, 0, 1)[None])
    return np.asarray(compiled(images)[0][0])
