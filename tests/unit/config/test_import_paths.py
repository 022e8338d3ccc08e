"""Recipes of people one does not know run no code of theirs, where that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.cli.main import run
from passerby.config import load_recipe, with_overrides
from passerby.config.import_paths import refuse_import_paths
from passerby.errors import ConfigError


@pytest.mark.parametrize(
    "changes",
    [
        {"objective.foreign.loss": "os:system"},
        {"objective.os:system.weight": 1.0},
        {"objective.triplet.arguments.miner": "foreign.module:Miner"},
        {"objective.triplet.arguments.distance": {"class": "foreign:Distance"}},
    ],
)
def test_import_paths_are_refused(changes: dict[str, object]) -> None:
    config = with_overrides(load_recipe("triplet_baseline"), changes, where="here")
    with pytest.raises(ConfigError, match=r"(os:system|foreign[.\w]*:\w+).*runs code"):
        refuse_import_paths(config)


def test_recipes_of_the_package_name_none() -> None:
    refuse_import_paths(load_recipe("triplet_baseline"))


def test_the_command_line_refuses_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "triplet_baseline", "--objective.x.loss", "os:system", "--data.name", str(tmp_path / "no.csv")]
    assert run([*words, "--no-import-paths"]) == 2
    assert "runs code" in capsys.readouterr().err
