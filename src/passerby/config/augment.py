"""Random changes of training images."""

from __future__ import annotations

from pydantic import Field, field_validator

from passerby.config.settings_group import NonNegative, Settings, Share


class AugmentConfig(Settings):
    """Random changes of training images (Luo et al. 2019, arXiv:1903.07071, unless said otherwise)."""

    flip: Share = 0.5
    """Probability of a left-right flip."""
    pad: NonNegative = 10
    """Pixels of zero padding before a random crop back to the input size (at 256x128; scales with the height)."""
    enlarge: float = Field(1.0, ge=1.0, le=2.0)
    """Images are resized to so many times the input size, and the random crop is taken from that (SphereReID, Fan et
    al. 2019, arXiv:1807.00537: 1.125 without padding, 288x144 to 256x128); 1: the input size itself."""
    color_jitter: Share = 0.0
    """Strength of random brightness, contrast and saturation; 0 leaves colours alone."""
    erasing: Share = 0.5
    """Probability of random erasing (Zhong et al. 2020, arXiv:1708.04896)."""
    erasing_area: tuple[float, float] = (0.02, 0.4)
    """Smallest and largest share of the image that is erased."""
    erasing_aspect: float = Field(0.3, gt=0.0, le=1.0)
    """Smallest height-to-width ratio of the erased box; the largest is its inverse."""

    @field_validator("erasing_area")
    @classmethod
    def _from_small_to_large(cls, area: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= area[0] <= area[1] <= 1.0:
            raise ValueError("expected two shares between 0 and 1, the smaller one first")
        return area
