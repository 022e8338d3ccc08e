"""What has to be known of a detector's model file beside what its graph declares."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

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

Std = Annotated[float, Field(gt=0)]


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
    decoding: Literal["ssd", "yolox", "yolov8", "detr", "nms_in_graph"] | None = None
    """How the outputs are read; None: recognised by their shapes."""
    width: int | None = Field(None, gt=0)
    """Pixels of the input; None: as the graph says."""
    height: int | None = Field(None, gt=0)
    """Pixels of the input; None: as the graph says."""
    fit: Literal["stretch", "corner", "center"] | None = None
    """How a picture is laid into the input: stretched, or in its proportions at the corner or in the centre; None: as
    models with this decoding usually want it."""
    colors: Literal["RGB", "BGR"] | None = None
    """Order of the input channels; None: as models with this decoding usually want it."""
    scale: float | None = Field(None, gt=0)
    """Pixels are divided by this, 1 keeps 0..255; None: as models with this decoding usually want it."""
    mean: tuple[float, float, float] | None = None
    """Subtracted from the scaled channels; None: as models with this decoding usually want it."""
    std: tuple[Std, Std, Std] | None = None
    """Divides the scaled channels; None: as models with this decoding usually want it."""
    activation: Literal["softmax", "sigmoid"] | None = None
    """Of the logits of a detr; None: by the number of COCO's classes."""
    normalized: bool = False
    """Boxes of nms_in_graph are shares of the input, not its pixels."""
    label: int | None = Field(None, ge=0)
    """Number of the class person; None: what is known of the file's name or of COCO's classes."""
    threshold: float | None = Field(None, ge=0, le=1)
    """Least score of a box; None: 0.3 for ssd, 0.6 for yolox, 0.25 for yolov8 and nms_in_graph, 0.7 for detr."""
    duplicates: float | None = Field(None, gt=0, le=1)
    """IoU above which the less certain of two boxes goes; None: 0.55 for ssd, 0.45 for yolox, else 0.7."""


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
