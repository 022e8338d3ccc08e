"""Bodies of requests and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from passerby.gallery.events import Event
from passerby.gallery.result_types import Identification, Identity, Match, Observation
from passerby.search.score import ScoreName
from passerby.service.calibration_curve import CurvePoint
from passerby.service.verdict import Verdict, verdict_of

Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=4000)]
Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Component: TypeAlias = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]
Distance: TypeAlias = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
When: TypeAlias = Annotated[
    Annotated[Number, Tag("number")] | Annotated[str, StringConstraints(min_length=1, max_length=40), Tag("text")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "number"),  # one error, not one of each kind
]
Top: TypeAlias = Annotated[int, Field(ge=1, le=100)]
Vectors: TypeAlias = Annotated[
    list[Annotated[list[Component], Field(min_length=1, max_length=16_384, fail_fast=True)]],
    Field(min_length=1, max_length=4096, fail_fast=True),  # one wrong number is enough: not an error for each
]
MOST_OBSERVATIONS = 10_000
MAX_INTEGER = 2**63 - 1
"""The largest id that SQLite stores."""


class _RequestBody(BaseModel):
    """An unknown field is an error."""

    model_config = ConfigDict(extra="forbid")


class IdentifyRequest(_RequestBody):
    """Filters of an identification."""

    camera: Name | None = Field(None, description="where the probe was taken")
    exclude_camera: bool = Field(True, description="leave out observations of the probe's own camera")
    after: When | None = Field(None, description="compare only with observations from this moment on")
    before: When | None = Field(None, description="compare only with observations up to this moment")
    threshold: Distance | None = Field(None, description="another threshold than the gallery's")
    top: Top = Field(10, description="number of candidates")
    score: ScoreName | None = Field(None, description="of an identity with several observations; default: min")


class IdentifyVectorsRequest(IdentifyRequest):
    """Identify one person by one vector, or by several of one tracklet."""

    vectors: Vectors


class EnrollRequest(_RequestBody):
    """Add observations to an identity."""

    identity: Name
    camera: Name | None = None
    time: When | None = None
    notes: Text | None = None
    consent: Text | None = None
    expires: When | None = None
    tracklet: bool = Field(False, description="all are frames of one tracklet: their mean becomes one observation")


class EnrollVectorsRequest(EnrollRequest):
    """Add vectors to an identity."""

    vectors: Vectors


class ObserveRequest(_RequestBody):
    """Identify, else enrol as a new unknown."""

    camera: Name | None = None
    time: When | None = None
    keep: bool = False
    threshold: Distance | None = None


class ObserveVectorsRequest(ObserveRequest):
    """Identify by vectors, else enrol as a new unknown."""

    vectors: Vectors


class MergeRequest(_RequestBody):
    """`other` turns out to be `into`."""

    into: Name
    other: Name


class SplitRequest(_RequestBody):
    """Some observations of `identity` turn out to be somebody else: `name`, or a new unknown."""

    identity: Name
    observations: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_INTEGER)]],
        Field(min_length=1, max_length=MOST_OBSERVATIONS, fail_fast=True),
    ]
    name: Name | None = None


class ForgetRequest(_RequestBody):
    """Erase an identity for good; `confirm` repeats its name."""

    identity: Name
    confirm: Name


class UpdateRequest(_RequestBody):
    """Change what is known of an identity; what is left out stays. `expires`: a date, or "never"."""

    identity: Name
    name: Name | None = None
    notes: Text | None = None
    consent: Text | None = None
    expires: When | None = None


class UndoRequest(_RequestBody):
    """Undo the last change, or the change `event`."""

    event: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None


class DecisionRequest(_RequestBody):
    """What a person decided about a candidate; it is written to the audit."""

    identity: Name
    decision: Literal["confirm", "reject"]
    request: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")] = Field(
        description="`request` of the identification it is about"
    )
    distance: Distance


class ThresholdRequest(_RequestBody):
    """The gallery's own threshold; null: the encoder's."""

    threshold: Distance | None


class Candidate(BaseModel):
    """One candidate identity and the nearest of its observations."""

    rank: int
    identity: str
    distance: float
    camera: str | None
    time: float | None
    observation: int
    verdict: Verdict

    @classmethod
    def of(cls, rank: int, match: Match, verdict: Verdict) -> Candidate:
        """From a match."""
        return cls(
            rank=rank,
            identity=match.identity,
            distance=match.distance,
            camera=match.camera,
            time=match.time,
            observation=match.observation,
            verdict=verdict,
        )


class IdentifyResponse(BaseModel):
    """`known` and `identity` follow the threshold strictly; `verdict` is "look" near it, for a person to decide."""

    request: str
    verdict: Verdict
    known: bool | None
    identity: str | None
    threshold: float | None
    band: tuple[float, float] | None
    explanation: str
    considered: int
    excluded: int
    matches: list[Candidate]

    @classmethod
    def of(cls, found: Identification, band: tuple[float, float] | None, request: str) -> IdentifyResponse:
        """From an identification."""
        candidates = [Candidate.of(i, m, verdict_of(m.distance, band)) for i, m in enumerate(found.matches, 1)]
        nobody: Verdict = "uncalibrated" if band is None else "unknown"
        return cls(
            request=request,
            verdict=candidates[0].verdict if candidates else nobody,
            known=found.known,
            identity=found.identity,
            threshold=found.threshold,
            band=band,
            explanation=found.verdict,
            considered=found.considered,
            excluded=found.excluded,
            matches=candidates,
        )


class EnrollResponse(BaseModel):
    """Ids of the new observations."""

    identity: str
    observations: list[int]


class ObserveResponse(BaseModel):
    """What observing did."""

    identity: str
    new: bool
    observations: list[int]
    answer: IdentifyResponse


class IdentitySummary(BaseModel):
    """An identity."""

    name: str
    observations: int
    cameras: list[str]
    first_seen: float | None
    last_seen: float | None
    unknown: bool
    notes: str
    consent: str
    expires: float | None
    created: float
    aliases: list[str]

    @classmethod
    def of(cls, identity: Identity) -> IdentitySummary:
        """From the gallery's own."""
        fields = {name: getattr(identity, name) for name in cls.model_fields}
        return cls(**fields | {"cameras": list(identity.cameras), "aliases": list(identity.aliases)})


