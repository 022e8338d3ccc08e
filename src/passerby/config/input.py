"""From an image file to the network's input."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from passerby.config.settings_group import GreyBits, Positive, Settings


class InputConfig(Settings):
    """From an image file to the network's input."""

    height: Positive = 256
    """Pixels."""
    width: Positive = 128
    """Pixels."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Per channel (RGB, 0..1) mean that is subtracted; ImageNet's."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Per channel standard deviation that is divided by; ImageNet's."""
    bits: GreyBits = 16
    """Bits of the values that files store in 16: 10, 12 or 14 for such a thermal camera. Pictures of 8 bits, and files
    that state their range, stay as they are."""
    cache: Literal["memory", "disk", "none"] = "memory"
    """Where decoded, resized images (uint8) are stored: in memory, in a memory-mapped file, or nowhere."""
    cache_dir: Path | None = None
    """Folder of the memory-mapped file (default: the user's cache folder)."""
