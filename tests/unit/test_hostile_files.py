"""Files made to hang, to fill the memory or to reach beyond their folder: each is one clear error."""

from __future__ import annotations

import json
import os
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from passerby.data.datasets import load_dataset
from passerby.data.manifest import MOST_ROWS, read_manifest
from passerby.data.readers.mat import load_mat
from passerby.embedding.vector_files import read_embeddings
from passerby.errors import DataError, EmbeddingError, ImageError, WeightsError
from passerby.images.decode import read_image
from passerby.models.calibrated_threshold import check_threshold
from passerby.models.described_encoder import described_encoder
from passerby.models.encoder import load_encoder, save_threshold
from passerby.models.weights.checkpoints import read_checkpoint

INPUT = {"height": 64, "width": 32, "mean": [0, 0, 0], "std": [1, 1, 1]}
posix = pytest.mark.skipif(os.name != "posix", reason="devices and pipes")


# -- pictures ----------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("kind", ["zero", "pipe", "folder"])
def test_only_files_are_read_as_pictures(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture.jpg"
    if kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(ImageError, match=r"expected an image file, found|Is a directory"):
        read_image(path)


# -- weights -----------------------------------------------------------------------------------------------------------


def test_a_checkpoint_that_contains_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {"weight": torch.ones(2)}
    content["model"] = content
    torch.save(content, tmp_path / "loop.pth")
    assert list(read_checkpoint(tmp_path / "loop.pth")) == ["weight"]
    deep: Any = {"weight": torch.ones(2)}
    for _ in range(sys.getrecursionlimit() // 3):
        deep = {"x": deep}
    torch.save(deep, tmp_path / "deep.pth")
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / "deep.pth")


@pytest.mark.parametrize("value", ["NaN", "-1", "1e999", "true", '"0.5"', "[0.5]"])
def test_a_threshold_that_is_no_distance(tmp_path: Path, value: str) -> None:
    with pytest.raises(WeightsError, match="'value'"):
        check_threshold(json.loads(f'{{"value": {value}}}'), "threshold.json")
    (tmp_path / "encoder.json").write_text(json.dumps({"format": 1, "fingerprint": "f", "input": INPUT, "model": {}}))
    (tmp_path / "threshold.json").write_text(f'{{"value": {value}}}')
    with pytest.raises(WeightsError, match="threshold"):
        described_encoder(tmp_path)
    if value in ("NaN", "-1", "1e999"):
        with pytest.raises(WeightsError, match="'value'"):
            save_threshold(tmp_path, json.loads(f'{{"value": {value}}}'))


@pytest.mark.parametrize("file", ["../model.onnx", "inner/../../model.onnx"])
def test_a_description_names_a_file_beside_it(tmp_path: Path, file: str) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "mine.toml").write_text(f'file = "{file}"\nheight = 8\nwidth = 4\n')
    with pytest.raises(WeightsError, match="outside the description's folder"):
        load_encoder(folder / "mine.toml")


# -- data --------------------------------------------------------------------------------------------------------------


def test_a_mat_file_that_expands_beyond_memory(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    packer = zlib.compressobj(9)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)  # needs nothing that goes before
    packed = start + 600 * block + packer.flush()
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path = tmp_path / "bomb.mat"
    path.write_bytes(head + np.array([15, len(packed)], "<u4").tobytes() + packed)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match="expands to more than"):
        load_mat(path, "anything")


def manifest(path: Path, *pictures: str) -> Path:
    path.write_text("path,pid\n" + "".join(f"{picture},{i % 2}\n" for i, picture in enumerate(pictures)))
    return path


def test_millions_of_rows_in_a_small_file(tmp_path: Path) -> None:
    count = MOST_ROWS + 1
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array(["a.jpg"]))
    pq.write_table(pa.table({"path": same, "pid": same}), tmp_path / "many.parquet")
    assert (tmp_path / "many.parquet").stat().st_size < 200_000
    with pytest.raises(DataError, match=r"rows are more than the limit"):
        read_manifest(tmp_path / "many.parquet")
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int8)), pa.array(["a" * 100_000]))
    pq.write_table(pa.table({"path": long, "pid": long}), tmp_path / "long.parquet")
    with pytest.raises(DataError, match="is this a manifest"):
        read_manifest(tmp_path / "long.parquet")


