"""`--json` of the commands that need an encoder, on drawn people with a tiny network; no command is left out."""

import json
import shutil
from pathlib import Path

import pytest
from tests.contracts.test_commands import CHEAP

from passerby.cli import COMMANDS, run
from passerby.config import Config
from passerby.experiments.compare import trial
from passerby.training.trainer import train

pytestmark = pytest.mark.slow

TINY = (
    "--input.height 64 --input.width 32 --model.backbone tiny:resnet18 --sampler.identities 4 --schedule.epochs 1 "
    "--schedule.warmup-epochs 0 --data.held-out-identities 6"
)
DATA = "--data.name synthetic --data.root {0}/people"
COMMANDS_WITH_ENCODER = {
    "train": f"train demo {DATA} --out {{1}}/run {TINY}",
    "evaluate": "evaluate {0}/run --ap trapezoid",
    "embed": "embed {0}/run --out {1}",
    "report": "report {0}/run --out {1}/report.html --gallery {0}/seen.gallery",
    "calibrate": "calibrate {1}/run --far 0.1",
    "cross-domain": "cross-domain {0}/run --on {0}/people",
    "compare": f"compare demo {DATA} --out {{1}}/compared --common {{0}}/common.toml",
    "enroll": "enroll {0}/one.gallery new {0}/probe.jpg --encoder {0}/run",
    "identify": "identify {0}/one.gallery {0}/probe.jpg --encoder {0}/run",
    "observe": "observe {0}/one.gallery {0}/probe.jpg --encoder {0}/run --threshold 0.5",
    "observe-tracks": "observe-tracks {0}/one.gallery {0}/tracks.csv --encoder {0}/run --threshold 0.5",
    "gallery find-sightings": "gallery find-sightings {0}/seen.gallery {0}/probe.jpg --encoder {0}/run --top 3",
    "gallery import": "gallery import {0}/one.gallery {0}/one.parquet",
    "export": "export {0}/run --to onnx --out {1}/encoder.onnx",
    "bench-encoder": "bench-encoder {0}/run --rounds 1 --batch-size 2",
    "data check": "data check {0}/people",
}
COMMON = """
input = {height = 64, width = 32}
model = {backbone = "tiny:resnet18"}
sampler = {identities = 4}
schedule = {epochs = 1, warmup_epochs = 0}
data = {held_out_identities = 6}
"""
ENCODING = ["calibrate", "embed", "enroll", "gallery find-sightings", "identify", "observe", "observe-tracks"]
"""Commands whose pictures an engine encodes."""
FILMS = {"data from-video", "track"}
"""Commands that need films; `test_tracking` has them."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people, a run trained on them, and a gallery with one of them."""
    folder = tmp_path_factory.mktemp("world")
    assert run(["data", "draw", str(folder / "people"), "--identities", "24", "--train-identities", "16"]) == 0
    assert run(COMMANDS_WITH_ENCODER["train"].format(folder, folder).split()) == 0
    picture = next((folder / "people").rglob("*.jpg"))
    (folder / "common.toml").write_text(COMMON)
    shutil.copy(picture, folder / "probe.jpg")
    enroll = f"enroll {folder}/one.gallery somebody {folder}/probe.jpg --encoder {folder}/run"
    assert run(enroll.split()) == 0
    (folder / "tracks.csv").write_text("path,camid,time,tracklet\nprobe.jpg,hall,1.5,1\n")
    assert run(f"gallery keep-sightings {folder}/one.gallery --vectors".split()) == 0
    shutil.copy(folder / "one.gallery", folder / "seen.gallery")
    tracks = f"observe-tracks {folder}/seen.gallery {folder}/tracks.csv --encoder {folder}/run --threshold 0.5"
    assert run(tracks.split()) == 0
    assert run(f"gallery export {folder}/one.gallery {folder}/one.parquet".split()) == 0
    return folder


def train_here(config: Config, folder: Path) -> float:
    """Instead of a process of its own, which the tests of `compare` have."""
    train(config, out=folder)
    return 0.1


@pytest.mark.parametrize("name", COMMANDS_WITH_ENCODER)
def test_json_parses(
    name: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_train", train_here)
    if "{1}/run" in COMMANDS_WITH_ENCODER[name] and name != "train":
        shutil.copytree(world / "run", tmp_path / "run")
    capsys.readouterr()
    assert run([*COMMANDS_WITH_ENCODER[name].format(world, tmp_path).split(), "--json"]) == 0, capsys.readouterr().err
    json.loads(capsys.readouterr().out)


def test_every_command_with_json_is_tried() -> None:
    elsewhere = {"demo", "adapt", "hub get"}  # have tests of their own
    tried = {*CHEAP, *COMMANDS_WITH_ENCODER, *FILMS, *elsewhere}
    assert {name for name, command in COMMANDS.items() if command.json} <= tried


@pytest.mark.parametrize("flag", ["--pooling max", "--repeats 3", "--seed 5"])
@pytest.mark.parametrize("command", ["evaluate {0}/run", "rank {0}/query.parquet {0}/gallery.parquet"])
def test_a_flag_that_changes_nothing_is_refused(
    command: str, flag: str, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command.startswith("rank") and not (world / "query.parquet").exists():
        assert run(["embed", str(world / "run"), "--out", str(world)]) == 0
    capsys.readouterr()
    assert run([*command.format(world).split(), *flag.split()]) == 2
    assert "changes nothing under the protocol 'market1501'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ENCODING)
def test_the_engine_and_its_threads_are_flags(name: str, world: Path, tmp_path: Path) -> None:
    for file in (world / "run", world / "one.gallery", world / "seen.gallery"):
        (shutil.copytree if file.is_dir() else shutil.copy)(file, tmp_path / file.name)
    words = COMMANDS_WITH_ENCODER[name].replace("{0}/run", "{1}/run").replace("{0}/one", "{1}/one").split()
    here = [word.format(world, tmp_path) for word in words]
    assert run([*here, "--engine", "torch", "--threads", "1"]) == 0
    assert run([*here, "--threads", "0"]) == 2
