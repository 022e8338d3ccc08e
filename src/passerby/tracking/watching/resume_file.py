"""Where watching a film goes on after an interruption."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from passerby.errors import DataError
from passerby.files import replace_file


@dataclass(frozen=True)
class WatchedSoFar:
    """How far a film has been watched.

    Attributes:
        source: the film.
        camera: its camera.
        frame: the last frame whose sightings are all told.
    """

    source: str
    camera: str
    frame: int

    def save(self, path: Path) -> None:
        """Write it, so that it is on the disk or the older one is still there."""
        with replace_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)) + "\n", "utf-8")


def frame_to_go_on_after(path: Path, source: str | os.PathLike[str], camera: str) -> int:
    """The last frame that was watched; 0 where nothing was yet.

    Raises:
        DataError: not such a file, or one of another film or camera.
    """
    if not path.exists():
        return 0
    try:
        found = WatchedSoFar(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: does not say how far a film was watched ({error}); name a new file") from None
    if (found.source, found.camera) != (os.fspath(source), camera):
        raise DataError(
            f"{path}: says how far {found.source} was watched as camera {found.camera}, not {os.fspath(source)} as "
            f"{camera}; name another file"
        )
    return found.frame
