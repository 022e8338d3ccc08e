"""The upgrade from 0.1, as the changelog tells it: a copy first, then work with the new version, and a way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.golden.answers import unpack

import passerby as pb
from passerby.cli import run

FOLDER = Path(__file__).parents[1] / "golden" / "v0_1"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return unpack(FOLDER, tmp_path / "golden")


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def state(gallery: pb.Gallery) -> list[tuple[str, int]]:
    return [(identity.name, identity.observations) for identity in gallery.identities()]


@pytest.mark.parametrize("name", ["format-1", "format-2", "format-2-float16"])
def test_copy_work_and_restore(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, copy = place / "galleries" / f"{name}.gallery", place / "before.gallery"
    ask(capsys, "gallery", "backup", path, copy)
    with pb.Gallery.open(path, read_only=True) as gallery:
        before, probe, fingerprint = state(gallery), gallery.vectors([1])[0], gallery.fingerprint

    with pb.Gallery.open(path, fingerprint=fingerprint) as gallery:
        gallery.enroll("somebody-new", vectors=-probe)
        assert gallery.identify(-probe, threshold=0.01).identity == "somebody-new"
        assert len(state(gallery)) == len(before) + 1
    assert ask(capsys, "gallery", "check", path)

    ask(capsys, "gallery", "restore", copy, path, "--replace")
    with pb.Gallery.open(path, read_only=True) as gallery:
        assert state(gallery) == before
