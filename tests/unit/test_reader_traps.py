"""What goes wrong with real copies of the datasets, one trap a test."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from passerby.data.check.dataset_check import check_dataset
from passerby.data.datasets import dataset_info, list_datasets, load_dataset, load_splits
from passerby.data.layouts.mats import save_mat
from passerby.data.layouts.write import write_layout
from passerby.data.readers import cuhk03, cuhk_sysu, market, video
from passerby.data.records import ReIDDataset
from passerby.embedding.embeddings import Embeddings
from passerby.errors import DataError
from passerby.evaluation.evaluate import score
from passerby.images.decode import read_image

pytest.importorskip("scipy")
pytest.importorskip("h5py")


Tree = Callable[..., Path]
"""Writes the layout of a dataset."""


def noise(person: int, camera: int, image: int) -> np.ndarray:
    return np.random.default_rng((person, camera, image)).integers(0, 256, (16, 8, 3), dtype=np.uint8)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write the layout of a dataset; gives the folder in it."""

    def write(name: str, **arguments: int) -> Path:
        root = write_layout(name, tmp_path / name, draw=noise, **arguments)
        return next(p for p in sorted(root.iterdir()) if p.is_dir())

    return write


def load(name: str, root: Path, **arguments: Any) -> ReIDDataset:
    return load_dataset(name, root, verify=False, **arguments)


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(77, 7, 7)).save(path)
    return path


# Market-1501


def test_double_extensions_are_kept(tree: Tree) -> None:
    root = tree("market1501")
    double = [s for s in load("market1501", root).gallery if s.path.name.endswith(".jpg.jpg")]
    assert len(double) == 3
    assert {s.pid for s in double} == {21}
    assert "double extension, read: 3 names" in check_dataset("market1501", root, progress=False).facts


def test_junk_and_distractors(tree: Tree) -> None:
    root = tree("market1501")
    assert sum(s.pid == 0 for s in load("market1501", root).gallery) == 3
    assert sum(s.pid == -1 for s in load("market1501", root).gallery) == 0
    assert sum(s.pid == -1 for s in load("market1501", root, junk=True).gallery) == 3
    assert load("market1501", root).query[0].pid == 12, "-1 is not read as person 1"


def test_thumbs_db_and_mac_files_are_no_images(tree: Tree) -> None:
    root = tree("market1501")
    (root / "bounding_box_test" / "Thumbs.db").write_bytes(b"x")
    shutil.copy(write(root / "x.jpg"), root / "query" / "._0002_c1s1_000451_03.jpg")
    assert len(load("market1501", root).query) == 30
    (warning,) = [w for w in check_dataset("market1501", root, progress=False).warnings if "operating system" in w]
    assert ": 2 files, " in warning


@pytest.mark.parametrize("name", ["0002_c7s1_000451_03.jpg", "0002_c1s1_000451.jpg", "0005_c2_f0046985.jpg", "x.JPG"])
def test_foreign_names_are_errors(name: str, tree: Tree) -> None:
    root = tree("market1501")
    write(root / "query" / name)
    with pytest.raises(DataError, match=f"1 of 31 image names in .*query are not like .*{name}"):
        load("market1501", root)


def test_a_parent_folder_does_not_matter(tree: Tree) -> None:
    """The whole path must not be searched: run-1_c2 is neither person -1 nor camera 2."""
    root = tree("market1501")
    moved = root.parent / "run-1_c2s1"
    root.rename(moved)
    data = load("market1501", moved)
    assert {s.camid for s in data.query} == {0, 1, 2}
    assert min(s.pid for s in data.train) == 2


def test_extension_in_capitals_is_read(tree: Tree) -> None:
    root = tree("market1501")
    image = sorted((root / "query").iterdir())[0]
    image.rename(image.with_suffix(".JPG"))
    assert len(load("market1501", root).query) == 30


def test_multi_query_pools_the_drawn_boxes(tree: Tree) -> None:
    root = tree("market1501")
    single, pooled = load("market1501", root), load("market1501", root, multi_query=True)
    assert len(pooled.query) == 3 * len(single.query)
    for sample in pooled.query:
        assert sample.tracklet is not None
        query = single.query[sample.tracklet]
        assert (query.pid, query.camid) == (sample.pid, sample.camid)
        assert sample.path.parent.name == "gt_bbox"


