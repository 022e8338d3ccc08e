"""What cameras are called in a report: as in the names of the image files, where those name them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from passerby.embedding.embeddings import Embeddings

_IN_NAME = re.compile(r"(?:^|[_-])(?:camera|cam|c)_?0*(\d+)(?=\D|$)", re.IGNORECASE)


class CameraNames:
    """Numbers of cameras as files name them (c1, cam_02); records count them from 0.

    Args:
        parts: all embeddings of the report. Where the names of all their images give the camera's number plus one, that
            is the number shown; else that of the records.
    """

    def __init__(self, parts: Sequence[Embeddings]) -> None:
        self.first = int(bool(parts) and all(_counted_from_one(part) for part in parts))

    def number(self, camid: int) -> int:
        """The number of a camera as the data has it."""
        return camid + self.first

    def of(self, camid: int) -> str:
        """A camera in words."""
        return f"camera {self.number(camid)}" if camid >= 0 else "camera unknown"


def _counted_from_one(part: Embeddings) -> bool:
    if not part.paths or not len(part):
        return False
    for path, camid in zip(part.paths, part.camids.tolist(), strict=True):
        found = _IN_NAME.search(re.split(r"[/\\]", path)[-1])
        if found is None or int(found[1]) != camid + 1:
            return False
    return True
