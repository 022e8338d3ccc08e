"""Arguments that several commands take: their types, placeholders and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

Json: TypeAlias = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for machines.")]
Encoder: TypeAlias = Annotated[Path, Parameter(help="Folder of a run or an encoder.")]
GalleryEncoder: TypeAlias = Annotated[
    Path, Parameter(metavar="FOLDER", help="Folder of the run or encoder whose vectors the gallery holds.")
]
GalleryLocation: TypeAlias = Annotated[str, Parameter(help="A gallery: a file, or milvus://HOST:PORT/NAME.")]
Name: TypeAlias = Annotated[str, Parameter(help="Name of the person.")]
Images: TypeAlias = Annotated[tuple[Path, ...], Parameter(name="IMAGE", help="One or more image files.")]
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
Seed: TypeAlias = Annotated[int, Parameter(metavar="N", help="Seed of every random choice.")]
BatchSize: TypeAlias = Annotated[int, Parameter(metavar="N", help="Images a forward pass.")]
Metric: TypeAlias = Annotated[Literal["euclidean", "cosine"], Parameter(help="Distance of two vectors.")]
Flip: TypeAlias = Annotated[bool, Parameter(help="Average the vectors of an image and its mirror image.")]
Rates: TypeAlias = Annotated[tuple[float, ...], Parameter(metavar="RATE")]
