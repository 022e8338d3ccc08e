"""Reading tables of text whose first line names the columns."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from itertools import chain


def separator_of(header: str) -> str:
    """What separates the columns of a header: a semicolon or a tab where it has one, else a comma."""
    return next((mark for mark in ";\t" if mark in header), ",")


def table_reader(lines: Iterable[str]) -> csv.DictReader[str]:
    """Rows by column, separated by commas, semicolons or tabs; blanks behind a separator do not count.

    Args:
        lines: with a header; of a file, opened with newline="".

    Raises:
        csv.Error: text that is no such table, here or when its rows are read.
    """
    rest = iter(lines)
    header = next(rest, "")
    reader = csv.DictReader(
        chain([header] if header else [], rest), delimiter=separator_of(header), skipinitialspace=True, strict=True
    )
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    return reader
