"""Is what lies here the dataset, whole and sound? Counts, names, pixels, duplicates and overlaps, in one report."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from passerby.data.check.check_report import CheckReport, CountRow, number_of, some
from passerby.data.check.image_files import ImageFacts, inspect_images
from passerby.data.check.near_duplicates import near_duplicates
from passerby.data.datasets import is_manifest, read_dataset
from passerby.data.ignored_files import Beside, beside
from passerby.data.info import Count, Counted, count_samples, dataset_info, describe, differences, level_of, table_name
from passerby.data.manifest import lists_of_parts, read_folder, read_manifest
from passerby.data.readers.options import check_kinds, complete_options, options_of
from passerby.data.readers.table import READERS
from passerby.data.readers.tree import NOT_READ, by_extension, is_image_name
from passerby.data.records import UNKNOWN_CAMERA, ReIDDataset, Sample
from passerby.errors import DataError
from passerby.images.decode import GREY_BITS

_TINY = 8  # pixels
_DEPTHS = (9, 10, 12, 14)
"""Bits that cameras of more than 8 have, and the fewest that can be asked for."""
_Parts = Mapping[str, Sequence[Sample]]
_Facts = Mapping[Path, ImageFacts]


class _Findings:
    """What the checks say, collected by weight, each once."""

    def __init__(self) -> None:
        self.errors: dict[str, None] = {}
        self.warnings: dict[str, None] = {}
        self.facts: dict[str, None] = {}

    def error(self, words: str) -> None:
        self.errors[words] = None

    def warn(self, words: str) -> None:
        self.warnings[words] = None

    def tell(self, words: str) -> None:
        self.facts[words] = None


def check_dataset(
    name: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    images: bool = True,
    progress: bool = True,
    bits: int = GREY_BITS,
    **arguments: Any,
) -> CheckReport:
    """Tell whether what lies at `root` is the dataset, whole and sound.

    Args:
        name: as for `load_dataset`: a name of `DATASETS`, or one's own manifest or folder.
        root: as for `load_dataset`.
        images: decode every image; finds unreadable, odd and duplicate ones.
        progress: show a progress bar.
        bits: of the values that files store in 16 (`input.bits` of a recipe).
        **arguments: arguments of the reader.

    Returns:
        The report; what is wrong with the data stands in it.

    Raises:
        DataError: an unknown name or argument.
    """
    start = time.perf_counter()
    findings = _Findings()
    benchmark = table_name(os.fspath(name))
    if benchmark is None:
        rows, parts, dataset = _own_data(name, root, arguments, findings)
    elif root is None:
        raise DataError(f"{benchmark}: give root, the folder to be checked")
    else:
        rows, parts, dataset = _benchmark(benchmark, Path(root).expanduser(), arguments, findings)
    whose = benchmark or _kind_of_own(name, root)
    _files_beside(parts, findings, whose, [] if whose or root is None else _scanned(os.fspath(name), Path(root)))
    facts = inspect_images(_paths(parts), progress=progress, bits=bits) if images else {}
    if facts:
        _pixels(facts, findings)
        _depth(facts, findings, bits)
        _duplicates(parts, dataset, facts, findings)
    sizes = Counter(f"{f.width}x{f.height}" for f in facts.values() if not f.problem)
    return CheckReport(
        benchmark or os.fspath(name),
        str(root if root is not None else name),
        tuple(rows),
        tuple(findings.errors),
        tuple(findings.warnings),
        tuple(findings.facts),
        {part: _histogram(samples, dataset, own=_is_own(name)) for part, samples in parts.items()},
        dict(sizes.most_common()),
        sum(not fact.problem for fact in facts.values()),
        time.perf_counter() - start,
    )


def _may_be_data(place: Path) -> bool:
    """Whether it is a folder or a manifest, whatever may be wrong with it."""
    return place.is_dir() or (place.is_file() and is_manifest(place))


def _kind_of_own(name: str | os.PathLike[str], root: str | os.PathLike[str] | None) -> str:
    """Whether a manifest or lists have "chosen" the images, or a "folder" holds them; "" for several benchmarks."""
    place = (Path(name) if root is None else Path(root) / name).expanduser()
    if is_manifest(name) or (place.is_dir() and lists_of_parts(place)):
        return "chosen"
    return "folder" if place.is_dir() or os.fspath(name) == "synthetic" else ""


def _scanned(combination: str, root: Path) -> list[Path]:
    """Every image of benchmarks that are written A+B:C, in a part of them or not."""
    names = filter(None, map(table_name, re.split(r"[+:]", combination)))
    scans = [READERS[name].scan(root.expanduser()) for name in names]
    return [sample.path for scan in scans for part in scan.values() for sample in part]


def _own_data(
    name: str | os.PathLike[str], root: str | os.PathLike[str] | None, arguments: Mapping[str, Any], findings: _Findings
) -> tuple[list[CountRow], _Parts, ReIDDataset | None]:
    if os.fspath(name) == "synthetic" and (root is None or not Path(root).expanduser().is_dir()):
        raise DataError("synthetic: give root, the folder where it was drawn")
    if _may_be_data(Path(name).expanduser()):
        _check_arguments(os.fspath(name), arguments)
    try:
        dataset = read_dataset(name, root, **arguments)
    except DataError as error:
        if not _may_be_data(Path(name).expanduser()):
            raise  # neither a dataset's name nor anything that could be wrong
        findings.error(str(error))
        return [], {}, None
    for note in dataset.notes:
        (findings.warn if note.startswith(NOT_READ) else findings.tell)(note)
    _roles(dataset, findings)
    parts = _parts_of(dataset)
    rows = [CountRow(count_samples(part, samples), None, "") for part, samples in parts.items() if samples]
    return rows, parts, dataset


def _check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that one's own data do not take: that is no fault of the data."""
    of_all = {key: arguments[key] for key in ("split", "verify", "frames") if key in arguments}
    check_kinds(name, read_dataset, of_all)
    own = {key: value for key, value in arguments.items() if key not in of_all}
    complete_options(name, read_manifest if is_manifest(name) else read_folder, own)


