"""JSON bodies, bounded before anything is built from them.

One pass over the bytes counts what the text would become: values, keys, levels, the length of each number. It stops at
the first bound that is passed, so that what a hostile body costs depends on the bound and not on its size. Only then
the text is parsed and checked against its model, both in a thread of the service. A key that comes twice and a number
that JSON does not have (NaN, Infinity) are refused like any other wrong field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from passerby.gallery.service.messages import MOST_OBSERVATIONS
from passerby.gallery.service.refusal import LONGEST_NAME, Refusal, problems
from passerby.gallery.service.state import Service

_DEPTH = 8  # an object, its vectors, one of them: three
_LONGEST_NUMBER = 100  # characters; a double needs 25
_TEXT_BYTES = 64 * 1024  # names, notes and consent at their longest, escaped
_BYTES_EACH = 64  # of a number with its comma, however it is indented
_KIND = re.compile(r"application/([^\s;/]+\+)?json\s*(;|$)", re.IGNORECASE)
# a string (possessive: no way back into it), a mark of the structure, or a number or word
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{},:]|[-+.\w]++', re.DOTALL)
_QUOTE, _COMMA, _COLON = b'",:'
_OPENS, _CLOSES = frozenset(b"[{"), frozenset(b"]}")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Bounds:
    """Most `size` bytes, `values` (numbers, texts, arrays and objects) and `keys` of one body."""

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
    if "observations" in model.model_fields:
        values += MOST_OBSERVATIONS
    return Bounds(_TEXT_BYTES + values * _BYTES_EACH, values, len(model.model_fields))


def describe_json(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a JSON body of this model (`openapi_extra` of a route)."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


async def read_json(service: Service, request: Request, model: type[Model]) -> Model:
    """The body of a request, checked.

    Raises:
        Refusal: 400 nested too deeply; 413 more bytes or values than the model can need; 422 not JSON, or a field that
            is not what it should be.
    """
    if not _KIND.match(request.headers.get("content-type", "")):
        raise Refusal(422, "body: expected JSON (Content-Type: application/json)")
    bounds = bounds_of(model, vectors=service.limits.images, dim=service.encoder.dim)
    return await service.read(partial(parse_json, await request.body(), model, bounds))


def parse_json(body: bytes, model: type[Model], bounds: Bounds) -> Model:
    """See `read_json`."""
    if len(body) > bounds.size:
        raise Refusal(413, f"body: {len(body):,} bytes are more than the limit of {bounds.size:,} for this endpoint")
    check_structure(body, bounds, model)
    try:
        content = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise Refusal(422, "body: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise Refusal(422, f"body.{error.pos}: not JSON ({error.msg})") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise Refusal(422, problems(found, "body")) from None


def check_structure(body: bytes, bounds: Bounds, model: type[BaseModel]) -> None:
    """Count what a JSON text would become; it is not built, nor is it checked that it is JSON.

    Raises:
        Refusal: 400 too deep; 413 too many values; 422 more keys than the model has, or a number that goes on and on.
    """
    depth = values = keys = 0
    for token in _TOKEN.finditer(body):
        start = token.start()
        mark = body[start]
        if mark == _COMMA:
            values += 1
        elif mark == _COLON:
            keys += 1
        elif mark in _OPENS:
            values += 1
            depth += 1
        elif mark in _CLOSES:
            depth -= 1
        elif mark != _QUOTE and token.end() - start > _LONGEST_NUMBER:
            raise Refusal(422, f"body.{start}: a number of more than {_LONGEST_NUMBER} characters")
        if values > bounds.values:
            raise Refusal(413, f"body: more than {bounds.values:,} values, which is the most this endpoint takes")
        if keys > bounds.keys:
            raise Refusal(422, f"body: too many fields; this endpoint knows {', '.join(model.model_fields)}")
        if depth > _DEPTH:
            raise Refusal(400, f"body: nested more than {_DEPTH} levels deep")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise Refusal(422, f"body.{name[:LONGEST_NAME]}: given twice")
        made[name] = value
    return made


def _no_number(word: str) -> NoReturn:
    raise Refusal(422, f"body: {word} is no number of JSON")
