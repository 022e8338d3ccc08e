"""Fine-tuning people of one's own: the start is judged too, and what happened is said."""

import importlib
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import passerby as pb
import passerby.training.judging as judging_module
from passerby.cli import run as command
from passerby.config import Config, parse_config
from passerby.data.synthetic.dataset import draw_dataset
from passerby.errors import ConfigError
from passerby.models.encoder import Encoder
from passerby.training.run import Run


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 drawn people, a folder each, without cameras and parts."""
    folder = tmp_path_factory.mktemp("own")
    draw_dataset(folder / "drawn", identities=15, train_identities=13, cameras=2, images_per_camera=3, progress=False)
    for image in sorted((folder / "drawn").glob("*/0*.jpg")):
        if image.name.startswith("0000"):  # distractors, who are nobody
            continue
        person = folder / "people" / f"person {image.name[:4]}"
        person.mkdir(parents=True, exist_ok=True)
        (person / image.name).write_bytes(image.read_bytes())
    return folder / "people"


def settings(people: Path, **groups: object) -> Config:
    content = {
        "name": "own",
        "data": {"name": str(people), "held_out_identities": "auto"},
        "input": {"height": 64, "width": 32},
        "sampler": {"identities": 4, "images": 4},
        "model": {"backbone": "tiny:osnet_x0_25"},
        "schedule": {"epochs": 1, "warmup_epochs": 0},
        "run": {"threads": 1, "evaluate_epochs": 1},
    }
    return parse_config({**content, **groups}, where="test")


@pytest.fixture(scope="module")
def first(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return pb.train(settings(people), out=tmp_path_factory.mktemp("runs") / "first")


def from_weights(first: Run, people: Path) -> Config:
    model = {"backbone": "tiny:osnet_x0_25", "weights": str(first.path / "encoder")}
    return settings(people, model=model)


def test_a_training_from_random_weights_says_so_and_ends_with_a_line(
    people: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "passerby"):
        run = pb.train(settings(people), out=tmp_path / "run")
    text = caplog.text
    assert "no model.weights: training starts from random ones" in text
    assert "people: 12 people to learn from, 3 held out to choose the best epoch (data.held_out_identities" in text
    assert "none in a test (--data.arguments test_share=0.5 changes that)" in text
    assert "epoch 1/1 at 64x32: loss " in text
    assert "trained 1 epoch in " in text
    assert "held-out mAP " in text.splitlines()[-1]
    assert "of 3 queries, so that small differences are chance" in text.splitlines()[-1]
    assert (run.config.data.held_out_identities, run.config.data.arguments) == (3, {"test_share": 0.0})
    assert Run.open(run.path).held_out == run.held_out
    assert len({s.pid for s in run.held_out.query}) == 3


@pytest.fixture
def worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is trained is worse than what it began with."""

    def score(encoder: Encoder, *arguments: object, **rest: object) -> SimpleNamespace:
        return SimpleNamespace(mAP=0.6 - 0.1 * encoder.provenance["epochs"], queries=3, rank=lambda k: 0.5)

    monkeypatch.setattr(judging_module, "score_dataset", score)


@pytest.mark.usefixtures("worse")
def test_a_start_that_nothing_beats_is_kept_and_that_is_said(
    first: Run, people: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = pb.train(from_weights(first, people), out=tmp_path / "run")
    assert "no epoch was better on the held-out people than the weights the training began with" in caplog.text
    assert run.encoder.provenance["epochs"] == 0
    rows = [(row["kind"], row["epoch"]) for row in run.metrics]
    assert rows == [("evaluation", 0), ("epoch", 1), ("evaluation", 1)]


@pytest.mark.usefixtures("worse")
def test_the_start_is_judged_once_and_remembered(
    first: Run, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trainer_module: Any = importlib.import_module("passerby.training.trainer")

    class Kill(BaseException):
        pass

    save = trainer_module.save_checkpoint

    def killing(*arguments: object) -> None:
        save(*arguments)
        raise Kill

    config = from_weights(first, people)
    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "save_checkpoint", killing)
        with pytest.raises(Kill):
            pb.train(config, out=tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    (first.path / "encoder").rename(first.path / "moved")  # the checkpoint has the weights
    run = pb.train(config, out=tmp_path / "run")
    (first.path / "moved").rename(first.path / "encoder")
    assert [row["epoch"] for row in run.metrics if row["kind"] == "evaluation"] == [0, 1]
    assert "encoder/ holds those weights" in caplog.text
    state = torch.load(run.path / "checkpoint.pt", weights_only=True)
    assert state["best_epoch"] == 0


def test_another_number_of_people_is_refused_by_name(people: Path, first: Run) -> None:
    assert pb.train(settings(people), out=first.path).config.data.held_out_identities == 3  # finished; nothing to do
    with pytest.raises(ConfigError, match="held_out_identities: 3 -> 2"):
        pb.train(settings(people, data={"name": str(people), "held_out_identities": 2}), out=first.path)


def test_the_name_of_the_data_is_part_of_the_folder(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "own.toml"
    recipe.write_text(settings(people).to_toml().replace(f'name = "{people}"\n', ""))
    assert command(["train", str(recipe)]) == 2
    assert "train on what?" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    assert command(["train", str(recipe), "--data.name", str(people)]) == 0
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == ["own-people"]
    assert "next: passerby calibrate runs/own-people (on the 3 people held out)" in capsys.readouterr().out
    (tmp_path / "runs" / "own-people").rename(tmp_path / "runs" / "own")  # where 0.1 put it
    assert command(["train", str(recipe), "--data.name", str(people)]) == 0
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == ["own"]