def _benchmark(
    name: str, root: Path, arguments: Mapping[str, Any], findings: _Findings
) -> tuple[list[CountRow], _Parts, ReIDDataset | None]:
    info, reader = dataset_info(name), READERS[name]
    complete = complete_options(name, reader.read, arguments)
    if info.retracted:
        findings.warn(f"retracted: {info.retracted}")
    rows: list[CountRow] = []
    parts: _Parts = {}
    first: ReIDDataset | None = None
    try:
        parts = reader.scan(root, **{key: complete[key] for key in options_of(reader.scan) if key in complete})
        rows += [_compare(part, samples, info.files, {}, findings, f"{part}/") for part, samples in parts.items()]
        for absent in [count.part for count in info.files if count.part not in parts]:
            findings.tell(f"{absent}/ is not there")
        for split in range(info.splits_for(complete)):
            dataset = reader.read(root, split=split, **complete)
            split_rows = [
                _compare(part, samples, info.counts, complete, findings, part)
                for part, samples in _parts_of(dataset).items()
            ]
            _roles(dataset, findings)
            if first is None:
                first = dataset
                for note in dataset.notes:
                    findings.tell(note)
                rows += split_rows
    except DataError as error:
        findings.error(str(error))
    return rows, parts, first


def _compare(
    part: str,
    samples: Sequence[Sample],
    counts: Sequence[Count],
    arguments: Mapping[str, Any],
    to: _Findings,
    label: str,
) -> CountRow:
    found = count_samples(part, samples)
    expected = next((c for c in counts if c.part == part and c.holds_for(arguments)), None)
    shown: Counted = found.model_copy(update={"part": label})
    if expected is None:
        return CountRow(shown, None, "")
    words = differences(expected, found)
    if words:
        (to.error if level_of(expected, found) == "error" else to.warn)(words.replace(part, label, 1))
    verdict = "as published" if not words else f"expected {describe(expected).partition(': ')[2]}"
    return CountRow(shown, expected, verdict)


def _parts_of(dataset: ReIDDataset) -> dict[str, tuple[Sample, ...]]:
    return {"train": dataset.train, "query": dataset.query, "gallery": dataset.gallery}


