"""Vectors of other programs give the numbers that passerby's own files give."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passerby.embedding.embeddings import Embeddings
from passerby.embedding.vector_files import export_vectors, read_embeddings, read_together, read_vectors
from passerby.errors import EmbeddingError, UsageError

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(6, 4)).astype(np.float32)
PIDS, CAMIDS = np.array([1, 1, 2, 2, 3, -1]), np.array([0, 1, 0, 1, 0, 1])


def write_npz(folder: Path) -> Path:
    np.savez(folder / "v.npz", feature=VECTORS, person=PIDS, camid=CAMIDS)
    return folder / "v.npz"


def write_mat(folder: Path) -> Path:
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(folder / "v.mat", {"feature": VECTORS, "person": PIDS, "camid": CAMIDS})
    return folder / "v.mat"


def write_parquet(folder: Path) -> Path:
    columns = {"feature": VECTORS.tolist(), "person": PIDS, "camid": CAMIDS}
    pq.write_table(pa.table(columns), folder / "v.parquet")
    return folder / "v.parquet"


def write_csv(folder: Path) -> Path:
    with (folder / "v.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["person", "camid", "feature"])
        for pid, camid, vector in zip(PIDS, CAMIDS, VECTORS, strict=True):
            rows.writerow([pid, camid, " ".join(map(str, vector))])
    return folder / "v.csv"


def write_counted_csv(folder: Path) -> Path:
    with (folder / "v.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["person", "camid", *(f"feature_{i}" for i in (3, 0, 1, 2))])
        for pid, camid, vector in zip(PIDS, CAMIDS, VECTORS[:, [3, 0, 1, 2]], strict=True):
            rows.writerow([pid, camid, *map(str, vector)])
    return folder / "v.csv"


@pytest.mark.parametrize("write", [write_npz, write_mat, write_parquet, write_csv, write_counted_csv])
def test_columns_of_other_names(write: Callable[[Path], Path], tmp_path: Path) -> None:
    found = read_embeddings(write(tmp_path), columns={"vector": "feature", "pid": "person"})
    np.testing.assert_array_equal(found.vectors, VECTORS)
    np.testing.assert_array_equal(found.pids, PIDS)
    np.testing.assert_array_equal(found.camids, CAMIDS)
    np.testing.assert_array_equal(read_vectors(write(tmp_path), column="feature"), VECTORS)


def test_labels_in_a_file_of_their_own(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS.astype(np.float64))
    np.save(tmp_path / "l.npy", np.stack([PIDS, CAMIDS], axis=1))
    (tmp_path / "l.csv").write_text("pid\n" + "\n".join(map(str, PIDS)))
    found = read_embeddings(tmp_path / "v.npy", labels=tmp_path / "l.npy")
    np.testing.assert_array_equal(found.camids, CAMIDS)
    found = read_embeddings(tmp_path / "v.npy", labels=tmp_path / "l.csv")
    np.testing.assert_array_equal(found.pids, PIDS)
    assert (found.camids == -1).all()


def test_own_files_keep_their_fingerprint_and_notes(tmp_path: Path) -> None:
    own = Embeddings(VECTORS, PIDS, CAMIDS, paths=tuple("abcdef"), fingerprint="f", notes=("n",))
    own.to_parquet(tmp_path / "own.parquet")
    found = read_embeddings(tmp_path / "own.parquet")
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert (found.paths, found.fingerprint, found.notes) == (own.paths, "f", ("n",))


def test_exported_vectors_come_back(tmp_path: Path) -> None:
    written = export_vectors(Embeddings(VECTORS, PIDS, CAMIDS), tmp_path / "v.npy")
    found = read_embeddings(written[0], labels=written[1])
    np.testing.assert_array_equal(found.vectors, VECTORS)
    np.testing.assert_array_equal(found.camids, CAMIDS)


def test_a_faiss_index_finds_each_vector(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    export_vectors(Embeddings(VECTORS, PIDS, CAMIDS), tmp_path / "v.faiss")
    distances, rows = faiss.read_index(str(tmp_path / "v.faiss")).search(VECTORS, 1)
    assert rows[:, 0].tolist() == list(range(6))
    np.testing.assert_allclose(distances, 0, atol=1e-5)


def test_names_of_persons_and_cameras_are_numbered_alike_in_all_files(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "first.csv").write_text("pid,camid\nann,hall\nann,gate\nbob,hall\nbob,gate\ncem,hall\ncem,gate\n")
    (tmp_path / "second.csv").write_text("pid,camid\n" + "cem,yard\nbob,yard\n" * 3)
    labels = [tmp_path / "first.csv", tmp_path / "second.csv"]
    one, other = read_together([tmp_path / "v.npy"] * 2, labels=labels, columns=[{}, {}])
    assert one.pids.tolist() == [1, 1, 2, 2, 3, 3]
    assert other.pids.tolist() == [3, 2] * 3
    assert (one.camids.tolist(), other.camids.tolist()) == ([1, 0] * 3, [2] * 6)
    assert "pid: 3 names, numbered in sorted order: ann = 1, bob = 2, cem = 3" in one.notes
    alone = read_embeddings(tmp_path / "v.npy", labels=labels[1])
    assert alone.pids.tolist() == [2, 1] * 3


def test_writings_of_a_name_are_one_and_the_notes_say_which(tmp_path: Path) -> None:
    np.savez(tmp_path / "q.npz", vector=VECTORS, pid=["1", "2", "3"] * 2, camid=["1", "-1"] * 3)
    np.savez(tmp_path / "g.npz", vector=VECTORS, pid=["1.0", "2", "03"] * 2, camid=["01", "hall"] * 3)
    one, other = read_together([tmp_path / "q.npz", tmp_path / "g.npz"], labels=[None] * 2, columns=[{}, {}])
    assert one.pids.tolist() == other.pids.tolist() == [1, 2, 3] * 2
    assert (one.camids.tolist(), other.camids.tolist()) == ([0, -1] * 3, [0, 1] * 3)
    assert "pid in several writings, each taken as one: '03' = '3'; '1' = '1.0'" in one.notes
    assert "camid: 2 names, numbered in sorted order: 1 = 0, hall = 1" in one.notes


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    np.save(tmp_path / "short.npy", PIDS[:4])
    (tmp_path / "ragged.csv").write_text('pid,vector\n1,"0.1 0.2"\n2,"0.1"\n')
    (tmp_path / "words.csv").write_text("pid,vector\n1,far away\n")
    (tmp_path / "persons.csv").write_text("person\n1\n")
    (tmp_path / "paths.csv").write_text("path\na.jpg\n")
    pq.write_table(pa.table({"pid": [1, 2], "vector": [[0.1, 0.2], None]}), tmp_path / "gap.parquet")
    np.savez(tmp_path / "cameras.npz", vector=VECTORS, pid=PIDS, camid=[0, -1, -3, 1, 1, 1])
    np.savez(tmp_path / "large.npz", vector=VECTORS, pid=np.full(6, 2**64 - 1, np.uint64))
    np.savez(tmp_path / "other.npz", features=VECTORS, pids=PIDS)
    (tmp_path / "v.txt").write_text("1 2 3")
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    for message, path, options in (
        (r"no column 'pid'; or name a file that has it \(--labels\)", "v.npy", {}),
        (r"no column 'vector'; it has 'features', 'pids': say which \(--columns vector=NAME\)", "other.npz", {}),
        (r"no column 'x'; it has 'pid', 'vector': say which", "words.csv", {"columns": {"vector": "x"}}),
        (
            r"no column 'pid'; it has 'person': say which \(--columns pid=NAME\)",
            "v.npy",
            {"labels": tmp_path / "persons.csv"},
        ),
        (r"paths.csv: no column 'pid'; it has 'path'", "v.npy", {"labels": tmp_path / "paths.csv"}),
        (r"v.npy: 6 vectors and 4 values of 'pid' in .*short.npy", "v.npy", {"labels": tmp_path / "short.npy"}),
        (r"one length, found 1 numbers in row 3 \(row 1 is the header\) after 2", "ragged.csv", {}),
        (r"a vector of numbers, found nothing in row 1 \(counted from 0\)", "gap.parquet", {}),
        (r"camid: expected cameras from 0 on, or -1 .*, found -3 in row 2 \(counted", "cameras.npz", {}),
        (r"pid: expected integers of 64 bits, found 18446744073709551616 in row 0", "large.npz", {}),
        ("a vector of numbers, found 'far away'", "words.csv", {}),
        ("expected one of .parquet", "v.txt", {}),
        ("cannot be read", "bad.npz", {}),
        ("no such file", "nowhere.npy", {}),
    ):
        with pytest.raises(EmbeddingError, match=message):
            read_embeddings(tmp_path / path, **options)
    with pytest.raises(UsageError, match="did you mean 'pid'"):
        read_embeddings(tmp_path / "v.npy", columns={"pids": "x"})
    with pytest.raises(EmbeddingError, match="expected one of"):
        export_vectors(Embeddings(VECTORS, PIDS, CAMIDS), tmp_path / "v.txt")


def test_a_row_without_a_name_is_no_person(tmp_path: Path) -> None:
    np.save(tmp_path / "query.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "query.csv").write_text("pid,camid\nann,1\n,1\nbob,2\n")
    with pytest.raises(EmbeddingError, match=r"query\.csv: pid: expected a number or a name, found nothing in row 3"):
        read_together([tmp_path / "query.npy"], labels=[tmp_path / "query.csv"], columns=[{}])


@pytest.mark.parametrize("numbers", [(0, 1, 3), (2, 3), (1, 3), (0, 1, 1)])
def test_a_number_of_a_vector_that_is_missing_is_named(numbers: tuple[int, ...], tmp_path: Path) -> None:
    names = [f"vector{'_' * (numbers.index(number) != place)}{number}" for place, number in enumerate(numbers)]
    file = tmp_path / "v.csv"
    file.write_text(f"pid,{','.join(names)}\n1{',0.5' * len(names)}\n")
    with pytest.raises(
        EmbeddingError, match=r"v\.csv: expected the columns vector[01] to vector\d, one a number, found"
    ):
        read_embeddings(file)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(
    ("separator", "point"), [(",", "."), (", ", "."), (";", "."), (";", ","), ("; ", ","), ("\t", ".")]
)
def test_numbers_of_a_table_are_separated_as_usual(separator: str, point: str, first: int, tmp_path: Path) -> None:
    file = tmp_path / "v.csv"
    rows = [["pid", "path", f"vector{first}", f"vector{first + 1}"], ["ann", "a.jpg", "0.5", "1.25"]]
    rows.append(["bob", "b.jpg", "2", "-3.5"])
    lines = [separator.join(cell if "jpg" in cell else cell.replace(".", point) for cell in row) for row in rows]
    file.write_text("\n".join(lines))
    found = read_embeddings(file)
    np.testing.assert_array_equal(found.vectors, [[0.5, 1.25], [2, -3.5]])
    assert found.paths == ("a.jpg", "b.jpg")
    assert any("ann = 1, bob = 2" in note for note in found.notes)


def test_vectors_of_one_column_beside_semicolons(tmp_path: Path) -> None:
    file = tmp_path / "v.csv"
    file.write_text("pid;vector\n1;0.5 1.5\n2;2 3\n")
    np.testing.assert_array_equal(read_embeddings(file).vectors, [[0.5, 1.5], [2, 3]])
    file.write_text("pid;vector\n1;0,5 1,5\n2;2 3\n")
    with pytest.raises(EmbeddingError, match="vector: decimal commas in vectors of one column"):
        read_embeddings(file)
