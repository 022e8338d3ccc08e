"""Protocols with one gallery image of each person: drawn for all queries (single_shot) or for each (cuhk03)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from passerby.array_types import Float32
from passerby.errors import ConfigError
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.closed_set.scoring import Scoring, average_reports, report_of_law, report_of_ranks
from passerby.evaluation.closed_set.single_gallery_shot import rank_law
from passerby.evaluation.closed_set.true_match_ranks import places_of
from passerby.search.relevance import Relevance

_SINGLE_SHOT_REPEATS = 10  # the usual number of random splits of VIPeR, GRID and their like


def single_shot(query: Float32, gallery: Float32, relevance: Relevance, scoring: Scoring, notes: list[str]) -> Report:
    """One gallery image of each identity; every distractor stays."""
    columns = np.flatnonzero(relevance.counted)
    distractors = columns[relevance.gallery_labels[columns] == 0]
    people = columns[relevance.gallery_labels[columns] != 0]
    order = people[np.argsort(relevance.gallery_labels[people], kind="stable")]
    _, starts, size = np.unique(relevance.gallery_labels[order], return_index=True, return_counts=True)
    nothing_to_draw = bool((size == 1).all())
    repeats = 1 if nothing_to_draw else scoring.settings.repeats or _SINGLE_SHOT_REPEATS
    rng = np.random.default_rng(scoring.settings.seed)
    reports = []
    for _ in range(repeats):
        counted = np.zeros_like(relevance.counted)
        counted[distractors] = True
        counted[order[starts + rng.integers(0, size)]] = True
        drawn = replace(relevance, counted=counted)
        reports.append(report_of_ranks(places_of(query, gallery, drawn, scoring), drawn, scoring, notes))
    junk = int((~relevance.counted).sum())
    if nothing_to_draw:
        return replace(reports[0], junk=junk)
    return average_reports(reports, scoring, junk)


def single_gallery_shot(
    query: Float32, gallery: Float32, relevance: Relevance, scoring: Scoring, notes: list[str]
) -> Report:
    """CUHK03's classic rule: a gallery of one image a person, drawn for each query, or the expectation of that.

    Raises:
        ConfigError: re-ranking, which needs one gallery for all queries.
    """
    settings = scoring.settings
    if settings.rerank is not None:
        raise ConfigError("rerank: the protocol 'cuhk03' draws a gallery for each query, which re-ranking cannot use")
    laws = rank_law(
        query,
        gallery,
        relevance,
        metric=scoring.settings.metric,
        repeats=settings.repeats,
        seed=scoring.settings.seed,
    )
    notes.append("mAP and mINP are of the drawn gallery (one match a query), not of all gallery images")
    if settings.repeats is None:
        notes.append("exact expectation over all draws of the gallery")
    reports = [report_of_law(law, relevance, scoring, notes) for law in laws]
    junk = int((~relevance.counted).sum())
    return reports[0] if settings.repeats is None else average_reports(reports, scoring, junk)
