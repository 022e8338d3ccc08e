"""`passerby gallery`: update, rename, merge, split, undo, purge, threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from passerby.cli.gallery import event_row, identity_table
from passerby.cli.open_gallery import open_gallery
from passerby.cli.output import show, table
from passerby.cli.retention import coming_date
from passerby.cli.shared_parameters import GalleryLocation, Json, Name
from passerby.errors import UsageError

if TYPE_CHECKING:
    from passerby.gallery.result_types import Identity

NewName: TypeAlias = Annotated[str | None, Parameter(metavar="NAME")]
Text: TypeAlias = Annotated[str | None, Parameter(metavar="TEXT")]
Moment: TypeAlias = Annotated[str | None, Parameter(metavar="TIME")]


def update(
    gallery: GalleryLocation,
    name: Name,
    /,
    *,
    rename: NewName = None,
    notes: Text = None,
    consent: Text = None,
    expires: Moment = None,
    json: Json = False,
) -> None:
    """Change what is known of a person; what is not given stays.

    Args:
        gallery: see `GalleryLocation`.
        name: see `Name`.
        rename: Another name.
        notes: Free text about the person.
        consent: What consent there is, and where it is written down.
        expires: Retention date, after which `passerby gallery purge` forgets the person; "never": none.
        json: see `Json`.
    """
    with open_gallery(gallery) as opened:
        if rename is None and notes is None and consent is None and expires is None:
            raise UsageError("nothing to change: give --rename, --notes, --consent or --expires")
        changed = opened.update(name, name=rename, notes=notes, consent=consent, expires=coming_date(expires))
    _show_identity(changed, json)


def rename(
    gallery: GalleryLocation,
    name: Name,
    new: Annotated[str, Parameter(help="The new name.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Give an identity another name (an unknown one that is named is no longer unknown)."""
    with open_gallery(gallery) as opened:
        _show_identity(opened.rename(name, new), json)


def merge(
    gallery: GalleryLocation,
    into: Annotated[str, Parameter(help="The identity that stays.")],
    other: Annotated[str, Parameter(help="The identity that turns out to be the same person.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Make two identities one; the name of the other goes on as a second name."""
    with open_gallery(gallery) as opened:
        _show_identity(opened.merge(into, other), json)


def split(
    gallery: GalleryLocation,
    name: Name,
    observations: Annotated[
        tuple[int, ...], Parameter(name="OBSERVATION", help="Ids, as in `passerby gallery observations`.")
    ] = (),
    /,
    *,
    sighting: Annotated[
        tuple[int, ...], Parameter(metavar="ID", help="Sightings, as in `passerby gallery sightings`.")
    ] = (),
    to: Annotated[
        str | None, Parameter(metavar="NAME", help="Name of the new identity (default: a new unknown).")
    ] = None,
    json: Json = False,
) -> None:
    """Move observations or sightings that turn out to be somebody else to a new identity."""
    with open_gallery(gallery) as opened:
        _show_identity(opened.split(name, observations, sightings=sighting, name=to), json)


def undo(
    gallery: GalleryLocation,
    event: Annotated[
        int | None, Parameter(help="An id of `passerby gallery history` (default: the last change).")
    ] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """Take the last change back, or a given one if nothing later builds upon it."""
    with open_gallery(gallery) as opened:
        undone = opened.undo(event)
    show(undone, as_json=json, text=table([event_row(undone)], empty=""))


def purge(
    gallery: GalleryLocation,
    /,
    *,
    now: Annotated[str | None, Parameter(metavar="TIME", help="Retention dates until then (default: now).")] = None,
    json: Json = False,
) -> None:
    """Forget everyone whose retention date has passed."""
    with open_gallery(gallery) as opened:
        show(opened.purge(now), as_json=json)


def threshold(
    gallery: GalleryLocation,
    distance: Annotated[
        str | None, Parameter(help='Accept matches below this distance; "none": the false accept rate decides.')
    ] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """Show the gallery's own threshold, or set it."""
    with open_gallery(gallery, read_only=distance is None) as opened:
        if distance is not None:
            opened.set_threshold(_distance(distance))
        own = opened.threshold
    text = (
        "none is set: the false accept rate decides (`gallery calibration`)"
        if own is None
        else f"accept below {own:.4f}"
    )
    show({"gallery": gallery, "threshold": own}, as_json=json, text=f"{gallery}: {text}")


def _distance(text: str) -> float | None:
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f'threshold: expected a distance or "none", found {text!r}') from None


def _show_identity(identity: Identity, as_json: bool) -> None:
    show(identity, as_json=as_json, text=identity_table([identity], empty=""))
