"""Ranking and scores against slow loops, on worlds full of ties, junk, single cameras and missing matches."""

import math
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import passerby as pb
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.closed_set.result import ScoreWarning
from passerby.evaluation.good_and_junk import relevance_of
from passerby.search import products, ranking, tiles
from passerby.search.neighbors import top_k
from passerby.search.ranking import match_ranks
from passerby.search.relevance import Relevance
from passerby.search.screening import make_screen

pytestmark = pytest.mark.filterwarnings("ignore::passerby.evaluation.closed_set.result.ScoreWarning")


Metric = Literal["euclidean", "cosine"]
Exclude = Literal["same_id_same_camera", "same_camera", "none"]


def key(q: np.ndarray, g: np.ndarray, metric: Metric) -> float:
    """Distance in float64, term by term (exact for the small whole numbers drawn here)."""
    if metric == "euclidean":
        return math.sqrt(sum((float(a) - float(b)) ** 2 for a, b in zip(q, g, strict=True)))
    dot, qq, gg = (sum(float(a) * float(b) for a, b in zip(x, y, strict=True)) for x, y in ((q, g), (q, q), (g, g)))
    return 1 - dot / (qq * gg) ** 0.5 if qq * gg > 0 else 1.0


def ranked(world: dict[str, np.ndarray], i: int, exclude: Exclude, metric: Metric) -> list[int]:
    """Gallery rows that count for query i, nearest first, ties by row."""
    kept = []
    for j in range(len(world["g"])):
        same_camera = world["qc"][i] == world["gc"][j] and world["qc"][i] >= 0
        same_id = world["qp"][i] == world["gp"][j]
        if world["gp"][j] == -1:
            continue
        if exclude == "same_id_same_camera" and same_id and same_camera:
            continue
        if exclude == "same_camera" and same_camera:
            continue
        kept.append(j)
    return sorted(kept, key=lambda j: (key(world["q"][i], world["g"][j], metric), j))


def scores(
    world: dict[str, np.ndarray], exclude: Exclude, metric: Metric, ap: Literal["step", "trapezoid"]
) -> list[tuple[float, float, int, int]]:
    """(AP, INP, first hit, kept) of each query with a match."""
    rows = []
    for i in range(len(world["q"])):
        order = ranked(world, i, exclude, metric)
        hits = [k for k, j in enumerate(order, 1) if world["gp"][j] == world["qp"][i]]
        if not hits:
            continue
        total = 0.0
        for n, k in enumerate(hits, 1):
            if ap == "step":
                total += n / k
            else:
                total += ((1.0 if k == 1 else (n - 1) / (k - 1)) + n / k) / 2
        rows.append((total / len(hits), len(hits) / hits[-1], hits[0], len(order)))
    return rows


def world_of(
    seed: int, queries: int, images: int, people: int, cameras: int, dim: int, spread: int
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "q": rng.integers(-spread, spread + 1, (queries, dim)).astype(np.float32),
        "g": rng.integers(-spread, spread + 1, (images, dim)).astype(np.float32),
        "qp": rng.integers(1, people + 1, queries),
        "gp": rng.integers(-1, people + 2, images),
        "qc": rng.integers(-1 if cameras == 3 else 0, cameras, queries),
        "gc": rng.integers(0, cameras, images),
    }


WORLDS = st.builds(
    world_of,
    seed=st.integers(0, 2**32 - 1),
    queries=st.integers(1, 7),
    images=st.integers(1, 25),
    people=st.integers(1, 6),
    cameras=st.integers(1, 3),
    dim=st.integers(1, 5),
    spread=st.integers(0, 3),
)


@settings(max_examples=120, deadline=None)
@given(
    WORLDS,
    st.sampled_from(["same_id_same_camera", "same_camera", "none"]),
    st.sampled_from(["euclidean", "cosine"]),
    st.sampled_from(["step", "trapezoid"]),
)
def test_every_score_equals_the_slow_loop(
    world: dict[str, np.ndarray], exclude: Exclude, metric: Metric, ap: Literal["step", "trapezoid"]
) -> None:
    expected = scores(world, exclude, metric, ap)
    arguments: dict[str, Any] = {"metric": metric, "ap": ap, "exclude": exclude, "max_rank": 5}
    arrays = [world[name] for name in ("q", "g", "qp", "gp", "qc", "gc")]
    if not expected:
        with pytest.raises(EmbeddingError, match=r"true match|junk"):
            pb.evaluate_embeddings(*arrays, **arguments)
        return
    report = pb.evaluate_embeddings(*arrays, **arguments)
    np.testing.assert_allclose(report.per_query.ap, [e[0] for e in expected], rtol=0, atol=1e-12)
    np.testing.assert_allclose(report.per_query.inp, [e[1] for e in expected], rtol=0, atol=1e-12)
    assert report.per_query.first_rank.tolist() == [e[2] for e in expected]
    assert report.per_query.kept.tolist() == [e[3] for e in expected]
    for k in range(1, 6):
        assert report.rank(k) == pytest.approx(np.mean([e[2] <= k for e in expected]), abs=1e-12)
    assert report.queries + report.skipped == len(world["q"])


