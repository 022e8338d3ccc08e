"""Is what lies here the dataset, whole and sound? Counts, names, pixels, duplicates and overlaps, in one report."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from passerby.data.image_check import ImageFacts, inspect_images
from passerby.data.info import Count, Counted, count_samples, dataset_info, describe, differences, level_of
from passerby.data.readers import READERS
from passerby.data.readers.tree import is_image_name, is_litter
from passerby.data.records import UNKNOWN_CAMERA, ReIDDataset, Sample
from passerby.errors import DataError, unknown_name

_EXAMPLES = 3
_Parts = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True)
class CountRow:
    """One part: what was found and what was published."""

    found: Counted
    expected: Count | None
    verdict: str


@dataclass(frozen=True)
class CheckReport:
    """What `check_dataset` found; printing it shows a table.

    Attributes:
        name: the dataset.
        root: where it was looked for.
        rows: counts of the folders on the disk, then of train, query and gallery.
        errors: why this is not the dataset, or cannot be used.
        warnings: what should be known.
        facts: what was found and is as it should be.
        cameras: images of each camera (as numbered on the disk, from 1), by part.
        sizes: images of each size "width x height", the most frequent first.
        images: how many images were decoded; 0 if they were not looked at.
        seconds: how long it took.
    """

    name: str
    root: str
    rows: tuple[CountRow, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[str, ...]
    cameras: Mapping[str, Mapping[int, int]]
    sizes: Mapping[str, int]
    images: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether there is no error (warnings may remain)."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        rows = [
            {
                "found": row.found.model_dump(),
                "expected": None if row.expected is None else row.expected.model_dump(exclude_none=True),
                "verdict": row.verdict,
            }
            for row in self.rows
        ]
        return {**asdict(self), "rows": rows, "ok": self.ok}

    def __str__(self) -> str:
        table = [("part", "images", "ids", "tracklets", "distractors", "junk", "verdict")]
        table += [
            (
                f.part,
                f"{f.images:,}",
                f"{f.ids:,}",
                f"{f.tracklets:,}",
                f"{f.distractors:,}",
                f"{f.junk:,}",
                row.verdict,
            )
            for row in self.rows
            for f in (row.found,)
        ]
        widths = [max(len(row[i]) for row in table) for i in range(6)]
        lines = [f"{self.name} at {self.root}"]
        for row in table:
            cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:6], widths[1:], strict=True))]
            lines.append(f"  {'  '.join(cells)}  {row[6]}".rstrip())
        lines += [
            f"  cameras of {part}: " + ", ".join(f"{camera}: {n:,}" for camera, n in histogram.items())
            for part, histogram in self.cameras.items()
        ]
        if self.sizes:
            shown = list(self.sizes.items())[:_EXAMPLES]
            more = f", and {len(self.sizes) - len(shown):,} other sizes" if len(self.sizes) > len(shown) else ""
            lines.append("  sizes (width x height): " + ", ".join(f"{size}: {n:,}" for size, n in shown) + more)
        lines += [f"  {fact}" for fact in self.facts]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        lines += [f"  ERROR: {error}" for error in self.errors]
        looked = f"{self.images:,} images decoded" if self.images else "images not decoded"
        lines.append(f"  {'OK' if self.ok else 'NOT OK'}: {looked}, {self.seconds:.1f} s")
        return "\n".join(lines)


def check_dataset(
    name: str, root: str | os.PathLike[str], *, images: bool = True, progress: bool = True, **arguments: Any
) -> CheckReport:
    """Tell whether what lies at `root` is the dataset, whole and sound.

    Args:
        name: a name of `passerby.data.DATASETS`, or a manifest or folder of one's own.
        root: the dataset's folder or its parent.
        images: decode every image; finds unreadable, odd and duplicate ones.
        progress: show a progress bar.
        **arguments: arguments of the reader.

    Returns:
        The report; what is wrong with the data stands in it.

    Raises:
        DataError: an unknown name or argument.
    """
    start = time.perf_counter()
    if name not in READERS:
        raise DataError(unknown_name("dataset", name, READERS))
    info = dataset_info(name)
    complete = READERS[name].complete(name, arguments)
    findings = _Findings()
    if info.retracted:
        findings.warnings.append(f"retracted: {info.retracted}")
    top = Path(root).expanduser()
    parts: _Parts = {}
    rows: list[CountRow] = []
    try:
        parts = READERS[name].scan(top)
        rows += [_compare(count_samples(part, samples), info.files, {}, findings) for part, samples in parts.items()]
        for split in range(info.splits_for(complete)):
            dataset = READERS[name].read(top, split=split, **complete)
            rows += _read_rows(dataset, info.counts, complete, findings, keep=split == 0)
            _overlaps(dataset, info.kind == "video", findings)
    except DataError as error:
        findings.errors.append(str(error))
    _litter(parts, findings)
    facts = inspect_images(_paths(parts), progress=progress) if images else {}
    if facts:
        _image_findings(parts, facts, findings)
    return CheckReport(
        name,
        str(top),
        tuple(rows),
        tuple(dict.fromkeys(findings.errors)),
        tuple(dict.fromkeys(findings.warnings)),
        tuple(dict.fromkeys(findings.facts)),
        {part: _histogram(samples) for part, samples in parts.items()},
        dict(Counter(f"{f.width}x{f.height}" for f in facts.values() if not f.problem).most_common()),
        len(facts),
        time.perf_counter() - start,
    )


class _Findings:
    """What the checks say, collected by weight."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.facts: list[str] = []

    def add(self, level: str, words: str) -> None:
        (self.errors if level == "error" else self.warnings).append(words)


