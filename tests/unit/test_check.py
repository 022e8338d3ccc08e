"""What the check of a dataset finds: broken pictures, duplicates, overlaps; and what it says of sound data."""

import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from passerby.data.check.dataset_check import check_dataset
from passerby.data.check.image_files import is_flat
from passerby.data.datasets import load_dataset
from passerby.data.layouts.write import write_layout
from passerby.errors import DataError


def blobs(person: int, camera: int, image: int) -> np.ndarray:
    """A soft random picture, all of one size, whose looks survive saving."""
    coarse = np.random.default_rng((person, camera, image)).integers(0, 256, (16, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 128), Image.Resampling.BICUBIC))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_layout("market1501", tmp_path / "data", draw=blobs) / "Market-1501-v15.09.15"


def check(root: Path) -> Any:
    report = check_dataset("market1501", root, progress=False)
    json.dumps(report.to_dict())
    return report


def images(root: Path, folder: str) -> list[Path]:
    return sorted((root / folder).glob("*.jpg"))


def bomb(path: Path) -> None:
    """A PNG header that promises 60,000 x 60,000 pixels, in a file with a .jpg name."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    head = (60_000).to_bytes(4) * 2 + b"\x08\x02\x00\x00\x00"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "0 bytes"),
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "not a readable image"),
    "text": (lambda p: p.write_text("hello"), "not a readable image"),
    "bomb": (bomb, "limit of"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_pictures_are_errors(kind: str, root: Path) -> None:
    breaks, message = BROKEN[kind]
    victim = images(root, "query")[3]
    breaks(victim)
    sound = 90 + 90 + 6 + 30 + 90 - 1
    report = check(root)
    assert f"NOT OK: {sound} images decoded" in str(report)
    errors = [e for e in report.errors if "cannot be read" in e]
    assert len(errors) == 1
    assert errors[0].startswith("cannot be read: 1 image, ")
    assert victim.name in errors[0]
    assert message in errors[0]


def test_sound_pictures_raise_nothing_but_counts(root: Path) -> None:
    report = check(root)
    assert report.warnings == ()
    assert all("expected" in error for error in report.errors)
    assert report.sizes == {"64x128": report.images}
    assert report.cameras["query"] == {1: 10, 2: 10, 3: 10}
    assert report.images == 90 + 90 + 6 + 30 + 90


def test_pictures_under_two_persons_and_in_two_parts(root: Path) -> None:
    train, test = images(root, "bounding_box_train"), images(root, "bounding_box_test")
    shutil.copy(train[0], train[20])
    Image.open(train[40]).resize((96, 192)).save(test[40], quality=80)
    same, near, roles_same, roles_near = (
        [w for w in check(root).warnings if words in w]
        for words in (
            "different persons, the same picture",
            "different persons, pictures that look the same",
            "training and test, the same",
            "training and test, pictures that look",
        )
    )
    assert train[20].name in same[0]
    assert test[40].name in near[0]
    assert roles_same == []
    assert train[40].name in roles_near[0]


def test_odd_and_tiny_sizes(root: Path) -> None:
    for path in images(root, "query")[:2]:
        Image.new("RGB", (30, 6)).save(path)
    warnings = check(root).warnings
    assert any(w.startswith("not 64x128 as the others: 2 images") for w in warnings)
    assert any(w.startswith("a side of less than 8 pixels: 2 images") for w in warnings)


def test_strangers_among_the_files(root: Path) -> None:
    (root / "query" / "notes.txt").write_text("x")
    (root / "query" / "Thumbs.db").write_text("x")
    warnings = check(root).warnings
    assert any("read by nobody: 1 file," in w and "notes.txt" in w for w in warnings)
    assert any("left by an operating system, ignored: 1 file," in w for w in warnings)


def test_files_that_a_manifest_leaves_out_are_no_warning(root: Path) -> None:
    """A manifest chooses its images: what lies beside them is counted in one line, without names."""
    chosen = [path for folder in ("bounding_box_train", "query") for path in images(root, folder)[:4]]
    table = root.parent / "some.csv"
    lines = [f"{path.absolute()},{path.name.split('_')[0]}" for path in chosen]
    table.write_text("\n".join(["path,pid", *lines]) + "\n")
    (root / "query" / "Thumbs.db").write_text("x")
    report = check_dataset(table, images=False, progress=False)
    assert not any("beside" in words or "ignored" in words for words in report.warnings)
    (beside,) = [words for words in report.facts if "beside the images" in words]
    others = sum(len(list((root / folder).glob("*.jpg"))) for folder in ("bounding_box_train", "query")) - len(chosen)
    assert beside == f"beside the images, not in the manifest and not read: {others} files"


def test_images_can_be_left_alone(root: Path) -> None:
    images(root, "query")[0].write_bytes(b"")
    report = check_dataset("market1501", root, images=False, progress=False)
    assert report.images == 0
    assert not any("cannot be read" in e for e in report.errors)
    assert "images not decoded" in str(report)


@pytest.mark.parametrize(("written", "shown"), [("12", {1: 3, 2: 3}), (("yard", "door"), {"door": 3, "yard": 3})])
def test_cameras_are_called_as_in_the_data(written: Sequence[str], shown: dict[object, int], tmp_path: Path) -> None:
    rows = ["path,pid,camid"]
    for k, camera in enumerate(camera for camera in written for _ in range(3)):
        Image.fromarray(blobs(k, 0, 0)).save(tmp_path / f"{k}.png")
        rows.append(f"{k}.png,ann{k % 2},{camera}")
    (tmp_path / "own.csv").write_text("\n".join(rows))
    report = check_dataset(tmp_path / "own.csv", progress=False)
    assert report.cameras["train"] == shown
    assert f"cameras of train: {', '.join(f'{name}: 3' for name in shown)}\n" in str(report)


def test_own_data_are_checked_too(tmp_path: Path) -> None:
    for person in "abcd":
        for i in range(3):
            path = tmp_path / "people" / person / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(blobs(ord(person), 0, i)).save(path)
    report = check_dataset(tmp_path / "people", progress=False)
    assert report.ok, report
    assert [row.found.part for row in report.rows] == ["train"]  # too few people for a test by themselves
    assert any("no cameras" in fact for fact in report.facts)
    (tmp_path / "people" / "a" / "0.png").write_bytes(b"")
    assert not check_dataset(tmp_path / "people", progress=False).ok
    rows = "path,pid,camid,split\na/1.png,1,0,train\nb/1.png,1,0,query\nb/2.png,1,1,gallery\n"
    (tmp_path / "people" / "own.csv").write_text(rows)
    report = check_dataset(tmp_path / "people" / "own.csv", progress=False)
    assert any("in training and in the test: 1 person, 1" in e for e in report.errors)
    (tmp_path / "people" / "own.csv").write_text("path\na/1.png\n")
    assert "column 'pid'" in check_dataset(tmp_path / "people" / "own.csv", progress=False).errors[0]


def test_version_and_conventions_are_told(tmp_path: Path) -> None:
    root = write_layout("msmt17", tmp_path / "x", draw=blobs)
    assert "MSMT17 V2" in check_dataset("msmt17", root, images=False, progress=False).facts


def test_extraction_goes_where_it_is_told(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    for name in ("cuhk03", "raid", "cuhk_sysu"):
        root = write_layout(name, tmp_path / name, draw=blobs)
        before = sorted(root.rglob("*"))
        report = check_dataset(name, root, progress=False, extracted=tmp_path / f"{name}-images")
        assert report.images > 0
        assert sorted(root.rglob("*")) == before
    pack = tmp_path / "pack" / "cropped_images"
    pack.mkdir(parents=True)
    Image.fromarray(blobs(1, 1, 1)).save(pack / "p11422_s16929_1.jpg")
    report = check_dataset("cuhk_sysu", tmp_path / "pack", progress=False, mode="pack")
    assert report.images == 1
    assert report.ok


def test_wrong_calls(root: Path) -> None:
    with pytest.raises(DataError, match="where it was drawn"):
        check_dataset("synthetic", root / "absent")
    with pytest.raises(DataError, match="did you mean 'market1501'"):
        check_dataset("market1502", root)
    (root / "notes.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"notes\.jpg: not a folder"):
        check_dataset(root / "notes.jpg")
    with pytest.raises(DataError, match="give root"):
        check_dataset("market1501")
    with pytest.raises(DataError, match="unknown argument"):
        check_dataset("market1501", root, shots=3)


def hot_pixel(picture: np.ndarray) -> np.ndarray:
    picture[5, 5] = 255
    return picture


def clock(picture: np.ndarray) -> np.ndarray:
    picture[2:10, 2:32] = np.random.default_rng(0).choice([0, 255], (8, 30, 1))
    return picture


@pytest.mark.parametrize(
    ("color", "change"),
    [((0, 0, 255), None), ((255, 0, 0), None), ((200, 30, 60), None), ((0, 0, 0), hot_pixel), ((0, 0, 0), clock)],
)
def test_one_colour_is_seen_in_each_channel(
    color: tuple[int, int, int], change: Callable[[np.ndarray], np.ndarray] | None
) -> None:
    picture = np.full((128, 64, 3), color, np.uint8)
    assert is_flat(picture if change is None else change(picture))


def test_pictures_that_show_something_are_not_of_one_colour() -> None:
    assert not is_flat(blobs(0, 0, 0))
    dim = 40 + blobs(0, 0, 0) // 8
    assert not is_flat(dim)
    person = np.full((128, 64, 3), 128, np.uint8)
    person[40:100, 28:36] = (128, 128, 160)  # a narrow one, in one channel only
    assert not is_flat(person)
    assert not is_flat(np.array([[[0, 0, 0], [0, 40, 0]]], np.uint8))


def test_folders_of_one_colour_each_are_told(tmp_path: Path) -> None:
    for name, color in {"ann": (0, 0, 255), "bob": (255, 0, 0)}.items():
        for i in range(2):
            path = tmp_path / "people" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 128), color).save(path)
    report = check_dataset(tmp_path / "people", progress=False)
    assert any(words.startswith("black or of one colour: 4 images") for words in report.warnings)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """One's own data in Market-1501's form, with junk in it."""
    root = write_layout("market1501", tmp_path / "data", draw=blobs) / "Market-1501-v15.09.15"
    shutil.rmtree(root / "gt_bbox")
    return root.rename(tmp_path / "own")


def test_junk_is_no_stranger(own: Path) -> None:
    report = check_dataset(own, progress=False)
    assert report.warnings == ()
    assert "images of person -1, junk, left out: 3 (no protocol counts them)" in report.facts


def test_strangers_in_market_style_are_named_by_reason(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i in range(6):
        (own / "bounding_box_train" / f"0019_c1s1_00000{i}_01.jp2").write_bytes(b"x")
    (own / "query" / "notes.txt").write_text("x")
    (own / "query" / "Thumbs.db").write_text("x")
    for folder, images_in in (("query/more", 3), ("extra", 2)):
        (own / folder).mkdir()
        for i in range(images_in):
            Image.new("RGB", (8, 16)).save(own / folder / f"{i}.jpg")
    Image.new("RGB", (8, 16)).save(own / "loose.jpg")
    report = check_dataset(own, progress=False)
    names = ", ".join(f"bounding_box_train/0019_c1s1_00000{i}_01.jp2" for i in range(3))
    notes = [
        f"not read: 7 file(s) by extension (.jp2: 6, .txt: 1): {names} and 4 more",
        "not read: 1 image(s) beside the folders of the parts: loose.jpg",
        "not read: 2 folder(s) beside the images, with 5 image(s): query/more, extra",
    ]
    assert [w for w in report.warnings if w.startswith("not read")] == notes
    assert any(w.startswith("left by an operating system, ignored: 1 file,") for w in report.warnings)
    assert not any("read by nobody" in w for w in report.warnings)
    assert not caplog.records, "the report says it"
    data = load_dataset(own)
    assert [note for note in data.notes if note.startswith("not read")] == notes
    assert [record.getMessage() for record in caplog.records] == [f"own: {note}" for note in notes]


def test_strangers_in_a_benchmark_are_named_by_reason(root: Path) -> None:
    (root / "query" / "a.jp2").write_bytes(b"x")
    (root / "query" / "b.JP2").write_bytes(b"x")
    (root / "query" / "more" / "deeper").mkdir(parents=True)
    for place in ("more/0.jpg", "more/deeper/1.jpg", "more/deeper/notes.txt"):
        (root / "query" / place).write_bytes(b"x")
    warnings = check(root).warnings
    query = root / "query"
    assert warnings == (
        f"beside the images, read by nobody: 2 files, by extension (.jp2: 2): {query / 'a.jp2'}, {query / 'b.JP2'}",
        f"beside the images, read by nobody: 1 folder with 2 images, {query / 'more'}",
    )


def test_strangers_beside_several_benchmarks_are_told(tmp_path: Path) -> None:
    for name, folder in (("market1501", "Market-1501-v15.09.15"), ("viper", "VIPeR")):
        (write_layout(name, tmp_path / name, draw=blobs) / folder).rename(tmp_path / folder)
    (tmp_path / "Market-1501-v15.09.15" / "query" / "a.jp2").write_bytes(b"x")
    warnings = check_dataset("market1501+viper", tmp_path, progress=False, verify=False).warnings
    (warning,) = [words for words in warnings if words.startswith("beside the images")]
    assert "read by nobody: 1 file, by extension (.jp2: 1)" in warning


def test_images_that_lists_leave_out_are_counted(tmp_path: Path) -> None:
    top = tmp_path / "own"
    for name in ("a/0.png", "a/1.png", "b/2.png", "b/3.png", "b/more.png", "a/below/x.png"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blobs(0, 0, len(name))).save(top / name)
    (top / "train.txt").write_text("a/0.png 1\na/1.png 2\n")
    (top / "test.txt").write_text("b/2.png 3\nb/3.png 3\n")
    report = check_dataset(top, progress=False)
    assert not any("beside" in words for words in report.warnings)
    assert "beside the images, not in the manifest and not read: 1 file" in report.facts
    assert "in folders beside the images, not in the manifest and not read: 1 image" in report.facts


def test_folders_that_no_list_names_are_told(tmp_path: Path) -> None:
    root = write_layout("msmt17", tmp_path, draw=blobs) / "MSMT17_V2"
    stranger = root / "mask_train_v2" / "9999"
    stranger.mkdir()
    Image.new("RGB", (8, 16)).save(stranger / "9999_000_01_0303morning_0000_2.jpg")
    first = next(iter(sorted((root / "mask_test_v2").iterdir())))
    Image.new("RGB", (8, 16)).save(first / "unlisted.jpg")
    warnings = check_dataset("msmt17", root, progress=False).warnings
    assert f"beside the images, read by nobody: 1 folder with 1 image, {stranger}" in warnings
    assert f"beside the images, in no part of the dataset: 1 image, {first / 'unlisted.jpg'}" in warnings


def test_masks_of_a_benchmark_are_known(tmp_path: Path) -> None:
    report = check_dataset("prid450s", write_layout("prid450s", tmp_path, draw=blobs), progress=False)
    assert not any("beside" in words for words in report.warnings)
    assert any("none of the dataset's own and left out: " in words for words in report.facts)


def test_images_in_folders_that_a_manifest_leaves_out_are_counted(root: Path) -> None:
    table = root.parent / "some.csv"
    chosen = images(root, "query")[:4]
    table.write_text("\n".join(["path,pid", *(f"{path.absolute()},{path.name.split('_')[0]}" for path in chosen)]))
    (root / "query" / "more").mkdir()
    shutil.copy(chosen[0], root / "query" / "more")
    facts = check_dataset(table, images=False, progress=False).facts
    assert "in folders beside the images, not in the manifest and not read: 1 image" in facts
