"""How long it takes at least from one camera to another: pairs of tracklets that this forbids are never joined."""

from __future__ import annotations

import csv
import math
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from passerby.array_types import Bool, Float64
from passerby.data.csv_tables import separator_of, table_reader
from passerby.errors import ConfigError
from passerby.plain_names import plain_key

TravelTimes: TypeAlias = Mapping[tuple[str, str], float]
"""Least seconds from the moment at which somebody leaves one camera's view until another camera sees the person, by
(from, to) in any writing of their names; 0 where the views overlap. A longest time is of no use: people take breaks
and come back."""
_COLUMNS = ("from", "to", "seconds")


def read_travel_times(path: str | os.PathLike[str]) -> TravelTimes:
    """Read a CSV file with the header `from,to,seconds`, or a TOML file of `[[travel]]` tables with these keys.

    Semicolons (also with decimal commas) and tabs may stand for the commas. A pair holds both ways, unless the way back
    has a line of its own.

    Raises:
        ConfigError: not such a file, or a line that is wrong (the message names it).
    """
    file = Path(path).expanduser()
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: travel times cannot be read ({error})") from None
    rows = _toml_rows(file, text) if file.suffix == ".toml" else _csv_rows(file, text)
    given: dict[tuple[str, str], float] = {}
    for where, row in rows:
        first, second, seconds = plain_key(str(row["from"])), plain_key(str(row["to"])), _seconds(row["seconds"], where)
        if not first or not second or first == second or (first, second) in given:
            raise ConfigError(f"{where}: from {first!r} to {second!r}; expected two cameras, every pair once")
        given[first, second] = seconds
    if not given:
        raise ConfigError(f"{file}: no travel time; expected lines of from,to,seconds")
    return {(second, first): seconds for (first, second), seconds in given.items()} | given


def _csv_rows(file: Path, text: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    try:
        reader = table_reader(text.splitlines(keepends=True))
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ConfigError(f"{file}: not a CSV table ({error})") from None
    if sorted(reader.fieldnames or ()) != sorted(_COLUMNS):
        found = ",".join(reader.fieldnames or ())
        raise ConfigError(f"{file}, row 1: expected the header {','.join(_COLUMNS)}, found {found!r}")
    for number, row in rows:
        if None in row or None in row.values():
            raise ConfigError(f"{file}, row {number}: expected {len(_COLUMNS)} columns: {','.join(_COLUMNS)}")
        cells = {name: str(value).strip() for name, value in row.items()}
        if separator_of(text.partition("\n")[0]) == ";":  # and so perhaps a decimal comma
            cells["seconds"] = cells["seconds"].replace(",", ".")
        yield f"{file}, row {number}", cells


def _toml_rows(file: Path, text: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML ({error})") from None
    tables = content.get("travel")
    if set(content) != {"travel"} or not isinstance(tables, list):
        raise ConfigError(f'{file}: expected [[travel]] tables with from = "...", to = "..." and seconds = ...')
    for number, table in enumerate(tables, start=1):
        if not isinstance(table, dict) or set(table) != set(_COLUMNS):
            raise ConfigError(f"{file}, table {number}: expected the keys {', '.join(_COLUMNS)}, found {table!r}")
        yield f"{file}, table {number}", table


def _seconds(value: Any, where: str) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ConfigError(f"{where}: seconds {value!r}; expected a number from 0")
    return seconds


def check_cameras(times: TravelTimes, cameras: Sequence[str]) -> None:
    """Refuse times that hold for no pair of the cameras.

    Raises:
        ConfigError: none of the pairs.
    """
    keys = set(map(plain_key, cameras))
    if not any({plain_key(first), plain_key(second)} <= keys for first, second in times):
        known = ", ".join(sorted({camera for pair in times for camera in pair}))
        raise ConfigError(f"travel times between {known}; the films' cameras are {', '.join(cameras)}")


def too_soon(cameras: Sequence[str], starts: Float64, ends: Float64, times: TravelTimes) -> Bool:
    """Pairs [n, n] of tracklets of two cameras that one person cannot be in, as there is not enough time between them.

    Args:
        cameras: of each tracklet [n].
        starts: first moments [n], seconds on a clock that all cameras share.
        ends: last moments [n].
        times: see `TravelTimes`; pairs without one are free.
    """
    keys = [plain_key(camera) for camera in cameras]
    names = sorted(set(keys))
    place = np.array([names.index(key) for key in keys])
    known = {(plain_key(first), plain_key(second)): seconds for (first, second), seconds in times.items()}
    least = np.array([[known.get((first, second), 0.0) for second in names] for first in names])
    needed = least[place[:, None], place[None]]
    gap = starts[None] - ends[:, None]  # from the end of the row's to the start of the column's
    forward = (gap >= 0) & (gap < needed)
    together = (gap < 0) & (gap.T < 0) & (np.minimum(needed, needed.T) > 0)
    other = place[:, None] != place[None]
    return np.asarray(other & (forward | forward.T | together), bool)
