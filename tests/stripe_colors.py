"""An encoder for drawn people that needs no training."""

import torch
import torch.nn.functional as F


class StripeColors:
    """Colours of the middle of horizontal stripes, whatever the light: enough to tell drawn people apart."""

    name = "torch"
    dim = 24
    threads = 1

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        width = images.shape[3]
        middle = images[:, :, :, 3 * width // 8 : -3 * width // 8].float() / 255
        stripes = torch.log(F.adaptive_avg_pool2d(middle, (8, 1)).flatten(2) + 0.05)
        return F.normalize((stripes - stripes.mean(dim=2, keepdim=True)).flatten(1))
