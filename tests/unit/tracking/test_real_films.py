"""Real films and public detectors, where they lie at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from passerby.evaluation.tracks import TrackRows, compare_tracks
from passerby.tracking.boxes.reading import read_boxes
from passerby.tracking.detections import Detections, box_overlap
from passerby.tracking.detectors.detector import load_detector
from passerby.tracking.films import read_frames
from passerby.tracking.motion import make_tracker

DATA = Path(os.environ.get("PASSERBY_DATA", Path(__file__).parents[4] / "shared" / "data")) / "film"
pytest.importorskip("av")
pytest.importorskip("trackers")
pytest.importorskip("trackeval")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no films at {DATA} (set PASSERBY_DATA)"),
]
DETECTORS = {
    "ssd": ("person-detection-0200.xml", 512, "PETS09-S2L1_person-detection-0200_512x512.txt", 0.3, "openvino"),
    "yolox": ("yolox_nano.onnx", None, "PETS09-S2L1_yolox-nano_416.txt", 0.6, "onnxruntime"),
}


@pytest.mark.parametrize("name", DETECTORS)
def test_a_public_detector_gives_the_boxes_that_its_own_code_gave(name: str, tmp_path: Path) -> None:
    model, side, reference, score, engine = DETECTORS[name]
    pytest.importorskip(engine)
    description = tmp_path / "detector.toml"
    size = f"width = {side}\nheight = {side}\n" if side else ""
    # known labels go by the file's name
    description.write_text(f'file = "{(DATA / "detectors" / model).resolve()}"\n{size}')
    detector = load_detector(description, threads=1)
    boxes = read_boxes(DATA / "detections" / reference, min_confidence=score + 0.1).boxes
    frame = next(
        frame
        for frame in read_frames(DATA / "films/vtest.avi", wanted=lambda index: index == 100)
        if frame.index == 100
    )
    assert frame.image is not None
    expected = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes if b.frame == 100], np.float32)
    found = detector(frame.image)
    assert len(expected) <= len(found) <= len(expected) + 2
    assert box_overlap(expected, found.xyxy).max(axis=1).min() > 0.9


@pytest.mark.slow
def test_sort_gives_the_published_figures_on_ready_detections() -> None:
    """IDF1 45.2 and MOTA 77 on PETS09-S2L1, people's identities, before anything is joined."""
    boxes = read_boxes(DATA / "detections" / DETECTORS["ssd"][2], min_confidence=0.3).boxes
    truth = [box for box in read_boxes(DATA / "truth/PETS09-S2L1/gt_person.txt").boxes if box.confidence != 0]
    tracker = make_tracker("sort", rate=7)
    rows = []
    for frame in range(1, 796):
        own = [box for box in boxes if box.frame == frame]
        corners = [(b.x, b.y, b.x + b.width, b.y + b.height) for b in own]
        tracks = tracker.update(Detections.of(corners, [b.confidence for b in own]))
        rows += [(frame, int(t), b.x, b.y, b.width, b.height) for t, b in zip(tracks, own, strict=True) if t >= 0]
    found = np.array(rows)
    true = np.array([(b.frame, b.track, b.x, b.y, b.width, b.height) for b in truth])
    tables = [TrackRows(t[:, 0].astype(np.int64), t[:, 1].astype(np.int64), t[:, 2:]) for t in (found, true)]
    report = compare_tracks({"pets": tables[0]}, {"pets": tables[1]})
    assert report.idf1 == pytest.approx(0.452, abs=0.01)
    assert report.mota == pytest.approx(0.77, abs=0.01)
