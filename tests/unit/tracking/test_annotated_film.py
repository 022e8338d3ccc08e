"""The film with boxes drawn in: frames that were not looked at."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from passerby.tracking.films import read_frames
from passerby.tracking.result import IdentityRows, TrackedFilm
from passerby.tracking.writers.annotated_film import write_annotated_film

pytest.importorskip("av")


def test_boxes_do_not_flicker_between_the_frames_that_were_looked_at(tmp_path: Path) -> None:
    """Identity 1 walks from frame 1 to frame 5; identity 2 is in frame 1 alone, identity 3 in frame 5 alone."""
    for frame in range(1, 7):
        Image.new("RGB", (160, 96)).save(tmp_path / f"{frame}.png")
    boxes = np.array([[10, 20, 30, 60], [120, 20, 140, 60], [50, 20, 70, 60], [120, 20, 140, 60]], np.float32)
    rows = IdentityRows(
        frames=np.array([1, 1, 5, 5]),
        times=np.array([0.0, 0.0, 0.4, 0.4]),
        identities=np.array([1, 2, 1, 3]),
        boxes=boxes,
        scores=np.ones(4, np.float32),
        tracklets=np.array([0, 1, 0, 2]),
        filled=np.zeros(4, bool),
    )
    film = TrackedFilm(str(tmp_path), "walk", "hall", 6, 2.5, 4, (160, 96), rows, {}, ())
    write_annotated_film(tmp_path / "walk.mp4", film)
    drawn = {frame.index: frame.image for frame in read_frames(tmp_path / "walk.mp4")}

    def left_sides(frame: int) -> list[int]:
        """Columns in which the middle of a box's left side is bright."""
        image = drawn[frame]
        assert image is not None
        bright = np.flatnonzero(image[40].max(axis=1) > 110)
        return [int(column) for column in bright if column - 1 not in bright]

    assert len(drawn) == 6
    assert left_sides(1) == pytest.approx([10, 29, 120, 139], abs=2)
    assert left_sides(2) == pytest.approx([20, 39], abs=2)
    assert left_sides(3) == pytest.approx([30, 49], abs=2)
    assert left_sides(5) == pytest.approx([50, 69, 120, 139], abs=2)
    assert left_sides(6) == []
