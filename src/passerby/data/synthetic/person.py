"""Drawn persons: what stays the same from camera to camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Color: TypeAlias = tuple[int, int, int]

# Clothes come from few colours, the plain ones most often, so that many people share them.
_CLOTHES: tuple[tuple[Color, float], ...] = (
    ((28, 28, 32), 4.0), ((92, 94, 98), 2.5), ((172, 172, 170), 2.0), ((226, 224, 218), 3.0), ((34, 46, 92), 3.0),
    ((62, 98, 164), 2.0), ((128, 168, 206), 1.5), ((158, 36, 40), 1.5), ((204, 92, 120), 1.0), ((52, 100, 62), 1.2),
    ((132, 138, 78), 1.0), ((206, 168, 60), 1.0), ((206, 112, 44), 0.8), ((98, 66, 46), 1.2), ((186, 160, 124), 1.5),
    ((98, 62, 122), 0.8),
)  # fmt: skip
_TROUSERS: tuple[tuple[Color, float], ...] = (
    ((26, 26, 30), 4.0), ((40, 52, 88), 3.5), ((92, 112, 148), 2.0), ((86, 86, 90), 1.5), ((168, 148, 116), 1.5),
    ((214, 212, 206), 0.8), ((88, 62, 46), 0.8), ((70, 78, 54), 0.7), ((140, 44, 48), 0.4),
)  # fmt: skip
_SKIN: tuple[Color, ...] = ((238, 202, 176), (222, 178, 146), (190, 140, 104), (142, 98, 70), (92, 64, 48))
_HAIR: tuple[Color, ...] = ((24, 20, 20), (54, 38, 28), (98, 66, 40), (176, 138, 84), (134, 58, 32), (150, 148, 146))
_PATTERNS = ("plain", "plain", "plain", "bands", "stripes", "checks", "block", "print", "open")
COMMON_OUTFITS = 12
_SHARE_IN_COMMON = 0.45  # of the people; they differ only in body, hair, shoes and bag
_BAGS = ("none", "none", "none", "backpack", "backpack", "shoulder", "hand")


@dataclass(frozen=True)
class Person:
    """What stays the same from camera to camera."""

    height: float
    build: float
    skin: Color
    hair: Color
    hairdo: str  # short, long, bun, cap, bald
    top: Color
    accent: Color
    pattern: str
    period: int
    sleeves: float  # share of the arm that is covered
    legwear: str  # trousers, shorts, skirt, dress
    bottom: Color
    shoes: Color
    bag: str
    bag_color: Color

    @staticmethod
    def of(seed: int, pid: int, common_outfits: int = COMMON_OUTFITS) -> Person:
        """The person with this id: a body, and an outfit that is one's own or one of a few that many wear."""
        rng = np.random.default_rng((seed, 1, pid))
        shared = int(rng.integers(common_outfits)) if rng.random() < _SHARE_IN_COMMON else None
        outfit = rng if shared is None else np.random.default_rng((seed, 3, shared))
        top = _shade(_pick(_CLOTHES, outfit), outfit)
        accent = _pick(_CLOTHES, outfit)
        while sum(abs(a - b) for a, b in zip(accent, top, strict=True)) < 110:  # a pattern has to be seen
            accent = _pick(_CLOTHES, outfit)
        return Person(
            top=_shade(top, rng, 5),
            accent=accent,
            pattern=str(outfit.choice(_PATTERNS)),
            period=int(outfit.integers(5, 9)),
            sleeves=float(outfit.choice((0.35, 1.0))),
            legwear=str(outfit.choice(("trousers", "shorts", "skirt", "dress"), p=(0.68, 0.14, 0.1, 0.08))),
            bottom=_shade(_pick(_TROUSERS, outfit), outfit),
            height=float(rng.uniform(0.9, 1.04)),
            build=float(rng.uniform(0.82, 1.22)),
            skin=_shade(_SKIN[int(rng.choice(5, p=(0.3, 0.3, 0.2, 0.12, 0.08)))], rng, 6),
            hair=_HAIR[int(rng.choice(6, p=(0.34, 0.26, 0.16, 0.1, 0.06, 0.08)))],
            hairdo=str(rng.choice(("short", "long", "bun", "cap", "bald"), p=(0.48, 0.28, 0.08, 0.1, 0.06))),
            shoes=_shade(_pick(_CLOTHES, rng), rng),
            bag=str(rng.choice(_BAGS)),
            bag_color=_shade(_pick(_CLOTHES, rng), rng),
        )


def _pick(table: tuple[tuple[Color, float], ...], rng: np.random.Generator) -> Color:
    weights = np.array([weight for _, weight in table])
    return table[int(rng.choice(len(table), p=weights / weights.sum()))][0]


def _shade(color: Color, rng: np.random.Generator, spread: int = 12) -> Color:
    moved = np.clip(np.array(color) + rng.normal(0.0, spread, 3), 8, 247)
    return int(moved[0]), int(moved[1]), int(moved[2])
