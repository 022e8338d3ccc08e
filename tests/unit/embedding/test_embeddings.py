"""Vectors with their labels, to and from Parquet."""

from pathlib import Path

import numpy as np
import pytest
from tests.unit.embedding.coordinates import CoordinateEncoder, sample

from passerby.embedding.embed import embed
from passerby.embedding.embeddings import Embeddings
from passerby.errors import EmbeddingError

SAMPLES = (sample(0, 1, 1, 1), sample(0, 2, 2, 1), sample(0, 3, 1, 1), sample(0, 0.5, 1, 0))


def test_embeddings_survive_parquet(tmp_path: Path) -> None:
    embeddings = embed(CoordinateEncoder(), SAMPLES, batch_size=3, progress=False)
    embeddings.to_parquet(tmp_path / "gallery.parquet")
    back = Embeddings.from_parquet(tmp_path / "gallery.parquet")
    np.testing.assert_array_equal(back.vectors, embeddings.vectors)
    assert (back.paths, back.fingerprint, back.times, back.tracklets) == (embeddings.paths, "drawn", None, None)
    assert back.pids.tolist() == [1, 2, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["gallery.parquet"]
    part = back.select(np.array([True, False, True, False]))
    assert part.paths == (back.paths[0], back.paths[2])


def test_a_file_that_is_no_embeddings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("nothing")
    with pytest.raises(EmbeddingError, match="cannot be read"):
        Embeddings.from_parquet(tmp_path / "x.parquet")
    with pytest.raises(EmbeddingError, match="one for each"):
        Embeddings(np.zeros((2, 3), np.float32), np.array([1]), np.array([0, 0]))
