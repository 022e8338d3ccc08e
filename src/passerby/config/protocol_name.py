"""Names of the closed-set protocols, for what names one before anything is evaluated."""

from __future__ import annotations

from typing import Literal

ProtocolName = Literal["market1501", "cuhk03", "single_shot", "all_shots", "multi_query", "video", "no_cameras"]
"""What each means: `passerby.evaluation.closed_set.protocols`."""
