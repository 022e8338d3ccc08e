"""One file, several users: two openings in one process, other processes, readers that take no locks."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.contracts.galleries import DIM, TinyEncoder, people, picture

from passerby.errors import DamagedGalleryError, GalleryError, StorageError
from passerby.gallery.gallery import Gallery
from passerby.gallery.stores.sqlite import file_guard
from passerby.gallery.stores.sqlite.store import SqliteStore

PEOPLE = people(30, 2)
posix = pytest.mark.skipif(os.name != "posix", reason="locks of processes")


OTHER = """
    import json, sys
    import numpy as np
    from passerby.gallery.gallery import Gallery
    for line in sys.stdin:
        path, *names = json.loads(line)
        with Gallery.open(path) as gallery:
            for name in names:
                gallery.enroll(name, vectors=np.ones(16))
            found = [identity.name for identity in gallery.identities()]
        print(json.dumps(found), flush=True)
"""
Elsewhere = Callable[..., list[str]]


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    """Open a gallery in another process, enrol these, close it; all names that it saw."""
    with start(OTHER) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def ask(path: Path, *names: str) -> list[str]:
            print(json.dumps([str(path), *names]), file=other.stdin, flush=True)
            assert other.stdout is not None
            return list(json.loads(other.stdout.readline()))

        yield ask
        other.stdin.close()


def read_everything(path: Path) -> None:
    for file in path.parent.glob(path.name + "*"):
        file.read_bytes()


INTRUSIONS: dict[str, Callable[[Path], object]] = {
    "a second opening": lambda path: Gallery.open(path),
    "a second opening that is closed": lambda path: Gallery.open(path).close(),
    "a second opening to read": lambda path: Gallery.open(path, read_only=True),
    "a reader": lambda path: path.open("rb").close(),
    "a reader of all files": read_everything,
    "a copy": lambda path: shutil.copy(path, path.parent / "copy"),
    "a copy of the folder": lambda path: shutil.copytree(path.parent, path.parent.parent / "copies"),
}


@posix
@pytest.mark.parametrize("intrusion", INTRUSIONS)
def test_nothing_acknowledged_is_lost(tmp_path: Path, elsewhere: Elsewhere, intrusion: str) -> None:
    path = tmp_path / "folder" / "people.gallery"
    path.parent.mkdir()
    with Gallery.open(path) as gallery:
        gallery.enroll("before", vectors=PEOPLE[0])
        opened = INTRUSIONS[intrusion](path)
        assert elsewhere(path, "theirs") == ["before", "theirs"]
        for number in range(20):
            gallery.enroll(f"p{number}", vectors=PEOPLE[number])
        expected = ["before", "theirs", *(f"p{number}" for number in range(20))]
        assert elsewhere(path) == expected  # while it is still open here
        assert elsewhere(path, "last") == [*expected, "last"]
        assert [i.name for i in gallery.identities()] == [*expected, "last"]
        if isinstance(opened, Gallery):
            opened.close()
    assert elsewhere(path) == [*expected, "last"]
    with Gallery.open(path) as gallery:
        gallery.check()
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(path.name)] == [path.name]


@posix
def test_without_locks_that_last_nothing_is_acknowledged(
    tmp_path: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_guard, "_OFD_SETLK", None)
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("before", vectors=PEOPLE[0])
        path.read_bytes()
        assert elsewhere(path, "theirs") == ["before", "theirs"]
        for attempt in (
            lambda: gallery.enroll("lost", vectors=PEOPLE[1]),
            lambda: gallery.log("asked"),
            gallery.identities,
        ):
            with pytest.raises(StorageError, match=r"write-ahead log .* was deleted .* open it again"):
                attempt()
        with Gallery.open(path) as again:
            again.enroll("kept", vectors=PEOPLE[1])
            assert elsewhere(path, "more") == ["before", "theirs", "kept", "more"]
        with pytest.raises(GalleryError, match="closed"):
            gallery.enroll("lost", vectors=PEOPLE[1])
    with Gallery.open(path) as gallery:
        gallery.enroll("p", vectors=PEOPLE[2])
        gallery.check()
        assert elsewhere(path) == ["before", "theirs", "kept", "more", "p"]


@posix
def test_locks_dropped_in_the_middle_of_a_change(
    tmp_path: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With locks of the process only: another one deletes the log between writing and acknowledging."""
    monkeypatch.setattr(file_guard, "_OFD_SETLK", None)
    path = tmp_path / "people.gallery"
    true_put = SqliteStore.put_identity

    def put(self: SqliteStore, record: object) -> int:
        number = true_put(self, record)  # type: ignore[arg-type]
        read_everything(path)
        assert elsewhere(path) == ["before"]
        return number

    with Gallery.open(path) as gallery:
        gallery.enroll("before", vectors=PEOPLE[0])
        monkeypatch.setattr(SqliteStore, "put_identity", put)
        with pytest.raises(StorageError, match="not acknowledged"):
            gallery.enroll("lost", vectors=PEOPLE[1])
    assert elsewhere(path, "theirs") == ["before", "theirs"]


