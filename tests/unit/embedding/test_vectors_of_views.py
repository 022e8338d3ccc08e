"""A teacher's vectors of views: one file a view, made once, gone on with after an interruption."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from passerby.config import AugmentConfig, InputConfig
from passerby.data.records import Sample
from passerby.data.views import Views
from passerby.embedding.views import embed_views, read_vectors_of_views, read_views
from passerby.errors import EmbeddingError

VIEWS = Views(2, AugmentConfig(erasing=0.25), InputConfig(height=16, width=8))


class MeanColour:
    """An encoder whose vector is the mean colour of what it sees."""

    fingerprint = "colour"
    dim = 3

    def __init__(self) -> None:
        self.seen = 0

    def encode(self, images: Any, *, batch_size: int = 128, flip: bool = True) -> npt.NDArray[np.float32]:
        assert not flip
        self.seen += len(images)
        return np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images])


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    found = []
    for i in range(10):
        path = tmp_path / "people" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 8, 3), dtype=np.uint8)).save(path)
        found.append(Sample(path, pid=i // 2 + 1, camid=0))
    return found


def embed(encoder: Any, samples: list[Sample], folder: Path, views: Views = VIEWS, **settings: Any) -> int:
    return embed_views(encoder, samples, views, folder, batch_size=4, progress=False, **settings)


def test_vectors_are_those_of_the_views(samples: list[Sample], tmp_path: Path) -> None:
    assert embed(MeanColour(), samples, tmp_path / "out") == 0
    assert read_views(tmp_path / "out") == VIEWS
    paths = [s.path for s in samples]
    for view, found in enumerate(read_vectors_of_views(tmp_path / "out")):
        assert found.paths == tuple(map(str, paths))
        wanted = VIEWS.pictures(paths, view).astype(np.float32).mean((1, 2))
        assert np.allclose(found.vectors, wanted, rtol=1e-6)


def test_what_is_there_is_not_made_again(samples: list[Sample], tmp_path: Path) -> None:
    encoder = MeanColour()
    embed(encoder, samples, tmp_path / "out")
    (tmp_path / "out" / "view-1.parquet").unlink()
    with pytest.raises(EmbeddingError, match=r"1 of 2 views are missing \(view-1\.parquet\).*goes on"):
        read_vectors_of_views(tmp_path / "out")
    embed(encoder, samples, tmp_path / "out")
    assert encoder.seen == 30
    assert len(read_vectors_of_views(tmp_path / "out")) == 2


def test_workers_share_the_views(samples: list[Sample], tmp_path: Path) -> None:
    first = embed(MeanColour(), samples, tmp_path / "out", shard_size=5, worker=0, workers=2)
    assert first == 2
    assert embed(MeanColour(), samples, tmp_path / "out", shard_size=5, worker=1, workers=2) == 0
    embed(MeanColour(), samples, tmp_path / "alone")
    shared, alone = (read_vectors_of_views(tmp_path / name) for name in ("out", "alone"))
    assert all(np.array_equal(a.vectors, b.vectors) for a, b in zip(shared, alone, strict=True))


def test_other_views_are_refused(samples: list[Sample], tmp_path: Path) -> None:
    embed(MeanColour(), samples, tmp_path / "out")
    with pytest.raises(EmbeddingError, match="begun with other views"):
        embed(MeanColour(), samples, tmp_path / "out", Views(2, AugmentConfig(erasing=0.5), VIEWS.input))
    with pytest.raises(EmbeddingError, match="begun with other images"):
        embed(MeanColour(), samples[:5], tmp_path / "out")
    other = MeanColour()
    other.fingerprint = "other"
    with pytest.raises(EmbeddingError, match="begun with another encoder"):
        embed(other, samples, tmp_path / "out")


def test_a_view_in_the_place_of_another_is_found(samples: list[Sample], tmp_path: Path) -> None:
    embed(MeanColour(), samples, tmp_path / "out")
    (tmp_path / "out" / "view-1.parquet").write_bytes((tmp_path / "out" / "view-0.parquet").read_bytes())
    with pytest.raises(EmbeddingError, match=r"view-1\.parquet: holds other vectors than those of view 1"):
        read_vectors_of_views(tmp_path / "out")


@pytest.mark.parametrize(
    "text", [None, "{", json.dumps({"count": 2}), json.dumps({"count": 2, "augment": {"flap": 1}, "input": {}})]
)
def test_another_folder_is_refused(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "views.json").write_text(text)
    with pytest.raises(EmbeddingError, match="or a folder of views as `passerby embed TEACHER"):
        read_views(tmp_path)
