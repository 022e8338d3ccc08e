"""CUHK03's published split files, to the last count."""

import os
import re
from pathlib import Path

import pytest

from passerby.data.datasets import load_dataset
from passerby.data.readers.cuhk03 import CUHK03_NAME, person_number, read_config

pytestmark = pytest.mark.real_data
pytest.importorskip("scipy")

COUNTS = {"detected": (14_097, 7_365, 1_400, 5_332), "labeled": (14_096, 7_368, 1_400, 5_328)}
MODES = sorted(COUNTS)


@pytest.fixture(scope="module")
def protocols() -> Path:
    folder = Path(os.environ.get("PASSERBY_DATA", Path(__file__).parents[3] / "shared" / "data")) / "protocols"
    if not folder.is_dir():
        pytest.skip(f"no CUHK03 split files in {folder}")
    return folder


@pytest.mark.parametrize("mode", MODES)
def test_the_files_agree_with_the_names(mode: str, protocols: Path) -> None:
    names, labels, cameras, train, query, gallery = read_config(protocols / f"cuhk03_new_protocol_config_{mode}.mat")
    assert (len(names), len(train), len(query), len(gallery)) == COUNTS[mode]
    assert sorted([*train, *query, *gallery]) == list(range(len(names))), "the three sets part the list"
    for name, label, camera in zip(names, labels, cameras, strict=True):
        match = re.fullmatch(CUHK03_NAME, name)
        assert match
        assert label == person_number(int(match["pair"]), int(match["person"]))
        assert camera == int(match["view"]) - 1
        assert (int(match["cell"]) <= 5) == (camera == 0)
    assert len({(labels[i], cameras[i]) for i in query}) == 1_400, "one query for each person and view"


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_tree_of_the_right_names_is_the_published_dataset(mode: str, protocols: Path, tmp_path: Path) -> None:
    """Reading looks at names only, so empty files with the right names pass every count."""
    config = protocols / f"cuhk03_new_protocol_config_{mode}.mat"
    images = tmp_path / f"images_{mode}"
    images.mkdir()
    for name in read_config(config)[0]:
        (images / name).touch()
    data = load_dataset("cuhk03", tmp_path, mode=mode, config=protocols)
    assert (len(data.train), len(data.query), len(data.gallery)) == COUNTS[mode][1:]
    assert len({s.pid for s in data.train}) == 767
    assert len({s.pid for s in data.query} | {s.pid for s in data.gallery}) == 700
