"""One box of a file of boxes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """One person's box in one frame.

    Attributes:
        frame: from 1.
        track: the file's own number; negative for a detection that no track took.
        x: left edge, pixels from the left.
        y: upper edge, pixels from the top.
        width: pixels.
        height: pixels.
        confidence: the detector's score, on any scale; None if the file gives none.
        row: line or entry of the file, from 1.
        ignored: a ground truth's mark "not to be counted".
        category: the class as MOT numbers it (1 pedestrian, 2 person on vehicle, 3 car, 7 static person, 8 distractor);
            None in files without classes.
    """

    frame: int
    track: int
    x: float
    y: float
    width: float
    height: float
    confidence: float | None
    row: int
    ignored: bool = False
    category: int | None = None
