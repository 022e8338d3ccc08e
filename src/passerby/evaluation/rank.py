"""Ranked lists for every query, and their score where person ids are known."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from passerby.array_types import Float32, Int64
from passerby.config.evaluation import EvaluationSettings, with_changes
from passerby.config.keywords import keywords_of, takes_keywords
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError
from passerby.evaluation.camera_means import mapped_as
from passerby.evaluation.closed_set.protocols import check_settings, relevance_by_protocol
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.evaluate import check_same_encoder, rules_for, score
from passerby.evaluation.learned_similarity import LearnedSimilarity
from passerby.files import replace_file
from passerby.search.arrays import check_same_dim
from passerby.search.neighbors import top_k

_SHOWN = 5


@dataclass(frozen=True)
class RankedGallery:
    """The nearest gallery images of every query.

    Attributes:
        query: what was searched for.
        gallery: what it was searched in.
        indices: [q, k] rows of the gallery, nearest first; -1 where fewer count.
        distances: [q, k]; under a learned similarity the probability of two different people, 0 to 1.
        report: the score of the queries whose person is known (an id of 1 or more); None where there is none, or none
            of them is in the gallery.
        note: which queries have no score, and why; "" where all have one.
    """

    query: Embeddings
    gallery: Embeddings
    indices: Int64
    distances: Float32
    report: Report | None
    note: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """One row a query and place: query, rank, gallery, distance, and ids and cameras of both."""
        return [
            {
                "query": _name(self.query, q),
                "rank": place + 1,
                "gallery": _name(self.gallery, int(g)),
                "distance": round(float(self.distances[q, place]), 6),
                "query_pid": int(self.query.pids[q]),
                "gallery_pid": int(self.gallery.pids[g]),
                "query_camid": int(self.query.camids[q]),
                "gallery_camid": int(self.gallery.camids[g]),
            }
            for q, row in enumerate(self.indices)
            for place, g in enumerate(row)
            if g >= 0
        ]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `rows` as CSV.

        Raises:
            StorageError: it cannot be written.
        """
        rows = self.rows()
        with replace_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def to_dict(self) -> dict[str, Any]:
        """Rows and score as plain values."""
        report = None if self.report is None else self.report.to_dict()
        return {"report": report, "note": self.note, "rows": self.rows()}

    def __str__(self) -> str:
        lines = []
        for q in range(min(_SHOWN, len(self.query))):
            lines.append(f"{_name(self.query, q)} ({_known(self.query, q)})")
            for place, g in enumerate(self.indices[q]):
                if g >= 0:
                    mark = _mark(int(self.query.pids[q]), int(self.gallery.pids[g]))
                    lines.append(
                        f"  {place + 1:2d} {mark} {self.distances[q, place]:.4f}  {_name(self.gallery, int(g))}"
                    )
        if len(self.query) > _SHOWN:
            lines.append(f"... and {len(self.query) - _SHOWN:,} more queries (--out FILE writes all)")
        score_lines = [] if self.report is None else ["", str(self.report)]
        return "\n".join([*lines, *score_lines, *([self.note] if self.note else [])])


def _known(embeddings: Embeddings, row: int) -> str:
    pid, camid = embeddings.pids[row], embeddings.camids[row]
    person = f"person {pid}" if pid > 0 else "person not known"
    return f"{person}, camera {camid}" if camid >= 0 else f"{person}, camera not known"


def _mark(wanted: int, found: int) -> str:
    """Whether a candidate is right; nothing where nobody knows who the query is."""
    if wanted <= 0:
        return " "
    return "+" if found == wanted else "-"