def _roles(dataset: ReIDDataset, findings: _Findings) -> None:
    """Persons and images that play two parts, and queries without an answer."""
    test = (*dataset.query, *dataset.gallery)
    shared = sorted({s.pid for s in dataset.train} & {s.pid for s in test})
    if shared:
        findings.error(f"in training and in the test: {number_of(len(shared), 'person')}, {some(shared)}")
    twice = sorted({str(s.path) for s in dataset.query} & {str(s.path) for s in dataset.gallery})
    if twice and dataset.protocol != "video":  # MARS's official gallery holds its queries; its rule leaves them out
        findings.error(f"in query and gallery: {number_of(len(twice), 'image')}, {some(twice)}")
    if dataset.has_cameras and dataset.protocol != "no_cameras":
        lonely = _without_match(dataset)
        if lonely:
            findings.warn(
                f"without a match under another camera, so skipped: {len(lonely):,} of the queries, {some(lonely)}"
            )


def _without_match(dataset: ReIDDataset) -> list[str]:
    cameras: dict[int, set[int]] = {}
    for s in dataset.gallery:
        cameras.setdefault(s.pid, set()).add(s.camid)
    units = {(s.path if s.tracklet is None else s.tracklet): s for s in dataset.query}.values()
    return [str(s.path) for s in units if not cameras.get(s.pid, set()) - {s.camid}]


def _files_beside(parts: _Parts, findings: _Findings, whose: str, known: Iterable[Path]) -> None:
    """Double extensions, what operating systems leave behind, and files that nobody reads.

    Args:
        parts: of the dataset.
        findings: where they go.
        whose: the benchmark, or "" of several; "chosen" where a manifest or lists name the images, so that others
            beside them are left out on purpose; "folder" of one's own, whose reader has told what it leaves out.
        known: paths of images that a reader knows and leaves out, such as junk.
    """
    paths = _paths(parts)
    double = sum(is_image_name(path.stem) for path in paths)
    if double:
        findings.tell(f"double extension, read: {number_of(double, 'name')}")
    found = beside([*paths, *known], holders_too=whose in READERS)
    if whose == "chosen":
        others = len(found.files) + len(found.images)
        if others:
            findings.tell(f"beside the images, not in the manifest and not read: {number_of(others, 'file')}")
        if found.images_in_folders:
            inside = number_of(found.images_in_folders, "image")
            findings.tell(f"in folders beside the images, not in the manifest and not read: {inside}")
        return
    if found.litter:
        shown = f"{number_of(len(found.litter), 'file')}, {some(found.litter)}"
        findings.warn(f"left by an operating system, ignored: {shown}")
    if whose != "folder":
        _unread(found, findings, READERS[whose].ignores if whose else "")


def _unread(found: Beside, findings: _Findings, ignores: str) -> None:
    """What lies beside the images of a benchmark, by reason."""
    by_rule = {path for path in found.images if ignores and re.fullmatch(ignores, os.path.basename(path))}
    images = [path for path in found.images if path not in by_rule]
    if by_rule:
        findings.tell(f"beside the images, none of the dataset's own and left out: {number_of(len(by_rule), 'file')}")
    if found.files:
        counts = by_extension(found.files)
        shown = f"{number_of(len(found.files), 'file')}, by extension ({counts}): {some(found.files)}"
        findings.warn(f"beside the images, read by nobody: {shown}")
    if images:
        findings.warn(
            f"beside the images, in no part of the dataset: {number_of(len(images), 'image')}, {some(images)}"
        )
    if found.folders:
        inside = number_of(found.images_in_folders, "image")
        shown = f"{number_of(len(found.folders), 'folder')} with {inside}, {some(found.folders)}"
        findings.warn(f"beside the images, read by nobody: {shown}")


def _pixels(facts: _Facts, findings: _Findings) -> None:
    bad = [fact.problem for fact in facts.values() if fact.problem]
    if bad:
        findings.error(f"cannot be read: {number_of(len(bad), 'image')}, {some(bad)}")
    flat = [str(path) for path, f in facts.items() if f.flat]
    if flat:
        findings.warn(f"black or of one colour: {number_of(len(flat), 'image')}, {some(flat)}")
    good = {path: (f.width, f.height) for path, f in facts.items() if not f.problem}
    usual, often = next(iter(Counter(good.values()).most_common(1)), ((0, 0), 0))
    odd = [str(path) for path, size in good.items() if size != usual]
    if odd and often >= 0.99 * len(good):
        findings.warn(f"not {usual[0]}x{usual[1]} as the others: {number_of(len(odd), 'image')}, {some(odd)}")
    tiny = [str(path) for path, size in good.items() if min(size) < _TINY]
    if tiny:
        findings.warn(f"a side of less than {_TINY} pixels: {number_of(len(tiny), 'image')}, {some(tiny)}")
    wide = [str(path) for path, size in good.items() if size[0] > size[1]]
    if wide:
        findings.tell(f"wider than high: {number_of(len(wide), 'image')}, {some(wide)}")


