"""How a model is evaluated: one group of settings for every evaluation, in recipes, Python and on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from passerby.config.engine import EngineName, PrecisionName
from passerby.config.group_validation import parse_settings
from passerby.config.settings_group import NonNegative, Positive, Settings, Share
from passerby.errors import ConfigError, unknown_name

BY_PROTOCOL = "protocol"
"""The exclusion that leaves it to the protocol."""
OF_THE_TEST = "test"
"""Camera statistics of the images that are evaluated."""


class RerankSettings(Settings):
    """k-reciprocal re-ranking; see `passerby.rerank_k_reciprocal`."""

    k1: Positive = 20
    """Neighbours that must be mutual (20; 7 on the old CUHK03; Zhong et al. 2017, arXiv:1701.08398)."""
    k2: Positive = 6
    """Neighbours whose sets are averaged, 1 for none (6; 3 on the old CUHK03)."""
    lambda_value: Share = 0.3
    """Weight of the original distance."""
    overlap: Literal["more", "at_least"] = "more"
    """Join a candidate's set when more than two thirds lie in the original one (all published code), or at least two
    thirds (the paper)."""
    half: Literal["python", "matlab"] = "python"
    """Neighbours of a candidate's own set: round(k1 / 2) + 1, halves to even (python), or round((k1 + 1) / 2), halves
    up (matlab). They differ for k1 = 3, 7, 11, ..."""
    blend: Literal["normalized", "raw"] = "normalized"
    """What lambda_value weighs: normalised squared distances, or raw Euclidean ones (fast-reid)."""


class EvaluationSettings(Settings):
    """How a model is evaluated."""

    protocol: str | None = None
    """market1501, cuhk03, single_shot, all_shots, multi_query, video or no_cameras; default: the dataset's own, and of
    bare vectors market1501 where all cameras are known, else no_cameras."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """Distance of two vectors (encoders give unit vectors, for which both rank alike)."""
    ap: Literal["step", "trapezoid"] = "step"
    """Definition of average precision: step as in recent papers' code, trapezoid as in the official Market-1501 one."""
    max_rank: Positive = 50
    """Length of the CMC curve."""
    exclude: Literal["protocol", "same_id_same_camera", "same_camera", "none"] = "protocol"
    """Gallery images left out for a query: what the protocol says, those of its person and camera, those of its camera,
    or none."""
    junk_pids: tuple[int, ...] = (-1,)
    """Gallery images of these person ids count for nobody."""
    rerank: RerankSettings | None = None
    """Re-rank with k-reciprocal neighbours (transductive: uses the other queries): "k_reciprocal", or its settings."""
    flip: bool = True
    """Average the vectors of an image and its mirror image."""
    pooling: Literal["mean", "max", "attention", "sharpness", "norm", "min_distance"] = "mean"
    """How the frames of a tracklet, or a person's queries under multi_query, become one vector."""
    empty: Literal["skip", "zero"] = "skip"
    """Queries without a true match are left out, or count with an average precision of 0 (the official Matlab code)."""
    repeats: Positive | None = None
    """Random draws of the gallery; default: the exact expectation under cuhk03, 10 draws under single_shot."""
    seed: NonNegative = 0
    """Of the random draws."""
    batch_size: Positive = 128
    """Images a forward pass."""
    engine: EngineName = "auto"
    """What runs the encoder; auto: the fastest here that gives torch's vectors."""
    threads: Positive | None = None
    """Threads of the engine; default: as many as were measured to be fastest."""
    precision: PrecisionName = "float32"
    """Arithmetic of the network; bfloat16 (torch) and int8 (a graph) change vectors, and the report says what that does
    to the ranking."""
    camera_statistics: str | None = None
    """Subtract each camera's mean vector: "test", measured on the query and gallery images (transductive), or a file of
    camera statistics (camera_statistics.parquet)."""
    camera_minimum: int | None = Field(None, ge=2)
    """test: people that a camera must have seen for its mean to be subtracted (default: 50)."""

    @field_validator("exclude", mode="before")
    @classmethod
    def _left_to_the_protocol(cls, value: Any) -> Any:
        return BY_PROTOCOL if value is None else value

    @field_validator("rerank", mode="before")
    @classmethod
    def _rerank_by_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value != "k_reciprocal":
                raise ValueError(unknown_name("re-ranking", value, ["k_reciprocal"]))
            return {}
        return value

    @model_validator(mode="after")
    def _minimum_of_what_is_measured(self) -> EvaluationSettings:
        if self.camera_minimum is not None and self.camera_statistics != OF_THE_TEST:
            raise ValueError(
                f'camera_minimum goes with camera_statistics "{OF_THE_TEST}": a file of statistics has its own'
            )
        return self


def with_changes(settings: EvaluationSettings | None, changes: Mapping[str, Any]) -> EvaluationSettings:
    """Settings of which single ones are replaced.

    Args:
        settings: None: the defaults.
        changes: values by name.

    Raises:
        ConfigError: an unknown setting (with the nearest known one) or a value that does not fit.
    """
    base = EvaluationSettings() if settings is None else settings
    if not isinstance(base, EvaluationSettings):
        raise ConfigError(f"settings: expected EvaluationSettings, found {type(base).__name__}")
    return parse_settings(EvaluationSettings, {**base.model_dump(), **changes}, where="evaluation") if changes else base
