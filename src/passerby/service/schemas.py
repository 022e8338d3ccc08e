"""Bodies of requests and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
)

from passerby.gallery.events import Event
from passerby.gallery.result_types import FoundSightings, Identification, Identity, Match, Observation, Sighting
from passerby.gallery.undo import can_be_undone
from passerby.gallery.verdict_rule import Basis
from passerby.search.score import ScoreName
from passerby.service.calibration_curve import CurvePoint
from passerby.service.errors import NUMBER_TAG, TEXT_TAG
from passerby.service.verdict import Verdict, verdict_of


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected no {str(value).lower()}")
    return value


def _of_one_length(vectors: list[list[float]]) -> list[list[float]]:
    for place, vector in enumerate(vectors):
        if len(vector) != len(vectors[0]):
            raise ValueError(
                f"expected vectors of one length, found {len(vectors[0])} numbers in 0, {len(vector)} in {place}"
            )
    return vectors


NoTruthValue = BeforeValidator(_no_truth_value)
"""true is no 1, nor false a distance of 0, though Python has it so."""

Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=4000)]
Source: TypeAlias = Annotated[str, StringConstraints(max_length=1000)]

Number: TypeAlias = Annotated[float, NoTruthValue, Field(allow_inf_nan=False)]
Component: TypeAlias = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False, strict=True)]
Distance: TypeAlias = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
_NUMBER_OR_TEXT = Discriminator(lambda value: TEXT_TAG if isinstance(value, str) else NUMBER_TAG)
"""One error of a field that takes either, not one of each kind."""
When: TypeAlias = Annotated[
    Annotated[Number, Tag(NUMBER_TAG)] | Annotated[str, StringConstraints(min_length=1, max_length=40), Tag(TEXT_TAG)],
    _NUMBER_OR_TEXT,
]
Top: TypeAlias = Annotated[int, Field(ge=1, le=100)]
Vectors: TypeAlias = Annotated[
    list[Annotated[list[Component], Field(min_length=1, max_length=16_384, fail_fast=True)]],
    Field(min_length=1, max_length=4096, fail_fast=True),  # one wrong number is enough: not an error for each
    AfterValidator(_of_one_length),
]
Pixels: TypeAlias = Annotated[float, NoTruthValue, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Entry = TypeVar("Entry")
PerPicture: TypeAlias = Annotated[list[Entry], Field(max_length=4096, fail_fast=True)] | None
LISTS = frozenset({"times", "frames", "scores", "boxes"})
"""Fields that are lists with one entry a picture or vector."""
MOST_OBSERVATIONS = 10_000
MAX_INTEGER = 2**63 - 1
"""The largest id that SQLite stores."""


class _RequestBody(BaseModel):
    """An unknown field is an error; and so is a truth value where none is expected (in lists: see their entries)."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _no_other_truth_value(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[info.field_name or ""].annotation
        return value if bool in (kind, *get_args(kind)) else _no_truth_value(value)


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
    end: When | None = Field(None, description="last moment of a tracklet; default: time")
    source: Source = Field("", description="film or folder that it is from")
    once_per_instant: bool = Field(True, description="nobody is seen twice by one camera at one instant")
    keep: bool = False
    threshold: Distance | None = None


class ObserveVectorsRequest(ObserveRequest):
    """Identify by vectors, else enrol as a new unknown."""

    vectors: Vectors


class TrackletFields(_RequestBody):
    """What is known of one person's passage before a camera: lists have one entry a picture (or vector), in order."""

    camera: Name
    times: Annotated[list[When], Field(min_length=1, max_length=4096, fail_fast=True)] = Field(
        description="moments of the pictures, none before the one in front of it"
    )
    frames: PerPicture[Annotated[int, NoTruthValue, Field(ge=0, le=MAX_INTEGER)]] = Field(
        None, description="their numbers in the film, ascending"
    )
    scores: PerPicture[Annotated[float, NoTruthValue, Field(ge=0, le=1)]] = Field(
        None, description="how well each shows the person: of the detector, less where others hide the person"
    )
    source: Source = Field("", description="film that it is from")
    keep: bool = False
    threshold: Distance | None = None
    least_quality: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="below it there is no verdict; default: as in tracking"
    )


class TrackletRequest(TrackletFields):
    """A tracklet of pictures: crops of the person, or whole frames with `boxes`."""

    boxes: PerPicture[Annotated[list[Pixels], Field(min_length=4, max_length=4)]] = Field(
        None, description="left, top, right, bottom of the person, in pixels of the frame; then the pictures are frames"
    )


class TrackletVectorsRequest(TrackletFields):
    """A tracklet of vectors of this gallery's encoder."""

    vectors: Vectors


