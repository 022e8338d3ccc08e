"""`passerby identify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.image_folder import images_below
from passerby.cli.input_files import check_there
from passerby.cli.open_gallery import open_gallery
from passerby.cli.output import show, table
from passerby.cli.shared_parameters import (
    AcceptBelow,
    AskedRate,
    Camera,
    Engine,
    GalleryEncoder,
    GalleryLocation,
    ImagesOrFolders,
    Json,
    Threads,
    Tracklet,
)
from passerby.errors import ImageError, UsageError

if TYPE_CHECKING:
    from passerby.gallery.gallery import Gallery
    from passerby.gallery.result_types import Identification

_BATCH = 64


def identify(
    gallery: GalleryLocation,
    images: ImagesOrFolders,
    /,
    *,
    encoder: GalleryEncoder,
    camera: Camera = None,
    exclude_camera: bool = True,
    after: Annotated[str | None, Parameter(metavar="TIME")] = None,
    before: Annotated[str | None, Parameter(metavar="TIME")] = None,
    threshold: AcceptBelow = None,
    far: AskedRate = None,
    top: Annotated[int, Parameter(metavar="N")] = 10,
    score: Literal["min", "mean", "centroid"] = "min",
    tracklet: Tracklet = False,
    engine: Engine = "auto",
    threads: Threads = None,
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Who is this? Ranked candidates, or unknown; a line for each of several images. Changes nothing.

    Args:
        gallery: see `GalleryLocation`.
        images: Image files, each of a person of its own; or folders: every image below them.
        encoder: see `GalleryEncoder`.
        camera: Camera that took the images.
        exclude_camera: Leave out what the gallery has from the images' own camera, as in re-ID evaluation.
        after: Only observations from then on.
        before: Only observations until then.
        threshold: see `AcceptBelow`.
        far: see `AskedRate`.
        top: Candidates to list.
        score: How the distances to an identity's observations become one number.
        tracklet: see `Tracklet`.
        engine: see `Engine`.
        threads: see `Threads`.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    if camera is None and not exclude_camera:
        raise UsageError("--no-exclude-camera goes with --camera: without one, nothing is left out")
    if threshold is not None and far is not None:
        raise UsageError("--far does nothing beside --threshold: give one of the two")
    from passerby.gallery.argument_checks import checked_threshold

    asked: dict[str, Any] = {
        "exclude_camera": exclude_camera,
        "after": after,
        "before": before,
        "threshold": checked_threshold(threshold),
        "top": top,
        "score": score,
    }
    source = source_of(encoder, reading)
    check_there("a picture, or a folder of pictures", *images)
    paths, in_folder = _files(images)
    with open_gallery(
        gallery, source, engine=engine, threads=threads, images=len(paths), far=far, override_far=True
    ) as opened:
        if tracklet:
            found: dict[str, Identification] = {
                ", ".join(map(str, images)): opened.identify(paths, camera=camera, **asked)
            }
            bad: dict[str, str] = {}
        else:
            found, bad = _each(opened, paths, in_folder, camera, asked)
    if not found:
        raise UsageError(f"none of {len(paths):,} images can be read: {next(iter(bad.values()))}")
    rows = [{"probe": name, "known": one.known, "identity": one.identity, **asdict(one)} for name, one in found.items()]
    rows += [{"probe": name, "error": why} for name, why in bad.items()]
    show(rows, as_json=json, text=_text(found, bad))


def _files(images: tuple[Path, ...]) -> tuple[list[Path], set[Path]]:
    """Every image once, in order; and those that a folder holds."""
    paths: dict[Path, None] = {}
    in_folder: set[Path] = set()
    for given in images:
        if given.is_dir():
            below = [Path(sample.path) for sample in images_below(given)]
            in_folder.update(below)
            paths.update(dict.fromkeys(below))
        else:
            paths[given] = None
    return list(paths), in_folder


def _each(
    gallery: Gallery, paths: list[Path], in_folder: set[Path], camera: str | None, asked: dict[str, Any]
) -> tuple[dict[str, Identification], dict[str, str]]:
    """Answers by path, and what is wrong with images of a folder that cannot be read."""
    from passerby.gallery.images_or_vectors import grey_bits
    from passerby.images.decode import read_image
    from passerby.progress import progress_bar

    found: dict[str, Identification] = {}
    bad: dict[str, str] = {}
    with progress_bar("identify", len(paths), quiet=len(paths) <= _BATCH) as bar:
        for start in range(0, len(paths), _BATCH):
            pictures = {}
            for path in paths[start : start + _BATCH]:
                try:
                    pictures[str(path)] = read_image(path, bits=grey_bits(gallery.encoder))
                except ImageError as error:
                    if path not in in_folder:
                        raise
                    bad[str(path)] = str(error)
            if pictures:
                answers = gallery.identify_many(list(pictures.values()), cameras=camera, **asked)
                found.update(zip(pictures, answers, strict=True))
            bar.advance(min(_BATCH, len(paths) - start))
    return found, bad


def _text(found: dict[str, Identification], bad: dict[str, str]) -> str:
    if len(found) == 1 and not bad:
        ((name, one),) = found.items()
        return f"{name}\n{one}"
    lines = [table([_row(name, one) for name, one in found.items()], empty="")]
    counts = {"known": 0, "unknown": 0, "without a verdict": 0}
    for one in found.values():
        counts["without a verdict" if one.known is None else "known" if one.known else "unknown"] += 1
    lines.append(f"{len(found):,} images: " + ", ".join(f"{n:,} {what}" for what, n in counts.items() if n))
    lines += dict.fromkeys(one.verdict for one in found.values() if one.known is None)
    if bad:
        lines += [f"left out: {len(bad):,} (cannot be read)", *(f"  {why}" for why in list(bad.values())[:3])]
    return "\n".join(lines)


def _row(name: str, one: Identification) -> dict[str, Any]:
    nearest = one.nearest
    return {
        "image": name,
        "identity": "?" if one.known is None else one.identity or "unknown",
        "nearest": None if nearest is None else nearest.identity,
        "distance": None if nearest is None else nearest.distance,
        "threshold": one.threshold,
        "p-value": one.p_value,
        "camera": None if nearest is None else nearest.camera,
    }