def _depth(facts: _Facts, findings: _Findings, bits: int) -> None:
    """Files of 16 bits a value that do not say how many of them are used, and use few."""
    deep = {path: fact.deep for path, fact in facts.items() if fact.deep}
    enough = next((n for n in _DEPTHS if deep and max(high for _, high in deep.values()) < 2**n), None)
    if enough is not None and bits == GREY_BITS:
        paths = list(map(str, deep))
        findings.warn(
            f"of 16 bits a value only the lowest {enough} are used, so they look dark: "
            f"{number_of(len(paths), 'image')}, {some(paths)} (say --bits {enough} here and --input.bits in a "
            "training, or scale them)"
        )
        return
    narrow = [str(path) for path, (low, high) in deep.items() if facts[path].flat and high > low]
    if narrow:
        findings.warn(
            f"of 16 bits a value a narrow range is used, in which a picture may be hidden: "
            f"{number_of(len(narrow), 'image')}, {some(narrow)} (scale them to it)"
        )


def _duplicates(parts: _Parts, dataset: ReIDDataset | None, facts: _Facts, findings: _Findings) -> None:
    """Pictures under two persons, or in training and in the test; near ones of one frame a tracklet only."""
    samples = {s.path: s for part in parts.values() for s in part if not facts[s.path].problem}
    train = {s.path for s in dataset.train} if dataset else set()
    test = {s.path for s in (*dataset.query, *dataset.gallery)} if dataset else set()
    groups: dict[bytes, list[Path]] = {}
    for path in samples:
        groups.setdefault(facts[path].digest, []).append(path)
    exact = [(group[0], other) for group in groups.values() for other in group[1:]]
    frames = {(s.tracklet if s.tracklet is not None else s.path): s.path for s in reversed(samples.values())}
    chosen = list(reversed(frames.values()))
    near = [(chosen[i], chosen[j]) for i, j in near_duplicates([facts[path].looks for path in chosen])]
    near = [(a, b) for a, b in near if facts[a].digest != facts[b].digest]
    for pairs, words in ((exact, "the same picture"), (near, "pictures that look the same")):
        persons = [(a, b) for a, b in pairs if samples[a].pid != samples[b].pid]
        roles = [(a, b) for a, b in pairs if (a in train and b in test) or (a in test and b in train)]
        if persons:
            findings.warn(f"different persons, {words}: {number_of(len(persons), 'pair')}, {_show(persons)}")
        if roles:
            findings.warn(f"training and test, {words}: {number_of(len(roles), 'pair')}, {_show(roles)}")
        if len(pairs) > len(persons):
            findings.tell(f"one person, {words}: {number_of(len(pairs) - len(persons), 'pair')}")


def _show(pairs: Iterable[tuple[Path, Path]]) -> str:
    return some([f"{a} and {b}" for a, b in pairs])


def _paths(parts: _Parts) -> list[Path]:
    return list(dict.fromkeys(s.path for samples in parts.values() for s in samples))


def _is_own(name: str | os.PathLike[str]) -> bool:
    """A manifest or folder of somebody's own, whose camera numbers are kept; the layouts of datasets count from 1."""
    return table_name(os.fspath(name)) is None and os.fspath(name) != "synthetic"


def _histogram(samples: Sequence[Sample], dataset: ReIDDataset | None, *, own: bool) -> dict[int | str, int]:
    """Images of each camera, which is called as in the data."""
    counter = Counter(s.camid for s in samples if s.camid != UNKNOWN_CAMERA)
    names = () if dataset is None else dataset.camera_names
    return {names[camid] if names else camid if own else camid + 1: counter[camid] for camid in sorted(counter)}
