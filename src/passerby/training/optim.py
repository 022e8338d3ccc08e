"""How gradients move weights: parameter groups, optimisers, learning-rate factors, averaged weights."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from passerby.config import OptimizerConfig, ScheduleConfig

log = logging.getLogger("passerby")


def parameter_groups(model: nn.Module, objective: nn.Module, config: OptimizerConfig) -> list[dict[str, object]]:
    """Split parameters by weight decay and by learning-rate factor.

    Biases and normalisation layers (one-dimensional parameters) get no weight decay, unless `decay_norm_and_bias`.
    Everything outside `model.backbone` (neck, embedding layers, the losses' class weights) learns `head_lr_factor`
    times as fast, and biases `bias_lr_factor` times.

    Args:
        model: has a submodule `backbone`.
        objective: the losses, with whatever parameters they own.
        config: decay and factors.

    Returns:
        Groups for a torch optimiser; each carries its factor as `lr_factor`.
    """
    named = [(name, name.startswith("backbone."), p) for name, p in model.named_parameters()]
    named += [(name, False, p) for name, p in objective.named_parameters()]
    members: dict[tuple[bool, bool, bool], list[nn.Parameter]] = {}
    for name, pretrained, p in named:
        decays = p.ndim > 1 or config.decay_norm_and_bias
        faster = config.bias_lr_factor != 1 and name.rpartition(".")[2] == "bias"
        members.setdefault((not pretrained, not decays, faster), []).append(p)
    groups: list[dict[str, object]] = []
    for (head, spared, faster), chosen in sorted(members.items(), key=lambda item: item[0]):
        factor = (config.head_lr_factor if head else 1.0) * (config.bias_lr_factor if faster else 1.0)
        decay = 0.0 if spared else config.weight_decay
        groups.append({"params": chosen, "weight_decay": decay, "lr_factor": factor})
    return groups


def build_optimizer(groups: list[dict[str, object]], config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimiser by name, at the base learning rate; fused where `config` wants it and torch has it."""
    if config.fused:
        try:
            return _build(groups, config, fused=True)
        except RuntimeError as error:  # how torch says that the device or the dtype has no such kernel
            log.info("optimizer.fused: not here (%s)", error)
    return _build(groups, config, fused=None)


def _build(groups: list[dict[str, object]], config: OptimizerConfig, *, fused: bool | None) -> torch.optim.Optimizer:
    groups = [dict(group) for group in groups]  # torch writes its defaults into them
    if config.name == "sgd":
        nesterov = config.momentum > 0
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov, fused=fused)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.lr, betas=(config.momentum, config.beta2), fused=fused)


def learning_rate_factor(schedule: ScheduleConfig, epoch: float) -> float:
    """Factor of the base rate at a 0-based epoch (its fraction counts where the rate changes at every step).

    Warm-up is linear, w (1 - t/T) + t/T with w = `warmup_start` and T = `warmup_epochs`, as in the released
    scheduler of Luo et al. 2019. SphereReID's 1e-3 t/20 for the 1-based epochs 1..20 is w = 0.05, T = 19.
    A step decay at milestone m holds from the 0-based epoch m on, that is after m epochs.

    After small images (`small_until`) the full-size epochs begin at `full_size_rate` at least, and decay from there
    over what is left: a cosine from the switch to the end, steps by the milestones behind it.
    """
    t = epoch if schedule.per == "step" else math.floor(epoch)
    if t < schedule.warmup_epochs:
        share = t / schedule.warmup_epochs
        return schedule.warmup_start * (1 - share) + share
    switch = schedule.small_epochs
    begin = schedule.full_size_rate
    reached = _decay(schedule, switch, schedule.warmup_epochs)
    if 0 < switch <= t and reached < begin:  # the full-size part would learn next to nothing: it decays anew
        if schedule.decay == "cosine":
            return begin * _decay(schedule, t, switch)
        return begin * _decay(schedule, t, schedule.warmup_epochs) / reached
    return _decay(schedule, t, schedule.warmup_epochs)


def _decay(schedule: ScheduleConfig, t: float, start: float) -> float:
    """Factor after the warm-up; a cosine goes from 1 at the epoch `start` to `final` at the end."""
    if schedule.decay == "step":
        return schedule.gamma ** sum(t >= milestone for milestone in schedule.milestones)
    if schedule.decay == "cosine":
        span = max(schedule.epochs - start, 1e-9)
        share = min(max(t - start, 0.0) / span, 1.0)
        return schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * share))
    return 1.0


def set_learning_rate(optimizer: torch.optim.Optimizer, base: float, factor: float) -> float:
    """Set every group's rate to base x factor x its own factor; returns base x factor."""
    for group in optimizer.param_groups:
        group["lr"] = base * factor * group["lr_factor"]
    return base * factor


class AveragedWeights:
    """Exponential moving average of a model's weights and batch-norm statistics.

    The decay starts small, min(decay, (1 + n) / (10 + n)) after n updates, so that early weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.tensors = {name: t.detach().clone() for name, t in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        current = model.state_dict()
        floating = [name for name, t in self.tensors.items() if t.is_floating_point()]
        targets: list[Tensor] = [self.tensors[name] for name in floating]
        torch._foreach_lerp_(targets, [current[name] for name in floating], 1 - decay)
        counts = [name for name, t in self.tensors.items() if not t.is_floating_point()]
        if counts:
            torch._foreach_copy_([self.tensors[name] for name in counts], [current[name] for name in counts])

    def take_statistics(self, model: nn.Module) -> None:
        """Replace the averaged batch-norm statistics by the model's present ones."""
        for name, buffer in model.named_buffers():
            if name in self.tensors:
                self.tensors[name].copy_(buffer)

    def state_dict(self) -> dict[str, object]:
        """Everything needed to go on averaging."""
        return {"updates": self.updates, "tensors": self.tensors}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Restore what `state_dict` gave."""
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        saved: Mapping[str, Tensor] = state["tensors"]  # type: ignore[assignment]
        for name, tensor in self.tensors.items():
            tensor.copy_(saved[name])
