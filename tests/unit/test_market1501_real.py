"""The real Market-1501, to the last count."""

import os
import tarfile
from pathlib import Path

import pytest

from passerby.data.check.dataset_check import check_dataset
from passerby.data.datasets import load_dataset
from passerby.errors import DataError

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the dataset: MARKET1501, or what market1501.tar.xz in PASSERBY_DATA unpacks to."""
    data = Path(os.environ.get("PASSERBY_DATA", Path(__file__).parents[3] / "shared" / "data"))
    for place in (Path(os.environ.get("MARKET1501", data)), data):
        if (place / "Market-1501-v15.09.15" / "query").is_dir():
            return place
    archive = data / "market1501.tar.xz"
    if not archive.is_file():
        pytest.skip(f"neither Market-1501-v15.09.15 nor market1501.tar.xz in {data}")
    folder = tmp_path_factory.mktemp("market1501")
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder


def test_counts(root: Path) -> None:
    data = load_dataset("market1501", root)
    assert (len(data.train), len(data.query), len(data.gallery)) == (12_936, 3_368, 15_913)
    assert len({s.pid for s in data.train}) == 751
    assert len({s.pid for s in data.query}) == len({s.pid for s in data.gallery} - {0}) == 750
    assert sum(s.pid == 1488 for s in data.gallery) > 0, "the double extensions belong to person 1488"
    assert sorted({s.camid for s in data.train}) == list(range(6))
    assert load_dataset("market1501", root, junk=True).gallery != data.gallery


def test_every_query_has_a_match_under_another_camera(root: Path) -> None:
    data = load_dataset("market1501", root)
    cameras: dict[int, list[int]] = {}
    for s in data.gallery:
        cameras.setdefault(s.pid, []).append(s.camid)
    matches = [sum(camid != s.camid for camid in cameras[s.pid]) for s in data.query]
    assert min(matches) >= 1
    assert sum(matches) / len(matches) == pytest.approx(14.74, abs=0.005)


def test_check_passes(root: Path) -> None:
    report = check_dataset("market1501", root, images=False, progress=False)
    assert report.ok, report
    assert report.cameras["bounding_box_train"] == {1: 2017, 2: 1709, 3: 2707, 4: 920, 5: 2338, 6: 3245}
    assert "double extension, read: 24 names" in report.facts


def test_multi_query_needs_its_folder(root: Path) -> None:
    if (root / "Market-1501-v15.09.15" / "gt_bbox").is_dir():
        assert len(load_dataset("market1501", root, multi_query=True).query) == 12_688
    else:
        with pytest.raises(DataError, match="gt_bbox"):
            load_dataset("market1501", root, multi_query=True)