def _compare(found: Counted, counts: Sequence[Count], arguments: Mapping[str, Any], findings: _Findings) -> CountRow:
    expected = next((c for c in counts if c.part == found.part and c.holds_for(arguments)), None)
    if expected is None:
        return CountRow(found, None, "")
    words = differences(expected, found)
    if words:
        findings.add(level_of(expected, found), words)
    return CountRow(found, expected, "as published" if not words else f"expected {describe(expected)}")


def _read_rows(
    dataset: ReIDDataset, counts: Sequence[Count], arguments: Mapping[str, Any], findings: _Findings, *, keep: bool
) -> list[CountRow]:
    parts = {"train": dataset.train, "query": dataset.query, "gallery": dataset.gallery}
    rows = [_compare(count_samples(part, samples), counts, arguments, findings) for part, samples in parts.items()]
    return rows if keep else []


def _overlaps(dataset: ReIDDataset, is_video: bool, findings: _Findings) -> None:
    train = {s.pid for s in dataset.train}
    shared = sorted(train & {s.pid for s in (*dataset.query, *dataset.gallery)})
    if shared:
        findings.errors.append(f"{len(shared):,} persons are in training and in the test: {_some(shared)}")
    query = {s.path for s in dataset.query}
    twice = query & {s.path for s in dataset.gallery}
    if twice and not is_video:  # MARS's official gallery holds its queries, which the same-camera rule leaves out
        findings.errors.append(f"{len(twice):,} images are in query and gallery: {_some(sorted(map(str, twice)))}")
    seen = {(s.pid, s.camid) for s in dataset.gallery}
    cameras: dict[int, set[int]] = {}
    for pid, camid in seen:
        cameras.setdefault(pid, set()).add(camid)
    lonely = sum(not (cameras.get(s.pid, set()) - {s.camid}) for s in _units(dataset.query))
    if lonely and dataset.protocol in ("market1501", "video") and dataset.has_cameras:
        findings.warnings.append(f"{lonely:,} queries have no match under another camera and will be skipped")


def _units(samples: Sequence[Sample]) -> list[Sample]:
    """One sample a tracklet, every single image."""
    return list({(s.tracklet if s.tracklet is not None else s.path): s for s in samples}.values())


def _litter(parts: _Parts, findings: _Findings) -> None:
    known = _paths(parts)
    double = sum(is_image_name(path.stem) for path in known)
    if double:
        findings.facts.append(f"{double:,} names with a double extension were read")
    names = {path.name: path for path in known}
    stray: list[Path] = []
    for folder in {path.parent for path in known}:
        stray += [folder / name for name in os.listdir(folder) if name not in names and (folder / name).is_file()]
    left = sorted(str(path) for path in stray if is_litter(path.name))
    other = sorted(str(path) for path in stray if not is_litter(path.name))
    if left:
        findings.warnings.append(f"{len(left):,} files left by an operating system were ignored: {_some(left)}")
    if other:
        findings.warnings.append(f"{len(other):,} files beside the images do not belong to it: {_some(other)}")


def _image_findings(parts: _Parts, facts: Mapping[Path, ImageFacts], findings: _Findings) -> None:
    bad = [fact.problem for fact in facts.values() if fact.problem]
    if bad:
        findings.errors.append(f"{len(bad):,} images cannot be read: {_some(bad)}")
    where = {s.path: (part, s.pid) for part, samples in parts.items() for s in samples}
    _duplicates(where, facts, findings, exact=True)
    _duplicates(where, facts, findings, exact=False)
    sizes = Counter((f.width, f.height) for f in facts.values() if not f.problem)
    if sizes and sizes.most_common(1)[0][1] >= 0.99 * len(facts) and len(sizes) > 1:
        usual = sizes.most_common(1)[0][0]
        odd = sorted(str(p) for p, f in facts.items() if not f.problem and (f.width, f.height) != usual)
        findings.warnings.append(f"{len(odd):,} images are not {usual[0]}x{usual[1]}: {_some(odd)}")
    wide = sorted(str(p) for p, f in facts.items() if not f.problem and f.width > f.height)
    if wide:
        findings.facts.append(f"{len(wide):,} images are wider than high: {_some(wide)}")


def _duplicates(
    where: Mapping[Path, tuple[str, int]], facts: Mapping[Path, ImageFacts], findings: _Findings, *, exact: bool
) -> None:
    groups: dict[bytes, list[Path]] = {}
    for path, fact in facts.items():
        if not fact.problem:
            groups.setdefault(fact.digest if exact else fact.looks, []).append(path)
    same = [group for group in groups.values() if len(group) > 1]
    if not exact:
        same = [group for group in same if len({facts[path].digest for path in group}) > 1]
    kind = "byte for byte" if exact else "by their looks"
    for what, index in (("under several persons", 1), ("in several parts", 0)):
        crossing = [group for group in same if len({where[path][index] for path in group}) > 1]
        if crossing:
            examples = _some([" = ".join(str(path) for path in group[:2]) for group in crossing])
            findings.warnings.append(
                f"{len(crossing):,} groups of images that are equal {kind} stand {what}: {examples}"
            )
    if same:
        findings.facts.append(f"{len(same):,} groups of images are equal {kind}")


def _paths(parts: _Parts) -> list[Path]:
    return list(dict.fromkeys(s.path for samples in parts.values() for s in samples))


def _histogram(samples: Sequence[Sample]) -> dict[int, int]:
    counter = Counter(s.camid + 1 for s in samples if s.camid != UNKNOWN_CAMERA)
    return dict(sorted(counter.items()))


def _some(items: Sequence[object]) -> str:
    return ", ".join(map(str, items[:_EXAMPLES])) + (", ..." if len(items) > _EXAMPLES else "")