class MergeRequest(_RequestBody):
    """`other` turns out to be `into`."""

    into: Name
    other: Name


Ids: TypeAlias = Annotated[
    list[Annotated[int, NoTruthValue, Field(ge=1, le=MAX_INTEGER)]], Field(max_length=MOST_OBSERVATIONS, fail_fast=True)
]


class SplitRequest(_RequestBody):
    """Some observations or sightings of `identity` turn out to be somebody else: `name`, or a new unknown."""

    identity: Name
    observations: Ids = []
    sightings: Ids = []
    name: Name | None = None


class FindSightingsRequest(_RequestBody):
    """Filters of a search over all past sightings."""

    camera: Name | None = Field(None, description="by this camera only")
    after: When | None = Field(None, description="from this moment on")
    before: When | None = Field(None, description="up to this moment")
    top: Annotated[int, Field(ge=1, le=1000)] = Field(50, description="number of sightings")


class FindSightingsVectorsRequest(FindSightingsRequest):
    """Search by one vector, or by several of one tracklet."""

    vectors: Vectors


class KeepSightingsRequest(_RequestBody):
    """What is stored of sightings, and how long; what is left out stays as it is."""

    keep_vectors: bool | None = Field(None, description="store their vectors; false also erases those stored")
    expire_after: (
        Annotated[
            Annotated[float, Field(gt=0, le=1e12), Tag(NUMBER_TAG)] | Annotated[Literal["never"], Tag(TEXT_TAG)],
            _NUMBER_OR_TEXT,
        ]
        | None
    ) = Field(None, description='seconds after which a purge erases a sighting, or "never"')
    templates_per_camera: (
        Annotated[
            Annotated[int, Field(ge=1, le=MAX_INTEGER), Tag(NUMBER_TAG)] | Annotated[Literal["any"], Tag(TEXT_TAG)],
            _NUMBER_OR_TEXT,
        ]
        | None
    ) = Field(None, description='most observations of one identity and camera that observe stores, or "any"')


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
    distance: Annotated[float, Field(ge=0, le=2.001, allow_inf_nan=False)]  # 2, but for rounding


class ThresholdRequest(_RequestBody):
    """The gallery's own threshold; null: the false accept rate decides."""

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
    p_value: float | None = Field(description="how often somebody who is not enrolled comes as near as the first match")
    basis: Basis = Field(description="where the threshold comes from")
    note: str = Field(description="what the verdict rests on, or what is missing for one")
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
            p_value=found.p_value,
            basis=found.basis,
            note=found.note,
            band=band,
            explanation=found.verdict,
            considered=found.considered,
            excluded=found.excluded,
            matches=candidates,
        )


class CalibrationResponse(BaseModel):
    """What a false accept rate asks for in this gallery; `curve` has the rate of other thresholds."""

    kind: Literal["identify", "observe"]
    far: float
    threshold: float | None = Field(description="p <= far strictly below it; null: too little is known (see note)")
    in_force: float | None = Field(description="the threshold that decides: one that was set goes first")
    in_force_far: float | None = Field(description="the rate that `in_force` has here")
    identities: int
    people: int
    finest_far: float | None
    interval: tuple[float, float] | None
    source: Literal["gallery", "blend", "encoder", "none"]
    extrapolated: bool
    conservative: float
    note: str
    camera_means: int = Field(description="version of the camera means that are subtracted from vectors; 0: none are")
    cohort: bool = Field(
        description="the law is of distances relative to the 20 next nearest people: `threshold`, `in_force` and "
        "`interval` are, and each answer has a threshold of its own; `curve` is empty"
    )
    curve: list[CurvePoint]


class FarRequest(_RequestBody):
    """The false accept rate that the gallery is asked for."""

    far: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class DuplicatePairSummary(BaseModel):
    """Two identities that may be one person."""

    identity: str
    other: str
    distance: float
    p_value: float


class DuplicateList(BaseModel):
    """Pairs to look at, the most suspicious first."""

    pairs: list[DuplicatePairSummary]


class JudgeRequest(_RequestBody):
    """What somebody who looked at two identities found."""

    identity: Name
    other: Name
    judgement: Literal["different people", "one person"]


class EnrollResponse(BaseModel):
    """Ids of the new observations."""

    identity: str
    observations: list[int]


class SightingSummary(BaseModel):
    """Somebody was seen by a camera; `start` and `end` in seconds."""

    sighting: int
    identity: str
    new: bool
    camera: str | None
    start: float | None
    end: float | None
    distance: float | None
    p_value: float | None
    frames: int
    source: str
    first_frame: int | None
    last_frame: int | None
    stored: float
    thumbnail: bool
    observations: list[int]

    @classmethod
    def of(cls, sighting: Sighting) -> SightingSummary:
        """From the gallery's own."""
        same = cls.model_fields.keys() - {"sighting", "stored", "thumbnail", "observations"}
        return cls(
            **{name: getattr(sighting, name) for name in same},
            sighting=sighting.id,
            stored=sighting.at,
            thumbnail=sighting.has_thumbnail,
            observations=list(sighting.observations),
        )