@posix
@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_a_log_that_another_program_deletes_is_noticed_and_restored(tmp_path: Path, end: str) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        path.with_name(path.name + end).unlink()
        with pytest.raises(StorageError, match="was deleted"):
            gallery.enroll("Bob", vectors=PEOPLE[1])
    with Gallery.open(path) as gallery:
        assert [i.name for i in gallery.identities()] == ["Ada"]
        gallery.check()


@posix
def test_a_log_that_was_replaced_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    log = path.with_name(path.name + "-wal")
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        content = log.read_bytes()
        log.unlink()
        log.write_bytes(content)
        with pytest.raises(StorageError, match="was replaced"):
            gallery.enroll("Bob", vectors=PEOPLE[1])
    assert log.read_bytes() == content
    with Gallery.open(path) as gallery:
        assert [i.name for i in gallery.identities()] == ["Ada"]


@posix
def test_processes_write_while_one_copies_all_files(tmp_path: Path, elsewhere: Elsewhere) -> None:
    """Reading "-shm" drops the lock under which this process is writing; the others must wait all the same."""
    path = tmp_path / "people.gallery"
    writer = """
        import sys
        import numpy as np
        from passerby.gallery.gallery import Gallery
        for number in range(12):
            with Gallery.open(sys.argv[1]) as gallery:
                for part in range(3):
                    gallery.enroll(f"theirs-{number}-{part}", vectors=np.eye(16)[number % 16])
    """
    with Gallery.open(path) as gallery, ThreadPoolExecutor(1) as pool, start(writer, path) as other:
        own = 0
        while other.poll() is None:
            reading = pool.submit(read_everything, path)
            gallery.enroll(f"own-{own}", vectors=PEOPLE[own % 30])
            own += 1
            reading.result()
        assert other.returncode == 0
        expected = {f"own-{number}" for number in range(own)}
        expected |= {f"theirs-{number}-{part}" for number in range(12) for part in range(3)}
        assert {i.name for i in gallery.identities()} == expected
        gallery.check()
    assert set(elsewhere(path)) == expected


HOLD = """
    import sys
    from passerby.gallery.gallery import Gallery
    with Gallery.open(sys.argv[1], read_only=sys.argv[2] == "read") as gallery:
        print(len(gallery), flush=True)
        sys.stdin.readline()
        if sys.argv[2] == "write":
            gallery.enroll("theirs", vectors=__import__("numpy").ones(16))
        elif sys.argv[2] == "kill":
            gallery.enroll("theirs", vectors=__import__("numpy").ones(16))
            __import__("os").kill(__import__("os").getpid(), 9)
"""


def beside(path: Path) -> set[str]:
    return {found.name.removeprefix(path.name) for found in path.parent.glob(path.name + "?*")}


@posix
def test_who_only_reads_leaves_no_file_behind(tmp_path: Path, elsewhere: Elsewhere) -> None:
    path = tmp_path / "people.gallery"
    elsewhere(path, "ada")
    with Gallery.open(path, read_only=True) as gallery:
        assert len(gallery) == 1
        assert beside(path) == {"-wal", "-shm"}
    assert beside(path) == set()


@posix
@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_log_that_another_process_uses_stays(tmp_path: Path, elsewhere: Elsewhere, mode: str) -> None:
    path = tmp_path / "people.gallery"
    elsewhere(path, "ada")
    with start(HOLD, path, mode) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        Gallery.open(path, read_only=True).close()
        assert beside(path) == {"-wal", "-shm"}
        other.communicate("\n")
    assert other.returncode == 0
    assert beside(path) == set()
    assert elsewhere(path) == ["ada", *(["theirs"] if mode == "write" else [])]


