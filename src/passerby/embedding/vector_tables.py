"""Tables of vectors as text, and vectors that are written as one column a number."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from passerby.data.csv_tables import separator_of
from passerby.errors import EmbeddingError

_NUMBER = "-?[0-9]+(,[0-9]+)?(e[-+]?[0-9]+)?"
_DECIMAL_COMMAS = rf"^[\[( ]*-?[0-9]+,[0-9]+( +{_NUMBER})+[\]) ]*$"


def read_csv_table(path: Path) -> pa.Table:
    """Read a CSV file, separated by commas, semicolons (also with decimal commas) or tabs.

    Raises:
        EmbeddingError: no such file, or vectors of one column with decimal commas.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = [file.readline(), file.readline()]
        separator = separator_of(first[0])
        text = _without_blanks(path, separator) if any(f"{separator} " in line for line in first) else None
        table = _read(path, text, separator, ".")
        if separator == ";":
            table = _with_decimal_commas(path, table, _read(path, text, separator, ","))
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise EmbeddingError(f"{path}: cannot be read as CSV ({error})") from None
    return table.rename_columns([name.strip() for name in table.column_names])


def _without_blanks(path: Path, separator: str) -> bytes:
    """The text without blanks behind separators, which pyarrow would take for a part of the next cell."""
    text = io.StringIO()
    with path.open(encoding="utf-8-sig", newline="") as file:
        csv.writer(text, delimiter=separator).writerows(csv.reader(file, delimiter=separator, skipinitialspace=True))
    return text.getvalue().encode()


def _read(path: Path, text: bytes | None, separator: str, decimal: str) -> pa.Table:
    return pyarrow.csv.read_csv(
        path if text is None else io.BytesIO(text),
        parse_options=pyarrow.csv.ParseOptions(delimiter=separator),
        convert_options=pyarrow.csv.ConvertOptions(decimal_point=decimal),
    )


def _with_decimal_commas(path: Path, table: pa.Table, other: pa.Table) -> pa.Table:
    """Columns that are numbers only with decimal commas, as numbers."""
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if not pa.types.is_string(column.type):
            continue
        if pa.types.is_floating(other.column(place).type):
            table = table.set_column(place, name, other.column(place))
        elif pc.any(pc.match_substring_regex(column, _DECIMAL_COMMAS)).as_py():
            raise EmbeddingError(f"{path}: {name}: decimal commas in vectors of one column; expected decimal points")
    return table


def counted_columns(columns: list[str], name: str, where: str) -> list[str]:
    """The columns vector0, vector1, ... (or vector_0, vector.0; from 0 or 1 on), in the order of their numbers.

    Args:
        columns: all of a table.
        name: what the vectors are called.
        where: of the table, for messages.

    Raises:
        EmbeddingError: a number is missing, or there twice.
    """
    endings = {column: column.removeprefix(name).lstrip("_.") for column in columns if column.startswith(name)}
    numbers: dict[str, Any] = {column: int(ending) for column, ending in endings.items() if ending.isdecimal()}
    found = sorted(numbers, key=numbers.__getitem__)
    first = 1 if found and numbers[found[0]] == 1 else 0
    for number, column in enumerate(found, start=first):
        if numbers[column] != number:
            raise EmbeddingError(
                f"{where}: expected the columns {name}{first} to {name}{first + len(found) - 1}, one a number, found "
                f"{column} where {name}{number} belongs"
            )
    return found
