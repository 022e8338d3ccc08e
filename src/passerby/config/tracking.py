"""How films are tracked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from passerby.config.settings_group import Settings
from passerby.errors import ConfigError, unknown_name

OF_JOINING = ("prior", "travel_times", "camera_statistics", "camera_minimum", "fill_seconds", "flip")
"""Settings that `passerby.watch` does not read."""


class TrackingSettings(Settings):
    """Settings of `passerby.track`; times are in seconds, so that they hold at every frame rate."""

    tracker: Literal["sort", "bytetrack", "ocsort"] = "sort"
    """Who follows boxes from frame to frame (the package `trackers`)."""
    every: int = Field(1, ge=1)
    """Look at every so many frames only."""
    rate: float | None = Field(None, gt=0)
    """Frames per second, where the film's own rate and time stamps are wrong."""
    least_score: float | None = Field(None, allow_inf_nan=False)
    """Boxes of a lower score, on the scale of the detector or file, are left out (default: none); many files hold boxes
    that a detector here would leave out."""
    start_score: float | None = Field(None, allow_inf_nan=False)
    """Score from which a box starts a track; default: the detector's threshold, 0.3 for boxes from a file, any score
    where they are not within 0 to 1 (logits, for example)."""
    lost_seconds: float = Field(2.0, ge=0)
    """How long a track lives without a box."""
    cut_overlap: float = Field(0.3, gt=0, le=1)
    """IoU with another box from which a track is cut, and from which no crop is taken."""
    cut_gap: float = Field(0.5, gt=0)
    """Time without a box after which a track is cut."""
    crop_seconds: float = Field(1.0, gt=0)
    """One crop of a track is turned into a vector in this time, and one more at each place where the track is cut."""
    crops: int = Field(8, ge=1)
    """Crops of a tracklet: the best of each of so many equal parts of its time."""
    min_height: int = Field(24, ge=1)
    """Pixels; lower boxes give no crop."""
    least_quality: float = Field(0.1, ge=0, le=1)
    """A tracklet of less quality (score, size, overlap, agreement of its crops) gets no verdict of its own."""
    prior: float = Field(0.5, gt=0, lt=1)
    """Probability, before looking, that two tracklets show one person."""
    travel_times: Path | None = None
    """CSV (from,to,seconds) or TOML file: least seconds from one camera's view to another's, 0 where they overlap."""
    camera_statistics: bool = False
    """Join again after each camera's mean vector, over the people that the first joining found, is subtracted."""
    camera_minimum: int | None = Field(None, ge=2)
    """Of camera_statistics: people that a camera must have seen for its mean to be subtracted (default: 50)."""
    fill_seconds: float = Field(2.0, ge=0)
    """Gaps of an identity in one camera up to this long are filled by straight lines; 0: none."""
    flip: bool = False
    """Average the vectors of each crop and of its mirror image, at twice the cost."""

    @model_validator(mode="after")
    def _minimum_of_what_is_measured(self) -> TrackingSettings:
        if self.camera_minimum is not None and not self.camera_statistics:
            raise ValueError("camera_minimum does nothing without camera_statistics")
        return self


def tracking_settings(settings: TrackingSettings | None, changes: Mapping[str, Any]) -> TrackingSettings:
    """Settings with single fields changed.

    Raises:
        ConfigError: an unknown field, or a value that does not fit.
    """
    for name in changes:
        if name not in TrackingSettings.model_fields:
            raise ConfigError(unknown_name("setting", name, TrackingSettings.model_fields))
    given = {} if settings is None else settings.model_dump()
    try:
        return TrackingSettings(**{**given, **changes})
    except ValueError as error:
        raise ConfigError(f"tracking: {error}") from None


def watching_settings(settings: TrackingSettings | None, changes: Mapping[str, Any]) -> TrackingSettings:
    """The same for `passerby.watch`, which reads fewer of them.

    Raises:
        ConfigError: as `tracking_settings`, or one that would do nothing.
    """
    chosen, usual = tracking_settings(settings, changes), TrackingSettings()
    idle = [name for name in OF_JOINING if getattr(chosen, name) != getattr(usual, name)]
    if idle:
        raise ConfigError(
            f"watch: {', '.join(idle)} would do nothing, for the gallery says at once who somebody is; leave it out "
            "(it is for passerby track)"
        )
    return chosen