class SightingEvent(SightingSummary):
    """A new sighting; `visit`: whether the person was not seen for a while before."""

    visit: bool


class SightingList(BaseModel):
    """Sightings, newest first."""

    sightings: list[SightingSummary]


class FoundSightingSummary(BaseModel):
    """A sighting and its distance to the probe."""

    distance: float
    sighting: SightingSummary


class FoundSightingsResponse(BaseModel):
    """The nearest of all past sightings; those without a vector cannot be compared."""

    request: str
    considered: int
    without_vector: int
    results: list[FoundSightingSummary]

    @classmethod
    def of(cls, found: FoundSightings, request: str) -> FoundSightingsResponse:
        """From the gallery's own."""
        results = [FoundSightingSummary(distance=r.distance, sighting=SightingSummary.of(r.sighting)) for r in found]
        return cls(request=request, considered=found.considered, without_vector=found.without_vector, results=results)


class CameraSummary(BaseModel):
    """What one camera saw, and the newest of it."""

    camera: str | None
    sightings: int
    identities: int
    new: int
    first: float | None
    last: float | None
    drift: bool
    newest: list[SightingSummary]


class CameraList(BaseModel):
    """All cameras, by name."""

    cameras: list[CameraSummary]


class KeepSightingsResponse(BaseModel):
    """What is stored of sightings; None: without a bound."""

    keep_vectors: bool
    expire_after: float | None
    templates_per_camera: int | None


class ObserveResponse(BaseModel):
    """What observing did."""

    identity: str
    new: bool
    observations: list[int]
    sighting: int
    answer: IdentifyResponse


class TrackletResponse(BaseModel):
    """What observing a tracklet did; a poor one is not stored and gets no verdict instead of a wrong one."""

    decided: bool
    quality: float = Field(description="mean quality of the pictures used, times how much they agree; 0 to 1")
    used: int = Field(description="pictures (or vectors) that were compared")
    skipped: dict[str, int] = Field(description="the others, by reason")
    identity: str | None
    new: bool | None
    observations: list[int]
    sighting: int | None
    answer: IdentifyResponse | None


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
    sightings: int
    drift: bool

    @classmethod
    def of(cls, identity: Identity) -> IdentitySummary:
        """From the gallery's own."""
        fields = {name: getattr(identity, name) for name in cls.model_fields}
        return cls(**fields | {"cameras": list(identity.cameras), "aliases": list(identity.aliases)})


class ListedIdentity(IdentitySummary):
    """An identity of a list; `newest` is the newest of its observations, whose picture stands for it."""

    newest: int | None


class IdentityList(BaseModel):
    """One page of identities; `cameras` are those of all identities of the gallery."""

    total: int
    cameras: list[str]
    identities: list[ListedIdentity]


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
    """An identity with its stored observations (`sightings`, as they were called first) and the newest sightings."""

    identity: IdentitySummary
    sightings: list[ObservationSummary]
    seen: list[SightingSummary]


class PurgeResponse(BaseModel):
    """Who was forgotten because their retention date has come; `pending` as for forgetting."""

    identities: list[str]
    observations: int
    sightings: int
    pending: str


class ForgetResponse(BaseModel):
    """What was erased; `pending` is empty when every byte is gone."""

    observations: int
    sightings: int
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
    gone: bool = Field(description="it is about an identity that is no longer in the gallery")
    undoable: bool = Field(description="it is a change that can be undone, unless a later one builds upon it")

    @classmethod
    def of(cls, event: Event) -> HistoryEvent:
        """From the gallery's own; names of people other than `identity` are left out."""
        gone = event.identity is not None and event.name is None
        return cls(
            id=event.id,
            at=event.at,
            action=event.action,
            actor=event.actor,
            identity=event.name,
            detail=dict(event.detail),
            undone=event.undone,
            gone=gone,
            undoable=not gone and can_be_undone(event),
        )


class HistoryResponse(BaseModel):
    """Entries, newest first."""

    events: list[HistoryEvent]


class ComparisonResponse(BaseModel):
    """How the gallery compares: version of the camera means (0: none), whether relative to a cohort, and in words."""

    camera_means: int
    cohort: bool
    text: str


class GalleryResponse(BaseModel):
    """The gallery, its encoder's calibration, and what the caller may do."""

    identities: int
    observations: int
    dim: int
    encoder: str
    comparison: ComparisonResponse
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
