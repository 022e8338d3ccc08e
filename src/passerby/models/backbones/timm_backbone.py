"""Any model of timm (pytorch-image-models) as a backbone: `ModelConfig(backbone="timm:NAME")`, extra `timm`."""

from __future__ import annotations

import difflib
from typing import Any

import torch
from torch import Tensor, nn

from passerby.errors import ConfigError, MissingExtraError

_PROBE = (256, 128)


class TimmBackbone(nn.Module):
    """A timm model without its classifier and pooling; `forward` gives a feature map.

    Transformers with a class token give that token as a map of 1 x 1; others give their tokens as a map of n x 1.
    Vision transformers interpolate their position embeddings to the image's size, so 256x128 works.

    Args:
        name: what `timm.create_model` takes.

    Raises:
        MissingExtraError: timm (or the torchvision it needs) is not installed.
        ConfigError: timm knows no such model, or its torchvision does not fit this torch.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.model = _create(name)
        self.fc = nn.Identity()
        self._name, self._recompute = name, False
        # num_features says what the pooling would give, which for some models (MobileNetV3) is not the map's width
        self.channels = self.dim = self._probe(name)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, channels, h, w]."""
        x: Tensor = self.model(images)
        if x.ndim == 4:
            last = str(getattr(self.model, "output_fmt", "")).endswith("NHWC")  # Swin and others
            return x.permute(0, 3, 1, 2) if last else x
        if x.ndim == 2:
            return x[:, :, None, None]
        token = int(getattr(self.model, "num_prefix_tokens", 0)) > 0
        tokens = x[:, :1] if token else x
        return tokens.transpose(1, 2)[:, :, :, None]

    @property
    def recompute(self) -> bool:
        """Whether activations are computed again in the backward pass."""
        return self._recompute

    @recompute.setter
    def recompute(self, wanted: bool) -> None:
        """Switch it on or off.

        Raises:
            ConfigError: this timm model cannot.
        """
        try:
            self.model.set_grad_checkpointing(wanted)
        except (AttributeError, AssertionError) as error:  # how timm says that a model cannot
            raise ConfigError(
                f"run.recompute: the backbone 'timm:{self._name}' cannot compute activations again "
                f"({error}); leave it off, or set run.micro_batch"
            ) from error
        self._recompute = wanted

    def _probe(self, name: str) -> int:
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return int(self(torch.zeros(1, 3, *_PROBE)).shape[1])
        except (AssertionError, RuntimeError) as error:
            raise ConfigError(
                f"the backbone 'timm:{name}' cannot read images of {_PROBE[0]}x{_PROBE[1]} ({error}); "
                "choose one without a fixed input size"
            ) from error
        finally:
            self.train(was_training)


def _create(name: str) -> Any:
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "timm", f"the backbone 'timm:{name}'") from error
    except RuntimeError as error:  # a torchvision built for another torch fails while it registers its operators
        raise ConfigError(
            f"the backbone 'timm:{name}': timm cannot be imported ({error}); "
            "install the torchvision that fits this torch"
        ) from error
    if not timm.is_model(name.partition(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), n=5)
        raise ConfigError(f"unknown timm model {name!r}" + (f": did you mean {', '.join(near)}?" if near else ""))
    options = {"pretrained": False, "num_classes": 0, "global_pool": ""}
    try:
        return timm.create_model(name, **options, dynamic_img_size=True)
    except TypeError:  # not a vision transformer: no such option
        return timm.create_model(name, **options)
