"""How a training that ends badly is told by a comparison."""

import sys
from pathlib import Path

import pytest

from passerby.config import load_recipe
from passerby.errors import ConfigError, PasserbyError, TrainingError
from passerby.experiments.compare.trial import run_trial


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        (2, ConfigError, "lin: the training was refused; see above"),
        (1, TrainingError, r"lin: .*failed \(exit code 1\)"),
    ],
)
def test_a_refused_training_is_not_a_failed_one(
    code: int, error: type[PasserbyError], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(error, match=message):
        run_trial(load_recipe("lin"), 0, tmp_path / "run")
