"""An ONNX file for trackers that bring their own runtime: boxmot, DeepStream, TensorRT's trtexec, OpenCV's dnn.

All of them feed float32 [n, 3, height, width], RGB in 0..1 with ImageNet's mean and deviation applied, and read
[n, dim].
Nothing of them is imported here: `feed` does what they do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import passerby as pb

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def write(encoder: str | os.PathLike[str], file: str | os.PathLike[str]) -> Path:
    """The command line says it so: passerby export RUN --to onnx --input float --out FILE."""
    return pb.export(encoder, "onnx", input="float", out=file).path


def feed(crops: Sequence[npt.NDArray[np.uint8]], height: int = 256, width: int = 128) -> npt.NDArray[np.float32]:
    """What a tracker gives the graph, float32 [n, 3, height, width], from RGB uint8 crops [H, W, 3] of any size."""
    resized = [np.asarray(Image.fromarray(crop).resize((width, height), Image.Resampling.BILINEAR)) for crop in crops]
    normalised = (np.stack(resized) / 255 - MEAN) / STD
    return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2), np.float32)
