"""What a check of a dataset found, as a table for people and as plain values for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from passerby.data.info import Count, Counted

_EXAMPLES = 3
_HEADINGS = ("part", "images", "ids", "tracklets", "distractors", "junk")


@dataclass(frozen=True)
class CountRow:
    """One part: what was found, and what was published if anything was."""

    found: Counted
    expected: Count | None
    verdict: str


@dataclass(frozen=True)
class CheckReport:
    """What `check_dataset` found; printing it shows a table.

    Attributes:
        name: the dataset.
        root: where it was looked for.
        rows: counts of the folders on the disk (with a `/`), then of train, query and gallery.
        errors: why this is not the dataset, or cannot be used.
        warnings: what should be known.
        facts: what was found and is as it should be.
        cameras: images of each camera, called as in the data, by part.
        sizes: images of each size "width x height", the most frequent first.
        images: how many images were decoded, without those that cannot be; 0 if they were not looked at.
        seconds: how long it took.
    """

    name: str
    root: str
    rows: tuple[CountRow, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[str, ...]
    cameras: Mapping[str, Mapping[int | str, int]]
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
                "expected": None if row.expected is None else row.expected.model_dump(mode="json", exclude_none=True),
                "verdict": row.verdict,
            }
            for row in self.rows
        ]
        return {
            "name": self.name,
            "root": self.root,
            "ok": self.ok,
            "rows": rows,
            "errors": list(self.errors),
            "warnings": list(self.warnings),
            "facts": list(self.facts),
            "cameras": {part: dict(histogram) for part, histogram in self.cameras.items()},
            "sizes": dict(self.sizes),
            "images": self.images,
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        lines = [f"{self.name} at {self.root}", *_table(self.rows)]
        for part, histogram in self.cameras.items():
            if histogram:
                shown = [f"{camera}: {n:,}" for camera, n in histogram.items()]
                lines.append(f"  cameras of {part}: {some(shown, limit=12)}")
        if self.sizes:
            lines.append("  sizes (width x height): " + some([f"{size}: {n:,}" for size, n in self.sizes.items()]))
        lines += [f"  {fact}" for fact in self.facts]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        lines += [f"  ERROR: {error}" for error in self.errors]
        looked = f"{number_of(self.images, 'image')} decoded" if self.images else "images not decoded"
        lines.append(f"  {'OK' if self.ok else 'NOT OK'}: {looked}, {self.seconds:.1f} s")
        return "\n".join(lines)


def number_of(count: int, thing: str) -> str:
    """A count and its noun: 1 image, 2 images."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def some(items: Sequence[object], limit: int = _EXAMPLES) -> str:
    """The first few of many things."""
    more = f" and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(map(str, items[:limit])) + more


def _table(rows: Sequence[CountRow]) -> list[str]:
    """Lines of the table; columns in which nothing was counted are left out."""
    if not rows:
        return []
    numbers = [(r.found.images, r.found.ids, r.found.tracklets, r.found.distractors, r.found.junk) for r in rows]
    shown = [i for i in range(5) if i < 2 or any(row[i] for row in numbers)]
    cells = [["part", *(_HEADINGS[i + 1] for i in shown)]]
    cells += [[r.found.part, *(f"{row[i]:,}" for i in shown)] for r, row in zip(rows, numbers, strict=True)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    verdicts = ["", *(row.verdict for row in rows)]
    return [
        f"  {row[0].ljust(widths[0])}  "
        + "  ".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        + (f"  {verdict}" if verdict else "")
        for row, verdict in zip(cells, verdicts, strict=True)
    ]
