"""`passerby rank`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from passerby.cli.evaluation_flags import Score, ScoreFlags, given_for
from passerby.cli.input_files import check_there
from passerby.cli.output import show
from passerby.cli.shared_parameters import Json
from passerby.cli.vector_flags import GalleryFile, QueryFile, VectorFlags
from passerby.errors import UsageError

if TYPE_CHECKING:
    from passerby.embedding.embeddings import Embeddings
    from passerby.evaluation.learned_similarity import LearnedSimilarity

Number = Annotated[int, Parameter(metavar="N")]


def rank(
    query: QueryFile,
    gallery: GalleryFile,
    /,
    *,
    source: VectorFlags = VectorFlags(),
    evaluation: Score = ScoreFlags(),
    top: Number = 10,
    expand_queries: Number = 0,
    augment_gallery: Number = 0,
    alpha: Annotated[float | None, Parameter(metavar="X")] = None,
    similarity: Literal["metric", "learned"] = "metric",
    run: Annotated[Path | None, Parameter(metavar="FOLDER")] = None,
    out: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    json: Json = False,
) -> None:
    """Rank a gallery for every query, and score the ranking where person ids are known (0 and below: not known).

    Args:
        query: see `QueryFile`.
        gallery: see `GalleryFile`.
        source: Where labels stand.
        evaluation: How rankings are scored.
        top: Candidates to list for each query.
        expand_queries: Mix each query with so many of its nearest gallery vectors first; 0: none.
        augment_gallery: Mix each gallery vector with so many of its nearest first; 0: none.
        alpha: How fast the weights of both fall with similarity (default: 0, plain means).
        similarity: learned: rank by what the verification loss of --run has learnt, instead of by a metric.
        run: With --similarity learned: folder of the run whose encoder made the vectors.
        out: Write all ranked lists to this CSV file.
        json: see `Json`.
    """
    check_there("a run", run)
    vectors = source.read_pair(query, gallery)
    learned = _learned(similarity, run)
    mixed = mixed_with_neighbors(*vectors, expand_queries, augment_gallery, alpha)
    from passerby.evaluation.evaluate import rules_for
    from passerby.evaluation.rank import rank as run_rank

    settings = given_for(evaluation, rules_for(mixed[0], mixed[1]))
    ranked = run_rank(mixed[0], mixed[1], top=top, similarity=learned, **settings)
    if ranked.report is not None:
        ranked = replace(ranked, report=replace(ranked.report, notes=(*ranked.report.notes, *mixed[2])))
    if out is not None:
        ranked.to_csv(out)
    show(ranked, as_json=json)


def _learned(similarity: str, run: Path | None) -> LearnedSimilarity | None:
    """The learned similarity, if it was asked for."""
    if similarity == "metric":
        if run is not None:
            raise UsageError("--run names the run of a learned similarity; give --similarity learned too")
        return None
    if run is None:
        raise UsageError("--similarity learned: give --run FOLDER, the run whose verification loss and encoder it is")
    from passerby.training.similarity_of_run import learned_similarity

    return learned_similarity(run)


def mixed_with_neighbors(
    query: Embeddings, gallery: Embeddings, expand: int, augment: int, alpha: float | None
) -> tuple[Embeddings, Embeddings, tuple[str, ...]]:
    """Gallery augmentation, then query expansion, and what a report must say of them.

    Raises:
        UsageError: alpha with nothing to weight.
        ConfigError: numbers out of range.
    """
    if alpha is not None and not (expand or augment):
        raise UsageError("--alpha weights the neighbours of --expand-queries and --augment-gallery; give one of them")
    from passerby.search.reranking.query_expansion import augment_gallery, expand_queries

    weight, notes = alpha or 0.0, []
    if augment:
        vectors = augment_gallery(gallery.vectors, neighbors=augment, alpha=weight)
        gallery = replace(gallery, vectors=vectors)
        notes.append(f"gallery vectors mixed with their {augment} nearest (alpha {weight:g})")
    if expand:
        query = replace(query, vectors=expand_queries(query.vectors, gallery.vectors, neighbors=expand, alpha=weight))
        notes.append(f"queries expanded by their {expand} nearest (alpha {weight:g})")
    return query, gallery, tuple(notes)