def test_paths_leave_the_root_only_if_that_is_allowed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for place in (tmp_path, root):
        for name in "abcd":
            (place / f"{name}.jpg").write_bytes(b"x")
    (root / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (root / "linked").symlink_to(tmp_path)
    (root / "inner.jpg").symlink_to(root / "a.jpg")
    for picture in ("../a.jpg", str(tmp_path / "a.jpg"), "link.jpg", "linked/a.jpg", "/etc/passwd"):
        table = manifest(root / "people.csv", "b.jpg", picture, "c.jpg", "d.jpg")
        with pytest.raises(DataError, match=r"row 3: .* lies outside .*outside_root"):
            read_manifest(table, outside_root=False)
        load_dataset(str(table), outside_root=True)
        for unclear in ("no", "false", 1):
            with pytest.raises(DataError, match=rf"outside_root is {unclear!r}; expected true or false"):
                load_dataset(str(table), outside_root=unclear)
            if not picture.startswith("/"):
                with pytest.raises(DataError, match=r"row 3: .* lies outside"):
                    read_manifest(table, outside_root=unclear)  # type: ignore[arg-type]
        if picture.startswith("/"):
            assert any(f"by absolute paths outside {root}: 1" in note for note in read_manifest(table).notes)
        else:
            with pytest.raises(DataError, match=r"row 3: .* lies outside .*outside_root"):
                read_manifest(table)
    read_manifest(manifest(root / "people.csv", "b.jpg", "inner.jpg", str(root / "c.jpg"), "d.jpg"))


# -- archives ----------------------------------------------------------------------------------------------------------


def zipped(path: Path, names: list[str], content: bytes, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def array_head(shape: str, kind: str = "<f4") -> bytes:
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode()


def bomb(path: Path, entry: str) -> Path:
    """Few megabytes that expand to more than half a GiB."""
    zeros = bytes(2**20)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(entry, "w") as file,
    ):
        file.write(array_head("(140000, 1000)"))
        for _ in range(536):
            file.write(zeros)
    assert path.stat().st_size < 3 * 2**20
    return path


def encrypted(path: Path) -> Path:
    """The flag alone, in both places where a zip file has it."""
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := data.find(mark, start)) >= 0:
            data[start + place] |= 1
            start += 4
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".pth"])
def test_hostile_zip_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"

    def refused(message: str) -> None:
        if suffix == ".npz":
            with pytest.raises(EmbeddingError, match=message):
                read_embeddings(path)
        else:
            with pytest.raises(WeightsError, match=message):
                read_checkpoint(path)

    bomb(path, "vector.npy" if suffix == ".npz" else "archive/data/0")
    refused("expand to .*, more than 64 times as many")
    zipped(path, ["vector.npy", "archive/data.pkl"], b"x" * 1000)
    encrypted(path)
    refused("encrypted")
    whole = zipped(path, ["vector.npy", "archive/data.pkl"], os.urandom(5000)).read_bytes()
    path.write_bytes(whole[:6000])
    refused("cut short")
    path.write_bytes(whole[:100] + bytes(200) + whole[300:])
    refused("cannot be read|not a readable checkpoint")
    zipped(path, ["../../vector.npy", "/etc/vector.npy"], b"x")
    refused("no column 'vector'|not a readable checkpoint")
    assert not (tmp_path.parent / "vector.npy").exists()
    path.write_bytes(b"PK\x03\x04" + bytes(60))
    refused("cut short")


def test_a_zip_file_of_very_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "many.npz", [str(i) for i in range(300)], b"")
    monkeypatch.setattr("passerby.zip_files.MOST_ENTRIES", 299)
    with pytest.raises(EmbeddingError, match="300 entries, and 299 are the limit"):
        read_embeddings(path)
    monkeypatch.setattr("passerby.zip_files.MOST_LIST_BYTES", 1000)
    with pytest.raises(EmbeddingError, match="its list of entries has"):
        read_embeddings(path)


@pytest.mark.parametrize("shape", ["(1000000000, 1000000)", "(4, 3)", "(-1, 5)", "(1 << 70,)"])
def test_an_array_that_promises_more_than_it_holds(tmp_path: Path, shape: str) -> None:
    (tmp_path / "vectors.npy").write_bytes(array_head(shape) + bytes(8))
    with pytest.raises(EmbeddingError, match="cannot be read as a numpy file"):
        read_embeddings(tmp_path / "vectors.npy")
    zipped(tmp_path / "vectors.npz", ["vector.npy"], array_head(shape) + bytes(8))
    with pytest.raises(EmbeddingError, match="cannot be read"):
        read_embeddings(tmp_path / "vectors.npz")


@pytest.mark.parametrize("name", ["people.zip", "people.tar", "people.tar.gz", "people.tgz"])
def test_archives_are_not_unpacked(tmp_path: Path, name: str) -> None:
    """Whatever their names lead to, however much they expand to: nobody looks into them."""
    path = tmp_path / name
    if name.endswith("zip"):
        zipped(path, ["../0001_c1s1_000001_00.jpg"], b"x")
    else:
        with tarfile.open(path, "w") as archive:
            archive.addfile(tarfile.TarInfo("/etc/0001_c1s1_000001_00.jpg"))
    for arguments in (("market1501", path), ("cuhk03", path), ("mars", path), (str(path),)):
        with pytest.raises(DataError, match="an archive to be unpacked first"):
            load_dataset(*arguments)


def test_a_tar_file_is_no_checkpoint(tmp_path: Path) -> None:
    """torch used to extract such files, wherever their names lead."""
    path = tmp_path / "old.pth.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../storages", "/tmp/tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(WeightsError, match=r"not a readable checkpoint|not a checkpoint"):
        read_checkpoint(path)


@posix
def test_links_in_a_folder_of_images(tmp_path: Path) -> None:
    """A link to a device or to another file is no picture; a link to a folder above is not followed round and round."""
    folder = tmp_path / "people"
    for person in ("anna", "bert"):
        for camera in ("door", "hall"):
            (folder / person / camera).mkdir(parents=True)
            (folder / person / camera / "loop").symlink_to(folder)
            (folder / person / camera / "secret.jpg").symlink_to("/etc/passwd")
    try:
        dataset = load_dataset(str(folder))
    except DataError:
        return
    for sample in (*dataset.train, *dataset.query, *dataset.gallery):
        with pytest.raises(ImageError):
            read_image(sample.path)
