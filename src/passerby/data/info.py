"""What is known of each dataset: its paper, its terms, how to get it, and how much of it there should be.

The facts are data (`published.toml`); this file reads them and compares them with what was found.
"""

from __future__ import annotations

import functools
import re
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from passerby.data.records import DISTRACTOR_PID, JUNK_PID, Sample
from passerby.errors import DataError, unknown_name


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Count(_Facts):
    """How much of one part there should be; None where it is not known.

    Attributes:
        part: train, query or gallery, or a folder on the disk.
        images: image files.
        ids: persons with a positive id.
        tracklets: distinct tracklets.
        distractors: images (tracklets of a video dataset) of person 0.
        junk: images (tracklets of a video dataset) of person -1.
        at_least: enough images to raise no warning (for a number that is only roughly known).
        also: other (images, ids) that are known to be in circulation; they raise a warning, not an error.
        when: reader's arguments for which this holds.
        level: what a difference is.
        unverified: the number could not be traced to files or to a public statement.
    """

    part: str
    images: int | None = None
    ids: int | None = None
    tracklets: int | None = None
    distractors: int | None = None
    junk: int | None = None
    at_least: int | None = None
    also: tuple[tuple[int, int], ...] = ()
    when: Mapping[str, Any] = {}
    level: Literal["error", "warning"] = "error"
    unverified: bool = False

    def holds_for(self, arguments: Mapping[str, Any]) -> bool:
        """Whether the reader's arguments are those of this row."""
        return all(arguments.get(key) == value for key, value in self.when.items())


class SplitVariant(_Facts):
    """Another number of splits, for some arguments of the reader."""

    when: Mapping[str, Any]
    splits: int


class DatasetInfo(_Facts):
    """What a dataset is; printing it shows everything.

    Attributes:
        name: table name, as `load_dataset` takes it.
        title: as its authors call it.
        year: of publication.
        kind: single images, or tracklets.
        paper: citation.
        get: how one gets it.
        terms: terms of use, as far as they are known.
        layout: what lies on the disk.
        protocol: how it is split and scored.
        splits: number of splits, unless a variant says otherwise.
        split_variants: other numbers of splits, for some arguments of the reader.
        same_people: names of datasets that show some of the same people.
        retracted: why it must not be used, or empty.
        notes: traps.
        counts: published sizes of the parts as read.
        files: published sizes of what lies on the disk.
    """

    name: str
    title: str
    year: int
    kind: Literal["image", "video"]
    paper: str
    get: str
    terms: str
    layout: str
    protocol: str
    splits: int = 1
    split_variants: tuple[SplitVariant, ...] = ()
    same_people: tuple[str, ...] = ()
    retracted: str = ""
    notes: tuple[str, ...] = ()
    counts: tuple[Count, ...] = ()
    files: tuple[Count, ...] = ()

    def splits_for(self, arguments: Mapping[str, Any]) -> int:
        """How many splits there are with these arguments of the reader."""
        variants = (v.splits for v in self.split_variants if all(arguments.get(k) == x for k, x in v.when.items()))
        return next(variants, self.splits)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return self.model_dump(mode="json", exclude_none=True)

    def __str__(self) -> str:
        lines = [f"{self.title} ({self.year}), `{self.name}`"]
        fields = [
            ("RETRACTED", self.retracted),
            ("paper", self.paper),
            ("get it", self.get),
            ("terms", self.terms),
            ("on disk", self.layout),
            ("protocol", self.protocol),
            ("splits", str(self.splits)),
            *(("beware", note) for note in self.notes),
            *(("expected", describe(count)) for count in (*self.counts, *self.files)),
        ]
        for label, text in fields:
            if text:
                lines += textwrap.wrap(text, 110, initial_indent=f"  {label:<10}", subsequent_indent=" " * 12)
        return "\n".join(lines)


def describe(count: Count) -> str:
    """One line about one expected count."""
    words = [f"{value:,} {what}" for what, value in _numbers(count).items()]
    about = "about " if count.unverified else ""
    when = ", ".join(f"{key} = {value}" for key, value in count.when.items())
    return (
        f"{count.part}: {about}{', '.join(words)}" + (" (unverified)" if about else "") + (f" [{when}]" if when else "")
    )


def _numbers(count: Count) -> dict[str, int]:
    values = {what: getattr(count, what) for what in ("images", "ids", "tracklets", "distractors", "junk")}
    return {what: value for what, value in values.items() if value is not None}


@functools.cache
def published() -> dict[str, DatasetInfo]:
    """Every dataset that passerby knows, by name."""
    content = tomllib.loads((resources.files("passerby.data") / "published.toml").read_text("utf-8"))
    return {name: DatasetInfo(name=name, **facts) for name, facts in content.items()}


def dataset_info(name: str) -> DatasetInfo:
    """What is known of a dataset of the table.

    Raises:
        DataError: no such dataset (with the nearest known name).
    """
    known = table_name(name)
    if known is None:
        raise DataError(unknown_name("dataset", name, published()))
    return published()[known]


def table_name(text: str) -> str | None:
    """The table's name of a dataset, however written (Market-1501, CUHK-SYSU, iLIDS-VID); None if it has none."""
    plain = {re.sub(r"[^a-z0-9]", "", name): name for name in published()}
    return plain.get(re.sub(r"[^a-z0-9]", "", text.lower())) if re.fullmatch(r"[\w -]+", text) else None


class Counted(_Facts):
    """How much of one part was found; the same words as `Count`."""

    part: str
    images: int
    ids: int
    tracklets: int
    distractors: int
    junk: int


def count_samples(part: str, samples: Sequence[Sample]) -> Counted:
    """Count images, persons, tracklets, distractors and junk; the latter two in tracklets where there are some."""
    tracklets = {s.tracklet for s in samples if s.tracklet is not None}
    unit: dict[object, int] = {s.tracklet if tracklets else i: s.pid for i, s in enumerate(samples)}
    pids = list(unit.values())
    return Counted(
        part=part,
        images=len(samples),
        ids=len({s.pid for s in samples if s.pid > 0}),
        tracklets=len(tracklets),
        distractors=pids.count(DISTRACTOR_PID),
        junk=pids.count(JUNK_PID),
    )


def differences(expected: Count, found: Counted) -> str:
    """What differs from the published numbers, in words; empty if nothing does."""
    if expected.at_least is not None:
        enough = found.images >= expected.at_least
        return "" if enough else f"{expected.part}: {found.images:,} images, expected {describe(expected)}"
    wrong = [
        f"{getattr(found, what):,} {what} (expected {'about ' if expected.unverified else ''}{value:,}"
        f"{', unverified' if expected.unverified else ''})"
        for what, value in _numbers(expected).items()
        if getattr(found, what) != value
    ]
    return f"{expected.part}: {', '.join(wrong)}" if wrong else ""


def level_of(expected: Count, found: Counted) -> Literal["error", "warning"]:
    """How bad a difference is: sizes known to be in circulation are a warning."""
    return "warning" if (found.images, found.ids) in expected.also else expected.level
