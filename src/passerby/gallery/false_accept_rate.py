"""The false accept rate that a gallery is asked for: stored with it, or another for one open gallery."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from passerby.errors import GalleryError, GalleryRequestError
from passerby.gallery.stores.protocol import Settings, Store

DEFAULT_FAR = 0.01
"""Unless another is set."""


def stored_far(settings: Settings) -> float:
    """The rate that a gallery with these settings is asked for."""
    return DEFAULT_FAR if settings.far is None else settings.far


def agreed_far(store: Store, far: float | None, *, override: bool, read_only: bool) -> float | None:
    """What `Gallery.open(far=)` asks for: stored in a new gallery, else it must agree with what is stored.

    Returns:
        A rate for this open gallery alone; None: the stored one.

    Raises:
        GalleryError: not a rate, another one than the stored one without `override`, or `override` without a rate.
    """
    if far is None:
        if override:
            raise GalleryRequestError("override_far: goes with far=")
        return None
    asked = checked_far(far)
    if override:
        return asked
    settings = store.settings()
    if settings.far is None and not settings.dim and not read_only:
        with store.transaction():
            store.change_settings(replace(store.settings(), far=asked))
        return None
    stored = stored_far(settings)
    if asked != stored:
        raise GalleryError(
            f"{store.location}: its false accept rate is {stored:.2%}, found {asked:.2%}: leave far (--far) out, or "
            f"change it for good with `set_far` (`passerby gallery calibration GALLERY --far {asked:g} --set-far`); in "
            "Python, override_far=True uses another here only"
        )
    return None


def checked_far(far: float) -> float:
    """A rate above 0 and below 1.

    Raises:
        GalleryError: it is not that.
    """
    if isinstance(far, bool) or not isinstance(far, (int, float)) or not 0 < far < 1:
        raise GalleryRequestError(f"far: expected a share above 0 and below 1 (0.01 is 1 %), found {far!r}")
    return float(far)


def checked_kind(kind: str) -> Literal["identify", "observe"]:
    """A kind of search.

    Raises:
        GalleryError: there is no such kind.
    """
    if kind == "identify":
        return "identify"
    if kind == "observe":
        return "observe"
    raise GalleryRequestError(f"kind: expected 'identify' or 'observe', found {kind!r}")
