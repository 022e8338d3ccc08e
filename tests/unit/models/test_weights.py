"""Foreign checkpoints: what matches, what is refused, and that nothing foreign is ever unpickled."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from passerby.config import ModelConfig
from passerby.errors import WeightsError
from passerby.models.model import ReIDModel, build_model
from passerby.models.weights.checkpoints import load_weights, read_checkpoint


def model_of(backbone: str, **settings: Any) -> ReIDModel:
    return build_model(ModelConfig.model_validate({"backbone": backbone, **settings}))


@pytest.fixture
def donor() -> ReIDModel:
    torch.manual_seed(3)
    return model_of("tiny:resnet50_ibn_a")


def same_backbone(a: ReIDModel, b: ReIDModel) -> bool:
    theirs = b.backbone.state_dict()
    return all(torch.equal(v, theirs[k]) for k, v in a.backbone.state_dict().items())


LAYOUTS: dict[str, Any] = {
    "torchvision": lambda s: {**s, "fc.weight": torch.zeros(1000, 4), "fc.bias": torch.zeros(1000)},
    "ibn-net": lambda s: {"state_dict": OrderedDict((f"module.{k}", v) for k, v in s.items())},
    "torchreid": lambda s: {
        "state_dict": {**s, "classifier.weight": torch.zeros(751, 4)},
        "epoch": 60,
        "rank1": np.float64(0.94),
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    },
    "fast-reid": lambda s: {
        "model": {
            **{f"backbone.{k}": v for k, v in s.items()},
            "heads.classifier.weight": torch.zeros(751, 4),
            "pixel_mean": torch.zeros(1, 3, 1, 1),
        }
    },
    "strong baseline": lambda s: {f"module.base.{k}": v for k, v in s.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_foreign_layout_fills_the_whole_backbone(layout: str, donor: ReIDModel, tmp_path: Path) -> None:
    torch.save(LAYOUTS[layout](donor.backbone.state_dict()), tmp_path / "checkpoint.pth.tar")
    model = model_of("tiny:resnet50_ibn_a")
    report = load_weights(model, tmp_path / "checkpoint.pth.tar")
    assert same_backbone(model, donor)
    assert {name.split(".")[0] for name in report.missing} == {"head"}
    assert not report.mismatched


def test_a_neck_travels_with_fast_reids_name(donor: ReIDModel, tmp_path: Path) -> None:
    state = {f"backbone.{k}": v for k, v in donor.backbone.state_dict().items()}
    neck = {f"heads.bottleneck.0.{k}": v for k, v in donor.head.neck.state_dict().items()}
    neck["heads.bottleneck.0.weight"] = torch.full((donor.dim,), 7.0)
    torch.save({"model": state | neck}, tmp_path / "c.pth")
    load_weights(donor, tmp_path / "c.pth")
    assert torch.equal(donor.head.state_dict()["neck.weight"], torch.full((donor.dim,), 7.0))


@pytest.mark.parametrize("kept", ["", "backbone.layer1", "head.neck"])
def test_batch_norms_without_running_statistics_are_refused(kept: str, donor: ReIDModel, tmp_path: Path) -> None:
    """Whoever saves the parameters alone; in evaluation mode such a network computes something else."""
    lost = [k for k in donor.state_dict() if "running_" in k and (not kept or k.startswith(kept))]
    torch.save({k: v for k, v in donor.state_dict().items() if k not in lost}, tmp_path / "c.pth")
    with pytest.raises(
        WeightsError, match=r"have no running statistics in the file \((backbone\.|head\.neck)"
    ) as found:
        load_weights(model_of("tiny:resnet50_ibn_a"), tmp_path / "c.pth")
    assert "\n" not in str(found.value)


def test_safetensors_and_our_own_names(donor: ReIDModel, tmp_path: Path) -> None:
    save_file(donor.state_dict(), tmp_path / "weights.safetensors")
    model = model_of("tiny:resnet50_ibn_a")
    report = load_weights(model, tmp_path)
    assert report.missing == report.unexpected == report.mismatched == ()
    assert same_backbone(model, donor)


def test_an_incomplete_file_loads_and_says_what_is_missing(donor: ReIDModel, tmp_path: Path) -> None:
    state = {k: v for k, v in donor.backbone.state_dict().items() if not k.startswith("layer1.")}
    torch.save(state, tmp_path / "c.pth")
    report = load_weights(model_of("tiny:resnet50_ibn_a"), tmp_path / "c.pth")
    assert any(name.startswith("backbone.layer1.0") for name in report.missing)
    assert "missing" in str(report)
    assert "layer1" in str(report)


@pytest.mark.parametrize(
    ("file_of", "model_name"),
    [
        ("tiny:resnet50", "tiny:resnet50_ibn_a"),
        ("tiny:resnet50", "tiny:osnet_x0_25"),
        ("tiny:osnet_ibn_x1_0", "tiny:osnet_ain_x1_0"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(file_of: str, model_name: str, tmp_path: Path) -> None:
    torch.save(model_of(file_of).backbone.state_dict(), tmp_path / "c.pth")
    model = model_of(model_name)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(WeightsError, match="another model"):
        load_weights(model, tmp_path / "c.pth")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_the_refusal_names_the_backbone_it_looks_like(tmp_path: Path) -> None:
    torch.save(model_of("osnet_x0_5").backbone.state_dict(), tmp_path / "c.pth")
    with pytest.raises(WeightsError, match=r"conv1\.conv\.weight is \(32, 3, 7, 7\).*looks like osnet_x0_5"):
        load_weights(model_of("osnet_x0_25"), tmp_path / "c.pth")


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path(TRAP),))


TRAP = ""


def test_a_pickle_of_code_is_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.TRAP", str(tmp_path / "sprung"))
    (tmp_path / "raw.pth").write_bytes(pickle.dumps({"state_dict": Trap()}))
    torch.save({"state_dict": {"w": torch.zeros(1), "trap": Trap()}}, tmp_path / "zip.pth")
    for name in ("raw.pth", "zip.pth"):
        with pytest.raises(WeightsError, match=f"{name}: not a checkpoint of plain tensors"):
            read_checkpoint(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_damaged_files_get_one_clear_error(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    cases = {
        "cut.pth": whole[: len(whole) // 2],
        "empty.pth": b"",
        "text.pth": b"hello there",
        "x.safetensors": b"1234",
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=name):
            read_checkpoint(tmp_path / name)
    with pytest.raises(WeightsError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "absent.pth")
    torch.save({"epoch": 3}, tmp_path / "nothing.pth")
    with pytest.raises(WeightsError, match="found none"):
        read_checkpoint(tmp_path / "nothing.pth")


def test_a_graph_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"x" * 99)
    with pytest.raises(WeightsError, match="a graph, which runs and cannot be trained; expected a checkpoint"):
        read_checkpoint(tmp_path / "net.onnx")
