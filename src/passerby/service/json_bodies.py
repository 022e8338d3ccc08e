"""JSON bodies, bounded before anything is built from them.

One pass over the bytes counts what the text would become: values, keys, levels, the length of each number. It stops at
the first bound that is passed, so that what a hostile body costs depends on the bound and not on its size. Only then
the text is parsed and checked against its model. A key that comes twice and a number that JSON does not have (NaN,
Infinity) are errors like any other wrong field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from passerby.service.errors import MAX_FIELD_NAME, ServiceError, validation_message
from passerby.service.schemas import LISTS, MOST_OBSERVATIONS

_DEPTH = 8  # an object, its vectors, one of them: three
_LONGEST_NUMBER = 100  # characters; a double needs 25
_TEXT_BYTES = 64 * 1024  # names, notes and consent at their longest, escaped
_BYTES_EACH = 64  # of a number with its comma, however it is indented
_JSON_TYPE = re.compile(r"application/([^\s;/]+\+)?json\s*(;|$)", re.IGNORECASE)
# a string (possessive: without backtracking), a structural character, or a number or word
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{},:]|[-+.\w]++', re.DOTALL)
_QUOTE, _COMMA, _COLON = b'",:'
_OPENS, _CLOSES = frozenset(b"[{"), frozenset(b"]}")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Bounds:
    """At most `size` bytes, `values` (numbers, texts, arrays and objects) and `keys` in one body."""

    size: int
    values: int
    keys: int


def bounds_of(model: type[BaseModel], *, vectors: int, dim: int) -> Bounds:
    """What a body of this model can need.

    Args:
        model: its fields are the known keys.
        vectors: most vectors of one request.
        dim: numbers of a vector.
    """
    values = 2 * len(model.model_fields) + 2
    if "vectors" in model.model_fields:
        values += vectors * (dim + 1)
        values += vectors * len(LISTS & model.model_fields.keys())
    values += MOST_OBSERVATIONS * len({"observations", "sightings"} & model.model_fields.keys())
    return Bounds(_TEXT_BYTES + values * _BYTES_EACH, values, len(model.model_fields))


def describe_json(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI's description of a JSON body of this model (`openapi_extra` of a route)."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


def check_content_type(content_type: str) -> None:
    """422 for what does not declare to be JSON."""
    if not _JSON_TYPE.match(content_type):
        raise ServiceError(422, "body: expected JSON (Content-Type: application/json)")


def parse_json(body: bytes, model: type[Model], bounds: Bounds) -> Model:
    """A body as a checked instance of `model`.

    Raises:
        ServiceError: 400 nested too deeply; 413 more bytes or values than the bounds; 422 not JSON, or a field that is
            not what it should be.
    """
    if len(body) > bounds.size:
        raise ServiceError(
            413, f"body: {len(body):,} bytes are more than the limit of {bounds.size:,} for this endpoint"
        )
    check_structure(body, bounds, model)
    try:
        content = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ServiceError(422, "body: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ServiceError(422, f"body.{error.pos}: not JSON ({error.msg})") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise ServiceError(422, validation_message(found, "body")) from None


def check_structure(body: bytes, bounds: Bounds, model: type[BaseModel]) -> None:
    """Count what a JSON text would become; it is not built, nor is it checked that it is JSON.

    Raises:
        ServiceError: 400 too deep; 413 too many values; 422 more keys than the model has, or a very long number.
    """
    depth = values = keys = 0
    for token in _TOKEN.finditer(body):
        start = token.start()
        character = body[start]
        if character == _COMMA:
            values += 1
        elif character == _COLON:
            keys += 1
        elif character in _OPENS:
            values += 1
            depth += 1
        elif character in _CLOSES:
            depth -= 1
        elif character != _QUOTE and token.end() - start > _LONGEST_NUMBER:
            raise ServiceError(422, f"body.{start}: a number of more than {_LONGEST_NUMBER} characters")
        if values > bounds.values:
            raise ServiceError(413, f"body: more than {bounds.values:,} values, which is the most this endpoint takes")
        if keys > bounds.keys:
            raise ServiceError(422, f"body: too many fields; this endpoint knows {', '.join(model.model_fields)}")
        if depth > _DEPTH:
            raise ServiceError(400, f"body: nested more than {_DEPTH} levels deep")


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ServiceError(422, f"body.{name[:MAX_FIELD_NAME]}: given twice")
        result[name] = value
    return result


def _refuse_constant(word: str) -> NoReturn:
    raise ServiceError(422, f"body: {word} is no number of JSON")
