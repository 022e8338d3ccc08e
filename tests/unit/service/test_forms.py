"""Forms: what the parser reads is what was sent, and nothing broken gets through."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.service.errors import Refusal
from passerby.service.uploads import _boundary, _parts

BOUNDARY = "x'y(z)1"
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


def form(parts: list[tuple[str, bytes]], *, preamble: bytes = b"", padding: bytes = b"") -> bytes:
    mark = f"--{BOUNDARY}".encode()
    out = [preamble + b"\r\n" if preamble else b""]
    for name, content in parts:
        head = f'content-disposition: form-data; name="{name}"; filename="x"\r\nContent-Type: image/png'
        out.append(mark + padding + b"\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(out) + mark + b"--\r\n"


@given(st.lists(st.tuples(NAMES, st.binary(max_size=60)), max_size=4), st.sampled_from([b"", b"hello"]))
def test_parts_come_back(parts: list[tuple[str, bytes]], preamble: bytes) -> None:
    body = form(parts, preamble=preamble, padding=b" \t")
    assert list(_parts(body, BOUNDARY.encode())) == parts


@given(st.data())
def test_a_broken_form_is_refused_or_read_but_never_a_fault(data: st.DataObject) -> None:
    body = bytearray(form([("images", b"abc\r\n--x"), ("top", b"1")]))
    cut = data.draw(st.integers(0, len(body)))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Refusal):
        assert len(list(_parts(bytes(body[:cut]), BOUNDARY.encode()))) <= 2


def test_every_truncation_is_noticed() -> None:
    body = form([("images", b"abc"), ("top", b"1")])
    for end in range(len(body) - 2):
        with pytest.raises(Refusal):
            list(_parts(body[:end], BOUNDARY.encode()))


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x"]
)
def test_what_is_no_form(kind: str) -> None:
    with pytest.raises(Refusal) as caught:
        _boundary(kind)
    assert caught.value.status == 400


def test_boundaries_may_be_quoted() -> None:
    assert _boundary('multipart/form-data; charset=utf-8; boundary="a b"') == b"a b"
