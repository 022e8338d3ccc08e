"""Pairs of identities that look alike, against a loop over all pairs, and one person under two labels."""

from __future__ import annotations

import base64
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError, EmbeddingError
from passerby.report.look_alikes import look_alikes


def crowd(*, paths: bool = False, root: Path = Path()) -> Embeddings:
    """Nine identities of three images; 8 and 9 are one person; a distractor and junk."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(10, 6))
    centers[9] = centers[8]
    pids = np.repeat(np.arange(1, 10), 3)
    vectors = centers[pids] + 0.05 * rng.normal(size=(27, 6))
    vectors = np.concatenate([vectors, vectors[-1:], vectors[-1:]])
    pids = np.concatenate([pids, [0, -1]])
    files: list[str] = []
    for row in range(len(pids)):
        file = root / f"{row}.png"
        if paths:
            Image.fromarray(np.full((16, 8, 3), row, np.uint8)).save(file)
        files.append(str(file))
    return Embeddings(vectors.astype(np.float32), pids, np.arange(29) % 3, paths=tuple(files))


@pytest.mark.parametrize("linkage", ["mean", "min", "average"])
def test_pairs_are_those_of_a_loop(linkage: str) -> None:
    data = crowd()
    unit = data.vectors / np.linalg.norm(data.vectors, axis=1, keepdims=True)
    expected = []
    for a, b in combinations(range(1, 10), 2):
        of_a, of_b = unit[data.pids == a], unit[data.pids == b]
        d = [float(np.linalg.norm(x - y)) for x in of_a for y in of_b]
        means = float(np.linalg.norm(of_a.mean(axis=0) - of_b.mean(axis=0)))
        expected.append(({"mean": means, "min": min(d), "average": sum(d) / len(d)}[linkage], a, b, min(d)))
    expected.sort()
    found = look_alikes(data, top=12, linkage=linkage)  # type: ignore[arg-type]
    assert [(p.label, p.other) for p in found.pairs] == [(a, b) for _, a, b, _ in expected[:12]]
    np.testing.assert_allclose([p.distance for p in found.pairs], [row[0] for row in expected[:12]], atol=1e-3)
    np.testing.assert_allclose([n.distance for n in found.nearest], [row[3] for row in expected[:12]], atol=1e-5)


def test_one_person_under_two_labels_comes_first_and_nothing_is_left_out_silently() -> None:
    found = look_alikes(crowd(), top=3)
    assert (found.pairs[0].label, found.pairs[0].other) == (8, 9)
    assert found.pairs[0].cameras == (0, 1, 2)
    assert found.left_out == 2
    assert "2 images of distractors and junk left out" in str(found)
    assert found.to_dict()["identities"] == 9
    row = found.rows()[0]
    assert {Path(row["image"]).stem, Path(row["other_image"]).stem} <= {str(i) for i in range(21, 27)}
    assert len(look_alikes(crowd(), top=1000).pairs) == 36


def test_the_page_holds_the_pictures(tmp_path: Path) -> None:
    page = look_alikes(crowd(paths=True, root=tmp_path), top=2).to_html(tmp_path / "page.html").read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") >= 2 * 6
    assert "identities 8 and 9" in page
    assert base64.b64decode(page.split("data:image/jpeg;base64,")[1].split('"')[0])


def test_a_set_without_pairs_is_refused() -> None:
    data = crowd()
    with pytest.raises(EmbeddingError, match="at least two identities, found 1 in 5 vectors"):
        look_alikes(data.select(np.array([0, 1, 2, 27, 28])))
    with pytest.raises(ConfigError, match="top"):
        look_alikes(data, top=0)
    with pytest.raises(ConfigError, match="did you mean 'mean'"):
        look_alikes(data, linkage="means")  # type: ignore[arg-type]
