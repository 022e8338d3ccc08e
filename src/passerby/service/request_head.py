"""Bounds of a request's address and headers, checked before they are parsed."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from passerby.service.errors import MAX_FIELD_NAME, ServiceError

_ADDRESS_BYTES = 8192  # of path and query: a name of 200 characters, percent-encoded, needs 2,400
_MOST_PARAMETERS = 32
_MOST_HEADERS = 100
_HEADER_BYTES = 16 * 1024
_ONCE = (b"authorization", b"x-api-key", b"idempotency-key", b"content-type", b"content-encoding")
"""Headers whose first and last may contradict each other: a proxy and this service may read different ones."""


def check_request_head(scope: MutableMapping[str, Any]) -> None:
    """Refuse a request of ASGI's `scope` whose address or headers are longer than any endpoint needs.

    Raises:
        ServiceError: 400 a header that comes twice; 414 a long address; 431 many or long headers; 422 many parameters,
            or one that comes twice.
    """
    query: bytes = scope.get("query_string", b"")
    if len(scope.get("raw_path") or scope["path"]) + len(query) > _ADDRESS_BYTES:
        raise ServiceError(414, f"the address is longer than {_ADDRESS_BYTES:,} bytes")
    headers = scope["headers"]
    if len(headers) > _MOST_HEADERS:
        raise ServiceError(431, f"more than {_MOST_HEADERS} headers")
    if sum(len(name) + len(value) for name, value in headers) > _HEADER_BYTES:
        raise ServiceError(431, f"headers of more than {_HEADER_BYTES:,} bytes")
    for header in _ONCE:
        if sum(name == header for name, _ in headers) > 1:
            raise ServiceError(400, f"header {header.decode()}: given twice")
    if query.count(b"&") >= _MOST_PARAMETERS:
        raise ServiceError(422, f"query: more than {_MOST_PARAMETERS} parameters")
    seen: set[str] = set()
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name in seen:
            raise ServiceError(422, f"query.{name[:MAX_FIELD_NAME]}: given twice")
        seen.add(name)