@takes_keywords(keywords_of(EvaluationSettings))
def rank(
    query: Embeddings,
    gallery: Embeddings,
    *,
    top: int = 10,
    settings: EvaluationSettings | None = None,
    similarity: LearnedSimilarity | None = None,
    **changes: Any,
) -> RankedGallery:
    """Rank a gallery for every query.

    Args:
        query: vectors to search for.
        gallery: vectors to search in, of the same encoder.
        top: candidates of each query.
        settings: how to evaluate: the metric, what is left out of a query's list, and the score. Without a protocol
            Market-1501's rules where cameras are known. Re-ranking applies to the score (the lists are those of the
            plain distances).
        similarity: rank by a verification loss's own similarity (`passerby.training.similarity_of_run`) instead of
            a metric.
        **changes: single settings by name, instead of those of `settings`.

    Raises:
        EmbeddingError: vectors of different encoders or dimensions.
        ConfigError: `top` below 1, an unknown setting, protocol, metric or AP definition, or a metric or re-ranking
            beside a learned similarity.
    """
    if not isinstance(top, int) or top < 1:
        raise ConfigError(f"top: expected a whole number of candidates, at least 1, found {top!r}")
    check_same_encoder(query, gallery)
    check_same_dim(query.vectors, gallery.vectors, "query", "gallery")
    chosen = with_changes(settings, changes)
    protocol = chosen.protocol or rules_for(query, gallery)
    check_settings(chosen, protocol)
    searched = _under(similarity, query, gallery, chosen)
    relevance = relevance_by_protocol(query, gallery, protocol, exclude=chosen.exclude, junk_pids=chosen.junk_pids)
    mapped = mapped_as(chosen.model_dump(), *searched)
    indices, distances = top_k(
        mapped[0].vectors, mapped[1].vectors, min(top, len(gallery)), metric=chosen.metric, relevance=relevance
    )
    report, note = _score_of_known(*searched, chosen, protocol)
    if similarity is not None:
        distances = _probabilities(similarity, query, gallery, indices)
        if report is not None:
            notes = (*report.notes, "ranked by the verification loss's own similarity", *similarity.notes)
            report = replace(report, notes=notes)
    return RankedGallery(query, gallery, indices, distances, report, note)


def _score_of_known(
    query: Embeddings, gallery: Embeddings, settings: EvaluationSettings, protocol: str
) -> tuple[Report | None, str]:
    known = np.flatnonzero(query.pids > 0)
    unknown = len(query) - len(known)
    if not len(known):
        return None, "no score: no query's person is known (ids of 1 or more)"
    if not np.isin(query.pids[known], gallery.pids).any():
        return None, "no score: none of the queries' persons is in the gallery"
    note = f"{unknown:,} queries without a known person (ids below 1) are ranked and not scored" if unknown else ""
    return score(query.select(known), gallery, settings=settings, protocol=protocol), note


def _under(
    similarity: LearnedSimilarity | None, query: Embeddings, gallery: Embeddings, settings: EvaluationSettings
) -> tuple[Embeddings, Embeddings]:
    """Vectors whose distances rank as asked."""
    if similarity is None:
        return query, gallery
    others = [
        name
        for name, used in (
            (f"metric {settings.metric!r}", settings.metric != "euclidean"),
            ("re-ranking", settings.rerank is not None),
            ("subtracting camera means", settings.camera_statistics is not None),
        )
        if used
    ]
    if others:
        raise ConfigError(
            "a learned similarity compares a query's vector with a gallery image's as they are: "
            f"{' and '.join(others)} does not go with it"
        )
    return similarity.as_euclidean(query, gallery)


def _probabilities(similarity: LearnedSimilarity, query: Embeddings, gallery: Embeddings, indices: Int64) -> Float32:
    """Probability of two different people, [q, k]; infinite where there is no candidate."""
    rows = np.repeat(np.arange(len(indices)), indices.shape[1])
    odds = similarity.log_odds(query.vectors[rows], gallery.vectors[indices.ravel()]).reshape(indices.shape)
    different = 1 / (1 + np.exp(np.clip(odds, -500, 500)))
    return np.where(indices >= 0, different, np.inf).astype(np.float32)


def _name(embeddings: Embeddings, row: int) -> str:
    return embeddings.paths[row] if embeddings.paths else f"row {row}"