@posix
def test_the_log_of_a_killed_process_is_kept_by_who_only_reads(tmp_path: Path, elsewhere: Elsewhere) -> None:
    path = tmp_path / "people.gallery"
    elsewhere(path, "ada")
    with start(HOLD, path, "kill") as other:
        other.communicate("\n")
    size = path.with_name(path.name + "-wal").stat().st_size
    assert size > 0
    with Gallery.open(path, read_only=True) as gallery:
        assert len(gallery) == 2
    assert path.with_name(path.name + "-wal").stat().st_size == size
    assert elsewhere(path) == ["ada", "theirs"]


@posix
def test_readers_come_and_go_while_others_write(tmp_path: Path, elsewhere: Elsewhere) -> None:
    path = tmp_path / "people.gallery"
    elsewhere(path, "ada")
    reading = """
        import sys
        from passerby.gallery.gallery import Gallery
        for _ in range(60):
            with Gallery.open(sys.argv[1], read_only=True) as gallery:
                assert len(gallery) >= 1
    """
    with start(reading, path) as first, start(reading, path) as second:
        for number in range(30):
            elsewhere(path, f"p{number}")
    assert first.returncode == second.returncode == 0
    assert elsewhere(path) == ["ada", *(f"p{number}" for number in range(30))]
    assert beside(path) == set()


