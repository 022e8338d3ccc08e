"""What runs an encoder: engine, precision and threads."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["auto", "torch", "onnxruntime", "openvino"]
"""auto: the fastest here whose vectors are torch's to 1e-5, as measured once and remembered."""
PrecisionName = Literal["float32", "bfloat16", "int8"]
"""Arithmetic of the network; all but float32 change vectors, and are used only where they are asked for."""
