"""Names in a checkpoint that belong to no backbone."""

from __future__ import annotations

import re

_NOT_BACKBONE = re.compile(
    r"(classifier\w*|fc|last_linear|heads?|bottleneck|bnneck|pixel_mean|pixel_std|aux_logits|loss\w*|projector|predictor)"
    r"(\.|$)"
)


def is_backbone(name: str, prefix: str) -> bool:
    """Whether a name in a file looks like a backbone's.

    Args:
        name: in the file.
        prefix: what stands before the backbone's names there.
    """
    return name.startswith(prefix) and _NOT_BACKBONE.match(name.removeprefix(prefix)) is None
