"""Gradients of a batch that passes through the network in parts are those of the whole batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from passerby.config import ModelConfig, RunConfig, TermConfig
from passerby.models.model import ReIDModel, build_model
from passerby.training.objective import Objective
from passerby.training.step import Step, statistics_kept

CPU = torch.device("cpu")
LABELS = torch.arange(12) // 3
SEED = (0, 3, 1, 0)
TERMS = {
    "softmax": TermConfig(arguments={"label_smoothing": 0.1}),
    "batch_hard_triplet": TermConfig(weight=0.5),
    "lin": TermConfig(weight=0.4),
    "center": TermConfig(weight=0.01),
}


def images(dtype: torch.dtype = torch.float64, *, height: int = 32) -> Tensor:
    return torch.randn(12, 3, height, height // 2, generator=torch.Generator().manual_seed(1)).to(dtype)


def network(backbone: str = "tiny:resnet50", **settings: object) -> tuple[ReIDModel, Objective]:
    torch.manual_seed(0)
    config = ModelConfig.model_validate({"backbone": backbone, "fc_dims": [16], "dropout": 0.3, **settings})
    model = build_model(config)
    for parameter in model.parameters():  # so that no scale or shift stays at its start
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.rand_like(parameter)
    return model.double().train(), Objective(TERMS, num_ids=4, dim=model.dim).double()


def step(
    model: ReIDModel, objective: Objective, micro_batch: int, scaler: torch.amp.GradScaler | None = None
) -> dict[str, Tensor]:
    scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
    return Step(model, objective, scaler, RunConfig(micro_batch=micro_batch), device=CPU)(images(), LABELS, seed=SEED)


def gradients(*modules: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for module in modules for p in module.parameters() if p.grad is not None]


def assert_near(ours: list[Tensor], expected: list[Tensor], tolerance: float = 1e-9) -> None:
    """Each tensor differs by less than `tolerance` of the largest of all: some gradients are 0 but for rounding."""
    assert len(ours) == len(expected) > 0
    scale = max(float(e.abs().max()) for e in expected)
    for mine, other in zip(ours, expected, strict=True):
        assert float((mine - other).abs().max()) <= tolerance * max(float(other.abs().max()), 1e-3 * scale)


def backbone_norms_off(model: ReIDModel) -> None:
    for module in model.backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@pytest.mark.parametrize("micro_batch", [1, 4, 5, 11])
@pytest.mark.parametrize("backbone", ["tiny:resnet50", "tiny:osnet_x0_25"])
def test_parts_give_the_gradient_of_the_whole(backbone: str, micro_batch: int) -> None:
    results = []
    for size in (0, micro_batch):
        model, objective = network(backbone, pooling="gem")
        backbone_norms_off(model)
        terms = step(model, objective, size)
        results.append(
            (terms, gradients(model, objective), dict(model.named_buffers()), dict(objective.named_buffers()))
        )
    (whole_terms, whole, *whole_buffers), (terms, parts, *buffers) = results
    for name, value in whole_terms.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-12)
    assert_near(parts, whole)
    # the neck, the head's norms and the centres saw the same batch, once
    for mine, other in zip(buffers, whole_buffers, strict=True):
        for name, buffer in other.items():
            torch.testing.assert_close(mine[name], buffer, rtol=1e-10, atol=1e-10)


def in_one_graph(model: ReIDModel, objective: Objective, parts: int) -> Tensor:
    """The slow, obvious way: all parts stay in memory, batch norm sees one of them at a time."""
    pooled = torch.cat([model.pool(model.backbone(part)) for part in images().tensor_split(parts)])
    torch.manual_seed(0)
    total = objective(model.vectors(pooled), LABELS)["total"]
    total.backward()
    whole: Tensor = total
    return whole


@pytest.mark.parametrize("backbone", ["tiny:resnet50_ibn_a", "tiny:osnet_x0_25", "tiny:mobilenet_v2"])
def test_batch_norm_sees_one_part_at_a_time_and_counts_it_once(backbone: str) -> None:
    model, objective = network(backbone, dropout=0.0)
    total = in_one_graph(model, objective, 3)
    expected, buffers = gradients(model, objective), dict(model.named_buffers())
    model, objective = network(backbone, dropout=0.0)
    assert step(model, objective, 4)["total"].item() == pytest.approx(total.item(), rel=1e-12)
    assert_near(gradients(model, objective), expected)
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(buffer, buffers[name], rtol=0, atol=0)


class WithDropout(nn.Module):
    """A backbone that draws random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Identity()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        dropped = nn.functional.dropout(self.conv(x), 0.5, self.training)
        self.seen.append((dropped == 0).detach())
        return dropped


def test_both_passes_draw_the_same_dropout_and_parts_draw_others() -> None:
    model, objective = network()
    model.backbone = WithDropout().double()
    model.head.fc = nn.Sequential(nn.Linear(8, 16)).double()
    step(model, objective, 4)
    first, second, last, first_again, second_again = model.backbone.seen
    assert torch.equal(first, first_again)
    assert torch.equal(second, second_again)
    assert not torch.equal(first, second)
    assert not torch.equal(second, last)


def test_a_frozen_backbone_has_one_pass() -> None:
    results, calls = [], []
    for size in (0, 4):
        model, objective = network()
        model.backbone.requires_grad_(False).eval()
        model.backbone.register_forward_hook(lambda *_: calls.append(1))
        step(model, objective, size)
        results.append(gradients(model, objective))
    assert len(calls) == 1 + 3
    assert_near(results[1], results[0])


def test_scaled_losses_give_scaled_gradients() -> None:
    results = []
    for size in (0, 4):
        model, objective = network()
        backbone_norms_off(model)
        step(model, objective, size, torch.amp.GradScaler("cpu", init_scale=1024.0))
        results.append(gradients(model, objective))
    assert_near(results[1], results[0])
    model, objective = network()
    backbone_norms_off(model)
    step(model, objective, 4)
    assert_near([g / 1024 for g in results[0]], gradients(model, objective))


def test_bfloat16_passes_cast_the_weights_with_gradient() -> None:
    results = []
    for size in (0, 4):
        model, objective = network("tiny:resnet50", dropout=0.0)
        model, objective = model.float(), objective.float()
        backbone_norms_off(model)
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        run = RunConfig(micro_batch=size)
        backpropagate = Step(model, objective, scaler, run, device=CPU, precision=torch.bfloat16)
        # not 32x16: oneDNN 3.12 with AMX reads past maps two pixels wide in a 3x3 convolution of stride 2
        backpropagate(images(torch.float32, height=64), LABELS, seed=SEED)
        results.append(gradients(model, objective))
    assert_near(results[1], results[0], 0.1)


def test_statistics_are_kept_and_come_back() -> None:
    norm = nn.BatchNorm2d(4)
    x = torch.randn(5, 4, 3, 3)
    norm(x)
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    with statistics_kept(norm):
        norm(x + 1)
    for name, buffer in norm.named_buffers():
        assert torch.equal(buffer, before[name])
    assert norm.momentum == 0.1
    norm(x + 1)
    assert norm.num_batches_tracked == 2
    assert norm.running_mean is not None
    assert not torch.equal(norm.running_mean, before["running_mean"])
