"""The report's curves equal slow loops over all pairs."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.embedding.embeddings import Embeddings
from passerby.errors import EmbeddingError
from passerby.evaluation.closed_set.protocols import PROTOCOLS, evaluate_embeddings
from passerby.report import figure_data as evidence_module
from passerby.report.figure_data import as_evaluated, collect_evidence, left_out_by, ranked_lists


def world(seed: int, queries: int, gallery: int, *, people: int, cameras: int) -> tuple[Embeddings, Embeddings]:
    """Whole-number vectors, so that distances tie; gallery with junk (-1) and distractors (0)."""
    generator = np.random.default_rng(seed)

    def side(count: int, lowest: int) -> Embeddings:
        vectors = generator.integers(-2, 3, (count, 4)).astype(np.float32)
        camids = generator.integers(0, cameras, count) if cameras else np.full(count, -1)
        return Embeddings(vectors, generator.integers(lowest, people + 1, count), camids)

    return side(queries, 1), side(gallery, -1)


def distance(a: np.ndarray, b: np.ndarray, metric: str) -> float:
    x, y = a.astype(np.float64), b.astype(np.float64)
    if metric == "cosine":
        lengths = math.sqrt(x @ x), math.sqrt(y @ y)
        return 1 - float(sum(p / (lengths[0] or 1) * (q / (lengths[1] or 1)) for p, q in zip(x, y, strict=True)))
    return math.sqrt(((x - y) ** 2).sum())


def kept(query: Embeddings, gallery: Embeddings, q: int, protocol: str) -> list[int]:
    columns = []
    for g in range(len(gallery)):
        same_camera = query.camids[q] == gallery.camids[g] and query.camids[q] >= 0
        left_out = protocol == "market1501" and same_camera and query.pids[q] == gallery.pids[g]
        if gallery.pids[g] != -1 and not left_out:
            columns.append(g)
    return columns


def ranking(query: Embeddings, gallery: Embeddings, q: int, protocol: str) -> list[int]:
    columns = kept(query, gallery, q, protocol)
    return sorted(columns, key=lambda g: (distance(query.vectors[q], gallery.vectors[g], "euclidean"), g))


def precisions(hits: list[bool]) -> list[float]:
    found, values = 0, []
    for rank, hit in enumerate(hits, start=1):
        found += hit
        if hit:
            values.append(found / rank)
    return values


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(1, 7),
    gallery=st.integers(1, 25),
    people=st.integers(1, 4),
    cameras=st.integers(0, 3),
    protocol=st.sampled_from(["market1501", "no_cameras"]),
)
def test_evidence_equals_slow_loops(
    seed: int, queries: int, gallery: int, people: int, cameras: int, protocol: str
) -> None:
    probe, stock = world(seed, queries, gallery, people=people, cameras=cameras)
    evidence = collect_evidence(probe, stock, protocol=protocol)
    same = different = 0
    levels: list[list[float]] = []
    for q in range(queries):
        order = ranking(probe, stock, q, protocol)
        hits = [bool(stock.pids[g] == probe.pids[q]) for g in order]
        same, different = same + sum(hits), different + len(hits) - sum(hits)
        if not any(hits):
            continue
        values = precisions(hits)
        levels.append(
            [max(p for i, p in enumerate(values, start=1) if 100 * i >= level * len(values)) for level in range(101)]
        )
    assert (evidence.same.sum(), evidence.different.sum()) == (same, different)
    np.testing.assert_allclose(evidence.precision, np.mean(levels, axis=0) if levels else np.zeros(101), atol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_roc_is_the_share_of_pairs_below_each_edge(metric: str) -> None:
    generator = np.random.default_rng(3)
    probe = Embeddings(generator.normal(size=(6, 5)).astype(np.float32), np.arange(6) % 3 + 1, np.zeros(6, np.int64))
    stock = Embeddings(generator.normal(size=(20, 5)).astype(np.float32), np.arange(20) % 4 + 1, np.ones(20, np.int64))
    evidence = collect_evidence(probe, stock, metric=metric)
    false, true = evidence.roc()
    pairs = [
        (distance(probe.vectors[q], stock.vectors[g], metric), bool(probe.pids[q] == stock.pids[g]))
        for q in range(6)
        for g in range(20)
    ]
    for edge in range(0, len(false), 137):
        limit = evidence.edges[edge + 1]
        for rates, kind in ((false, False), (true, True)):
            own = [d for d, same in pairs if same == kind]
            assert rates[edge] == pytest.approx(sum(d < limit for d in own) / len(own), abs=1e-12)
    edges, same, different = evidence.histogram(bins=10)
    assert len(edges) == len(same) + 1 == len(different) + 1 <= 12
    assert (same.sum(), different.sum()) == (evidence.same.sum(), evidence.different.sum())
    assert edges[0] <= min(d for d, _ in pairs) <= max(d for d, _ in pairs) <= edges[-1]
    width = np.diff(edges)
    np.testing.assert_allclose(width[:-1], width[0])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), protocol=st.sampled_from(["market1501", "no_cameras"]))
def test_ranked_lists_equal_slow_loops(seed: int, protocol: str) -> None:
    probe, stock = world(seed, 5, 30, people=3, cameras=2)
    for found in ranked_lists(probe, stock, range(5), length=8, protocol=protocol):
        expected = ranking(probe, stock, found.query, protocol)[:8]
        assert found.gallery.tolist() == expected
        assert found.correct.tolist() == [bool(stock.pids[g] == probe.pids[found.query]) for g in expected]


def test_a_sample_is_said_and_seeded() -> None:
    probe, stock = world(1, 50, 20, people=3, cameras=2)
    first, again = (collect_evidence(probe, stock, max_queries=10, seed=4) for _ in range(2))
    assert len(first.rows) == len(set(first.rows.tolist())) == 10
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.precision, again.precision)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    probe, stock = world(2, 9, 20, people=3, cameras=2)
    whole = collect_evidence(probe, stock)
    monkeypatch.setattr(evidence_module, "_BLOCK_ENTRIES", 40)
    parts = collect_evidence(probe, stock)
    np.testing.assert_array_equal(whole.same, parts.same)
    np.testing.assert_array_equal(whole.precision, parts.precision)


def test_dimensions_must_agree() -> None:
    probe, stock = world(1, 3, 5, people=2, cameras=1)
    other = Embeddings(np.zeros((5, 7), np.float32), stock.pids, stock.camids)
    with pytest.raises(EmbeddingError, match="same encoder"):
        collect_evidence(probe, other)


def test_protocols_known_here_are_the_evaluators() -> None:
    probe, stock = world(5, 6, 40, people=2, cameras=3)
    noise = np.random.default_rng(0).normal(0, 0.01, stock.vectors.shape).astype(np.float32)
    stock = Embeddings(stock.vectors + noise, stock.pids, stock.camids)  # no ties, which would warn
    for protocol in ("market1501", "no_cameras"):
        assert protocol in PROTOCOLS
        report = evaluate_embeddings(
            probe.vectors, stock.vectors, probe.pids, stock.pids, probe.camids, stock.camids, protocol=protocol
        )
        evidence = collect_evidence(probe, stock, protocol=protocol)
        assert evidence.same.sum() == report.per_query.matches.sum()


def test_pooled_protocols_rank_pooled_rows() -> None:
    probe, stock = world(6, 12, 30, people=3, cameras=2)
    noise = np.random.default_rng(0).normal(0, 0.1, probe.vectors.shape).astype(np.float32)
    probe = replace(probe, vectors=probe.vectors + noise)
    sides = (probe.vectors, stock.vectors, probe.pids, stock.pids, probe.camids, stock.camids)
    pooled, same_stock = as_evaluated(probe, stock, evaluate_embeddings(*sides, protocol="multi_query"))
    assert same_stock is stock
    people = list(dict.fromkeys(zip(probe.pids.tolist(), probe.camids.tolist(), strict=True)))
    assert list(zip(pooled.pids.tolist(), pooled.camids.tolist(), strict=True)) == people
    for row, (pid, camid) in enumerate(people):
        own = probe.vectors[(probe.pids == pid) & (probe.camids == camid)]
        np.testing.assert_allclose(pooled.vectors[row], own.mean(axis=0), atol=1e-6)
    tracklets = probe.pids * 10 + probe.camids
    report = evaluate_embeddings(*sides, protocol="video", query_tracklets=tracklets)
    by_tracklet, _ = as_evaluated(replace(probe, tracklets=tracklets), stock, report)
    np.testing.assert_allclose(by_tracklet.vectors, pooled.vectors, atol=1e-6)


def test_a_report_of_other_queries_is_refused() -> None:
    probe, stock = world(5, 6, 40, people=2, cameras=3)
    noise = np.random.default_rng(0).normal(0, 0.01, stock.vectors.shape).astype(np.float32)
    sides = (probe.vectors, stock.vectors + noise, probe.pids, stock.pids, probe.camids, stock.camids)
    report = evaluate_embeddings(*sides)
    with pytest.raises(EmbeddingError, match="do not belong together"):
        as_evaluated(probe.select([0, 1]), stock, report)
    with pytest.raises(EmbeddingError, match="do not belong together"):
        as_evaluated(replace(probe, pids=probe.pids + 1), stock, report)


@pytest.mark.filterwarnings("ignore::passerby.evaluation.closed_set.result.ScoreWarning")
def test_curves_leave_out_what_the_report_left_out() -> None:
    probe, stock = world(3, 6, 40, people=4, cameras=3)
    report = evaluate_embeddings(
        probe.vectors, stock.vectors, probe.pids, stock.pids, probe.camids, stock.camids,
        exclude="same_camera", junk_pids=(-1, 0),
    )  # fmt: skip
    evidence = collect_evidence(probe, stock, **left_out_by(report))
    counted = (probe.camids[:, None] != stock.camids) & (stock.pids > 0)
    assert (evidence.same + evidence.different).sum() == counted.sum() == report.per_query.kept.sum()
    lists = ranked_lists(probe, stock, range(len(probe)), length=40, **left_out_by(report))
    assert [len(found.gallery) for found in lists] == counted.sum(axis=1).tolist()
