"""Names, cameras, times and filters as callers write them, checked and brought to the form that stores hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from passerby.array_types import Int64
from passerby.errors import GalleryRequestError
from passerby.gallery.stores.names import LONGEST
from passerby.gallery.stores.rows import Where
from passerby.gallery.times import Moment, to_seconds
from passerby.plain_names import is_unknown, plain_name

Camera: TypeAlias = str | int
"""A camera's name or number."""
LARGEST_DISTANCE = 2.0
"""Euclidean distance of opposite unit vectors."""


def identity_name(identity: object) -> str:
    """The name of an identity as it is stored: composed, without invisible characters and space around it.

    Numbers become text. `plain_key` says which names are one.

    Raises:
        GalleryError: empty, longer than 200 characters, not printable, or neither text nor a whole number.
    """
    name = _plain(identity)
    if not name or len(name) > LONGEST or not name.isprintable():
        raise GalleryRequestError(
            f"identity: expected a name of 1 to {LONGEST} printable characters, found {_shortened(identity)}"
        )
    return name


def camera_name(camera: object) -> str | None:
    """The name of a camera, in the same form as that of an identity; numbers become text.

    None, where it is not known, stays None, and -1 becomes None. `plain_key` says which names are one.

    Raises:
        GalleryError: empty, longer than 200 characters, not printable, or neither text nor a whole number.
    """
    if camera is None:
        return None
    name = _plain(camera)
    if not name or len(name) > LONGEST or not name.isprintable():
        raise GalleryRequestError(f"camera: expected a name or a number, found {_shortened(camera)}")
    return None if is_unknown(name) else name


def asked_cameras(cameras: Iterable[object]) -> frozenset[str]:
    """The names of cameras that a filter asks for; None among them is none.

    Raises:
        GalleryError: as `camera_name`, or -1, which no camera is called.
    """
    asked = [camera for camera in cameras if camera is not None]
    names = [camera_name(camera) for camera in asked]
    if None in names:
        raise GalleryRequestError(
            f"camera: {_shortened(asked[names.index(None)])} stands for a camera that is not known; name one to filter "
            "by, or leave the filter out"
        )
    return frozenset(name for name in names if name is not None)


def _plain(name: object) -> str:
    """A name in the form that is stored; "" for what is none, such as texts with control characters in them."""
    if not isinstance(name, str) and not is_integer(name):
        return ""
    text = str(name).strip()
    if any(unicodedata.category(character) == "Cc" for character in text):
        return ""
    return plain_name(text)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def camera_names(cameras: Any, count: int) -> list[str | None]:
    """Names [count] of cameras: one for all, or one for each."""
    return [camera_name(camera) for camera in _one_for_each(cameras, count, "camera")]


def times_in_seconds(times: Any, count: int) -> npt.NDArray[np.float64]:
    """Seconds [count], NaN where not known: one moment for all, or one for each."""
    moments = _one_for_each(times, count, "time")
    return np.array([np.nan if m is None else to_seconds(m, what="time") for m in moments], np.float64)


def search_filter(camera: str | None, exclude: Any, after: Moment | None, before: Moment | None) -> Where:
    """The filter of one search.

    Args:
        camera: the probe's own.
        exclude: True for the probe's own camera, False or None for none, or the camera(s) not to compare with.
        after: start of the time window.
        before: end of the time window.

    Raises:
        GalleryError: not cameras, not moments, or a window that ends before it starts.
    """
    if exclude is True:
        cameras = asked_cameras([camera])
    elif exclude is False or exclude is None:
        cameras = frozenset()
    else:
        several = isinstance(exclude, (list, tuple, set, frozenset))
        cameras = asked_cameras(exclude if several else [exclude])
    start = None if after is None else to_seconds(after, what="after")
    end = None if before is None else to_seconds(before, what="before")
    if start is not None and end is not None and start > end:
        raise GalleryRequestError(f"time window: it starts ({start:g}) after its end ({end:g})")
    return Where(cameras, start, end)


def checked_threshold(threshold: float | None) -> float | None:
    """A distance from 0 to 2, or None.

    Raises:
        GalleryError: no number, negative, NaN, or above 2, the largest distance of two unit vectors.
    """
    if threshold is None:
        return None
    if not is_number(threshold) or not 0 <= threshold <= LARGEST_DISTANCE:
        raise GalleryRequestError(
            f"threshold: expected a distance of 0 or more, at most 2, found {threshold!r}; unit vectors are never "
            "farther apart than 2"
        )
    return float(threshold)


def retention_date(expires: Moment | None) -> float | None:
    """A retention date in seconds; inf for "never", None for "as it was"."""
    if expires is None:
        return None
    return float("inf") if expires == "never" else to_seconds(expires, what="expires")


def is_integer(value: object) -> bool:
    """Whether it is a whole number, Python's or numpy's, and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it is a number, Python's or numpy's, and no bool."""
    return is_integer(value) or isinstance(value, (float, np.floating))


def checked_count(count: Any, what: str) -> int:
    """A whole number of 1 or more.

    Raises:
        GalleryRequestError: it is not that.
    """
    if not is_integer(count) or count < 1:
        raise GalleryRequestError(f"{what}: expected a whole number, at least 1, found {_shortened(count)}")
    return int(count)


def checked_ids(ids: Any, what: str) -> Int64:
    """Ids [n] of observations or sightings.

    Raises:
        GalleryRequestError: not whole numbers in a row.
    """
    rows = [] if ids is None else list(ids) if isinstance(ids, (list, tuple, set, range, np.ndarray)) else [ids]
    if not all(is_integer(row) for row in rows):
        raise GalleryRequestError(f"{what}: expected whole numbers, found {_shortened(ids)}")
    return np.array(rows, np.int64)


def _one_for_each(value: Any, count: int, what: str) -> list[Any]:
    """One value for all, or one for each."""
    if isinstance(value, (list, tuple, np.ndarray)):
        if len(value) != count:
            raise GalleryRequestError(f"{what}: {len(value)} values for {count} observations")
        return list(value)
    return [value] * count