@settings(max_examples=60, deadline=None)
@given(
    WORLDS, st.sampled_from(["same_id_same_camera", "same_camera", "none"]), st.sampled_from(["euclidean", "cosine"])
)
def test_top_k_equals_the_slow_loop(world: dict[str, np.ndarray], exclude: Exclude, metric: Metric) -> None:
    labels = relevance_of(world["qp"], world["gp"], world["qc"], world["gc"], world["gp"] != -1, exclude)
    indices, distances = top_k(world["q"], world["g"], 4, metric=metric, relevance=labels)
    for i in range(len(world["q"])):
        order = ranked(world, i, exclude, metric)[:4]
        assert indices[i].tolist() == order + [-1] * (4 - len(order))
        expected = [key(world["q"][i], world["g"][j], metric) for j in order]
        np.testing.assert_allclose(distances[i, : len(order)], expected, rtol=1e-6, atol=1e-6)


def drawn_world(
    queries: int = 300,
    images: int = 2500,
    people: int = 40,
    dim: int = 33,
    offset: float = 0.0,
    noise: float = 1.5,
    seed: int = 1,
) -> tuple[np.ndarray, np.ndarray, Relevance]:
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((people + 2, dim))
    qp, gp = rng.integers(1, people + 1, queries), rng.integers(-1, people + 1, images)
    q = centers[qp] + noise * rng.standard_normal((queries, dim)) + offset
    g = centers[gp] + noise * rng.standard_normal((images, dim)) + offset
    g[images // 2 :: 3] = g[: len(g[images // 2 :: 3])]  # exact copies, of other people
    qc, gc = rng.integers(0, 4, queries), rng.integers(0, 4, images)
    return q.astype(np.float32), g.astype(np.float32), relevance_of(qp, gp, qc, gc, gp != -1)


def sorted_positions(q: np.ndarray, g: np.ndarray, labels: Relevance, metric: Metric) -> np.ndarray:
    found = []
    kept = labels.kept(slice(None))
    for i in range(len(q)):
        a, b = q[i].astype(np.float64), g.astype(np.float64)
        if metric == "euclidean":
            distance = ((a - b) ** 2).sum(axis=1)
        else:
            distance = 1 - (b @ a) / np.sqrt((b * b).sum(axis=1) * (a @ a))
        index = np.flatnonzero(kept[i])
        order = index[np.argsort(distance[index], kind="stable")]
        found.append(np.flatnonzero(labels.gallery_labels[order] == labels.query_labels[i]) + 1)
    return np.concatenate(found)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("offset", "factor"), [(0, 1), (300, 1), (0, 1e-25), (0, 1e18)])
def test_large_worlds_with_copies_offsets_and_extreme_scales(metric: Metric, offset: float, factor: float) -> None:
    q, g, labels = drawn_world(offset=offset)
    q, g = q * np.float32(factor), g * np.float32(factor)
    ranks = match_ranks(q, g, labels, metric=metric)
    assert (ranks.positions == sorted_positions(q, g, labels, metric)).mean() > 0.9999  # sums round in another order
    assert ranks.tied.sum() > 0


def test_places_do_not_depend_on_tiles_threads_or_order_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    q, g, labels = drawn_world(queries=60, images=500)
    expected = match_ranks(q, g, labels, metric="euclidean")
    for module, name, value in (
        (ranking, "_TILE_COLUMNS", 57), (ranking, "_TILE_ROWS", 13), (tiles, "WORKERS", 5),
        (ranking, "_CLOSE_PAIRS", 1), (ranking, "_QUERY_MATCHES", 100), (ranking, "_QUERY_BYTES", 2000),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
        found = match_ranks(q, g, labels, metric="euclidean")
        for part in ("positions", "offsets", "kept", "tied"):
            np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))


@pytest.mark.parametrize("cosine", [False, True])
def test_the_screen_keeps_its_bound(cosine: bool) -> None:
    q, g, _ = drawn_world(queries=50, images=400, dim=512, offset=3.0)
    screen = make_screen(q, g, cosine=cosine)
    a, squared = screen.prepare(q, np.arange(len(q)))
    b, lengths = screen.prepare(g, np.arange(len(g)))
    score = 2 * (a @ b.T) - screen.offsets(lengths)
    x, y = q.astype(np.longdouble), g.astype(np.longdouble)
    for i in range(len(q)):
        if cosine:
            exact = 2 * (y @ x[i]) / np.sqrt((y * y).sum(axis=1) * (x[i] @ x[i]))
        else:
            exact = squared[i] - ((x[i] - y) ** 2).sum(axis=1) * screen.scale**2
        error = np.abs(score[i] - exact).max()
        assert 0 < error <= screen.slack(squared, 512)[i]