def test_distractors(tree: Tree) -> None:
    root = tree("market1501")
    with pytest.raises(DataError, match="images/"):
        load("market1501", root, distractors=True)
    for i, pid in enumerate((0, 0, -1)):
        write(root / "images" / f"{pid:04d}_c{i + 1}s1_{i}.jpg" if pid == 0 else root / "images" / f"-1_c3s1_{i}.jpg")
    assert len(load("market1501", root, distractors=True).gallery) == len(load("market1501", root).gallery) + 2
    write(root / "images" / "0007_c1s1_1.jpg")
    with pytest.raises(DataError, match="name a person"):
        load("market1501", root, distractors=True)


def test_duke_prints_its_retraction(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    root = tree("dukemtmc_reid")
    with caplog.at_level(logging.WARNING):
        data = load("dukemtmc_reid", root)
    assert "Withdrawn by its authors" in caplog.text
    assert data.notes == (market.RETRACTED,)
    assert "RETRACTED" in str(dataset_info("dukemtmc_reid"))
    assert [row["name"] for row in list_datasets() if row["status"]] == ["dukemtmc_reid", "occluded_duke"]
    with pytest.raises(DataError, match="Not to be had"):
        load_dataset("dukemtmc_reid")


ZERO_BASED = {  # a copy whose cameras (or images) count from 0 does not pass as the dataset
    "market1501": "query/0002_c0s1_000451_03.jpg",
    "dukemtmc_reid": "query/0005_c0_f0046985.jpg",
    "cuhk01": "campus/0001000.png",
    "grid": "probe/0005_0_25100_229_94_99_249.jpeg",
    "ilids": "Persons/0001000.jpg",
    "caviar4reid": "0001000.jpg",
}


@pytest.mark.parametrize("name", ZERO_BASED)
def test_zero_based_numbers_are_told_apart(name: str, tree: Tree) -> None:
    root = tree(name)
    write(root / ZERO_BASED[name])
    with pytest.raises(DataError, match=r"image names in .* are not like"):
        load(name, root)


# CUHK


def test_cuhk01_counts_images_not_cameras(tree: Tree) -> None:
    root = tree("cuhk01")
    data = load("cuhk01", root)
    for sample in (*data.query, *data.gallery):
        assert sample.camid == (0 if sample.path.stem[-3:] in ("001", "002") else 1)
    single = load("cuhk01", root, shots=1)
    assert single.protocol == "single_shot"
    assert len(single.gallery) == len({s.pid for s in single.gallery}) == 10
    assert len({s.pid for s in load("cuhk01", root, test_ids=4).query}) == 4
    swapped = load("cuhk01", root, direction="ba")
    assert (swapped.query, swapped.gallery) == (data.gallery, data.query)
    (root / "campus" / "0001004.png").unlink()
    with pytest.raises(DataError, match="do not have 4 images, first person 0001"):
        load("cuhk01", root)


def test_cuhk02_numbers_restart_in_each_pair(tree: Tree) -> None:
    data = load("cuhk02", tree("cuhk02"))
    assert len({s.pid for s in data.train}) == 16
    assert sorted({s.camid for s in data.train}) == list(range(8))


def test_cuhk03_goes_on_after_a_hole(tree: Tree) -> None:
    root = tree("cuhk03")
    data = load("cuhk03", root)
    cells = {s.path.stem[-2:] for s in (*data.train, *data.query, *data.gallery)}
    assert cells == {"01", "03", "04", "06", "08", "09"}
    sample = data.train[0]
    assert np.array_equal(read_image(sample.path), noise(1, 0, 0)), "not transposed, not changed"


def test_cuhk03_classic(tree: Tree) -> None:
    root = tree("cuhk03")
    sets = load_splits("cuhk03", root, verify=False, protocol="classic", mode="labeled")
    assert len(sets) == 20
    assert len({frozenset(s.pid for s in data.query) for data in sets}) > 10
    for data in sets:
        assert data.protocol == "cuhk03"
        assert {s.camid for s in data.query} == {0}
        assert {s.camid for s in data.gallery} == {1}
    with pytest.raises(DataError, match="no split 20"):
        load("cuhk03", root, protocol="classic", split=20)


def test_cuhk03_once_extracted_needs_no_mat(tree: Tree) -> None:
    root = tree("cuhk03")
    before = load("cuhk03", root)
    (root / "cuhk-03.mat").unlink()
    assert load("cuhk03", root) == before
    with pytest.raises(DataError, match=r"cuhk-03\.mat"):
        load("cuhk03", root, mode="labeled")


def test_cuhk03_wrong_files(tree: Tree) -> None:
    root = tree("cuhk03")
    mat = root / "cuhk-03.mat"
    whole = mat.read_bytes()
    for content, message in ((b"x" * 900, "not a MATLAB 7.3"), (whole[:3000], "broken|truncated")):
        mat.write_bytes(content)
        with pytest.raises(DataError, match=message):
            load("cuhk03", root)
        assert not list(root.glob("images_*")), "nothing half-extracted is left"
    mat.write_bytes(whole)
    (root / "cuhk03_new_protocol_config_detected.mat").rename(root / "elsewhere.mat")
    with pytest.raises(DataError, match="put it into"):
        load("cuhk03", root)
    load("cuhk03", root, config=root / "elsewhere.mat")
    next(iter((root / "images_detected").glob("*.png"))).unlink()
    with pytest.raises(DataError, match=r"1 images that .* lists are missing"):
        load("cuhk03", root, config=root / "elsewhere.mat")


def test_cuhk03_numbers_run_over_the_pairs() -> None:
    assert [cuhk03.person_number(*place) for place in ((1, 1), (1, 843), (2, 1), (5, 49))] == [1, 843, 844, 1467]


def test_cuhk_sysu_gives_each_scene_its_camera(tree: Tree) -> None:
    root = tree("cuhk_sysu")
    data = load("cuhk_sysu", root)
    for part in (data.train, data.query, data.gallery):
        assert len({(s.pid, s.camid) for s in part}) == len(part)
    assert {s.pid for s in data.train} == set(range(1, 11))
    assert len(data.query) == 10
    crop = read_image(data.train[0].path).mean(axis=2)
    distance = {p: np.abs(crop - noise(p, 0, 0).mean(axis=2)).mean() for p in range(1, 11)}
    assert min(distance, key=lambda p: distance[p]) == data.train[0].pid
    more = load("cuhk_sysu", root, distractors=True)
    strangers = [s for s in more.gallery if s.pid == 0]
    assert len(strangers) == len(more.gallery) - len(data.gallery) == 30
    assert {read_image(s.path).shape for s in strangers} == {(16, 4, 3)}, "clipped to the scene"


def test_cuhk_sysu_boxes_are_clipped() -> None:
    assert cuhk_sysu.clip((-5, 2, 10, 10), 8, 100) == (2, 8, 0, 5)
    assert cuhk_sysu.clip((200, 2, 10, 10), 8, 100) is None
    assert cuhk_sysu.clip((3, 2, 0, 10), 8, 100) is None


def test_cuhk_sysu_pack_trains_only(tmp_path: Path) -> None:
    write(tmp_path / "cropped_images" / "p11422_s16929_1.jpg")
    data = load("cuhk_sysu", tmp_path, mode="pack")
    assert [(s.pid, s.camid) for s in data.train] == [(11422, 16929)]
    assert data.query == ()


# MSMT17


def test_msmt17_labels_of_training_and_test_do_not_meet(tree: Tree) -> None:
    root = tree("msmt17")
    data = load("msmt17", root)
    assert {s.pid for s in data.train} == set(range(1, 11))
    assert {s.pid for s in data.gallery} == set(range(11, 21))
    assert len(data.train) - len(load("msmt17", root, val=False).train) == 30
    assert "MSMT17 V2" in data.notes
    with pytest.raises(DataError, match="is version v2"):
        load("msmt17", root, version="v1")


def test_msmt17_version_1_and_copies_without_lists(tree: Tree) -> None:
    root = tree("msmt17")
    (root / "mask_train_v2").rename(root / "train")
    (root / "mask_test_v2").rename(root / "test")
    assert "MSMT17 V1" in load("msmt17", root).notes
    (root / "list_query.txt").write_text("0000/0000_045_12_0303morning_0006_2.jpg\n")
    with pytest.raises(DataError, match=r"list_query\.txt, row 1"):
        load("msmt17", root)
    (root / "list_query.txt").unlink()
    with pytest.raises(DataError, match=r"lacks list_query\.txt"):
        load("msmt17", root)


# Small sets


def test_viper_matches_by_number_not_by_name(tree: Tree) -> None:
    root = tree("viper")
    data = load("viper", root)
    assert {s.path.name for s in data.query}.isdisjoint({s.path.name for s in data.gallery})
    assert {s.pid for s in data.query} == {s.pid for s in data.gallery}
    assert min(s.pid for s in (*data.train, *data.query)) == 1, "persons count from 0 on the disk"


def test_grid_keeps_its_strangers_and_its_partitions(tree: Tree) -> None:
    root = tree("grid")
    data = load("grid", root)
    assert sum(s.pid == 0 for s in data.gallery) == 4
    assert all(s.pid > 0 for s in data.train)
    assert data.notes == ("partition 0 of features_and_partitions.mat",)
    (root / "features_and_partitions.mat").unlink()
    assert "random split" in load("grid", root).notes[0]
    save_mat(root / "features_and_partitions.mat", other=1)
    with pytest.raises(DataError, match="no variable trainIdxAll"):
        load("grid", root)


def test_prid450s_leaves_masks_alone(tree: Tree) -> None:
    data = load("prid450s", tree("prid450s"))
    assert all(s.path.name.startswith("img_") for s in (*data.train, *data.query, *data.gallery))


def test_caviar_without_second_camera_is_refused(tree: Tree) -> None:
    root = tree("caviar4reid")
    data = load("caviar4reid", root)
    assert len(load("caviar4reid", root, shots=5).query) == 5 * len(data.query)
    assert len({s.pid for s in load("caviar4reid", root, extras=True).train}) == len({s.pid for s in data.train}) + 5
    for image in root.glob("*.jpg"):
        if int(image.stem[-3:]) > 10:
            image.unlink()
    with pytest.raises(DataError, match="cameras are not known"):
        load("caviar4reid", root)


def test_raid_pairs_of_cameras(tree: Tree) -> None:
    root = tree("raid")
    data = load("raid", root, query_camera=4, gallery_camera=1, shots=2)
    assert {s.camid for s in data.query} == {3}
    assert {s.camid for s in data.gallery} == {0}
    assert len(data.query) == 2 * len({s.pid for s in data.query})
    assert read_image(data.query[0].path).shape == (128, 64, 3)
    with pytest.raises(DataError, match="expected two cameras"):
        load("raid", root, query_camera=2)


def test_threedpes_counts_are_a_warning(tree: Tree) -> None:
    report = check_dataset("3dpes", tree("3dpes"), progress=False)
    assert report.ok
    assert any("expected 1,011" in warning for warning in report.warnings)


def test_ethz_sequences_and_shots(tree: Tree) -> None:
    root = tree("ethz")
    assert len({load("ethz", root, sequence=k).query[0].pid // 1000 for k in (1, 2, 3)}) == 3
    two = load("ethz", root, shots=2)
    assert len(two.gallery) == 2 * len({s.pid for s in two.gallery})
    shutil.rmtree(root / "seq2")
    (root / "seq2").mkdir()
    with pytest.raises(DataError, match="no folders p001"):
        load("ethz", root)


def test_threedpes_as_tracklets(tree: Tree) -> None:
    root = tree("3dpes")
    data = load("3dpes", root, tracklets=True)
    assert data.protocol == "video"
    views = [{(s.pid, s.camid) for s in part} for part in (data.query, data.gallery)]
    assert len(views[0]) == len({s.pid for s in data.query})
    assert not views[0] & views[1]
    assert {pid for pid, _ in views[0]} == {pid for pid, _ in views[1]}
    for part in (data.query, data.gallery):
        for tracklet in {s.tracklet for s in part}:
            frames = [s for s in part if s.tracklet == tracklet]
            assert len({(s.pid, s.camid) for s in frames}) == 1
            times = [s.time for s in frames if s.time is not None]
    assert len(times) == len(frames)
    assert times == sorted(times)
    everyone = {s.path for s in (*data.train, *data.query, *data.gallery)}
    assert all(s.tracklet is not None for s in data.train)
    assert len(everyone) == len(data.train) + len(data.query) + len(data.gallery)


def test_ethz_as_tracklets(tree: Tree) -> None:
    root = tree("ethz")
    first, second = (load("ethz", root, tracklets=True, split=k) for k in (0, 1))
    assert first.protocol == "video"
    assert (first.query, first.gallery) == (second.gallery, second.query)
    assert {s.pid for s in first.query} == {s.pid for s in first.gallery}
    images = load("ethz", root)
    assert len(first.query) + len(first.gallery) == len(images.query) + len(images.gallery)
    for pid in {s.pid for s in first.query}:
        asks, answers = ([s for s in part if s.pid == pid] for part in (first.query, first.gallery))
        asked, answered = ([s.time for s in part if s.time is not None] for part in (asks, answers))
        assert max(asked) < min(answered)
        assert len({s.tracklet for s in asks}) == len({s.tracklet for s in answers}) == 1
        assert asks[0].tracklet != answers[0].tracklet
    for wrong in ({"shots": 2}, {"split": 2}):
        with pytest.raises(DataError, match="leave shots out and take split 0 or 1"):
            load("ethz", root, tracklets=True, **wrong)
    person = root / "seq1" / "p001"
    for image in sorted(person.iterdir())[1:]:
        image.unlink()
    assert "1 persons with one image left out" in load("ethz", root, tracklets=True).notes


def test_tracklets_of_ethz_and_3dpes_are_evaluated_as_video(tree: Tree) -> None:
    for name in ("3dpes", "ethz"):
        data = load(name, tree(name), tracklets=True)
        vectors = [np.eye(64, dtype=np.float32)[[s.pid % 64 for s in part]] for part in (data.query, data.gallery)]
        sides = []
        for v, part in zip(vectors, (data.query, data.gallery), strict=True):
            pids, camids, tracklets = (np.array([getattr(s, n) for s in part]) for n in ("pid", "camid", "tracklet"))
            sides.append(Embeddings(v, pids, camids, tracklets=tracklets))
        report = score(*sides, protocol=data.protocol)
        assert report.queries == len({s.tracklet for s in data.query})
        assert report.skipped == 0


def test_prid2011_numbers_above_200_are_different_people(tree: Tree) -> None:
    data = load("prid2011_single", tree("prid2011_single"))
    assert sorted(s.pid for s in data.gallery if s.pid > 200) == [1201, 1202, 1203]


# Video


def test_prid2011_needs_27_frames_under_both_cameras(tree: Tree) -> None:
    root = tree("prid2011")
    data = load("prid2011", root)
    pids = {s.pid for s in (*data.train, *data.query)}
    assert pids == set(range(1, 19))
    with pytest.raises(DataError, match=r"ls_set is 10 x 18, expected .* 20 persons"):
        load("prid2011", root, min_frames=26)
    (root / "train_test_splits_prid.mat").unlink()
    assert "no split file was found" in load("prid2011", root, min_frames=26).notes[0]


def test_ilids_vid_splits_hold_places_not_numbers(tree: Tree) -> None:
    root = tree("ilids_vid")
    data = load("ilids_vid", root)
    assert all(s.pid % 2 == 1 for s in (*data.train, *data.query)), "folder numbers have gaps"
    assert len({s.pid for s in data.query}) == 10
    for sample in data.query:
        assert sample.path.name.startswith("cam1_")


def test_frames_are_in_the_order_of_their_numbers(tree: Tree) -> None:
    root = tree("ilids_vid")
    folder = root / "sequences" / "cam1" / "person001"
    (folder / "cam1_person001_00317.png").rename(folder / "cam1_person001_1000317.png")
    frames = [s.time for s in video.scan_ilids_vid(root)["cam1"] if s.pid == 1]
    assert frames == [318.0, 319.0, 1000317.0]


def test_prid2011_lists_of_persons(tree: Tree) -> None:
    root = tree("prid2011")
    lists = [{"train": ["person_0001"], "test": [f"person_{p:04d}" for p in (3, 5 + k)]} for k in range(2)]
    (root / "own.json").write_text(json.dumps(lists))
    data = load("prid2011", root, splits=root / "own.json", split=1)
    assert {s.pid for s in data.query} == {3, 6}
    (root / "own.json").write_text("{}")
    with pytest.raises(DataError, match="no list of splits"):
        load("prid2011", root, splits=root / "own.json")


def test_frames_thin_the_tracklets(tree: Tree) -> None:
    root = tree("mars")
    data = load("mars", root, frames=2)
    assert len(data.train) == 2 * len({s.tracklet for s in data.train})
    assert data.notes[-1] == "at most 2 frames a tracklet, evenly spread"


def test_mars_galleries(tree: Tree) -> None:
    root = tree("mars")
    official, without = load("mars", root), load("mars", root, gallery="no_queries")
    asked = {s.tracklet for s in official.query}
    assert asked <= {s.tracklet for s in official.gallery}
    assert asked.isdisjoint({s.tracklet for s in without.gallery})
    assert "0 queries have no match under another camera" in without.notes
    assert {s.pid for s in load("mars", root, junk=True).gallery} - {s.pid for s in official.gallery} == {-1}


def test_mars_tables_that_do_not_fit(tree: Tree) -> None:
    root = tree("mars")
    names = (root / "info" / "test_name.txt").read_text().splitlines()
    (root / "info" / "test_name.txt").write_text("\n".join(names[:-5]))
    with pytest.raises(DataError, match=r"does not fit test_name\.txt"):
        load("mars", root)
    (root / "info" / "test_name.txt").write_text("\n".join(reversed(names)))
    with pytest.raises(DataError, match="is not a frame of person"):
        load("mars", root)
    save_mat(root / "info" / "query_IDX.mat", query_IDX=np.array([[0, 1]], dtype=np.uint16))
    with pytest.raises(DataError, match="indices run from 0"):
        load("mars", root)
