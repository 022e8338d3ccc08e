"""Forms: the parser returns what was sent, and damaged forms are errors."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.service import multipart
from passerby.service.errors import ServiceError
from passerby.service.multipart import _parts, boundary_of, parse_form
from passerby.service.schemas import EnrollRequest

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
def test_parts_are_parsed_as_they_were_sent(parts: list[tuple[str, bytes]], preamble: bytes) -> None:
    body = form(parts, preamble=preamble, padding=b" \t")
    assert list(_parts(body, BOUNDARY.encode())) == parts


@given(st.data())
def test_a_damaged_form_is_an_error_or_read_but_never_an_exception(data: st.DataObject) -> None:
    body = bytearray(form([("images", b"abc\r\n--x"), ("top", b"1")]))
    cut = data.draw(st.integers(0, len(body)))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ServiceError):
        assert len(list(_parts(bytes(body[:cut]), BOUNDARY.encode()))) <= 2


def test_every_truncation_is_noticed() -> None:
    body = form([("images", b"abc"), ("top", b"1")])
    for end in range(len(body) - 2):
        with pytest.raises(ServiceError):
            list(_parts(body[:end], BOUNDARY.encode()))


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x"]
)
def test_a_content_type_that_is_not_a_form(kind: str) -> None:
    with pytest.raises(ServiceError) as caught:
        boundary_of(kind)
    assert caught.value.status == 400


def test_boundaries_may_be_quoted() -> None:
    assert boundary_of('multipart/form-data; charset=utf-8; boundary="a b"') == b"a b"


def test_part_headers_are_parsed_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = multipart
    real = module.parse_options_header
    parsed: list[int] = []

    def noted(value: bytes | str) -> Any:
        parsed.append(len(value))
        return real(value)

    monkeypatch.setattr(multipart, "parse_options_header", noted)
    long = "images" + '"; x="' + "%F0%9F%99%82" * 255  # a long name, percent-encoded
    assert len(list(_parts(form([(long, b"x")]), BOUNDARY.encode()))) == 1
    for name, head in (("many parameters", ';a="' * 100_000), ("no end", "x" * 100_000)):
        with pytest.raises(ServiceError, match="head of more than") as caught:
            list(_parts(form([("images" + head, b"x")]), BOUNDARY.encode()))
        assert caught.value.status == 400, name
    padded = form([("images", b"x")], padding=b" " * 100_000)
    with pytest.raises(ServiceError, match="head of more than"):
        list(_parts(padded, BOUNDARY.encode()))
    with pytest.raises(ServiceError):
        boundary_of("multipart/form-data; " + "a=1;" * 100_000 + "boundary=x")
    assert max(parsed) <= 4096


@pytest.mark.parametrize(
    ("parts", "status", "said"),
    [
        ([("images", b"x")] * 1000, 413, "more than 3 images"),
        ([(f"k{i}", b"x") for i in range(1000)], 422, "more fields"),
        ([("identity", b"a")] * 1000, 422, "given twice"),
        ([("images", b"x"), ("identity", b"a" * 16_001)], 422, "body.identity: more than 16,000 bytes"),
        ([("images", b"x"), ("identity", b"a"), ("time", b"1" * 10_000)], 422, "at most 40 characters"),
        ([("images", b"x"), ("n" * 4000, b"a")], 422, "Extra inputs"),
    ],
)
def test_fields_are_bounded(parts: list[tuple[str, bytes]], status: int, said: str) -> None:
    with pytest.raises(ServiceError) as caught:
        parse_form(form(parts), BOUNDARY.encode(), EnrollRequest, 3)
    assert (caught.value.status, said in str(caught.value)) == (status, True), caught.value
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["20260501", "2026-05-01", "12.5", " 12 ", "2026-05-01T12:00:00Z"])
def test_moments_are_left_to_the_gallery(text: str) -> None:
    """A date without dashes is a date in a form, too, and no number of seconds."""
    parts = [("images", b"x"), ("identity", b"a"), ("expires", text.encode()), ("time", text.encode())]
    fields, _ = parse_form(form(parts), BOUNDARY.encode(), EnrollRequest, 3)
    assert (fields.expires, fields.time) == (text.strip(), text.strip())


@pytest.mark.parametrize(("name", "content"), [("camra", b""), ("image", b"\xff\xd8\xff"), ("images[]", b"\x89PNG")])
def test_a_field_that_an_endpoint_does_not_know_is_an_error_whatever_is_in_it(name: str, content: bytes) -> None:
    parts = [("images", b"x"), ("identity", b"a"), (name, content)]
    with pytest.raises(ServiceError, match="Extra inputs are not permitted") as caught:
        parse_form(form(parts), BOUNDARY.encode(), EnrollRequest, 3)
    assert (caught.value.status, str(caught.value).partition(":")[0]) == (422, f"body.{name}")


def test_an_encoded_part_is_refused_and_not_taken_as_it_is() -> None:
    body = form([("identity", b"YWRh"), ("images", b"x")])
    plain = body.replace(b"\r\n\r\nYWRh", b"\r\ncontent-transfer-encoding: Binary\r\n\r\nada")
    assert parse_form(plain, BOUNDARY.encode(), EnrollRequest, 3)[0].identity == "ada"
    encoded = body.replace(b"\r\n\r\nYWRh", b"\r\nContent-Transfer-Encoding: base64\r\n\r\nYWRh")
    with pytest.raises(ServiceError, match="Content-Transfer-Encoding") as caught:
        parse_form(encoded, BOUNDARY.encode(), EnrollRequest, 3)
    assert caught.value.status == 400