def test_numpy_torch_and_lists_give_the_same_report() -> None:
    q, g, labels = drawn_world(queries=20, images=200)
    rest = (labels.query_labels, labels.gallery_labels, labels.query_sources, labels.gallery_sources)
    plain = pb.evaluate_embeddings(q, g, *rest).to_json()
    tensors = pb.evaluate_embeddings(torch.from_numpy(q), torch.from_numpy(g), *(torch.from_numpy(x) for x in rest))
    assert tensors.to_json() == plain
    assert pb.evaluate_embeddings(q.tolist(), g.tolist(), *(x.tolist() for x in rest)).to_json() == plain


def test_a_collapsed_model_is_called_out() -> None:
    vectors = np.ones((30, 8), dtype=np.float32)
    pids = np.arange(30) % 5 + 1
    with pytest.warns(ScoreWarning, match="collapsed"):
        report = pb.evaluate_embeddings(vectors[:5], vectors, pids[:5], pids)
    assert report.tied == 5
    assert any("collapsed" in note for note in report.notes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pb.evaluate_embeddings(np.eye(5, 8, dtype=np.float32), np.eye(5, 8, dtype=np.float32) * 2, pids[:5], pids[:5])


def test_the_device_does_not_change_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    q, g, labels = drawn_world(queries=60, images=500)
    expected = match_ranks(q, g, labels, metric="euclidean")
    monkeypatch.setattr(products, "check_device", lambda device: device and torch.device("cpu"))
    found = match_ranks(q, g, labels, metric="euclidean", device="cuda")
    np.testing.assert_array_equal(found.positions, expected.positions)
    indices, _ = top_k(q, g, 5, relevance=labels, device="cuda")
    monkeypatch.undo()
    np.testing.assert_array_equal(indices, top_k(q, g, 5, relevance=labels)[0])


def test_a_device_that_is_not_there_is_refused() -> None:
    q, g, labels = drawn_world(queries=2, images=20)
    with pytest.raises(ConfigError, match="cannot be used here"):
        pb.evaluate_embeddings(q, g, labels.query_labels, labels.gallery_labels, device="xpu:7")
    with pytest.raises(ConfigError, match="cannot be used here"):
        pb.evaluate_embeddings(q, g, labels.query_labels, labels.gallery_labels, device="gpu")


def test_an_accelerator_computes_in_full_precision_for_a_search_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32 would break the screen's bound; the setting is the whole process's, so it is made once and taken back."""
    q, g, labels = drawn_world(queries=60, images=9000)
    monkeypatch.setattr(products, "check_device", lambda device: torch.device("cpu"))
    seen: list[str] = []
    settings: list[str] = []
    plain, precision = products.torch_product, torch.set_float32_matmul_precision

    def watched(place: torch.device) -> Callable[[Any, Any, Any], None]:
        product = plain(place)

        def compute(a: Any, b: Any, out: Any) -> None:
            seen.append(torch.get_float32_matmul_precision())
            product(a, b, out)

        return compute

    monkeypatch.setattr(products, "torch_product", watched)

    def noted(name: str) -> None:
        settings.append(name)
        precision(name)

    monkeypatch.setattr(torch, "set_float32_matmul_precision", noted)
    before = torch.get_float32_matmul_precision()
    precision("high")
    try:
        match_ranks(q, g, labels, metric="euclidean", device="cuda")
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        precision(before)
    assert len(seen) > 1
    assert set(seen) == {"highest"}
    assert settings == ["highest", "high"]


@pytest.mark.parametrize(
    ("value", "fault"), [(math.nan, "NaN or infinite"), (-math.inf, "NaN or infinite"), (1e30, "squares overflow")]
)
def test_rows_that_have_no_distances_are_named(value: float, fault: str) -> None:
    vectors = np.ones((9000, 3))
    vectors[8500, 1] = value
    with pytest.raises(EmbeddingError, match=rf"gallery_vectors: row 8500 holds .*{fault}"):
        pb.evaluate_embeddings(vectors[:2], vectors, [1, 2], np.arange(9000))


@pytest.mark.parametrize("k", [-1, 2.5])
def test_so_many_neighbours_there_cannot_be(k: Any) -> None:
    with pytest.raises(ConfigError, match=rf"k: expected a whole number .*, found {k}"):
        top_k(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), k)
