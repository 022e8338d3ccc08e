"""How gradients move the weights."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from passerby.config.settings_group import Settings


class OptimizerConfig(Settings):
    """How gradients move the weights."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimiser."""
    lr: float = Field(3.5e-4, gt=0.0, allow_inf_nan=False)
    """Base learning rate, after warm-up."""
    weight_decay: float = Field(5e-4, ge=0.0, allow_inf_nan=False)
    """L2 penalty (adam, sgd) or decoupled decay (adamw)."""
    decay_norm_and_bias: bool = False
    """Apply weight_decay to biases and normalisation layers too, as the strong baseline does (Luo et al. 2019)."""
    momentum: float = Field(0.9, ge=0.0, lt=1.0)
    """sgd's momentum, Adam's first beta."""
    beta2: float = Field(0.999, ge=0.0, lt=1.0)
    """Adam's second beta."""
    head_lr_factor: float = Field(1.0, gt=0.0, allow_inf_nan=False)
    """Learning-rate factor of everything that does not come from the pretrained backbone."""
    bias_lr_factor: float = Field(1.0, gt=0.0, allow_inf_nan=False)
    """Learning-rate factor of biases, those of normalisation layers included (a setting of the strong baseline)."""
    fused: bool = True
    """Update all weights in one kernel, where torch has one for the device."""
    clip_norm: float = Field(0.0, ge=0.0)
    """Clip the gradient's global norm; 0 does not."""
    ema_decay: float = Field(0.0, ge=0.0, lt=1.0)
    """Decay a step of an exponential moving average of the weights, which is then what is evaluated; 0: none."""
