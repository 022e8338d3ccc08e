"""What an exported graph takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from passerby.errors import ConfigError, unknown_name

InputType = Literal["uint8", "float"]
Normalization = Literal["inside", "outside"]
Precision = Literal["float32", "float16"]

OPSET = 18
"""The first ONNX operator set whose Resize knows antialiasing."""
LEAST_OPSET = 15
"""Of graphs that do not resize: what onnx's converter reaches from 18."""
_CHOICES = {"input": ("uint8", "float"), "normalization": ("inside", "outside"), "precision": ("float32", "float16")}


@dataclass(frozen=True)
class ExportForm:
    """What an exported graph takes and gives; the defaults are what `load_encoder` runs.

    Attributes:
        input: "uint8": pixels [batch, 3, height, width] of any size, resized in the graph. "float": float32 of the
            encoder's input size alone, as trackers and TensorRT's tools feed.
        normalization: where mean and std are applied. "inside": floats are RGB in 0..1; "outside": floats are
            normalised already. None: inside for uint8, outside for float.
        batch: images at once; None: any number.
        precision: of weights and arithmetic; the input's and output's numbers stay as they are.
        opset: ONNX operator set; None: 18.
        raw: the embedding as the network gives it, not brought to unit length.
    """

    input: InputType = "uint8"
    normalization: Normalization | None = None
    batch: int | None = None
    precision: Precision = "float32"
    opset: int | None = None
    raw: bool = False

    @property
    def resizes(self) -> bool:
        """The graph takes images of any size."""
        return self.input == "uint8"

    @property
    def normalizes(self) -> bool:
        """Mean and std are in the graph."""
        return (self.normalization or ("inside" if self.resizes else "outside")) == "inside"

    @property
    def exact(self) -> bool:
        """The vectors are the encoder's own."""
        return self.precision == "float32"

    def stem(self) -> str:
        """Name of the file without its ending; "encoder" for what `load_encoder` looks for."""
        words = [
            "float" if self.input == "float" else "",
            "normalizing" if not self.resizes and self.normalizes else "",
        ]
        words += [f"batch{self.batch}" if self.batch else "", self.precision if not self.exact else ""]
        words += ["raw" if self.raw else ""]
        return "-".join(["encoder", *filter(None, words)])

    def check(self, to: str) -> None:
        """Refuse what cannot be written.

        Raises:
            ConfigError: an unknown choice, or one that does not go with the others or with the format.
        """
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in known:
                raise ConfigError(unknown_name(name, str(value), known))
        if self.resizes and self.normalization == "outside":
            raise ConfigError(
                "normalization 'outside' goes with input 'float': uint8 pixels cannot be normalised before"
            )
        if self.batch is not None and self.batch < 1:
            raise ConfigError(f"batch: expected at least 1 image, found {self.batch}")
        if self.opset is not None and to != "onnx":
            raise ConfigError(f"opset is for the format 'onnx', found {to!r}")
        least = OPSET if self.resizes else LEAST_OPSET
        if self.opset is not None and self.opset < least:
            hint = f"; input 'float' does not resize and goes down to {LEAST_OPSET}" if self.resizes else ""
            raise ConfigError(f"opset: expected at least {least} for input {self.input!r}, found {self.opset}{hint}")
