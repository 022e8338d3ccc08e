"""Arguments that several commands take: their types, placeholders and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from passerby.config.engine import EngineName

Json: TypeAlias = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for machines.")]
_ANY_ENCODER = (
    "a run's or an encoder's folder, a description (.toml, .json), a graph (.onnx, .xml), a checkpoint, or hub:NAME"
)
Encoder: TypeAlias = Annotated[Path, Parameter(help=f"{_ANY_ENCODER[0].upper()}{_ANY_ENCODER[1:]}.")]
GalleryEncoder: TypeAlias = Annotated[
    Path, Parameter(metavar="ENCODER", help=f"What made the gallery's vectors: {_ANY_ENCODER}.")
]
Engine: TypeAlias = Annotated[
    EngineName, Parameter(help="What runs the encoder; auto: the fastest here that gives torch's vectors.")
]
Threads: TypeAlias = Annotated[
    int | None,
    Parameter(metavar="N", help="Threads of the engine (default: as many as were measured to be fastest)."),
]
GalleryLocation: TypeAlias = Annotated[str, Parameter(help="A gallery: a file, or milvus://HOST:PORT/NAME.")]
Name: TypeAlias = Annotated[str, Parameter(help="Name of the person.")]
Images: TypeAlias = Annotated[tuple[Path, ...], Parameter(name="IMAGE", help="One or more image files.")]
ImagesOrFolders: TypeAlias = Annotated[
    tuple[Path, ...], Parameter(name="IMAGE", help="Image files, or folders: every image below them.")
]
Camera: TypeAlias = Annotated[str | None, Parameter(metavar="NAME", help="Camera that took the images.")]
Moment: TypeAlias = Annotated[
    str | None, Parameter(metavar="TIME", help="When the images were taken: seconds, a date, or ISO 8601 text.")
]
Tracklet: TypeAlias = Annotated[
    bool, Parameter(negative=(), help="The images are the frames of one tracklet of one person: their mean counts.")
]
AcceptBelow: TypeAlias = Annotated[
    float | None,
    Parameter(metavar="DISTANCE", help="Accept nearer matches only (default: the calibrated threshold)."),
]
AskedRate: TypeAlias = Annotated[
    float | None,
    Parameter(metavar="RATE", help="False accept rate to ask for, 0.01 for 1 % (default: the gallery's)."),
]
Seed: TypeAlias = Annotated[int, Parameter(metavar="N", help="Seed of every random choice.")]
BatchSize: TypeAlias = Annotated[int, Parameter(metavar="N", help="Images a forward pass.")]
Metric: TypeAlias = Annotated[Literal["euclidean", "cosine"], Parameter(help="Distance of two vectors.")]
Flip: TypeAlias = Annotated[bool, Parameter(help="Average the vectors of an image and its mirror image.")]
Rates: TypeAlias = Annotated[tuple[float, ...], Parameter(metavar="RATE")]
