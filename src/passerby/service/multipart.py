"""Forms with images (multipart/form-data, RFC 7578), from a body that was already read and bounded.

One pass over the bytes, without temporary files, and nothing is dropped silently: a field that an endpoint does not
know, or one that comes twice, is an error like any other wrong field. The headers of a part are parsed only up to
4 KiB: the cost of their parameters grows faster than their number.

Parts are split here and not by python-multipart's `MultipartParser`, which refuses what RFC 2046 allows (text before
the first boundary, spaces after a boundary). Its parser of header parameters is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from python_multipart.multipart import parse_options_header

from passerby.service.errors import MAX_FIELD_NAME, ServiceError, validation_message
from passerby.service.schemas import LISTS

IMAGES = "images"
_TIME_FIELDS = frozenset({"after", "before", "time", "end", "expires"})
_BOUNDARY_BYTES = 70  # RFC 2046
_PART_HEAD_BYTES = 4096  # bytes: a name, and a file name of 255 characters however it is encoded
_TEXT_BYTES = 16_000  # bytes: notes of 4,000 characters
_AS_THEY_ARE = frozenset({b"7bit", b"8bit", b"binary"})  # RFC 7578, 4.7: a form has no other encodings
Fields = TypeVar("Fields", bound=BaseModel)


def describe_form(fields: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI's description of a form of these fields and images (`openapi_extra` of a route)."""
    schema = fields.model_json_schema()
    images = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "description": "JPEG, PNG or WebP; several are one tracklet",
    }
    schema["properties"] = {IMAGES: images, **schema["properties"]}
    schema["required"] = [IMAGES, *schema.get("required", [])]
    content: dict[str, Any] = {"schema": schema}
    if lists := LISTS & fields.model_fields.keys():
        content["encoding"] = {name: {"contentType": "application/json"} for name in sorted(lists)}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": content}}}


def parse_form(body: bytes, boundary: bytes, fields: type[Fields], most: int) -> tuple[Fields, list[bytes]]:
    """The fields of a form, checked, and the bytes of its images.

    Args:
        body: all of it.
        boundary: of the parts (`boundary_of`).
        fields: model of the fields besides the images; empty fields count as left out.
        most: images.

    Raises:
        ServiceError: 400 not a form; 413 too many images; 422 none, or a field that is not what it should be.
    """
    values: dict[str, Any] = {}
    images: list[bytes] = []
    for name, content in _parts(body, boundary):
        if name == IMAGES:
            images.append(content)
            if len(images) > most:
                raise ServiceError(413, f"more than {most} images")
        elif name in values:
            raise ServiceError(422, f"body.{name[:MAX_FIELD_NAME]}: given twice")
        elif len(values) > len(fields.model_fields):
            raise ServiceError(422, "more fields than this endpoint knows")
        else:
            values[name] = _text(name, content) if name in fields.model_fields else None
    given = {name: value for name, value in values.items() if value != ""}
    try:
        known = fields.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise ServiceError(422, validation_message(found, "body")) from None
    if not images:
        raise ServiceError(422, f"body.{IMAGES}: at least one picture is needed")
    return known, images


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type header declares; 400 where it is not that of a form."""
    kind, options = parse_options_header(content_type[:_PART_HEAD_BYTES])
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= _BOUNDARY_BYTES:
        raise ServiceError(400, "expected a form (Content-Type: multipart/form-data with its boundary)")
    return boundary


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the parts."""
    delimiter = b"\r\n--" + boundary
    at = len(delimiter) - 2 if body.startswith(delimiter[2:]) else _find(body, delimiter, 0) + len(delimiter)
    while body[at : at + 2] != b"--":
        line_end = _find(body, b"\r\n", at, within=_PART_HEAD_BYTES)
        if body[at:line_end].strip(b" \t"):
            raise _damaged()
        head_end = _find(body, b"\r\n\r\n", line_end, within=_PART_HEAD_BYTES)
        end = _find(body, delimiter, head_end + 4)
        yield _name(body[line_end + 2 : head_end]), body[head_end + 4 : end]
        at = end + len(delimiter)


def _find(body: bytes, wanted: bytes, start: int, *, within: int | None = None) -> int:
    found = body.find(wanted, start, None if within is None else start + within)
    if found < 0 and within is not None and len(body) > start + within:
        raise ServiceError(400, f"a part of the form has a head of more than {within:,} bytes")
    if found < 0:
        raise _damaged()
    return found


def _damaged() -> ServiceError:
    return ServiceError(400, "the form is broken off or damaged")


def _name(head: bytes) -> str:
    name = None
    for line in head.split(b"\r\n"):
        header, _, value = line.partition(b":")
        if header.strip().lower() == b"content-disposition" and name is None:
            kind, options = parse_options_header(value)
            if kind == b"form-data" and b"name" in options:
                name = options[b"name"].decode("utf-8", "replace")
        elif header.strip().lower() == b"content-transfer-encoding" and value.strip().lower() not in _AS_THEY_ARE:
            raise ServiceError(
                400, "a part of the form is encoded (Content-Transfer-Encoding); send its bytes as they are"
            )
    if name is None:
        raise ServiceError(400, "a part of the form has no name")
    return name


def _text(name: str, content: bytes) -> Any:
    if len(content) > _TEXT_BYTES:
        raise ServiceError(422, f"body.{name[:MAX_FIELD_NAME]}: more than {_TEXT_BYTES:,} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ServiceError(422, f"body.{name[:MAX_FIELD_NAME]}: not UTF-8 text") from None
    if name in LISTS and text:
        return _list(name, text)
    return text.strip() if name in _TIME_FIELDS else text


def _list(name: str, text: str) -> list[Any]:
    """A list, written as JSON; its entries are checked with the other fields."""
    try:
        found = from_json(text, allow_inf_nan=False)  # has a bound of depth
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ServiceError(422, f"body.{name}: expected a list in JSON, with one entry a picture")
    return found
