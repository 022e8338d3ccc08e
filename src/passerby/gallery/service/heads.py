"""Addresses and headers of requests, bounded before anything is made of them."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from passerby.gallery.service.refusal import LONGEST_NAME, Refusal

_LONGEST_ADDRESS = 8192  # bytes of path and query: a name of 200 characters, percent-encoded, needs 2,400
_MOST_PARAMETERS = 32
_MOST_HEADERS = 100
_HEADER_BYTES = 16 * 1024


def check_head(scope: MutableMapping[str, Any]) -> None:
    """Refuse a request of ASGI's `scope` whose address or headers nobody needs.

    Raises:
        Refusal: 414 a long address; 431 many or long headers; 422 many parameters, or one that comes twice.
    """
    query: bytes = scope.get("query_string", b"")
    if len(scope.get("raw_path") or scope["path"]) + len(query) > _LONGEST_ADDRESS:
        raise Refusal(414, f"the address is longer than {_LONGEST_ADDRESS:,} bytes")
    headers = scope["headers"]
    if len(headers) > _MOST_HEADERS:
        raise Refusal(431, f"more than {_MOST_HEADERS} headers")
    if sum(len(name) + len(value) for name, value in headers) > _HEADER_BYTES:
        raise Refusal(431, f"headers of more than {_HEADER_BYTES:,} bytes")
    if query.count(b"&") >= _MOST_PARAMETERS:
        raise Refusal(422, f"query: more than {_MOST_PARAMETERS} parameters")
    seen: set[str] = set()
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name in seen:
            raise Refusal(422, f"query.{name[:LONGEST_NAME]}: given twice")
        seen.add(name)
