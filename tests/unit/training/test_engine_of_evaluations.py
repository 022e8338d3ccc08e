"""The evaluations during a training run on the engine, and in the precision, that the recipe names."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch

import passerby as pb
from passerby.config import EvaluationSettings, InputConfig, ModelConfig
from passerby.data.records import ReIDDataset
from passerby.data.synthetic import draw_dataset
from passerby.errors import ConfigError
from passerby.models.encoder import Encoder
from passerby.models.engines import precision
from passerby.models.model import build_model
from passerby.training import judging
from passerby.training.journal import Journal
from passerby.training.judging import Judge, check_engine


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> ReIDDataset:
    place = tmp_path_factory.mktemp("data") / "people"
    return pb.load_dataset(
        "synthetic", draw_dataset(place, identities=6, train_identities=3, cameras=2, images_per_camera=2)
    )


def encoder() -> Encoder:
    torch.manual_seed(0)
    config = ModelConfig(backbone="tiny:osnet_x0_25")
    return Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32), config)


def judged(folder: Path, people: ReIDDataset, rules: EvaluationSettings) -> dict[str, object]:
    """The row of one evaluation."""
    journal = Journal(folder, -1)
    judge = Judge(folder, people, rules, journal)
    judge.judge(encoder(), 1)
    journal.close()
    row: dict[str, object] = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    return row


def test_the_row_of_an_evaluation_names_the_engine(
    people: ReIDDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row = judged(tmp_path, people, EvaluationSettings(threads=1))
    assert (row["kind"], row["engine"], row["epoch"]) == ("evaluation", "torch", 1)
    monkeypatch.setattr(precision, "_processor_flags", lambda: {"amx_bf16"})
    with caplog.at_level(logging.INFO, "passerby"):
        judged(tmp_path, people, EvaluationSettings(precision="bfloat16"))
    assert "bfloat16 against float32 on all " in caplog.text


def test_what_was_found_fastest_is_used_for_the_next_evaluation(
    people: ReIDDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool, bool]] = []

    def place(one: Encoder, engine: str, *, images: int, threads: int | None, keep: bool) -> Encoder:
        asked.append((engine, images >= 1, keep))
        return one

    monkeypatch.setattr(judging, "on_engine", place)
    monkeypatch.setattr(judging, "TRIAL_FROM", 1)
    judge = Judge(tmp_path, people, EvaluationSettings(), Journal(tmp_path, -1))
    for epoch in (1, 2):
        judge.judge(encoder(), epoch)
    assert asked == [("auto", True, False), ("torch", True, False)]


def test_what_no_training_can_evaluate_with_is_refused_before_it() -> None:
    with pytest.raises(ConfigError, match="passerby evaluate RUN --precision int8"):
        check_engine(EvaluationSettings(precision="int8"), torch.device("cpu"))
    with pytest.raises(ConfigError, match="onnxruntime computes on the CPU"):
        check_engine(EvaluationSettings(engine="onnxruntime"), torch.device("cuda"))
    check_engine(EvaluationSettings(engine="onnxruntime"), torch.device("cpu"))
    check_engine(EvaluationSettings(), torch.device("cuda"))
