"""Other people's ONNX or OpenVINO re-ID models, described in a small file beside them.

# person-reidentification-retail-0277.toml, beside the model
file = "person-reidentification-retail-0277.xml"
height = 256
width = 128
colors = "BGR"
scale = 1.0
licence = "Apache-2.0"
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from passerby.errors import WeightsError
from passerby.models.engines.preprocessing import Preprocessing


class ForeignModel(BaseModel):
    """A description file; defaults are a plain 0..1 RGB network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    """The model, .onnx or .xml, relative to the description."""
    height: int = Field(gt=0)
    """Pixels of the input."""
    width: int = Field(gt=0)
    """Pixels of the input."""
    colors: Literal["RGB", "BGR"] = "RGB"
    """Order of the input channels (and of `mean` and `std`)."""
    scale: float = Field(255.0, gt=0)
    """Pixels are divided by this first; 1 keeps 0..255."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted after scaling; zeros and ones leave the input as it is."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divided by after that."""
    output: str | None = None
    """Name of the output to read, where there are several."""
    name: str = ""
    """What to call it; default: the file's name."""
    licence: str = "unknown"
    """Terms under which the weights may be used."""
    source: str = ""
    """Where they come from."""

    @property
    def preprocessing(self) -> Preprocessing:
        """The part that decides what the network reads."""
        return Preprocessing(
            height=self.height, width=self.width, mean=self.mean, std=self.std, scale=self.scale, colors=self.colors
        )


def read_description(path: Path) -> ForeignModel:
    """Read a description file, .toml or .json.

    Raises:
        WeightsError: not such a file, or a key or value that does not fit.
    """
    try:
        text = path.read_text("utf-8")
        content: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        return ForeignModel.model_validate(content)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise WeightsError(
            f"{path}: not a model description ({problems}); keys are {', '.join(ForeignModel.model_fields)}"
        ) from error
    except ValueError as error:
        raise WeightsError(f"{path}: not a model description ({error})") from error
