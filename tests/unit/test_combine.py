"""Several datasets in one: nobody shares a number by accident."""

import logging
from pathlib import Path

import numpy as np
import pytest

from passerby.data.datasets import combine_datasets, load_dataset
from passerby.data.layouts.write import write_layout
from passerby.data.records import ReIDDataset, Sample, labels_of
from passerby.errors import DataError


def dataset(
    name: str, train: list[tuple[int, int]], test: list[tuple[int, int]], tracklet: int | None = None
) -> ReIDDataset:
    def samples(part: str, rows: list[tuple[int, int]]) -> tuple[Sample, ...]:
        return tuple(
            Sample(Path(f"{name}/{part}/{i}.jpg"), pid, cam, None, tracklet) for i, (pid, cam) in enumerate(rows)
        )

    return ReIDDataset(name, samples("train", train), samples("query", test), samples("gallery", test), "video")


def test_numbers_never_collide() -> None:
    a = dataset("a", [(2, 0), (5, 1)], [(3, 0)])
    b = dataset("b", [(2, 0), (5, -1), (2, 1)], [(9, 4)], tracklet=0)
    both = combine_datasets([a, b], b)
    assert [(s.pid, s.camid) for s in both.train] == [(10, 5), (11, 6), (12, 7), (13, -1), (12, 8)]
    assert (both.query, both.gallery, both.protocol) == (b.query, b.gallery, "video")
    assert both.train[2].tracklet not in {s.tracklet for s in both.gallery}
    assert both.name == "a+b:b"
    assert labels_of(both.train)[0] == [0, 1, 2, 3, 2]


def test_train_on_a_and_test_on_b() -> None:
    a, b = dataset("a", [(1, 0), (2, 0)], [(3, 0)]), dataset("b", [(1, 0)], [(1, 0)])
    crossed = combine_datasets([a], b)
    assert {s.pid for s in crossed.train}.isdisjoint({s.pid for s in crossed.gallery})
    assert crossed.name == "a:b"
    assert crossed.notes == ("trained on a: 2 persons", "tested on b")
    assert combine_datasets([a]).query == ()
    with pytest.raises(DataError, match="nothing to combine"):
        combine_datasets([dataset("a", [], [(1, 0)])])


def test_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("cuhk01", "cuhk02", "viper"):
        write_layout(name, tmp_path / name, draw=lambda *_: np.zeros((8, 4, 3), np.uint8))
        for inner in (tmp_path / name).iterdir():
            inner.rename(tmp_path / inner.name)
    with caplog.at_level(logging.WARNING):
        crossed = load_dataset("cuhk01+viper:cuhk02", tmp_path, verify=False)
    assert crossed.name == "cuhk01+viper:cuhk02"
    assert {s.camid for s in crossed.query} == {8}
    assert "cuhk01 and cuhk02 may show the same people" in crossed.notes
    assert "flatters" in caplog.text
    assert (
        load_dataset("viper+cuhk01", tmp_path, verify=False).query
        == load_dataset("viper", tmp_path, verify=False).query
    )
    with pytest.raises(DataError, match="combine_datasets"):
        load_dataset("viper+cuhk01", tmp_path, split=1)
