"""Writers are killed in the middle of everything that a gallery can do (`benchmarks.kills`, of which this is a few)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from passerby.gallery.gallery import Gallery

KILLS = 8


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_nothing_is_lost_and_nothing_left_over() -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(root)]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kills", "--kills", str(KILLS)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"{KILLS} kills" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be asked whether they live")
def test_copies_begun_by_killed_processes_are_deleted(tmp_path: Path) -> None:
    """They hold people who may be forgotten since; those of living processes, and of other files, stay."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [f".people.gallery.{ended.pid}.partial{end}" for end in ("", "-wal", "-shm", "-journal")]
    others = [f".people.gallery.{os.getppid()}.partial", f".other.gallery.{ended.pid}.partial", "people.gallery.old"]
    for name in (*names, *others):
        (tmp_path / name).write_bytes(b"x")
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        assert sorted(path.name for path in tmp_path.glob(".*")) == sorted(others[:2])
        (tmp_path / f".backup.{ended.pid}.partial").write_bytes(b"x")
        gallery.backup(tmp_path / "backup")
    assert not (tmp_path / f".backup.{ended.pid}.partial").exists()
    (tmp_path / names[0]).write_bytes(b"x")
    Gallery.restore(tmp_path / "backup", tmp_path / "people.gallery", replace=True)
    assert sorted(path.name for path in tmp_path.glob(".*")) == sorted(others[:2])
