"""One key for one name, in any writing, and different ones for different names."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.plain_names import in_several_writings, is_unknown, plain_key, plain_name


@pytest.mark.parametrize(
    ("text", "key"),
    [("1", "1"), ("01", "1"), ("1.0", "1"), ("1.", "1"), ("-01", "-1"), ("-0.0", "0"), ("000", "0"), (" 7\t", "7"),
     ("1.5", "1.5"), ("a1", "a1"), ("1e3", "1e3"), ("", ""), ("\u200bann\ufeff", "ann"), ("e\u0301", "\u00e9")],
)  # fmt: skip
def test_keys(text: str, key: str) -> None:
    assert plain_key(text) == key


def test_a_number_that_python_does_not_read_is_a_name() -> None:
    digits = "9" * 5000
    assert plain_key(digits) == digits


@given(st.text(max_size=20))
def test_keys_are_stable_and_blind_to_composition(text: str) -> None:
    assert plain_key(plain_key(text)) == plain_key(text)
    assert plain_name(unicodedata.normalize("NFD", text)) == plain_name(text)


@given(st.integers(0, 10**20), st.integers(0, 10**20))
def test_different_numbers_stay_different(a: int, b: int) -> None:
    assert (plain_key(f"00{a}") == plain_key(f"{b}.0")) == (a == b)


def test_names_in_several_writings() -> None:
    assert in_several_writings(["7", "ann", "07", "ann ", "ann", "8", "7.0"]) == [
        "'07' = '7' = '7.0'",
        "'ann ' = 'ann'",
    ]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [("", True), (" ", True), ("-1", True), ("-01", True), ("-1.0", True), ("-2", False), ("0", False)],
)
def test_what_stands_for_unknown(text: str, unknown: bool) -> None:
    assert is_unknown(text) == unknown
