"""What every reader of the table promises, on a small faithful tree of its layout."""

import re
import zlib
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from passerby.config.protocol_name import ProtocolName
from passerby.data.check.dataset_check import check_dataset
from passerby.data.datasets import DATASETS, dataset_info, load_dataset, load_splits
from passerby.data.layouts.write import LAYOUTS, write_layout
from passerby.data.readers.options import complete_options
from passerby.data.records import JUNK_PID, ReIDDataset
from passerby.errors import DataError
from passerby.evaluation.closed_set.protocols import PROTOCOLS
from passerby.images.decode import read_image

pytest.importorskip("scipy")
pytest.importorskip("h5py")


def draw(person: int, camera: int, image: int) -> np.ndarray:
    """A small noise picture whose size varies from person to person."""
    rng = np.random.default_rng((person, camera, image))
    return rng.integers(0, 256, (24 + person % 3, 12, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("layouts")
    return {name: write_layout(name, top / name, draw=draw) for name in LAYOUTS}


@pytest.fixture(params=DATASETS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def load(name: str, trees: dict[str, Path], **arguments: Any) -> ReIDDataset:
    return load_dataset(name, trees[name], verify=False, **arguments)


def test_every_dataset_has_facts_and_a_layout(name: str) -> None:
    info = dataset_info(name)
    assert name in LAYOUTS
    for fact in (info.title, info.paper, info.get, info.terms, info.layout, info.protocol):
        assert fact.strip()
        assert fact.split()[0] in str(info).replace("\n", " ")


WRONG: dict[object, tuple[object, ...]] = {
    bool: ("no", "false", 0, None),
    int: ("3", 2.5, True, None),
    str: (3, True, ["a"]),
    str | Path | None: (3, True, ["a"]),
}


def test_arguments_of_another_kind_are_refused(name: str) -> None:
    annotations = get_type_hints(DATASETS[name].read)
    for key in DATASETS[name].options():
        for value in WRONG[annotations[key]]:
            with pytest.raises(DataError, match=f"^{name}: {key} is {re.escape(repr(value))}; expected "):
                complete_options(name, DATASETS[name].read, {key: value})


def test_protocols_that_data_may_name_are_those_there_are() -> None:
    assert set(get_args(ProtocolName)) == set(PROTOCOLS)


def test_parts_are_whole_and_disjoint(name: str, trees: dict[str, Path]) -> None:
    data = load(name, trees)
    assert data.query
    assert data.gallery
    assert data.train or name == "ethz"
    train, query = {s.pid for s in data.train}, {s.pid for s in data.query}
    assert train.isdisjoint(query | {s.pid for s in data.gallery if s.pid > 0})
    assert query <= {s.pid for s in data.gallery}
    assert JUNK_PID not in {s.pid for s in data.gallery}
    for sample in (*data.train, *data.query, *data.gallery):
        assert sample.path.is_file()
        assert sample.camid >= 0 or name == "ethz"


def test_every_query_has_a_match_that_counts(name: str, trees: dict[str, Path]) -> None:
    data = load(name, trees)
    for query in data.query:
        assert any(s.pid == query.pid and (s.camid != query.camid or s.camid < 0) for s in data.gallery), query


def test_pictures_belong_to_their_persons(name: str, trees: dict[str, Path]) -> None:
    """Every image decodes, and images of different persons are different pictures."""
    data = load(name, trees)
    owner: dict[int, int] = {}
    for sample in (*data.train, *data.query, *data.gallery):
        digest = zlib.crc32(read_image(sample.path).tobytes())
        assert owner.setdefault(digest, sample.pid) == sample.pid, sample.path


def test_reading_is_deterministic_and_splits_differ(name: str, trees: dict[str, Path]) -> None:
    assert load(name, trees) == load(name, trees)
    splits = load_splits(name, trees[name], verify=False)
    assert len(splits) == dataset_info(name).splits
    assert splits[-1] == load(name, trees, split=len(splits) - 1)
    assert len({data.fingerprint() for data in splits}) == len(splits)
    with pytest.raises(DataError, match=f"no split {len(splits)}"):
        load(name, trees, split=len(splits))


def test_root_may_be_the_folder_itself(name: str, trees: dict[str, Path]) -> None:
    inner = [p for p in trees[name].iterdir() if p.is_dir()]
    assert load_dataset(name, inner[0], verify=False) == load(name, trees)


def test_small_copy_is_not_the_published_one(name: str, trees: dict[str, Path]) -> None:
    if not any(count.level == "error" for count in dataset_info(name).counts):
        load_dataset(name, trees[name])
        return
    with pytest.raises(DataError, match=r"not the published dataset.*expected"):
        load_dataset(name, trees[name])


def test_check_reports_and_does_not_raise(name: str, trees: dict[str, Path]) -> None:
    report = check_dataset(name, trees[name], progress=False)
    text, plain = str(report), report.to_dict()
    assert report.images > 0
    assert not [error for error in report.errors if "cannot be read" in error]
    assert plain["ok"] == report.ok
    assert report.ok == (not any(c.level == "error" for c in (*dataset_info(name).counts, *dataset_info(name).files)))
    assert "expected" in text or report.ok


def test_wrong_roots(name: str, trees: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_dataset(name, tmp_path / "absent")
    with pytest.raises(DataError, match=r"does not hold|holds no image"):
        load_dataset(name, tmp_path)
    with pytest.raises(DataError, match="give root"):
        load_dataset(name)
    with pytest.raises(DataError, match="unknown argument 'colour'"):
        load_dataset(name, trees[name], colour="red")
    for option, default in DATASETS[name].options().items():
        if default is not None:
            wrong: dict[str, Any] = {option: object()}
            with pytest.raises(DataError, match=f"{option} is "):
                load_dataset(name, trees[name], **wrong)
    assert not check_dataset(name, tmp_path, progress=False).ok


def test_cameras_count_from_zero(trees: dict[str, Path]) -> None:
    first = {"market1501": 0, "dukemtmc_reid": 0, "msmt17": 0, "mars": 0, "cuhk01": 0, "prid2011": 0, "ilids_vid": 0}
    for name, camid in first.items():
        data = load(name, trees)
        assert min(s.camid for s in (*data.query, *data.gallery)) == camid, name
