"""The evidence about a model as one HTML file: numbers, curves, distances, ranked lists, cameras, a map, provenance."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

import passerby
from passerby.errors import EmbeddingError
from passerby.evaluation import sections
from passerby.evaluation.embed import Embeddings
from passerby.evaluation.evidence import collect_evidence
from passerby.evaluation.open_set import OpenSetReport, Threshold
from passerby.evaluation.page import Section, render_page, write_page
from passerby.evaluation.result import Report


class Described(Protocol):
    """What the provenance needs of an encoder; `passerby.Encoder` is one."""

    fingerprint: str
    provenance: dict[str, Any]


def write_report(
    path: str | os.PathLike[str],
    *,
    reports: Mapping[str, Report],
    query: Embeddings,
    gallery: Embeddings,
    title: str = "Person re-identification report",
    open_set: OpenSetReport | None = None,
    threshold: Threshold | float | None = None,
    metrics: str | os.PathLike[str] | None = None,
    encoder: Described | None = None,
    config: object | None = None,
    notes: Sequence[str] = (),
    extra_sections: Sequence[Section] = (),
    seed: int = 0,
) -> Path:
    """Write the report: one HTML file that needs no network and reads well on a phone as on a wide screen.

    Args:
        path: the .html file; replaced in one step.
        reports: results by name, the plain one first: {"plain": ..., "re-ranked": ...}.
        query: the embeddings that were searched for; pictures are read from their paths, and a missing file shows as
            an empty frame.
        gallery: what they were searched in.
        title: heading.
        open_set: adds the section about strangers.
        threshold: drawn into the distances.
        metrics: a run's metrics.jsonl, for the training curves; left out where there is none.
        encoder: its fingerprint and provenance are shown.
        config: shown as its text (TOML); default: the configuration in the encoder's provenance.
        notes: shown at the top.
        extra_sections: shown after the ranked lists.
        seed: of the random choices (which queries, which identities).

    Returns:
        the file's path.

    Raises:
        EmbeddingError: no report, or embeddings of different encoders.
        StorageError: the file cannot be written.
    """
    if not reports:
        raise EmbeddingError("write_report: expected at least one report by name, found none")
    first = next(iter(reports.values()))
    evidence = collect_evidence(query, gallery, protocol=first.protocol, metric=first.metric, seed=seed)
    described = {} if encoder is None else dict(encoder.provenance)
    inside = described.pop("config", None)
    parts: list[Section | None] = [
        sections.numbers(reports),
        sections.curves(reports, evidence),
        sections.distances(evidence, first, threshold),
        sections.open_set(open_set) if open_set is not None else None,
        sections.rankings(first, query, gallery, seed=seed),
        *extra_sections,
        sections.cameras(evidence),
        sections.identity_map(query, gallery, seed=seed),
        sections.training(Path(metrics)) if metrics is not None else None,
        sections.provenance(
            {
                "encoder": query.fingerprint or (encoder.fingerprint if encoder is not None else ""),
                **described,
                "dimensions": query.vectors.shape[1],
                "notes": tuple(dict.fromkeys((*query.notes, *gallery.notes))),
                "written by": _versions(),
                "written at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            },
            str(config) if config is not None else inside,
        ),
        sections.RESPONSIBLE_USE,
    ]
    html = render_page(
        title,
        f"{first.queries:,} queries in a gallery of {first.gallery:,} images, protocol {first.protocol}",
        sections.tiles(reports, open_set, threshold),
        [part for part in parts if part is not None],
        notes=notes,
        footer=f"Written by passerby {passerby.__version__}. Everything on this page is inside this one file.",
    )
    return write_page(path, html)


def _versions() -> str:
    names = {"passerby": passerby.__version__, "torch": torch.__version__, "numpy": np.__version__}
    return ", ".join(f"{name} {version}" for name, version in names.items()) + f", Python {platform.python_version()}"
