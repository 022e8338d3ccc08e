"""What a run's verification loss has learnt, read from its folder and used by `passerby rank`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import passerby as pb
from passerby.cli.main import run as run_command
from passerby.config import Config, with_overrides
from passerby.data.synthetic.dataset import draw_dataset
from passerby.errors import ConfigError
from passerby.training.similarity_of_run import learned_similarity


def settings(root: Path, **verification: Any) -> Config:
    return with_overrides(
        Config(),
        {
            "data": {"name": "market1501", "root": str(root)},
            "input": {"height": 64, "width": 32},
            "sampler": {"identities": 4, "images": 2},
            "model": {"backbone": "tiny:osnet_x0_25"},
            "objective": {"softmax": {}, "verification": verification},
            "schedule": {"epochs": 1, "warmup_epochs": 0},
            "run": {"precision": "float32", "threads": 1},
        },
        where="test",
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_dataset(folder, identities=12, train_identities=8, cameras=2, images_per_camera=2, progress=False)
    return folder


@pytest.fixture(scope="module")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "verification"
    drawn = pb.load_dataset("market1501", root, verify=False)
    pb.train(settings(root, reads="embedding", arguments={"normalize": True}), drawn, out=out)
    return out


def test_it_is_what_the_loss_computes(run: Path) -> None:
    learned = learned_similarity(run)
    state = torch.load(run / "checkpoint.pt", weights_only=True)["objective"]
    loss = pb.losses.VerificationLoss(dim=len(learned.weight), normalize=True)
    loss.weight.data, loss.bias.data = state["terms.verification.weight"], state["terms.verification.bias"]
    x = torch.nn.functional.normalize(torch.randn(2, len(learned.weight), generator=torch.Generator().manual_seed(0)))
    odds = float(learned.log_odds(x[:1].numpy(), x[1:].numpy())[0])
    assert loss(x, torch.tensor([1, 1])).item() == pytest.approx(np.log1p(np.exp(-odds)), rel=1e-4)
    assert loss(x, torch.tensor([1, 2])).item() == pytest.approx(np.log1p(np.exp(odds)), rel=1e-4)


def test_the_command_ranks_by_it(run: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder, drawn = pb.Run.open(run).encoder, pb.load_dataset("market1501", root, verify=False)
    files = [tmp_path / "query.parquet", tmp_path / "gallery.parquet"]
    for part, file in zip((drawn.query, drawn.gallery), files, strict=True):
        pb.embed(encoder, part).to_parquet(file)
    command = ["rank", *map(str, files), "--json"]
    assert run_command([*command, "--similarity", "learned", "--run", str(run)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert "ranked by the verification loss's own similarity" in answer["report"]["notes"]
    assert all(0 <= row["distance"] <= 1 for row in answer["rows"])
    for wrong, message in (
        (["--similarity", "learned"], "give --run FOLDER"),
        (["--run", str(run)], "give --similarity learned too"),
    ):
        assert run_command([*command, *wrong]) == 2
        assert message in capsys.readouterr().err


def test_a_loss_that_read_other_vectors_is_refused(root: Path, tmp_path: Path) -> None:
    several: list[dict[str, Any]] = [{}, {"reads": "embedding"}, {"arguments": {"normalize": True}}]
    for number, verification in enumerate(several):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "config.toml").write_text(settings(root, **verification).to_toml(), "utf-8")
        with pytest.raises(ConfigError, match=r"--objective\.verification\.reads embedding"):
            learned_similarity(folder)
    plain = with_overrides(settings(root), {"objective.verification.weight": 0.0}, where="test")
    (tmp_path / "config.toml").write_text(plain.to_toml(), "utf-8")
    with pytest.raises(ConfigError, match=r"needs a run with the loss 'verification'; this one minimises softmax"):
        learned_similarity(tmp_path)