class IdentityList(BaseModel):
    """One page of identities."""

    total: int
    identities: list[IdentitySummary]


class ObservationSummary(BaseModel):
    """One stored observation."""

    observation: int
    camera: str | None
    time: float | None

    @classmethod
    def of(cls, observation: Observation) -> ObservationSummary:
        """From the gallery's own."""
        return cls(observation=observation.id, camera=observation.camera, time=observation.time)


class IdentityDetails(BaseModel):
    """An identity with its sightings."""

    identity: IdentitySummary
    sightings: list[ObservationSummary]


class PurgeResponse(BaseModel):
    """Who was forgotten because their retention date has come; `pending` as for forgetting."""

    identities: list[str]
    observations: int
    pending: str


class ForgetResponse(BaseModel):
    """What was erased; `pending` is empty when every byte is gone."""

    observations: int
    pending: str


class HistoryEvent(BaseModel):
    """One entry of the log."""

    id: int
    at: float
    action: str
    actor: str
    identity: str | None
    detail: dict[str, Any]
    undone: bool

    @classmethod
    def of(cls, event: Event) -> HistoryEvent:
        """From the gallery's own; names of people other than `identity` are left out."""
        return cls(
            id=event.id,
            at=event.at,
            action=event.action,
            actor=event.actor,
            identity=event.name,
            detail=dict(event.detail),
            undone=event.undone,
        )


class HistoryResponse(BaseModel):
    """Entries, newest first."""

    events: list[HistoryEvent]


class GalleryResponse(BaseModel):
    """The gallery, its encoder's calibration, and what the caller may do."""

    identities: int
    observations: int
    dim: int
    encoder: str
    threshold: float | None
    band: tuple[float, float] | None
    calibrated_threshold: float | None
    false_alarm_rate: float | None
    impostors: int | None
    curve: list[CurvePoint]
    read_only: bool
    caller: str
    role: Literal["read", "write", "admin"]
    images: int
    body_bytes: int
    pixels: int
    version: str


class ErrorResponse(BaseModel):
    """What is wrong with a request; `request` is its id."""

    detail: str
    request: str
