"""Places of the true matches of vectors, plain or re-ranked."""

from __future__ import annotations

from passerby.array_types import Float32
from passerby.evaluation.closed_set.scoring import Scoring
from passerby.search.ranking import match_ranks
from passerby.search.relevance import Relevance
from passerby.search.relevant_ranks import Ranks
from passerby.search.reranking.k_reciprocal import rank_reranked


def places_of(query: Float32, gallery: Float32, relevance: Relevance, scoring: Scoring) -> Ranks:
    """Places of the true matches, after re-ranking if wanted."""
    settings = scoring.settings
    if settings.rerank is None:
        return match_ranks(
            query, gallery, relevance, metric=settings.metric, device=scoring.device, progress=scoring.progress
        )
    return rank_reranked(
        query,
        gallery,
        relevance,
        settings.rerank,
        metric=settings.metric,
        device=scoring.device,
        progress=scoring.progress,
    )
