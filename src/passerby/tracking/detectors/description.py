"""What has to be known of a detector's model file beside what its graph declares."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from passerby.errors import WeightsError

PERSON_LABELS = {
    "person-detection-0200": 0,
    "person-detection-0201": 0,
    "person-detection-0202": 0,
    "person-detection-0203": 0,
    "person-detection-retail-0013": 1,
    "pedestrian-detection-adas-0002": 1,
}
"""Label of a person by file name, as the Open Model Zoo documents these models."""


class DetectorDescription(BaseModel):
    """A detector's description file (.toml), or what stands for one where a model is named directly.

    # detector.toml, beside the model
    file = "person-detection-0200.xml"
    width = 512
    height = 512
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    file: str
    """The model, .onnx or .xml, relative to the description."""
    decoding: Literal["ssd", "yolox"] | None = None
    """How the output is read; None: recognised by its shape."""
    width: int | None = Field(None, gt=0)
    """Pixels of the input; None: as the graph says."""
    height: int | None = Field(None, gt=0)
    """Pixels of the input; None: as the graph says."""
    colors: Literal["RGB", "BGR"] = "BGR"
    """Order of the input channels."""
    scale: float = Field(1.0, gt=0)
    """Pixels are divided by this; 1 keeps 0..255."""
    label: int | None = Field(None, ge=0)
    """Number of the class person; None: 0 for yolox, and for ssd what is known of the file's name."""
    threshold: float | None = Field(None, ge=0, le=1)
    """Least score of a box; None: 0.3 for ssd, 0.6 for yolox."""
    duplicates: float | None = Field(None, gt=0, le=1)
    """IoU above which the less certain of two boxes goes; None: 0.55 for ssd, 0.45 for yolox."""


def describe_detector(path: Path) -> DetectorDescription:
    """Read a description file, or make one for a model that is named directly.

    Raises:
        WeightsError: no such file, another kind of file, or a key or value that does not fit.
    """
    if path.suffix in (".onnx", ".xml"):
        return DetectorDescription(file=path.name)
    if path.suffix != ".toml":
        raise WeightsError(f"{path}: expected a detector as .onnx, .xml (OpenVINO), or a .toml that describes one")
    try:
        return DetectorDescription.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    except tomllib.TOMLDecodeError as error:
        raise WeightsError(f"{path}: not TOML ({error})") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        keys = ", ".join(DetectorDescription.model_fields)
        raise WeightsError(f"{path}: not a detector's description ({problems}); keys are {keys}") from error
