"""Any model of timm (pytorch-image-models) as a backbone: `ModelConfig(backbone="timm:NAME")`, extra `timm`."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from passerby.errors import ConfigError, MissingExtraError, unknown_name


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
        self.channels = self.dim = int(self.model.num_features)
        self.fc = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, channels, h, w]."""
        x: Tensor = self.model(images)
        if x.ndim == 4:
            last = x.shape[-1] == self.channels != x.shape[1]  # Swin and others keep channels last
            return x.permute(0, 3, 1, 2) if last else x
        if x.ndim == 2:
            return x[:, :, None, None]
        token = int(getattr(self.model, "num_prefix_tokens", 0)) > 0
        tokens = x[:, :1] if token else x
        return tokens.transpose(1, 2)[:, :, :, None]


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
        raise ConfigError(unknown_name("timm model", name, timm.list_models()[:2000]))
    options = {"pretrained": False, "num_classes": 0, "global_pool": ""}
    try:
        return timm.create_model(name, **options, dynamic_img_size=True)
    except TypeError:  # not a vision transformer: no such option
        return timm.create_model(name, **options)
