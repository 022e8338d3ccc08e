"""Which crops become vectors, and that nothing of those who left is held."""

import numpy as np

from passerby.config.tracking import TrackingSettings
from passerby.tracking.crop_selection import CropSampler, PickedCrop
from passerby.tracking.detections import Detections
from passerby.tracking.films import Frame

IMAGE = np.zeros((100, 200, 3), np.uint8)


def watch(sampler: CropSampler, seconds: float, boxes: list[tuple[int, ...]], begin: float = 0.0) -> list[PickedCrop]:
    """Ten frames a second of boxes (track, left), 40 x 60 pixels."""
    picked = []
    for k in range(round(begin * 10), round((begin + seconds) * 10)):
        corners = [(left, 20, left + 40, 80) for _, left in boxes]
        detections = Detections.of(corners, [0.5 + 0.04 * (k % 10)] * len(boxes), [track for track, _ in boxes])
        picked += sampler.see(Frame(k + 1, k / 10, IMAGE), detections)
    return picked


def test_one_crop_a_second_and_one_at_each_end() -> None:
    sampler = CropSampler(TrackingSettings())
    assert watch(sampler, 3.1, [(7, 20)]) == []
    crops = sampler.end(7)
    assert len(crops) == 5
    assert [crop.best for crop in crops].count(True) == 1
    assert np.diff([crop.time for crop in crops]).min() > 0.2
    watch(sampler, 0.2, [(7, 20)], begin=9)
    assert len(sampler.finish()) == 1


def test_a_long_stay_costs_no_more_memory() -> None:
    sampler = CropSampler(TrackingSettings(crops=4))
    watch(sampler, 60, [(7, 20)])
    assert len(sampler._stretches[7].picked) <= 16
    crops = sampler.finish()
    assert len(crops) == 4
    assert crops[-1].time - crops[0].time > 30


def test_a_stretch_ends_where_people_overlap_or_leave() -> None:
    sampler = CropSampler(TrackingSettings())
    watch(sampler, 1, [(1, 20), (2, 120)])
    assert {crop.track for crop in watch(sampler, 0.1, [(1, 20), (2, 30)], begin=1)} == {1, 2}
    assert sampler.finish() == []
    watch(sampler, 1, [(1, 20)], begin=2)
    assert {crop.track for crop in watch(sampler, 0.7, [(3, 120)], begin=3)} == {1}
    assert list(sampler._stretches) == [3]
