"""What runs an encoder: a matter of the machine, hence of no recipe."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["auto", "torch", "onnxruntime", "openvino"]
"""auto: the fastest here whose vectors are torch's to 1e-5, as measured once and remembered."""
