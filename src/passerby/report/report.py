"""The evidence about a model as one HTML file: numbers, curves, distances, ranked lists, cameras, a map, provenance."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch

from passerby.config import load_recipe
from passerby.config.evaluation import EvaluationSettings, with_changes
from passerby.config.keywords import keywords_of, takes_keywords
from passerby.data.dataset_of_config import load_configured
from passerby.data.records import ReIDDataset
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.closed_set.protocols import check_settings, exclusion
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.engine_of_settings import facts_of, load_for
from passerby.evaluation.evaluate import check_test_people, embed_test, score_dataset
from passerby.evaluation.open_set.curves import OpenSetReport
from passerby.evaluation.open_set.enrolment import evaluate_half_enrolled
from passerby.evaluation.open_set.thresholds import Threshold
from passerby.images.decode import GREY_BITS
from passerby.models.described_encoder import described_encoder
from passerby.models.encoder import Encoder, load_encoder
from passerby.report.camera_names import CameraNames
from passerby.report.figure_data import as_evaluated, collect_evidence, left_out_by
from passerby.report.html_page import Section, render_page, write_page
from passerby.report.sections import distance_pairs, pictures, provenance, scores
from passerby.report.sections.sightings import Seen
from passerby.report.sections.sightings import sightings as seen_by_cameras
from passerby.version import __version__


class Described(Protocol):
    """What the provenance needs of an encoder; `passerby.Encoder` is one."""

    provenance: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """Hash of weights and preprocessing."""
        ...


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
    network: Encoder | None = None,
    config: object | None = None,
    notes: Sequence[str] = (),
    extra_sections: Sequence[Section] = (),
    sightings: Sequence[Seen] | None = None,
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
        open_set: adds the section about impostors.
        threshold: drawn into the distances.
        metrics: a run's metrics.jsonl, for the training curves; left out where there is none.
        encoder: its fingerprint and provenance are shown.
        network: the same encoder on torch, for activation maps; default: `encoder`, if it runs on torch.
        config: shown as its text (TOML); default: the configuration in the encoder's provenance.
        notes: shown at the top.
        extra_sections: shown after the ranked lists.
        sightings: of a gallery (`Gallery.sightings`), shown by person and by camera; None: without that section.
        seed: of the random choices (which queries, which identities).

    Returns:
        the file's path.

    Raises:
        EmbeddingError: no report, a report of other queries, or embeddings of different encoders.
        StorageError: the file cannot be written.
    """
    if not reports:
        raise EmbeddingError("write_report: expected at least one report by name, found none")
    first = next(iter(reports.values()))
    query, gallery = as_evaluated(query, gallery, first)
    evidence = collect_evidence(
        query,
        gallery,
        protocol=first.protocol,
        metric=first.metric,
        seed=seed,
        **left_out_by(first),
    )
    described = {} if encoder is None else dict(encoder.provenance)
    inside = described.pop("config", None)
    on_torch = isinstance(encoder, Encoder) and encoder.engine.name == "torch"
    inside_of = cast(Encoder, encoder) if network is None and on_torch else network
    cameras = CameraNames([query, gallery])
    parts: list[Section | None] = [
        scores.numbers(reports),
        scores.curves(reports, evidence),
        distance_pairs.distances(evidence, first, threshold),
        distance_pairs.open_set(open_set, threshold) if open_set is not None else None,
        pictures.rankings(first, query, gallery, cameras, seed=seed),
        *extra_sections,
        scores.cameras(evidence, first, query, gallery, cameras),
        pictures.identity_map(query, gallery, cameras, seed=seed),
        *(seen_by_cameras(sightings) if sightings is not None else ()),
        pictures.activations(inside_of, query, cameras, seed=seed) if inside_of is not None else None,
        provenance.training(Path(metrics)) if metrics is not None else None,
        provenance.provenance(
            {
                "encoder": query.fingerprint or (encoder.fingerprint if encoder is not None else ""),
                **described,
                **facts_of(encoder),
                "dimensions": query.vectors.shape[1],
                "notes": tuple(dict.fromkeys((*query.notes, *gallery.notes))),
                "written by": _versions(),
                "written at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            },
            str(config) if config is not None else inside,
        ),
        provenance.RESPONSIBLE_USE,
    ]
    html = render_page(
        title,
        f"{first.queries:,} queries in a gallery of {first.gallery:,} images, protocol {first.protocol}",
        scores.tiles(reports, open_set, threshold),
        [part for part in parts if part is not None],
        notes=notes,
        bits=encoder.preprocessing.bits if isinstance(encoder, Encoder) else GREY_BITS,
        footer=f"Written by passerby {__version__}. Everything on this page is inside this one file.",
    )
    return write_page(path, html)


@takes_keywords(keywords_of(EvaluationSettings))
def report(
    run: str | os.PathLike[str],
    data: ReIDDataset | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    settings: EvaluationSettings | None = None,
    sightings: Sequence[Seen] | None = None,
    seed: int = 0,
    progress: bool = True,
    **changes: Any,
) -> Path:
    """Evaluate a trained encoder on a dataset and write the report.

    Half of the people (drawn by `seed`) are enrolled for the section about impostors; the others are the impostors.

    Args:
        run: folder of a training run, or any encoder that `load_encoder` takes.
        data: its query and gallery are used; default: the dataset that the run was trained on.
        out: the .html file; default: report.html in `run`, if that is a folder.
        settings: how to evaluate; default: as the run's recipe says. Without a protocol: the dataset's own.
            Re-ranked results are shown beside the plain ones, by "k_reciprocal" where nothing else is set.
        sightings: of a gallery, as for `write_report`.
        seed: of the random choices.
        progress: show bars on stderr.
        **changes: single settings by name, instead of those of `settings`; `rerank=None` shows only plain results.

    Returns:
        the file's path.

    Raises:
        WeightsError: no encoder in `run`.
        ConfigError: no `data`, and `run` does not tell which it was trained on; a negative seed, or a folder as `out`.
        EmbeddingError: the dataset has no query with a match in its gallery.
        StorageError: the file cannot be written.
    """
    folder = Path(run)
    if seed < 0:
        raise ConfigError(f"seed: expected 0 or more, found {seed}")
    if out is not None and Path(out).is_dir():
        raise ConfigError(f"{out}: a folder, expected the name of an .html file: out (--out FILE)")
    if out is None and not folder.is_dir():
        raise ConfigError(f"{folder}: not a folder in which report.html could lie; say where it goes: out (--out FILE)")
    recipe = folder / "config.toml"
    config = load_recipe(recipe) if recipe.exists() else None
    if data is None:
        if config is None:
            raise ConfigError(f"{folder}: holds no config.toml that names a dataset; say which one to evaluate on")
        data = load_configured(config.data, run=folder)
    check_test_people(data)
    of_run = config.evaluation if config is not None else None
    chosen = with_changes(of_run if settings is None else settings, changes)
    if chosen.rerank is None and "rerank" not in changes:
        chosen = with_changes(chosen, {"rerank": "k_reciprocal"})
    check_settings(chosen, chosen.protocol or data.protocol)
    loaded = load_for(run, chosen, images=len(data.query) + len(data.gallery))
    running, query, gallery = embed_test(loaded, data, chosen, progress=progress)
    encoder = cast(Encoder, running)
    plain = score_dataset(encoder, data, query, gallery, with_changes(chosen, {"rerank": None}), progress=progress)
    reports = {"plain": plain}
    if chosen.rerank is not None:
        reports["re-ranked"] = score_dataset(encoder, data, query, gallery, chosen, progress=progress)
    return write_report(
        folder / "report.html" if out is None else out,
        title=f"{config.name if config is not None else folder.name} on {data.name}",
        reports=reports,
        query=query,
        gallery=gallery,
        open_set=evaluate_half_enrolled(
            *as_evaluated(query, gallery, plain),
            plain.per_query.pid,
            metric=plain.metric,
            exclude=exclusion(plain.protocol, chosen.exclude),
            seed=seed,
        ),
        threshold=encoder.threshold,
        metrics=folder / "metrics.jsonl",
        encoder=encoder,
        network=_network(run, encoder),
        config=config,
        notes=data.notes,
        sightings=sightings,
        seed=seed,
    )


def _network(run: str | os.PathLike[str], encoder: Encoder) -> Encoder | None:
    """The encoder on torch, whichever engine embeds; None for a graph, which has no network to look into."""
    if encoder.engine.name == "torch" or described_encoder(run) is None:
        return None
    return load_encoder(run, "torch")


def _versions() -> str:
    names = {"passerby": __version__, "torch": torch.__version__, "numpy": np.__version__}
    return ", ".join(f"{name} {version}" for name, version in names.items()) + f", Python {platform.python_version()}"
