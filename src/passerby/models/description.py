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
import os
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from passerby.config.encoder import EncoderSettings
from passerby.config.settings_group import GreyBits
from passerby.errors import WeightsError
from passerby.models.hub import find_in_hub
from passerby.models.sources import DESCRIPTIONS, GRAPHS, is_hub_name, kind_of

DESCRIPTION_FILE = "encoder.json"
FOREIGN_FILE = "encoder.toml"


class ForeignModel(BaseModel):
    """A description file; defaults are a plain 0..1 RGB network; of a checkpoint 256 x 128, ImageNet's mean and std."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    """The model, .onnx, .xml or a checkpoint, relative to the description."""
    height: int | None = Field(None, gt=0)
    """Pixels of the input; a graph's description needs it."""
    width: int | None = Field(None, gt=0)
    """Pixels of the input; a graph's description needs it."""
    colors: Literal["RGB", "BGR"] = "RGB"
    """Order of the input channels (and of `mean` and `std`)."""
    scale: float = Field(255.0, gt=0)
    """Pixels are divided by this first; 1 keeps 0..255."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted after scaling; zeros and ones leave the input as it is."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divided by after that."""
    bits: GreyBits = 16
    """Bits of the values that files store in 16: 10, 12 or 14 for such a thermal camera."""
    output: str | None = None
    """Name of the output to read, where there are several."""
    backbone: str | None = None
    """Checkpoint: the network that it holds."""
    last_stride: Literal[1, 2] | None = None
    """Checkpoint: stride of a ResNet's last stage (default 1)."""
    map_pooling: Literal["average", "max", "gem"] | None = None
    """Checkpoint: how its map becomes a vector."""
    name: str = ""
    """What to call it; default: the file's name."""
    licence: str = "unknown"
    """Terms under which the weights may be used."""
    source: str = ""
    """Where they come from."""

    @model_validator(mode="after")
    def _a_graph_has_a_size(self) -> Self:
        missing = [name for name in ("height", "width") if getattr(self, name) is None]
        if missing and self.file.endswith(GRAPHS):
            raise ValueError(f"{', '.join(missing)} missing: the description of a graph names its input size")
        return self

    @property
    def settings(self) -> EncoderSettings:
        """The part that decides what the network reads: of a graph with the defaults, of a checkpoint what is given."""
        graph = self.file.endswith(GRAPHS)
        names = [name for name in EncoderSettings.model_fields if graph or name in self.model_fields_set]
        return EncoderSettings.model_validate({name: getattr(self, name) for name in names})


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


def description_path(folder: str | os.PathLike[str]) -> Path:
    """The file that describes an encoder, given its folder, its run's folder, or the file itself (or a bare model).

    Raises:
        WeightsError: there is none.
    """
    if is_hub_name(folder):
        return description_path(find_in_hub(os.fspath(folder)).source)
    given = Path(folder)
    if kind_of(given) != "described" or (given.is_file() and given.suffix in DESCRIPTIONS):
        return given
    for place in (given, given / "encoder"):
        for name in (DESCRIPTION_FILE, FOREIGN_FILE):
            if (place / name).is_file():
                return place / name
    state = "holds no encoder.json (nor encoder/encoder.json)" if given.is_dir() else "is no folder"
    raise WeightsError(
        f"{given}: {state}; expected an encoder's folder or a finished training run's (`passerby train`), "
        "a .toml or .json file that describes a foreign model, a graph (.onnx, .xml), a checkpoint (.pth, .pt, "
        ".safetensors), or the name of a known encoder (hub:NAME)"
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file.

    Raises:
        WeightsError: it cannot be read, or is something else.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content
