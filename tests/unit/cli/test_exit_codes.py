"""Errors end in one line on stderr and the exit code of their kind, never in a traceback."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

import passerby.gallery.gallery
from passerby import errors
from passerby.cli import run
from passerby.cli.exit_codes import exit_code_of
from passerby.gallery.gallery import Gallery

NEW = [errors.ConfigError, errors.DataError, errors.ImageError, errors.WeightsError, errors.EmbeddingError]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        *((kind("x"), 2) for kind in NEW),
        (errors.GalleryError("x"), 2),
        (errors.MissingExtraError("a", "b", "c"), 2),
        (errors.TrainingError("x"), 1),
        (errors.StorageError("x"), 1),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), 2),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 2),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), 1),
    ],
)
def test_exit_codes(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(error) == code
    with patch("passerby.service.api_keys.list_keys", _raising(error)):
        assert run(["keys", "list", "k.json"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def _raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_an_interruption_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with patch("passerby.service.api_keys.list_keys", _raising(KeyboardInterrupt())):
        assert run(["keys", "list", "k.json"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_of_several_processes_the_first_one_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert run(["recipes", "nowhere"]) == 2
    assert run(["recipes"]) == 0
    assert capsys.readouterr() == ("", "")


def test_faults_that_a_check_finds_end_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path, fingerprint="drawn") as gallery:
        gallery.enroll("ann", vectors=[1.0, 0.0])
    assert run(["gallery", "check", str(path)]) == 0
    damage = _raising(errors.DamagedGalleryError("page 3 is damaged"))
    with patch.object(passerby.gallery.gallery.Gallery, "check", damage):
        assert run(["gallery", "check", str(path)]) == 1
    out, err = capsys.readouterr()
    assert "page 3 is damaged" in out
    assert err == ""
    (tmp_path / "people").mkdir()
    assert run(["data", "check", "market1501", "--root", str(tmp_path / "people")]) == 1
    for argument, says in {
        "name=3": "--arguments: name is no argument of a dataset's reader; give it first",
        "images=no": "--arguments: images is no argument of a dataset's reader; give --images or --no-images",
        "camera=3": "camera is 3; expected str",
        "verify=no": "verify is 'no'; expected true or false",
        "protocol=xyz": "unknown protocol 'xyz'",
    }.items():
        assert run(["data", "check", str(tmp_path / "people"), "--arguments", argument]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert "Traceback" not in error
