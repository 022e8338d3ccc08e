"""What turns preprocessed pixels into unit vectors: torch, ONNX Runtime or OpenVINO behind one call."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from passerby.models.model import ReIDModel


class Preprocessing(BaseModel):
    """From RGB uint8 pixels to what a network reads; it travels with the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int
    """Pixels."""
    width: int
    """Pixels."""
    mean: tuple[float, float, float]
    """Subtracted per channel, after scaling to 0..1."""
    std: tuple[float, float, float]
    """Divided by per channel."""

    def __call__(self, images: Tensor) -> Tensor:
        """RGB uint8 [n, 3, height, width] -> float32, normalised, channels last."""
        x = images.to(torch.float32, memory_format=torch.channels_last)
        mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return (x / 255 - mean) / std


class Engine(Protocol):
    """Runs a network on a batch."""

    name: str
    dim: int

    def __call__(self, images: Tensor) -> Tensor:
        """RGB uint8 [n, 3, height, width] -> float32 [n, dim] with rows of unit length."""
        ...


class TorchEngine:
    """The model itself, wherever its weights lie, in evaluation mode for the time of a call."""

    name = "torch"

    def __init__(self, model: ReIDModel, preprocessing: Preprocessing) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self.dim = model.dim

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.model.parameters()).device

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """See `Engine`."""
        was_training = self.model.training
        self.model.eval()
        try:
            embedding = self.model(self.preprocessing(images.to(self.device, non_blocking=True))).embedding
        finally:
            self.model.train(was_training)
        return F.normalize(embedding)
