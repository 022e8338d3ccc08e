"""Branches: what they look at, where their weights start, and that each learns the labels by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from passerby.config import InputConfig, ModelConfig, RunConfig, TermConfig
from passerby.errors import ConfigError
from passerby.losses import LOSSES
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.heads import Output
from passerby.models.model import ReIDModel, build_model
from passerby.models.weights.checkpoints import load_weights
from passerby.training.objective import Objective
from passerby.training.step import Step

LABELS = torch.arange(8) // 2
TERMS = {"softmax": TermConfig(), "lin": TermConfig(weight=0.5)}


def branched(**settings: object) -> ReIDModel:
    torch.manual_seed(0)
    return build_model(ModelConfig.model_validate({"backbone": "tiny:osnet_x0_25", "tail": "branches", **settings}))


def images() -> Tensor:
    return torch.randn(8, 3, 64, 32, generator=torch.Generator().manual_seed(1))


def parts(vectors: Tensor, model: ReIDModel) -> tuple[Tensor, ...]:
    return torch.split(vectors, list(model.widths), dim=1)


def test_one_vector_in_parts() -> None:
    model = branched()
    assert model.widths == (32, 8, 8, 8, 8, 8)
    output = model(images())
    assert output.feature.shape == output.embedding.shape == (8, model.dim) == (8, 72)
    assert build_model(ModelConfig(backbone="tiny:osnet_x0_25")).widths == (32,)


def test_the_size_that_is_promised() -> None:
    model = build_model(ModelConfig(backbone="osnet_x0_25", tail="branches"))
    assert sum(p.numel() for p in model.parameters()) < 0.7e6
    assert model.dim == 512 + 5 * 128


def test_a_stripe_sees_its_rows_and_a_group_its_channels() -> None:
    model = branched().eval()
    assert model.tail is not None
    before = torch.rand(2, 64, 4, 2)
    striped, upper, lower, grouped = model.tail.maps(before)
    assert torch.equal(torch.cat([upper, lower], dim=2), striped)
    whole = Output(torch.zeros(2, 32), torch.zeros(2, 32))
    pooled = torch.rand(2, sum(model.tail.pooled))
    changed = pooled.clone()
    changed[:, -1] += 1  # a channel of the last group
    ours, theirs = (parts(model.tail(whole, x).feature, model) for x in (pooled, changed))
    assert [not torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)] == [False] * 5 + [True]
    assert grouped.shape[1] == sum(model.tail.pooled[-2:])


def test_copies_start_from_the_file_as_the_layers_they_copy(tmp_path: Path) -> None:
    torch.manual_seed(5)
    donor = build_model(ModelConfig(backbone="tiny:osnet_x0_25"))
    torch.save(donor.backbone.state_dict(), tmp_path / "donor.pth")
    model = branched()
    report = load_weights(model, tmp_path / "donor.pth")
    state = model.state_dict()
    assert len(model.copies) > 20
    for copied, source in model.copies.items():
        assert torch.equal(state[copied], donor.state_dict()[source]), copied
    assert set(model.copies) <= set(report.matched)
    torch.testing.assert_close(
        parts(model.eval()(images()).feature, model)[0], donor.eval()(images()).feature, rtol=1e-4, atol=1e-5
    )


def test_own_weights_of_the_branches_come_back(tmp_path: Path) -> None:
    trained = branched()
    for parameter in trained.parameters():
        parameter.data += 0.1
    torch.save(trained.state_dict(), tmp_path / "trained.pth")
    model = branched()
    assert not load_weights(model, tmp_path / "trained.pth").missing
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in model.state_dict().items())


def test_each_part_learns_by_itself() -> None:
    model = branched()
    output = model(images())
    objective = Objective(TERMS, num_ids=4, dim=model.widths)
    values = objective(output, LABELS)
    assert list(values) == ["total", "softmax", "lin"]
    lin = torch.stack([LOSSES["lin"]()(part, LABELS) for part in parts(output.embedding, model)]).mean()
    torch.testing.assert_close(values["lin"], lin.detach())
    torch.testing.assert_close(values["total"].detach(), values["softmax"] + 0.5 * values["lin"])
    values["total"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in objective.parameters())
    unreached = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert unreached == []


def test_a_teacher_is_learnt_from_the_whole() -> None:
    model = branched()
    objective = Objective(TERMS, num_ids=4, dim=model.widths, teacher_dim=3)
    assert objective.distillation is not None
    assert objective.distillation.projection.in_features == model.dim
    assert objective(model(images()), LABELS, torch.randn(8, 3))["distillation"] > 0


@pytest.mark.parametrize("run", [RunConfig(recompute=True), RunConfig(micro_batch=4)])
def test_memory_for_time_gives_the_same_gradients(run: RunConfig) -> None:
    results = []
    for settings in (RunConfig(), run):
        model = branched().double()
        for module in model.modules():  # batch norm sees one group at a time
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        objective = Objective(TERMS, num_ids=4, dim=model.widths).double()
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        step = Step(model, objective, scaler, settings, device=torch.device("cpu"))
        step(images().double(), LABELS, seed=(0,))
        results.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert results[0].keys() == results[1].keys()
    for name, gradient in results[0].items():
        torch.testing.assert_close(results[1][name], gradient, rtol=1e-6, atol=1e-9)


def test_an_encoder_with_branches_comes_back_from_its_folder(tmp_path: Path) -> None:
    config = ModelConfig(backbone="tiny:osnet_x0_25", tail="branches")
    encoder = Encoder.from_model(branched().eval(), InputConfig(height=64, width=32), config)
    encoder.save(tmp_path / "encoder")
    pictures = [np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)]
    loaded = load_encoder(tmp_path / "encoder")
    assert loaded.fingerprint == encoder.fingerprint
    np.testing.assert_allclose(loaded.encode(pictures), encoder.encode(pictures), atol=1e-5)


def test_an_encoder_without_keeps_its_description() -> None:
    model = build_model(ModelConfig(backbone="tiny:osnet_x0_25"))
    encoder = Encoder.from_model(model, InputConfig(height=64, width=32), ModelConfig(backbone="tiny:osnet_x0_25"))
    assert not {"tail", "last_pool"} & set(encoder.model_config)


def test_branches_behind_another_backbone_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'"branches" needs an OSNet, found model\.backbone = \'tiny:resnet18\''):
        branched(backbone="tiny:resnet18")
