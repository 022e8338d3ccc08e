"""`--expires`: a retention date that is still to come."""

from __future__ import annotations

import time

from passerby.errors import UsageError


def coming_date(expires: str | None) -> str | None:
    """The date as given.

    Raises:
        UsageError: it has passed, so that the person would be forgotten at once; or it is no date.
    """
    if expires is None or expires == "never":
        return expires
    from passerby.gallery.times import show_time, to_seconds

    moment = to_seconds(expires, what="--expires")
    if moment <= time.time():
        raise UsageError(f"--expires: {show_time(moment)} has passed; give a date to come, or forget the person")
    return expires
