"""Names become numbers: one name, however it is written, is one number in all columns."""

import unicodedata

import numpy as np
import pytest

from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.search.arrays import Labels, number_names


@pytest.mark.parametrize(
    ("first", "second", "numbers"),
    [
        (["1", "2", "3"], ["1.0", "02", "3"], ([1, 2, 3], [1, 2, 3])),
        (["0001", "x"], ["1", "x "], ([1, 2], [1, 2])),
        (["ann", "bob"], ["ann ", " bob"], ([1, 2], [1, 2])),
        (["Zo\u00eb"], [unicodedata.normalize("NFD", "Zo\u00eb")], ([1], [1])),
        ([7, 8], ["07", "8.0"], ([7, 8], [7, 8])),
        (np.array([7.0, 8.0]), ["7", "8"], ([7, 8], [7, 8])),
    ],
)
def test_all_writings_of_a_name_are_one(first: Labels, second: Labels, numbers: tuple[list[int], list[int]]) -> None:
    found, _ = number_names(first, second)
    assert tuple(np.asarray(column).tolist() for column in found) == numbers


def test_what_is_unknown_is_no_name_where_the_caller_says_so() -> None:
    (cameras,), names = number_names(["hall", "-1", "", "gate", "-1.0"], first=0, unknown=-1)
    assert np.asarray(cameras).tolist() == [1, -1, -1, 0, -1]
    assert names == {"gate": 0, "hall": 1}
    (numbered,), _ = number_names(["2", "-1", ""], first=0, unknown=-1)
    assert np.asarray(numbered).tolist() == [2, -1, -1]
    (people,), names = number_names(["ann", "-1"])
    assert (np.asarray(people).tolist(), names) == ([2, 1], {"-1": 1, "ann": 2})


def test_an_evaluation_takes_writings_of_persons_and_cameras_as_one() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((6, 16))
    own, others = np.repeat(np.arange(1, 7), 2), np.repeat(np.arange(1, 7), 4)
    query = (centres[own - 1] + 0.8 * rng.standard_normal((12, 16))).astype(np.float32)
    gallery = (centres[others - 1] + 0.8 * rng.standard_normal((24, 16))).astype(np.float32)
    cameras = np.tile([1, 2], 6), np.tile([1, 2], 12)
    plain = evaluate_embeddings(query, gallery, own, others, *cameras)
    written = evaluate_embeddings(
        query,
        gallery,
        [str(pid) for pid in own],
        [f"{pid}.0" if row % 2 else f"{pid:04d}" for row, pid in enumerate(others)],
        [str(camera) for camera in cameras[0]],
        [f"0{camera}" for camera in cameras[1]],
    )
    assert plain.mAP < 1
    assert written.mAP == plain.mAP