def test_two_openings_are_one_store(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    first, second = Gallery.open(path), Gallery.open(path)
    first.enroll("Ada", vectors=PEOPLE[0])
    assert [i.name for i in second.identities()] == ["Ada"]
    first.close()
    first.close()  # once more: nothing of the second's
    with pytest.raises(GalleryError, match="closed"):
        first.identities()
    second.enroll("Bob", vectors=PEOPLE[1])
    assert path.with_name(path.name + "-wal").exists()
    second.close()
    assert not path.with_name(path.name + "-wal").exists()
    with Gallery.open(path) as third:
        assert [i.name for i in third.identities()] == ["Ada", "Bob"]


def test_each_opening_has_its_own_encoder(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path, TinyEncoder()) as gallery:
        with Gallery.open(path, TinyEncoder("tiny-2")) as other:  # the gallery has no encoder yet
            gallery.enroll("Ada", picture(1))
            with pytest.raises(GalleryError, match=r"encoder with the fingerprint tiny-1.* tiny-2"):
                other.enroll("Bob", picture(2))
        with pytest.raises(GalleryError, match=r"encoder with the fingerprint tiny-1.* tiny-2"):
            Gallery.open(path, TinyEncoder("tiny-2"))
        with Gallery.open(path) as bare, pytest.raises(GalleryError, match="without an encoder"):
            bare.identify(picture(1))
        assert gallery.identify(picture(1)).identity == "Ada"


def test_each_opening_may_change_what_it_was_opened_for(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    Gallery.open(path).close()
    with Gallery.open(path, read_only=True) as reader:
        with pytest.raises(StorageError, match="reading only"):
            reader.enroll("Ada", vectors=PEOPLE[0])
        with Gallery.open(path) as writer:
            writer.enroll("Ada", vectors=PEOPLE[0])
            writer.log("asked")
            for attempt in (lambda: reader.forget("Ada"), lambda: reader.log("asked"), reader.compact):
                with pytest.raises(StorageError, match="reading only"):
                    attempt()
            assert [i.name for i in reader.identities()] == ["Ada"]
        assert [i.name for i in reader.identities()] == ["Ada"]
        with pytest.raises(StorageError, match="reading only"):
            reader.forget("Ada")


def test_a_gallery_that_was_not_closed(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    gallery = Gallery.open(path)
    second = Gallery.open(path)
    gallery.enroll("Ada", vectors=PEOPLE[0])
    del gallery
    gc.collect()
    second.enroll("Bob", vectors=PEOPLE[1])
    second.close()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with Gallery.open(path) as third:
        assert len(third) == 2


def test_threads_open_and_close(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"

    def work(number: int) -> None:
        with Gallery.open(path, read_only=number % 4 == 3 and path.exists()) as gallery:
            if number % 4 != 3:
                gallery.enroll(f"p{number}", vectors=PEOPLE[number % 30])
            gallery.identify(PEOPLE[0, 0])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(60)))
    with Gallery.open(path) as gallery:
        assert {i.name for i in gallery.identities()} >= {f"p{n}" for n in range(60) if n % 4 != 3}
        gallery.check()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors")
def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    Gallery.open(path).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with Gallery.open(path, read_only=True), Gallery.open(path) as gallery:
            gallery.log("asked")
        with pytest.raises(GalleryError):
            Gallery.open(path, TinyEncoder("other"), fingerprint="x", score="median")  # type: ignore[arg-type]
    (tmp_path / "text.gallery").write_text("something else entirely")
    with pytest.raises(GalleryError, match="not an SQLite file"):
        Gallery.open(tmp_path / "text.gallery")
    assert len(os.listdir("/proc/self/fd")) == before


# -- names ---------------------------------------------------------------------------------------------------------


@posix
def test_a_symbolic_link_is_the_same_gallery(tmp_path: Path, elsewhere: Elsewhere) -> None:
    (tmp_path / "real").mkdir()
    path = tmp_path / "real" / "people.gallery"
    link = tmp_path / "link.gallery"
    link.symlink_to(path)
    with Gallery.open(link) as gallery:  # makes the file where the link points to
        gallery.enroll("Ada", vectors=PEOPLE[0])
        with Gallery.open(path) as other:
            other.enroll("Bob", vectors=PEOPLE[1])
        assert elsewhere(link, "Eve") == ["Ada", "Bob", "Eve"]
        assert [i.name for i in gallery.identities()] == ["Ada", "Bob", "Eve"]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("link")] == ["link.gallery"]


@posix
def test_a_file_of_two_names_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "people.gallery", tmp_path / "other.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        os.link(path, other)
        with pytest.raises(GalleryError, match="2 names"):
            Gallery.open(other)
        with Gallery.open(path) as second:  # its name here is settled
            second.enroll("Bob", vectors=PEOPLE[1])
    with pytest.raises(GalleryError, match=r"2 names \(hard links\)"):
        Gallery.open(path)
    other.unlink()
    with Gallery.open(path) as gallery:
        assert len(gallery) == 2


@posix
def test_what_a_killed_process_left_does_not_count_as_a_name(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    Gallery.open(path).close()
    os.link(path, tmp_path / ".people.gallery.123.456.partial")
    with Gallery.open(path) as gallery:
        assert len(gallery) == 0
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@posix
def test_a_file_that_was_deleted_and_made_again(tmp_path: Path, elsewhere: Elsewhere) -> None:
    path = tmp_path / "people.gallery"
    old = Gallery.open(path)
    old.enroll("Ada", vectors=PEOPLE[0])
    path.unlink()
    with pytest.raises(GalleryError, match="close that gallery first"):
        Gallery.open(path)
    old.close()
    with Gallery.open(path) as new:
        assert len(new) == 0
        new.enroll("Bob", vectors=PEOPLE[1])
        assert elsewhere(path) == ["Bob"]


@posix
def test_the_log_of_a_missing_file_is_not_taken_for_that_of_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        content = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    path.rename(tmp_path / "moved")
    with pytest.raises(GalleryError, match=r"people\.gallery-wal\), which may hold changes"):
        Gallery.open(path)
    (tmp_path / "moved").rename(path)
    with Gallery.open(path) as gallery:
        assert [i.name for i in gallery.identities()] == ["Ada"]


# -- fork ----------------------------------------------------------------------------------------------------------

FORK = """
    import os, sys
    import numpy as np
    from passerby.errors import GalleryError
    from passerby.gallery.gallery import Gallery
    path = sys.argv[1]
    gallery = Gallery.open(path)
    gallery.enroll("Ada", vectors=np.eye(16)[0])
    child = os.fork()
    if child == 0:
        enroll = lambda: gallery.enroll("Eve", vectors=np.ones(16))
        for attempt in (gallery.identities, enroll, lambda: Gallery.open(path)):
            try:
                attempt()
            except GalleryError as error:
                assert "forked" in str(error), error
            else:
                os._exit(3)
        gallery.close()
        Gallery.open(path + "2").close()  # another one, as always
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gallery.enroll("Bob", vectors=np.eye(16)[1])
    print(os.system(f"{sys.executable} -c 'import sys; from passerby.gallery.gallery import Gallery; "
                    f"Gallery.open(sys.argv[1]).close()' {path}"))
    gallery.enroll("Carl", vectors=np.eye(16)[2])
    gallery.close()
    child = os.fork()
    if child == 0:
        with Gallery.open(path) as again:
            again.enroll("Dan", vectors=np.eye(16)[3])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_process_leaves_the_gallery_alone(tmp_path: Path, elsewhere: Elsewhere) -> None:
    path = tmp_path / "people.gallery"
    with start(FORK, path) as parent:
        assert parent.wait() == 0
    assert elsewhere(path) == ["Ada", "Bob", "Carl", "Dan"]


# -- errors --------------------------------------------------------------------------------------------------------


def test_the_first_error_of_a_reading_is_the_one_that_is_raised(
    tmp_path: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite ends the transaction itself after some errors; rolling back once more would hide them."""

    def fail(self: SqliteStore) -> None:
        self._db.execute("ROLLBACK")
        raise DamagedGalleryError("a page cannot be read")

    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        elsewhere(path, "Bob")
        monkeypatch.setattr(SqliteStore, "_read_changes", fail)
        with pytest.raises(DamagedGalleryError, match="a page cannot be read"):
            gallery.identities()
        with pytest.raises(DamagedGalleryError, match="a page cannot be read"):
            gallery.enroll("Eve", vectors=np.ones(DIM))
        monkeypatch.undo()
        assert [i.name for i in gallery.identities()] == ["Ada", "Bob"]


# -- a copy over the file at the moment when pages are written back ---------------------------------------------------


def copy_over(source: Path, target: Path) -> None:
    """As `cp` does, from another process: closing the file here would drop the locks of this one."""
    subprocess.run([sys.executable, "-c", COPY, source, target], check=True)


COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"
FORGET = """
import sys
from passerby.gallery.gallery import Gallery
with Gallery.open(sys.argv[1]) as gallery:
    assert gallery.forget("p1").pending == ""
"""


@posix
def test_a_copy_after_another_process_has_written_back_is_noticed(tmp_path: Path) -> None:
    path, backup = tmp_path / "people.gallery", tmp_path / "backup.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll_many(["p0", "p1"], PEOPLE[:2, 0])
        gallery.backup(backup)
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", FORGET, path], check=True, env=env)
        if not has_attributes(path):
            pytest.skip("no extended attributes here: nobody can say what another process has left")
        copy_over(backup, path)
        with pytest.raises(StorageError, match="overwritten"):
            gallery.enroll("p3", vectors=PEOPLE[3, 0])
        with pytest.raises(StorageError, match="overwritten"):
            gallery.identities()
    assert path.read_bytes() == backup.read_bytes()  # and nothing was written over it


def has_attributes(path: Path) -> bool:
    return bool(hasattr(os, "listxattr") and os.listxattr(path))


@posix
def test_what_another_process_has_written_back_is_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        for turn in range(2):
            gallery.enroll_many(["p0", "p1"], PEOPLE[:2, 0])
            env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
            subprocess.run([sys.executable, "-c", FORGET, path], check=True, env=env)
            assert [identity.name for identity in gallery.identities()] == ["p0"]
            gallery.enroll(f"p{turn}", vectors=PEOPLE[turn, 0])
        gallery.check()


@posix
def test_a_copy_between_the_change_and_its_writing_back_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, backup = tmp_path / "people.gallery", tmp_path / "backup.gallery"
    monkeypatch.setattr("passerby.gallery.stores.sqlite.store.PAGES_IN_LOG", 50)
    vectors = np.random.default_rng(0).standard_normal((1000, 512))
    with Gallery.open(path) as gallery:
        gallery.enroll("p0", vectors=vectors[0])
        gallery.backup(backup)
        real = SqliteStore._check_before_commit

        def copied(store: SqliteStore) -> None:
            real(store)
            copy_over(backup, path)

        monkeypatch.setattr(SqliteStore, "_check_before_commit", copied)
        with pytest.raises(StorageError, match="overwritten"):
            gallery.enroll_many([f"n{i % 50}" for i in range(1000)], vectors)
    assert path.read_bytes() == backup.read_bytes()
    with Gallery.open(path) as gallery:
        assert [identity.name for identity in gallery.identities()] == ["p0"]


def test_a_long_log_is_written_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.gallery.stores.sqlite.store.PAGES_IN_LOG", 50)
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("p0", vectors=np.ones(512))
        before = path.stat().st_size
        gallery.enroll_many([f"n{i % 50}" for i in range(1000)], np.random.default_rng(0).standard_normal((1000, 512)))
        assert path.stat().st_size > before + 2 * 2**20
        log = path.with_name(path.name + "-wal")
        size = log.stat().st_size
        for number in range(100):
            gallery.log("looked", number=number)
        assert log.stat().st_size == size  # it starts anew
