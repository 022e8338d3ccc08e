"""An encoder and a dataset in, a report out."""

from pathlib import Path

import numpy as np
import pytest

import passerby as pb
from passerby.data.records import ReIDDataset, Sample
from passerby.embedding.embed import embed
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.shards import embed_to_shards, join_shards, missing_shards, read_shards
from passerby.errors import ConfigError, EmbeddingError


class Drawn:
    """Encodes a path "a_b.jpg" as the point (a, b)."""

    dim = 2
    fingerprint = "drawn"

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, images, *, batch_size=128, flip=True):
        self.encoded += len(images)
        return np.array([[float(x) for x in path.stem.split("_")] for path in images], dtype=np.float32)


def sample(a: float, b: float, pid: int, camid: int, tracklet: int | None = None) -> Sample:
    return Sample(Path(f"{a}_{b}.jpg"), pid, camid, tracklet=tracklet)


DATA = ReIDDataset(
    "drawn",
    query=(sample(0, 0, 1, 0),),
    gallery=(sample(0, 1, 1, 1), sample(0, 2, 2, 1), sample(0, 3, 1, 1), sample(0, 0.5, 1, 0)),
    notes=("a retracted dataset",),
)


def test_the_dataset_says_how_it_is_judged_and_what_must_be_known() -> None:
    report = pb.evaluate(Drawn(), DATA, progress=False)
    assert report.mAP == pytest.approx((1 + 2 / 3) / 2)
    assert report.protocol == "market1501"
    assert "a retracted dataset" in report.notes
    assert pb.evaluate(Drawn(), DATA, protocol="no_cameras", progress=False).per_query.kept.tolist() == [4]


def test_frames_are_pooled_under_the_video_protocol() -> None:
    data = ReIDDataset(
        "video",
        query=(sample(0, 0, 1, 0, 5), sample(0, 2, 1, 0, 5)),
        gallery=(sample(0, 9, 1, 1, 1), sample(0, -7, 1, 1, 1), sample(0, 4, 2, 1, 2)),
        protocol="video",
    )
    report = pb.evaluate(Drawn(), data, progress=False)
    assert (report.queries, report.gallery, report.mAP) == (1, 2, 1.0)


@pytest.mark.parametrize("change", [{"protocol": "market"}, {"metric": "l1"}, {"rerank": "k"}, {"device": "nowhere"}])
def test_a_wrong_setting_stops_before_anything_is_encoded(change: dict) -> None:
    encoder = Drawn()
    with pytest.raises(ConfigError):
        pb.evaluate(encoder, DATA, progress=False, **change)
    assert encoder.encoded == 0


def test_nothing_to_evaluate_is_said() -> None:
    with pytest.raises(EmbeddingError, match="gallery, found none"):
        pb.evaluate(Drawn(), ReIDDataset("half", query=DATA.query), progress=False)
    with pytest.raises(EmbeddingError, match="at least one sample"):
        embed(Drawn(), [], progress=False)


def test_embeddings_survive_parquet(tmp_path: Path) -> None:
    embeddings = embed(Drawn(), DATA.gallery, batch_size=3, progress=False)
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


def test_shards_go_on_after_an_interruption(tmp_path: Path) -> None:
    samples = [sample(i, -i, 1 + i % 3, i % 2, tracklet=i) for i in range(25)]
    encoder = Drawn()
    encode = encoder.encode

    def fails(images, **rest):
        if images[0] == samples[8].path:
            raise KeyboardInterrupt
        return encode(images, **rest)

    encoder.encode = fails
    with pytest.raises(KeyboardInterrupt):
        embed_to_shards(encoder, samples, tmp_path / "shards", shard_size=4, progress=False)
    with pytest.raises(EmbeddingError, match="5 of 7 shards are missing"):
        read_shards(tmp_path / "shards")
    fresh = Drawn()
    assert embed_to_shards(fresh, samples, tmp_path / "shards", shard_size=4, progress=False) == 5
    assert fresh.encoded == 17
    whole = embed(Drawn(), samples, progress=False)
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
    embed_to_shards(Drawn(), samples, tmp_path, shard_size=2, progress=False)
    join_shards(tmp_path, tmp_path / "all.parquet")
    joined = Embeddings.from_parquet(tmp_path / "all.parquet")
    assert joined.tracklets is not None
    assert joined.tracklets.tolist() == [-1, -1, 2, 3, 4, 5]
    np.testing.assert_array_equal(joined.times, [np.nan] * 4 + [0.5] * 2)


def test_shards_are_shared_out(tmp_path: Path) -> None:
    samples = [sample(i, 0, 1, 0) for i in range(10)]
    made = [
        embed_to_shards(Drawn(), samples, tmp_path, shard_size=2, worker=w, workers=3, progress=False) for w in range(3)
    ]
    assert made == [2, 2, 1]
    assert read_shards(tmp_path).vectors[:, 0].tolist() == list(range(10))
    with pytest.raises(EmbeddingError, match="worker"):
        embed_to_shards(Drawn(), samples, tmp_path, worker=3, workers=3)
    with pytest.raises(EmbeddingError, match="not a folder of shards"):
        read_shards(tmp_path / "nowhere")
