"""A run says all about itself from its folder, wherever the reader stands."""

import csv
import logging
from pathlib import Path

import pytest
import torch

import passerby as pb
from passerby.config import Config, parse_config
from passerby.data.dataset_of_config import with_absolute_paths
from passerby.data.synthetic.dataset import draw_dataset
from passerby.errors import ConfigError, DataError
from passerby.training import trainer
from passerby.training.run import Run

HELD_OUT = 3


def settings(*, threads: int = 1, **data: object) -> Config:
    content = {
        "name": "test",
        "data": {"name": "people.csv", "held_out_identities": HELD_OUT, **data},
        "input": {"height": 32, "width": 16},
        "sampler": {"identities": 2, "images": 2},
        "model": {"backbone": "tiny:osnet_x0_25"},
        "schedule": {"epochs": 1, "warmup_epochs": 0},
        "run": {"threads": threads},
    }
    return parse_config(content, where="test")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with people.csv beside the pictures, and a run that was trained there by relative paths."""
    folder = tmp_path_factory.mktemp("place")
    draw_dataset(folder / "pictures", identities=10, train_identities=8, cameras=2, images_per_camera=2, progress=False)
    with (folder / "people.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "pid", "camid", "split"))
        for part, split in (("bounding_box_train", "train"), ("query", "query"), ("bounding_box_test", "gallery")):
            for image in sorted((folder / "pictures" / part).glob("0*.jpg")):
                rows.writerow((f"pictures/{part}/{image.name}", int(image.name[:4]), image.name[6], split))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        pb.train(settings(), out="runs/first")
    return folder


def test_a_run_is_opened_from_elsewhere(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = pb.Run.open(place / "runs" / "first")
    assert run.config.data.name == str(place / "people.csv")
    assert [row["kind"] for row in run.metrics] == ["epoch", "evaluation"]
    assert run.encoder.provenance["data"]["fingerprint"] == run.data.fingerprint()
    training, held_out = pb.load_dataset(place / "people.csv").hold_out(HELD_OUT)
    assert (run.training, run.held_out) == (training, held_out)
    assert len({s.pid for s in run.held_out.gallery}) == HELD_OUT
    assert run.encoder.provenance["data"]["train_identities"] == len({s.pid for s in run.training.train})


def test_an_old_run_with_relative_paths_finds_its_data(place: Path, tmp_path: Path) -> None:
    """0.1 wrote what it was given."""
    old = place / "runs" / "old"
    old.mkdir()
    (old / "config.toml").write_text(str(settings()))
    assert Run.open(old).data == Run.open(place / "runs" / "first").data
    lost = tmp_path / "moved"
    lost.mkdir()
    (lost / "config.toml").write_text(str(settings()))
    with pytest.raises(DataError, match=r"people\.csv"):
        _ = Run.open(lost).data


def test_an_old_run_goes_on_by_its_own_settings(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """... which hold a relative path, from another working folder, and with the data given."""
    monkeypatch.chdir(place)
    old = pb.train(settings(), out="runs/older").path.absolute()
    text = (old / "config.toml").read_text()
    (old / "config.toml").write_text(text.replace(str(place / "people.csv"), "people.csv"))
    monkeypatch.chdir(tmp_path)
    pb.train(pb.load_recipe(old / "config.toml"), pb.load_dataset(place / "people.csv"), out=old)


def test_the_same_command_resumes_by_a_relative_path(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (place / "others.csv").write_text((place / "people.csv").read_text())
    pb.train(settings(), out="runs/first")  # finished: nothing to do
    pb.train(settings(name=str(place / "people.csv")), out="runs/first")
    with pytest.raises(ConfigError, match=r"data\.name: .*people\.csv -> .*others\.csv"):
        pb.train(settings(name="others.csv"), out="runs/first")


def test_data_that_have_changed_are_noticed(
    place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(place / "runs" / "first", settings(name=str(place / "others.csv")))
    lines = (place / "people.csv").read_text().splitlines()
    (place / "others.csv").write_text("\n".join(lines[:-1]) + "\n")
    with caplog.at_level(logging.WARNING):
        assert run.data.train
    assert "was trained on other data" in caplog.text


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no config\.toml"):
        Run.open(tmp_path)


def test_names_of_the_table_are_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "market1501").mkdir()
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    names = {name: with_absolute_paths(settings(name=name).data).name for name in ("market1501", "synthetic", "mine")}
    assert names == {"market1501": "market1501", "synthetic": "synthetic", "mine": str(tmp_path / "mine")}
    combined = with_absolute_paths(settings(name="market1501+cuhk03:market1501", root="mine").data)
    assert (combined.name, combined.root) == ("market1501+cuhk03:market1501", tmp_path / "mine")


def test_training_gives_threads_back(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    before = torch.get_num_threads()
    several = before + 1
    pb.train(settings(threads=several), out="runs/first")
    with pytest.raises(ConfigError):
        pb.train(settings(name="others.csv", threads=several), out="runs/first")
    assert torch.get_num_threads() == before


def test_other_processes_log_again_after_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.distributed.rank", lambda: 1)
    before = trainer.log.level
    with trainer._log_of_the_first_process():
        assert trainer.log.level == logging.WARNING
    assert trainer.log.level == before
