import pytest
import torch
from torch import nn

from passerby.config import OptimizerConfig, ScheduleConfig
from passerby.training.optim import (
    AveragedWeights,
    build_optimizer,
    learning_rate_factor,
    parameter_groups,
    set_learning_rate,
)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.neck = nn.Linear(4, 2)


def test_strong_baseline_schedule_is_the_released_one() -> None:
    schedule = ScheduleConfig(epochs=120, warmup_epochs=10, warmup_start=0.01, decay="step", milestones=(40, 70))
    for t in range(10):
        assert learning_rate_factor(schedule, t) == pytest.approx(0.01 * (1 - t / 10) + t / 10)
    assert learning_rate_factor(schedule, 10) == 1
    assert learning_rate_factor(schedule, 39) == 1
    assert learning_rate_factor(schedule, 40) == pytest.approx(0.1)
    assert learning_rate_factor(schedule, 70) == pytest.approx(0.01)


def test_sphere_reid_schedule_meets_both_stated_ends() -> None:
    schedule = ScheduleConfig(epochs=140, warmup_epochs=19, warmup_start=0.05, milestones=(80, 100))
    rates = [1e-3 * learning_rate_factor(schedule, epoch) for epoch in range(140)]
    assert rates[0] == pytest.approx(5e-5)
    assert rates[19] == pytest.approx(1e-3)
    assert rates[:20] == pytest.approx([1e-3 * t / 20 for t in range(1, 21)])
    assert rates[79] == pytest.approx(1e-3)
    assert rates[80] == pytest.approx(1e-4)
    assert rates[100] == pytest.approx(1e-5)


def test_cosine_goes_from_one_to_final_and_a_rate_per_epoch_is_flat_inside_it() -> None:
    schedule = ScheduleConfig(epochs=20, warmup_epochs=0, decay="cosine", final=0.1, per="step")
    assert learning_rate_factor(schedule, 0) == pytest.approx(1)
    assert learning_rate_factor(schedule, 10) == pytest.approx(0.55)
    assert learning_rate_factor(schedule, 20) == pytest.approx(0.1)
    flat = schedule.model_copy(update={"per": "epoch"})
    assert learning_rate_factor(flat, 3.9) == learning_rate_factor(flat, 3.0)
    assert learning_rate_factor(schedule, 3.9) < learning_rate_factor(schedule, 3.0)


def test_groups_hold_every_parameter_once_and_spare_norms_from_decay() -> None:
    model, objective = Small(), nn.Linear(2, 5, bias=False)
    config = OptimizerConfig(head_lr_factor=10, weight_decay=0.5)
    groups = parameter_groups(model, objective, config)
    grouped = [p for group in groups for p in group["params"]]  # type: ignore[attr-defined]
    everything = [*model.parameters(), *objective.parameters()]
    assert sorted(map(id, grouped)) == sorted(map(id, everything))
    for group in groups:
        for parameter in group["params"]:  # type: ignore[attr-defined]
            assert group["weight_decay"] == (0.5 if parameter.ndim > 1 else 0.0)
            in_backbone = any(parameter is p for p in model.backbone.parameters())
            assert group["lr_factor"] == (1.0 if in_backbone else 10.0)
    optimizer = build_optimizer(groups, config)
    assert set_learning_rate(optimizer, 1e-3, 0.5) == pytest.approx(5e-4)
    assert {g["lr"] for g in optimizer.param_groups} == {5e-4, 5e-3}


def test_decay_on_everything_and_faster_biases_as_the_strong_baseline_has_them() -> None:
    model, objective = Small(), nn.Linear(2, 5)
    config = OptimizerConfig(head_lr_factor=10, weight_decay=0.5, decay_norm_and_bias=True, bias_lr_factor=2)
    groups = parameter_groups(model, objective, config)
    owner = {id(p): group for group in groups for p in group["params"]}  # type: ignore[attr-defined]
    named = [*model.named_parameters(), *objective.named_parameters()]
    assert len(owner) == len(named)
    for name, parameter in named:
        group = owner[id(parameter)]
        assert group["weight_decay"] == 0.5
        bias, head = 2 if name.endswith("bias") else 1, 1 if name.startswith("backbone") else 10
        assert group["lr_factor"] == bias * head


def test_average_follows_the_written_rule_and_resumes() -> None:
    model = Small()
    average = AveragedWeights(model, 0.9)
    expected = model.neck.weight.detach().double().clone()
    for n in range(1, 6):
        with torch.no_grad():
            model.neck.weight.add_(1.0)
        average.update(model)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * model.neck.weight.detach().double()
    assert torch.allclose(average.tensors["neck.weight"].double(), expected, atol=1e-6)
    again = AveragedWeights(Small(), 0.9)
    again.load_state_dict(average.state_dict())
    assert again.updates == 5
    assert torch.equal(again.tensors["neck.weight"], average.tensors["neck.weight"])
    again.update(model)
    average.update(model)
    assert torch.equal(again.tensors["neck.weight"], average.tensors["neck.weight"])


def updated(config: OptimizerConfig, steps: int, state: dict[str, object] | None = None) -> tuple[nn.Module, object]:
    """A small model after some steps with drawn gradients, and the optimiser's state."""
    torch.manual_seed(0)
    model = Small()
    if state is not None:
        model.load_state_dict(state["model"])  # type: ignore[arg-type]
    optimizer = build_optimizer(parameter_groups(model, nn.Linear(2, 5, bias=False), config), config)
    if state is not None:
        optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
    first = 0 if state is None else int(state["steps"])  # type: ignore[call-overload]
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return model, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "steps": first + steps}


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_fused_updates_are_the_plain_ones_and_resume_bit_for_bit(name: str) -> None:
    config = OptimizerConfig(name=name, lr=1e-2, weight_decay=0.1)
    model, _ = updated(config, 6)
    plain, _ = updated(config.model_copy(update={"fused": False}), 6)
    for ours, expected in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    _, state = updated(config, 2)
    resumed, _ = updated(config, 4, state)  # type: ignore[arg-type]
    for ours, expected in zip(resumed.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, expected)


def test_without_a_fused_kernel_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = torch.optim.Adam

    def without_kernel(*arguments: object, fused: bool | None = None, **settings: object) -> torch.optim.Optimizer:
        if fused:
            raise RuntimeError("`fused=True` requires something else")
        return real(*arguments, fused=fused, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.optim, "Adam", without_kernel)
    with caplog.at_level("INFO", "passerby"):
        optimizer = build_optimizer(parameter_groups(Small(), nn.Linear(2, 5), OptimizerConfig()), OptimizerConfig())
    assert not optimizer.defaults["fused"]
    assert "optimizer.fused: not here (`fused=True` requires something else)" in caplog.text
