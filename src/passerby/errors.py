"""Every error that passerby raises on purpose.

PasserbyError                 something went wrong that the message explains; exit code 1
├── UsageError                the caller asked for something impossible; exit code 2
│   ├── ConfigError           an unknown recipe, key or value
│   ├── DataError             a dataset, manifest or image that is not what it should be
│   │   └── ImageError        one image cannot be read (missing, truncated, too large)
│   ├── WeightsError          a checkpoint that is not plain tensors or belongs to another model
│   ├── EmbeddingError        vectors and labels that do not fit each other
│   ├── GalleryError          a gallery that cannot be opened, or vectors of another encoder
│   │   ├── DamagedGalleryError    stored bytes that cannot be read any more
│   │   ├── GalleryRequestError    something that this gallery cannot do; it is sound
│   │   └── NotInGalleryError      no identity, observation or change of this name or number
│   └── MissingExtraError     an optional dependency that is not installed
├── TrainingError             training cannot go on (NaN or Inf, a lost process)
├── NetworkError              something could not be fetched (no connection, no address, a damaged download)
└── StorageError              writing failed (disk full, read-only); what was there before is intact

Messages say what was expected, what was found, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PasserbyError(Exception):
    """Base of every deliberate error.

    Attributes:
        exit_code: what the command line returns.
        reported: already logged (by one of several processes, for all), so that it is not printed again.
    """

    exit_code = 1
    reported = False


class UsageError(PasserbyError):
    """The caller asked for something that cannot be done as asked."""

    exit_code = 2


class ConfigError(UsageError):
    """An unknown recipe, an unknown setting or a value out of range."""


class DataError(UsageError):
    """A dataset, a manifest or a label that is not what it should be."""


class ImageError(DataError):
    """One image cannot be read: missing, empty, truncated, not an image, or too large."""


class WeightsError(UsageError):
    """A checkpoint that is not plain tensors, or that belongs to another model."""


class EmbeddingError(UsageError):
    """Vectors, person ids and camera ids that do not fit each other."""


class GalleryError(UsageError):
    """A gallery that cannot be opened, or that belongs to another encoder."""


class DamagedGalleryError(GalleryError):
    """What a gallery stores cannot be read any more; no request can help."""


class GalleryRequestError(GalleryError):
    """A gallery is asked for something it cannot do; it is sound, and another request may do."""


class NotInGalleryError(GalleryError):
    """No identity, observation or change of this name or number."""


class MissingExtraError(UsageError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'passerby[{extra}]'")


class TrainingError(PasserbyError):
    """Training cannot go on; the message names the term, epoch and step, and what was kept."""


class NetworkError(PasserbyError):
    """Something could not be fetched; the message says what, and how to get it by hand."""


class StorageError(PasserbyError):
    """Writing failed; what was stored before is intact."""


_MANY_NAMES = 40


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Message for a name that is not in a table, with the nearest known one; of a long table, near ones only."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if near and len(names) > _MANY_NAMES:
        others = f"; or {', '.join(near[1:])}" if len(near) > 1 else ""
        return f"unknown {kind} {name!r}: did you mean {near[0]!r}{others}? ({len(names)} are known)"
    return f"unknown {kind} {name!r}: {hint}known are {', '.join(names)}"
