"""A teacher that saw views of the images: the student is shown the very same ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F

from passerby.cli import run as command
from passerby.config import AugmentConfig, Config, InputConfig, parse_config
from passerby.data.datasets import load_dataset
from passerby.data.synthetic.dataset import draw_dataset
from passerby.data.views import Views
from passerby.embedding.views import embed_views, read_vectors_of_views, read_views
from passerby.errors import ConfigError
from passerby.models.model import build_model
from passerby.training.epoch_losses import EpochLosses
from passerby.training.run import Run
from passerby.training.snapshot import snapshot
from passerby.training.step import Step
from passerby.training.trainer import train

SIZE = InputConfig(height=64, width=32)
AUGMENT = {"pad": 40, "erasing": 0.5, "color_jitter": 0.3}


class Grid:
    """An encoder whose vector holds the mean colours of 4 x 2 parts of what it sees."""

    fingerprint = "grid"
    dim = 24

    def encode(self, images: Any, *, batch_size: int = 128, flip: bool = True) -> npt.NDArray[np.float32]:
        return grid_of(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()).numpy()


def grid_of(images: torch.Tensor) -> torch.Tensor:
    return F.adaptive_avg_pool2d(images, (4, 2)).flatten(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_dataset(folder, identities=12, train_identities=8, cameras=2, images_per_camera=3, seed=5, progress=False)
    return folder


@pytest.fixture(scope="module")
def teacher(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "train.views"
    views = Views(2, AugmentConfig(**AUGMENT), SIZE)
    embed_views(Grid(), load_dataset("synthetic", root).train, views, folder, progress=False)
    return folder


def settings(root: Path, teacher: Path, **augment: float) -> Config:
    content: dict[str, Any] = {
        "name": "test",
        "data": {"name": "synthetic", "root": str(root), "held_out_identities": 0},
        "input": {"height": 64, "width": 32},
        "augment": {**AUGMENT, **augment},
        "sampler": {"identities": 4, "images": 4},
        "model": {"backbone": "tiny:osnet_x0_25", "fc_dims": [16]},
        "objective": {"softmax": {}},
        "distillation": {"vectors": str(teacher)},
        "schedule": {"epochs": 4, "warmup_epochs": 0, "small_until": 0.5},
        "run": {"threads": 1, "evaluate_epochs": 0, "checkpoint_minutes": 1e-9},
    }
    return parse_config(content, where="test")


def test_the_student_is_shown_what_the_teacher_saw(
    root: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    step = Step.__call__

    def watched(self: Step, images: torch.Tensor, labels: torch.Tensor, taught: torch.Tensor, *, seed: Any) -> Any:
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (SIZE.mean, SIZE.std))
        seen = F.normalize(grid_of(((images * std + mean) * 255).clamp(0, 255)))
        shown.setdefault(seed[1], []).append((seen, taught))
        return step(self, images, labels, taught, seed=seed)

    monkeypatch.setattr(Step, "__call__", watched)
    train(settings(root, teacher), out=tmp_path / "run")
    views = [F.normalize(torch.tensor(view.vectors)) for view in read_vectors_of_views(teacher)]
    assert sorted(shown) == [0, 1, 2, 3]
    # what other views of the same image would be off by; at half the size the crop is rounded
    for epoch, share in ((0, 0.5), (1, 0.5), (2, 0.05), (3, 0.05)):
        seen, taught = (torch.cat(parts) for parts in zip(*shown[epoch], strict=True))
        rows = (taught @ views[epoch % 2].T).argmax(1)
        assert torch.allclose(views[epoch % 2][rows], taught)
        off = (seen - taught).norm(dim=1).mean()
        assert off < share * (seen - views[1 - epoch % 2][rows]).norm(dim=1).mean()


class Kill(BaseException):
    """Ends the process in the test, wherever it is."""


def test_killed_it_ends_in_the_same_weights(
    root: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, steps = EpochLosses.record, 0

    def record_and_die(self: EpochLosses, terms: dict[str, torch.Tensor]) -> None:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise Kill
        record(self, terms)

    whole = train(settings(root, teacher), out=tmp_path / "whole")
    monkeypatch.setattr(EpochLosses, "record", record_and_die)
    with pytest.raises(Kill):
        train(settings(root, teacher), out=tmp_path / "killed")
    monkeypatch.setattr(EpochLosses, "record", record)
    resumed = train(settings(root, teacher), out=tmp_path / "killed")

    def weights(run: Run) -> dict[str, torch.Tensor]:
        state: dict[str, torch.Tensor] = torch.load(run.path / "checkpoint.pt", weights_only=True)["model"]
        return state

    mine, theirs = weights(whole), weights(resumed)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_views_drawn_by_other_settings_are_refused(root: Path, teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"views drawn with augment\.erasing 0\.5 \(here 0\.1\); change"):
        train(settings(root, teacher, erasing=0.1), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command_makes_them(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = parse_config({"input": {"height": 32, "width": 16}, "model": {"backbone": "tiny:osnet_x0_25"}}, where="t")
    snapshot(build_model(config.model), None, config, {}).save(tmp_path / "encoder")
    words = ["embed", str(tmp_path / "encoder"), "--data.name", "synthetic", "--data.root", str(root)]
    words += ["--out", str(tmp_path / "out"), "--engine", "torch"]
    assert command([*words, "--parts", "train", "--views", "2", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    row = row[0] if isinstance(row, list) else row
    folder = tmp_path / "out" / "train.views"
    assert (row["folder"], row["views"], row["missing"]) == (str(folder), 2, 0)
    assert row["vectors"] == 2 * len(load_dataset("synthetic", root).train)
    assert read_views(folder).augment.erasing == 0.25  # of the recipe `beyond`
    vectors = [one.vectors for one in read_vectors_of_views(folder)]
    assert not np.allclose(vectors[0], vectors[1])
    for flags, message in (
        (["--views", "-1"], "--views: expected 1 or more, found -1"),
        (["--views", "2", "--precision", "bfloat16"], "--views are encoded in float32"),
        (["--views-of", "beyond"], "give --views N, too"),
        (["--views", "3"], "was begun with other views"),
    ):
        assert command([*words, "--parts", "train", *flags]) == 2
        assert message in capsys.readouterr().err


def test_one_view_alone_is_refused(root: Path, teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"view-0\.parquet is one view of the images; name the folder"):
        train(settings(root, teacher / "view-0.parquet"), out=tmp_path / "run")


def test_parts_without_images_are_named(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = load_dataset("synthetic", root).train
    rows = "".join(f"{s.path},{s.pid},{s.camid}\n" for s in training)
    (tmp_path / "own.csv").write_text("path,pid,camid\n" + rows)
    config = parse_config({"input": {"height": 32, "width": 16}, "model": {"backbone": "tiny:osnet_x0_25"}}, where="t")
    snapshot(build_model(config.model), None, config, {}).save(tmp_path / "encoder")
    words = ["embed", str(tmp_path / "encoder"), "--data.name", str(tmp_path / "own.csv"), "--out", str(tmp_path / "o")]
    assert command([*words, "--data.arguments", "test_share=0.0"]) == 2
    assert "no images in query and gallery; expected --parts train, which it has" in capsys.readouterr().err
