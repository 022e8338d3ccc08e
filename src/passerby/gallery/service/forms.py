"""Forms with pictures (multipart/form-data, RFC 7578), from a body that the gate has already read and bounded.

One pass over the bytes, in a thread of the service, no copies into temporary files, and nothing is dropped silently: a
field that an endpoint does not know, or one that comes twice, is refused like any other wrong field. The head of a part
is looked at only as far as an honest one goes: what its parameters cost to parse grows faster than their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header

from passerby.gallery.service.refusal import LONGEST_NAME, Refusal, problems
from passerby.gallery.service.state import Service

PICTURES = "images"
_MOMENTS = frozenset({"after", "before", "time", "expires"})
_LONGEST_BOUNDARY = 70  # RFC 2046
_LONGEST_HEAD = 4096  # bytes: a name, and a file name of 255 characters however it is encoded
_LONGEST_TEXT = 16_000  # bytes: notes of 4,000 characters
Fields = TypeVar("Fields", bound=BaseModel)


def describe_form(fields: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a form of these fields and pictures (`openapi_extra` of a route)."""
    schema = fields.model_json_schema()
    pictures = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "description": "JPEG, PNG or WebP; several are one tracklet",
    }
    schema["properties"] = {PICTURES: pictures, **schema["properties"]}
    schema["required"] = [PICTURES, *schema.get("required", [])]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


async def read_form(service: Service, request: Request, fields: type[Fields]) -> tuple[Fields, list[bytes]]:
    """The fields of a form, checked, and the bytes of its pictures.

    Args:
        service: has the thread that reads, and the limit of pictures.
        request: its body is the form.
        fields: model of the fields besides the pictures; empty fields count as left out.

    Raises:
        Refusal: 400 not a form; 413 too many pictures; 422 none, or a field that is not what it should be.
    """
    boundary = _boundary(request.headers.get("content-type", ""))
    return await service.read(partial(parse_form, await request.body(), boundary, fields, service.limits.images))


def parse_form(body: bytes, boundary: bytes, fields: type[Fields], most: int) -> tuple[Fields, list[bytes]]:
    """See `read_form`; `most`: pictures."""
    values: dict[str, Any] = {}
    pictures: list[bytes] = []
    for name, content in _parts(body, boundary):
        if name == PICTURES:
            pictures.append(content)
            if len(pictures) > most:
                raise Refusal(413, f"more than {most} images")
        elif name in values:
            raise Refusal(422, f"body.{name[:LONGEST_NAME]}: given twice")
        elif len(values) > len(fields.model_fields):
            raise Refusal(422, "more fields than this endpoint knows")
        else:
            values[name] = _text(name, content)
    try:
        known = fields.model_validate({name: value for name, value in values.items() if value != ""})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise Refusal(422, problems(found, "body")) from None
    if not pictures:
        raise Refusal(422, f"body.{PICTURES}: at least one picture is needed")
    return known, pictures


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type[:_LONGEST_HEAD])
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= _LONGEST_BOUNDARY:
        raise Refusal(400, "expected a form (Content-Type: multipart/form-data with its boundary)")
    return boundary


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    mark = b"\r\n--" + boundary
    at = len(mark) - 2 if body.startswith(mark[2:]) else _find(body, mark, 0) + len(mark)
    while body[at : at + 2] != b"--":
        line_end = _find(body, b"\r\n", at, within=_LONGEST_HEAD)
        if body[at:line_end].strip(b" \t"):
            raise _broken()
        head_end = _find(body, b"\r\n\r\n", line_end, within=_LONGEST_HEAD)
        end = _find(body, mark, head_end + 4)
        yield _name(body[line_end + 2 : head_end]), body[head_end + 4 : end]
        at = end + len(mark)


def _find(body: bytes, wanted: bytes, start: int, *, within: int | None = None) -> int:
    found = body.find(wanted, start, None if within is None else start + within)
    if found < 0 and within is not None and len(body) > start + within:
        raise Refusal(400, f"a part of the form has a head of more than {within:,} bytes")
    if found < 0:
        raise _broken()
    return found


def _broken() -> Refusal:
    return Refusal(400, "the form is broken off or damaged")


def _name(head: bytes) -> str:
    for line in head.split(b"\r\n"):
        header, _, value = line.partition(b":")
        if header.strip().lower() == b"content-disposition":
            kind, options = parse_options_header(value)
            if kind == b"form-data" and b"name" in options:
                return options[b"name"].decode("utf-8", "replace")
    raise Refusal(400, "a part of the form has no name")


def _text(name: str, content: bytes) -> str | float:
    if len(content) > _LONGEST_TEXT:
        raise Refusal(422, f"body.{name[:LONGEST_NAME]}: more than {_LONGEST_TEXT:,} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Refusal(422, f"body.{name[:LONGEST_NAME]}: not UTF-8 text") from None
    return _moment(text) if name in _MOMENTS else text


def _moment(text: str) -> str | float:
    """Seconds where a moment reads as a number, else ISO 8601 text."""
    try:
        return float(text)
    except ValueError:
        return text.strip()
