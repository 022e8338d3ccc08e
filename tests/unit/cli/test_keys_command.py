"""`passerby keys`: a key is printed once, listed without its secret, and taken back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from passerby.cli import run
from passerby.service.api_keys import digest_of, list_keys


def test_add_list_remove(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = os.fspath(tmp_path / "keys.json")
    assert run(["keys", "add", path, "desk", "--role", "write", "--rate", "5"]) == 0
    token = capsys.readouterr().out.strip()
    assert [(key.name, key.digest) for key in list_keys(path)] == [("desk", digest_of(token))]
    assert run(["keys", "list", path]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["desk", "write", "5/s"]
    assert run(["keys", "remove", path, "desk"]) == 0
    assert list_keys(path) == []
    assert run(["keys", "remove", path, "desk"]) == 2
    assert "no key 'desk'" in capsys.readouterr().err
