"""`passerby train`: every setting by its dotted name, terms that the recipe lacks, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import passerby.training.trainer
from passerby.cli import run
from passerby.cli.setting_flags import flag_names
from passerby.cli.train import SettingFlags
from passerby.config import Config

DATA = ["--data.name", "market1501", "--data.root", "somewhere"]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands name is there, and is not read."""
    monkeypatch.chdir(tmp_path)
    Path("somewhere").mkdir()
    Path("w.pth").touch()


class Trained:
    """Stands in for a run."""

    path = Path("runs/x")
    metrics: dict[str, float] = {}  # noqa: RUF012
    config = Config()


def config_of(*words: str) -> Config:
    """What `passerby train` would train."""
    seen: list[Any] = []

    def train(config: Config, *, out: Path) -> Trained:
        seen.extend([config, out])
        return Trained()

    with patch.object(passerby.training.trainer, "train", train):
        assert run(["train", *words]) == 0
    assert isinstance(seen[0], Config)
    return seen[0]


def test_settings_of_every_kind() -> None:
    config = config_of(
        "strong_osnet", *DATA, "--schedule.epochs", "3", "--optimizer.lr=0.5", "--run.compile",
        "--optimizer.no-fused", "--sampler.kind", "camera", "--schedule.decay", "step",
        "--schedule.milestones", "2", "3", "--model.weights", "w.pth", "--evaluation.protocol", "none",
        "--input.mean", "0", "0.5", "1",
    )  # fmt: skip
    assert (config.schedule.epochs, config.optimizer.lr, config.sampler.kind) == (3, 0.5, "camera")
    assert (config.run.compile, config.optimizer.fused) == (True, False)
    assert (config.schedule.milestones, config.input.mean) == ((2, 3), (0, 0.5, 1))
    assert (config.model.weights, config.evaluation.protocol) == (Path("w.pth"), None)


def test_terms_of_the_objective() -> None:
    config = config_of(
        "lin", *DATA, "--objective.center.weight", "0.01", "--objective.center.arguments.alpha", "0.3",
        "--objective.lin.arguments.form=code",
    )  # fmt: skip
    assert config.objective["center"].weight == 0.01
    assert config.objective["center"].arguments == {"alpha": 0.3}
    assert config.objective["lin"].arguments["form"] == "code"
    assert "lin" not in config_of("lin", *DATA, "--objective.softmax.weight", "1", "--objective.lin", "none").objective


def test_arguments_of_the_reader_and_the_last_of_two_flags() -> None:
    config = config_of(
        "lin", *DATA, "--data.arguments", "frames=8", "mode=labeled", "--data.split", "1", "--data.split", "2"
    )
    assert config.data.arguments == {"frames": 8, "mode": "labeled"}
    assert config.data.split == 2


def test_a_group_that_may_be_absent_is_named_or_set() -> None:
    assert config_of("lin", *DATA).evaluation.rerank is None
    named = config_of("lin", *DATA, "--evaluation.rerank", "k_reciprocal").evaluation.rerank
    assert named is not None
    assert (named.k1, named.k2) == (20, 6)
    changed = config_of("lin", *DATA, "--evaluation.rerank.k1", "7", "--evaluation.rerank.half", "matlab")
    assert changed.evaluation.rerank is not None
    assert (changed.evaluation.rerank.k1, changed.evaluation.rerank.half) == (7, "matlab")


def test_every_setting_has_a_flag() -> None:
    config = Config()
    groups = {name: value for name, value in config if hasattr(value, "model_fields_set")}
    dotted = {f"--{group}.{name}".replace("_", "-") for group, inner in groups.items() for name, _ in inner}
    assert dotted - {"--data.arguments"} <= set(flag_names(SettingFlags()))


@pytest.mark.parametrize(
    ("words", "name", "other"),
    [
        (["--sampler.linkage", "min"], "sampler.linkage", "sampler.kind is 'pk'"),
        (["--sampler.refresh-epochs", "3"], "sampler.refresh_epochs", "sampler.kind is 'pk'"),
        (["--sampler.kind", "balanced", "--sampler.epoch", "chunks"], "sampler.epoch", "sampler.kind is 'balanced'"),
        (["--schedule.gamma", ".5", "--schedule.decay", "cosine"], "schedule.gamma", "schedule.decay is 'cosine'"),
        (["--schedule.decay", "step", "--schedule.final", ".5"], "schedule.final", "schedule.decay is 'step'"),
        (["--optimizer.name", "sgd", "--optimizer.beta2", ".9"], "optimizer.beta2", "optimizer.name is 'sgd'"),
        (["--distillation.weight", "2"], "distillation.weight", "distillation.vectors is none"),
        (["--augment.erasing", "0", "--augment.erasing-area", "0", ".2"], "augment.erasing_area", "erasing is 0.0"),
    ],
)
def test_a_flag_that_would_do_nothing_is_refused(
    words: list[str], name: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "strong_osnet", *DATA, *words]) == 2
    err = capsys.readouterr().err
    assert f"recipe strong_osnet: {name} would do nothing: " in err
    assert other in err
    assert err.count("\n") == 1


def test_what_no_training_would_read_is_not_varied(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "strong_osnet", *DATA, "--vary", "schedule.gamma=[0.5]"]) == 2
    assert "schedule.gamma would do nothing: schedule.decay is 'cosine'" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_run_that_was_begun_with_such_a_flag_goes_on() -> None:
    words = ["osnet_scratch", *DATA, "--out", "begun", "--sampler.linkage", "min"]
    Path("begun").mkdir()
    Path("begun/config.toml").touch()
    assert config_of(*words).sampler.linkage == "min"


def test_a_setting_that_is_not_read_may_stand_in_a_recipe() -> None:
    Path("mine.toml").write_text('extends = "osnet_scratch"\n[sampler]\nlinkage = "min"\n')
    assert config_of("mine.toml", *DATA).sampler.linkage == "min"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lin"], "train on what?"),
        (["lin", *DATA, "--schedule.epoch", "3"], "did you mean --schedule.epochs?"),
        (["lin", *DATA, "--schedule.epochs", "0"], "schedule.epochs: Input should be greater than 0"),
        (["lin", *DATA, "--sampler.kind", "pq"], "--sampler.kind"),
        (["lin", *DATA, "--objective.center.wieght", "1"], "did you mean 'objective.center.weight'"),
        (["lin", *DATA, "--objective.centre", "none"], "nothing to remove"),
        (["lin", *DATA, "--objective.center.weight"], "expected a value behind it"),
        (["lin", *DATA, "more"], "surplus argument: 'more'"),
        (["lin", *DATA, "--data.arguments", "frames"], "expected KEY=VALUE"),
        (
            ["lin", *DATA, "--data.arguments", "split=1"],
            "split is no argument of a dataset's reader; give --data.split",
        ),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, message in err) == ("", True), err
    assert err.count("\n") == 1


def test_json_names_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    config_of("lin", *DATA, "--json")
    assert json.loads(capsys.readouterr().out)["run"] == "runs/x"
