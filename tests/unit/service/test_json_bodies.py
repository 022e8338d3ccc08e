"""JSON bodies: counted before they are built, and never more than a few errors."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from passerby.service import schemas
from passerby.service.errors import ServiceError
from passerby.service.json_bodies import Bounds, bounds_of, check_structure, parse_json
from passerby.service.schemas import (
    DecisionRequest,
    EnrollVectorsRequest,
    FarRequest,
    ForgetRequest,
    IdentifyVectorsRequest,
    KeepSightingsRequest,
    SplitRequest,
    ThresholdRequest,
    TrackletRequest,
    TrackletVectorsRequest,
    UpdateRequest,
)

MODELS: list[type[BaseModel]] = [
    schemas.IdentifyVectorsRequest,
    schemas.EnrollVectorsRequest,
    schemas.ObserveVectorsRequest,
    schemas.MergeRequest,
    schemas.SplitRequest,
    schemas.ForgetRequest,
    schemas.UpdateRequest,
    schemas.UndoRequest,
    schemas.DecisionRequest,
    schemas.ThresholdRequest,
]
VECTORS, DIM = 4, 8


def read(body: str | bytes, model: type[BaseModel] = IdentifyVectorsRequest) -> Any:
    data = body if isinstance(body, bytes) else body.encode()
    return parse_json(data, model, bounds_of(model, vectors=VECTORS, dim=DIM))


def error_of(body: str | bytes, model: type[BaseModel] = IdentifyVectorsRequest) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        read(body, model)
    return caught.value


def test_what_is_within_bounds_is_read() -> None:
    text = "," * 4000
    asked = {"identity": "[" * 200, "notes": text, "consent": '"\\' * 2000, "camera": "1" * 200, "time": 1}
    vectors = [[0.123456789012345678 * i for i in range(DIM)]] * VECTORS
    for indent in (None, 8):
        wanted = read(json.dumps(asked | {"vectors": vectors}, indent=indent), EnrollVectorsRequest)
        assert (wanted.notes, wanted.vectors) == (text, vectors)
    assert read(b'\xef\xbb\xbf{"identity": "a", "confirm": "a"}', ForgetRequest).confirm == "a"
    assert (
        len(read(json.dumps({"identity": "a", "observations": [2**62] * 10_000}), SplitRequest).observations) == 10_000
    )


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ('{"vectors": [[' + ",".join(['""'] * 100) + "]]}", 413, "values"),
        ('{"vectors": [' + ",".join(["[]"] * 100) + "]}", 413, "values"),
        ("{" + ",".join(f'"k{i}": 1' for i in range(100)) + "}", 422, "knows camera, exclude_camera"),
        ('{"camera": {"a": ' * 9 + "1" + "}}" * 9, 400, "levels"),
        ("[" * 1000, 400, "levels"),
        ('{"vectors": [[1]], "camera": "' + "x" * 100_000 + '"}', 413, "bytes"),
        ('{"vectors": [[1]], "top": ' + "1" * 5000 + "}", 422, "characters"),
        ('{"vectors": [[0.' + "1" * 5000 + "]]}", 422, "characters"),
        ('{"vectors": [[1e999]]}', 422, "finite"),
        ('{"vectors": [[NaN]]}', 422, "NaN"),
        ('{"vectors": [[-Infinity]]}', 422, "Infinity"),
        ('{"vectors": [[1]], "top": 1, "top": 2}', 422, "body.top: given twice"),
        ('{"vectors": [[1]], "camera": "a"', 422, "not JSON"),
        ('{"vectors": [[1]], "camera": "\\', 422, "not JSON"),
        (b'{"camera": "\xff"}', 422, "UTF-8"),
        ('{"vectors": [[1]]}'.encode("utf-16"), 422, "UTF-8"),
        ("", 422, "not JSON"),
        ("[1]", 422, "body: Input should be a valid dictionary"),
        ('{"vectors": [[1]], "' + "n" * 10_000 + '": 1}', 422, "n: Extra inputs"),
        ('{"vectors": [[1]], "\\ud800": 1}', 422, "body"),
    ],
)
def test_bounds(body: str | bytes, status: int, said: str) -> None:
    error = error_of(body)
    assert (error.status, said in str(error)) == (status, True), error
    assert len(str(error)) < 400
    str(error).encode()


def test_what_is_too_much_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    monkeypatch.setattr("passerby.service.json_bodies.json.loads", lambda text, **_: built.append(len(text)))
    for body in ('{"vectors": [[' + ",".join(['""'] * 1000) + "]]}", '{"k": 1' + ', "k": 1' * 1000 + "}", "[" * 1000):
        error_of(body)
    assert built == []


def test_counting_stops_at_the_bound() -> None:
    seen = 0

    class Counted(bytes):
        def __getitem__(self, at: Any) -> Any:
            nonlocal seen
            seen += 1
            return super().__getitem__(at)

    with pytest.raises(ServiceError):
        check_structure(Counted(b'["",' * 100_000), Bounds(10**9, 50, 5), IdentifyVectorsRequest)
    assert seen < 200


def test_errors_are_few() -> None:
    wrong: list[Any] = [[["", None]] * 4, {"a": 1}, "x" * 5000, math.inf]
    for model in MODELS:
        known, bounds = list(model.model_fields), bounds_of(model, vectors=VECTORS, dim=DIM)
        for names in (known, [f"k{i}" for i in range(bounds.keys)], [*known[:-1], "k"]):
            for value in wrong:
                with pytest.raises(ValidationError) as caught:
                    model.model_validate(dict.fromkeys(names, value))
                assert caught.value.error_count() <= 10, model
    with pytest.raises(ValidationError) as caught:
        SplitRequest.model_validate({"identity": "a", "observations": [""] * 10_000})
    assert caught.value.error_count() == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def sizes(value: Any) -> tuple[int, int, int]:
    """Values, keys and levels, without those of the outermost value itself."""
    if not isinstance(value, (list, dict)):
        return 0, 0, 0
    inner = list(value.values()) if isinstance(value, dict) else value
    below = [sizes(one) for one in inner]
    return (
        len(inner) + sum(v for v, _, _ in below),
        (len(inner) if isinstance(value, dict) else 0) + sum(k for _, k, _ in below),
        1 + max((d for _, _, d in below), default=0),
    )


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_counts_are_those_of_what_is_built(value: Any, indent: int | None, ascii_only: bool) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    values, keys, levels = sizes(value)
    if levels <= 8:
        # an empty array opens, but holds nothing: what is counted is at most twice what is there
        check_structure(body, Bounds(10**9, 2 * values + 1, keys), IdentifyVectorsRequest)
    if keys:
        with pytest.raises(ServiceError):
            check_structure(body, Bounds(10**9, 10**9, keys - 1), IdentifyVectorsRequest)
    if values:
        with pytest.raises(ServiceError):
            check_structure(body, Bounds(10**9, values // 2, 10**9), IdentifyVectorsRequest)


@pytest.mark.parametrize(
    ("model", "content"),
    [
        (ThresholdRequest, {"threshold": False}),
        (IdentifyVectorsRequest, {"vectors": [[True, 0.5]]}),
        (IdentifyVectorsRequest, {"vectors": [[0.5]], "top": True}),
        (IdentifyVectorsRequest, {"vectors": [[0.5]], "after": False}),
        (FarRequest, {"far": True}),
        (KeepSightingsRequest, {"templates_per_camera": True}),
        (KeepSightingsRequest, {"expire_after": True}),
    ],
)
def test_truth_values_are_no_numbers(model: type[BaseModel], content: dict[str, object]) -> None:
    with pytest.raises(ServiceError) as caught:
        parse_json(json.dumps(content).encode(), model, bounds_of(model, vectors=4, dim=4))
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("model", "body", "where"),
    [
        (SplitRequest, {"identity": "a", "observations": [1, True]}, "body.observations.1"),
        (SplitRequest, {"identity": "a", "sightings": [False]}, "body.sightings.0"),
        (TrackletVectorsRequest, {"camera": "a", "times": [True], "vectors": [[1]]}, "body.times.0"),
        (TrackletVectorsRequest, {"camera": "a", "times": [1], "frames": [True], "vectors": [[1]]}, "body.frames.0"),
        (TrackletVectorsRequest, {"camera": "a", "times": [1], "scores": [True], "vectors": [[1]]}, "body.scores.0"),
        (TrackletRequest, {"camera": "a", "times": [1], "boxes": [[False, 0, 1, 2]]}, "body.boxes.0.0"),
        (ThresholdRequest, {"threshold": False}, "body.threshold"),
    ],
)
def test_truth_values_are_no_numbers_in_lists_either(model: type[BaseModel], body: dict[str, Any], where: str) -> None:
    error = error_of(json.dumps(body), model)
    assert error.status == 422
    assert str(error).startswith(where)
    assert "expected no" in str(error)


@pytest.mark.parametrize(
    ("model", "body", "said"),
    [
        (KeepSightingsRequest, {"expire_after": 0}, "body.expire_after: Input should be greater than 0"),
        (KeepSightingsRequest, {"expire_after": "soon"}, "body.expire_after: Input should be 'never'"),
        (KeepSightingsRequest, {"templates_per_camera": 0}, "body.templates_per_camera: Input should be greater than"),
        (UpdateRequest, {"identity": "a", "expires": []}, "body.expires: Input should be a valid number"),
        (ThresholdRequest, {"threshold": True}, "body.threshold: expected no true"),
        (IdentifyVectorsRequest, {"vectors": [[1, 2], [3]]}, "body.vectors: expected vectors of one length, found 2"),
    ],
)
def test_errors_name_the_field_alone(model: type[BaseModel], body: dict[str, Any], said: str) -> None:
    message = str(error_of(json.dumps(body), model))
    assert message.startswith(said)
    assert ";" not in message


def test_a_number_or_a_word_is_read() -> None:
    wanted = read('{"expire_after": 60, "templates_per_camera": "any"}', KeepSightingsRequest)
    assert (wanted.expire_after, wanted.templates_per_camera) == (60, "any")
    wanted = read('{"expire_after": "never", "templates_per_camera": 3}', KeepSightingsRequest)
    assert (wanted.expire_after, wanted.templates_per_camera) == ("never", 3)


def test_a_distance_that_was_answered_can_be_decided_about() -> None:
    """Opposite vectors can be 2.0000001 apart by rounding."""
    asked = {"identity": "a", "decision": "reject", "request": "0" * 16, "distance": 2.000000026}
    assert read(json.dumps(asked), DecisionRequest).distance > 2
