"""`passerby gallery`: calibration, comparison, duplicates, judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.open_gallery import open_gallery
from passerby.cli.output import plain, show, table
from passerby.cli.setting_flags import given
from passerby.cli.shared_parameters import GalleryLocation, Json
from passerby.errors import UsageError

if TYPE_CHECKING:
    from passerby.gallery.calibration import GalleryCalibration


def calibration(
    gallery: GalleryLocation,
    /,
    *,
    kind: Literal["identify", "observe"] | None = None,
    far: Annotated[float | None, Parameter(metavar="RATE")] = None,
    set_far: Annotated[bool, Parameter(negative=())] = False,
    encoder: Annotated[Path | None, Parameter(metavar="ENCODER")] = None,
    guaranteed: Annotated[bool, Parameter(negative=())] = False,
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """The distance at which a false accept rate is reached among the people of this gallery.

    Args:
        gallery: see `GalleryLocation`.
        kind: Only that of "identify", which leaves out what the probe's own camera took, or of "observe", which does
            not and counts for `identify` without --camera too (default: both).
        far: Another rate than the gallery's, 0.01 for 1 %.
        set_far: Ask for the rate of --far from now on.
        encoder: Encoder of the gallery, whose own laws are used below 200 people (`passerby calibrate`).
        guaranteed: Assume nothing but that people are exchangeable; accepts nobody below 1 / RATE - 1 people.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    if set_far and far is None:
        raise UsageError("--set-far goes with --far RATE")
    source = None if encoder is None else source_of(encoder, reading)
    if source is None and given(reading):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given(reading))
        raise UsageError(f"{flags}: goes with --encoder, whose file it says how to read")
    with open_gallery(gallery, source, read_only=not set_far, guaranteed=guaranteed) as opened:
        if set_far and far is not None:
            opened.set_far(far)
        found = opened.calibration(kind or "identify", far=far)
        other = None if kind else opened.calibration("observe", far=far)
    values = {**plain(found), **({} if other is None else {"observe": plain(other)})}
    show(values, as_json=json, text="\n".join([f"{gallery}: {found}", *_without_camera(found, other)]))


def _without_camera(found: GalleryCalibration, other: GalleryCalibration | None) -> list[str]:
    """A line on the pictures of no camera, where another distance counts for them."""
    if other is None or other.in_force == found.in_force:
        return []
    return [str(other).splitlines()[0].replace("observe:", "observe, and identify without --camera:", 1)]


def comparison(
    gallery: GalleryLocation,
    /,
    *,
    camera_means: bool | None = None,
    cohort: bool | None = None,
    json: Json = False,
) -> None:
    """Show or set how vectors are compared and distances judged; both options are off by default.

    Stored vectors stay as they are, the gallery calibrates itself anew, and `passerby gallery undo` takes it back.

    Args:
        gallery: see `GalleryLocation`.
        camera_means: Subtract from all vectors what their cameras add, measured now from 50 enrolled people or more of
            each camera.
        cohort: Judge the nearest distance relative to those of the 20 next nearest people; from 200 people on.
        json: see `Json`.
    """
    changes = camera_means is not None or cohort is not None
    with open_gallery(gallery, read_only=not changes) as opened:
        if changes:
            opened.set_comparison(camera_means=camera_means, cohort=cohort)
        found = opened.comparison
    show(found, as_json=json, text=f"{gallery}: {found}")


def duplicates(gallery: GalleryLocation, /, *, json: Json = False) -> None:
    """Pairs of identities that may be one person; merge them, or judge them.

    One person enrolled twice costs most of the detection rate. A few pairs are listed where nobody is, too.
    """
    from passerby.gallery.duplicates import LEAST_TO_COMPARE

    with open_gallery(gallery, read_only=True) as opened:
        found = opened.find_duplicates()
        enrolled = sum(not identity.unknown for identity in opened.identities())
    rows: list[dict[str, Any]] = [
        {"identity": pair.identity, "other": pair.other, "distance": pair.distance, "p": pair.p_value} for pair in found
    ]
    empty = f"{gallery}: no two identities are suspiciously near"
    if enrolled < LEAST_TO_COMPARE:
        too_few = f"{enrolled} people are too few to say more, {LEAST_TO_COMPARE} are needed"
        empty = f"{gallery}: no picture is under two names ({too_few})"
    show(found, as_json=json, text=table(rows, empty=empty))


def judge(
    gallery: GalleryLocation,
    name: Annotated[str, Parameter(help="One identity.")],
    other: Annotated[str, Parameter(help="The other one.")],
    judgement: Annotated[
        Literal["different-people", "one-person"], Parameter(help="What somebody who looked at both found.")
    ],
    /,
    *,
    json: Json = False,
) -> None:
    """Two identities are different people (not listed any more), or one person under two names (not merged)."""
    with open_gallery(gallery) as opened:
        opened.judge_pair(name, other, "one person" if judgement == "one-person" else "different people")
    text = f"{gallery}: {name} and {other} are {judgement.replace('-', ' ')}; `gallery undo` takes it back"
    show({"identity": name, "other": other, "judgement": judgement}, as_json=json, text=text)
