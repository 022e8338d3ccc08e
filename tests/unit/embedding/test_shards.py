"""Embedding in shards: interrupted, shared out, joined."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.embedding.coordinates import CoordinateEncoder, sample

from passerby.data.records import Sample
from passerby.embedding.embed import embed
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.shards import embed_to_shards, join_shards, missing_shards, read_shards
from passerby.errors import EmbeddingError


def test_shards_go_on_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [sample(i, -i, 1 + i % 3, i % 2, tracklet=i) for i in range(25)]
    encoder = CoordinateEncoder()
    encode = encoder.encode

    def fails(images: Any, **rest: Any) -> np.ndarray:
        if images[0] == samples[8].path:
            raise KeyboardInterrupt
        return encode(images, **rest)

    monkeypatch.setattr(encoder, "encode", fails)
    with pytest.raises(KeyboardInterrupt):
        embed_to_shards(encoder, samples, tmp_path / "shards", shard_size=4, progress=False)
    with pytest.raises(EmbeddingError, match="5 of 7 shards are missing"):
        read_shards(tmp_path / "shards")
    fresh = CoordinateEncoder()
    assert embed_to_shards(fresh, samples, tmp_path / "shards", shard_size=4, progress=False) == 5
    assert fresh.encoded == 17
    whole = embed(CoordinateEncoder(), samples, progress=False)
    assert missing_shards(tmp_path / "shards") == 0
    assert join_shards(tmp_path / "shards", tmp_path / "all.parquet") == 25
    for joined in (read_shards(tmp_path / "shards"), Embeddings.from_parquet(tmp_path / "all.parquet")):
        for name in ("vectors", "pids", "camids", "tracklets"):
            np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
        assert joined.paths == whole.paths
        assert joined.fingerprint == whole.fingerprint
    assert embed_to_shards(fresh, samples, tmp_path / "shards", shard_size=4, progress=False) == 0
    with pytest.raises(EmbeddingError, match="another list"):
        embed_to_shards(fresh, samples[::-1], tmp_path / "shards", shard_size=4, progress=False)


def test_joined_shards_may_lack_what_others_have(tmp_path: Path) -> None:
    samples = [
        Sample(Path(f"{i}_0.jpg"), 1, 0, tracklet=i if i > 1 else None, time=0.5 if i > 3 else None) for i in range(6)
    ]
    embed_to_shards(CoordinateEncoder(), samples, tmp_path, shard_size=2, progress=False)
    join_shards(tmp_path, tmp_path / "all.parquet")
    joined = Embeddings.from_parquet(tmp_path / "all.parquet")
    assert joined.tracklets is not None
    assert joined.tracklets.tolist() == [-1, -1, 2, 3, 4, 5]
    np.testing.assert_array_equal(joined.times, [np.nan] * 4 + [0.5] * 2)


def test_shards_are_shared_out(tmp_path: Path) -> None:
    samples = [sample(i, 0, 1, 0) for i in range(10)]
    made = [
        embed_to_shards(CoordinateEncoder(), samples, tmp_path, shard_size=2, worker=w, workers=3, progress=False)
        for w in range(3)
    ]
    assert made == [2, 2, 1]
    assert read_shards(tmp_path).vectors[:, 0].tolist() == list(range(10))
    with pytest.raises(EmbeddingError, match="worker"):
        embed_to_shards(CoordinateEncoder(), samples, tmp_path, worker=3, workers=3)
    with pytest.raises(EmbeddingError, match="not a folder of shards"):
        read_shards(tmp_path / "nowhere")
