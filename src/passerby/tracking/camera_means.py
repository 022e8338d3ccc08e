"""Joining people over cameras a second time, after what each camera adds to vectors is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from passerby.array_types import Int64
from passerby.config.tracking import TrackingSettings
from passerby.embedding.camera_statistics import MINIMUM, CameraStatistics, measure_camera_statistics
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.tracklet import Tracklet
from passerby.errors import ConfigError
from passerby.tracking.stitching import stitch
from passerby.tracking.tracklet_calibration import TrackletCalibration
from passerby.tracking.travel_times import TravelTimes


def join_people(
    tracklets: Sequence[Tracklet],
    calibration: TrackletCalibration,
    settings: TrackingSettings,
    *,
    travel_times: TravelTimes | None = None,
) -> tuple[Int64, list[str]]:
    """Number tracklets by person (`stitch`); with `camera_statistics` twice.

    The first joining says how many people each camera saw; where they are enough, the cameras' means over them are
    subtracted, and everything is joined anew.

    Args:
        tracklets: of any number of cameras.
        calibration: of the encoder that made their vectors.
        settings: of the tracking.
        travel_times: as for `stitch`.

    Returns:
        Numbers from 0, [n], and notes on how they came about.
    """
    join = partial(
        stitch, tracklets, least_quality=settings.least_quality, prior=settings.prior, travel_times=travel_times
    )
    joined = join(calibration)
    notes = [f"joined by {calibration}"]
    if not settings.camera_statistics:
        return joined, notes
    statistics = film_statistics(tracklets, joined, settings)
    if statistics is None:
        return joined, [*notes, "camera statistics: off, no tracklet is good enough"]
    if not statistics.active:
        return joined, [*notes, str(statistics)]
    law = calibration.of_centered_vectors()
    return join(law, statistics=statistics), [f"joined by {law}", str(statistics)]


def film_statistics(
    tracklets: Sequence[Tracklet], people: Int64, settings: TrackingSettings
) -> CameraStatistics | None:
    """Mean vectors of the cameras over the people that they saw; None without a tracklet that is good enough.

    Args:
        tracklets: of several cameras.
        people: number of each [n].
        settings: of the tracking.
    """
    good = [place for place, t in enumerate(tracklets) if t.vector is not None and t.quality >= settings.least_quality]
    if not good:
        return None
    names = sorted({tracklets[place].camera for place in good})
    own = Embeddings(
        vectors=np.array([tracklets[place].vector for place in good], np.float32),
        pids=people[good] + 1,
        camids=np.array([names.index(tracklets[place].camera) for place in good], np.int64),
    )
    minimum = MINIMUM if settings.camera_minimum is None else settings.camera_minimum
    return replace(measure_camera_statistics(own, groups=people[good], minimum=minimum), cameras=tuple(names))


def check_camera_statistics(
    settings: TrackingSettings, cameras: Sequence[str], calibration: TrackletCalibration
) -> None:
    """Refuse camera statistics that could not be used, before long work begins.

    Raises:
        ConfigError: a single camera.
        EmbeddingError: a calibration without a law for them.
    """
    if not settings.camera_statistics:
        return
    if len(set(cameras)) < 2:
        raise ConfigError(
            f"track: camera_statistics does nothing for a single camera ({', '.join(sorted(set(cameras)))}): what it "
            "adds to all vectors does not part people"
        )
    calibration.of_centered_vectors()
