import errno
import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from passerby.errors import StorageError
from passerby.files import replace_file, replace_folder

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_write(replacing: AbstractContextManager[Path], error: Exception) -> None:
    with replacing as temporary:
        (temporary / "half" if temporary.is_dir() else temporary).write_text("half")
        raise error


def test_replace_file_replaces(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    for text in ("one", "two"):
        with replace_file(target) as temporary:
            temporary.write_text(text)
    assert target.read_text() == "two"
    assert os.listdir(target.parent) == ["a.txt"]


def test_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(StorageError, match="No space left"):
        half_write(replace_file(target), FULL)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_other_errors_pass_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        half_write(replace_file(tmp_path / "a.txt"), ZeroDivisionError())
    assert os.listdir(tmp_path) == []


def test_replace_folder_replaces_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with replace_folder(target) as temporary:
        (temporary / "old").write_text("1")
    with replace_folder(target) as temporary:
        (temporary / "new").write_text("2")
    assert os.listdir(target) == ["new"]
    with pytest.raises(StorageError):
        half_write(replace_folder(target), FULL)
    assert os.listdir(target) == ["new"]
    assert os.listdir(tmp_path) == ["folder"]
