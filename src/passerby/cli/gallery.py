"""Commands that use a model: enroll, identify, observe, forget, gallery, serve."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from passerby.cli.arguments import Json, parse, pick_action
from passerby.errors import GalleryError

if TYPE_CHECKING:
    from passerby.gallery.gallery import Gallery

Location = Annotated[str, tyro.conf.Positional, tyro.conf.arg(help="A gallery: a file, or milvus://HOST:PORT/NAME.")]
EncoderFolder = Annotated[Path, tyro.conf.arg(help="Folder of the run or encoder whose vectors the gallery holds.")]
Images = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(help="Image files.")]
Camera = Annotated[str | None, tyro.conf.arg(help="Camera that took the images.")]
Time = Annotated[str | None, tyro.conf.arg(help="When: seconds, a date, or ISO 8601 text.")]


def _open(location: str, encoder: Path | None = None, *, must_exist: bool = True) -> Gallery:
    from passerby.gallery.gallery import Gallery
    from passerby.models.encoder import load_encoder

    if must_exist and "://" not in location and not Path(location).exists():
        raise GalleryError(f"{location}: no such gallery; `passerby enroll` makes one")
    return Gallery.open(location, load_encoder(encoder) if encoder is not None else None)


@dataclass(frozen=True)
class _EnrollOptions:
    gallery: Location
    identity: Positional[str]
    """Name of the person."""
    images: Images
    encoder: EncoderFolder
    camera: Camera = None
    time: Time = None
    notes: str | None = None
    """Free text about the person."""
    consent: str | None = None
    """What consent there is, and where it is written down."""
    expires: Time = None
    """Retention date, after which `passerby gallery purge` forgets the person."""
    tracklet: bool = False
    """The images are the frames of one tracklet: store their mean as one observation."""
    json: Json = False


def enroll(arguments: Sequence[str]) -> None:
    """Add images of a known person to a gallery, which is made if there is none."""
    options = parse(_EnrollOptions, arguments, "enroll", doc=enroll.__doc__)
    with _open(options.gallery, options.encoder, must_exist=False) as gallery:
        added = gallery.enroll(
            options.identity,
            list(options.images),
            camera=options.camera,
            time=options.time,
            notes=options.notes,
            consent=options.consent,
            expires=options.expires,
            tracklet=options.tracklet,
        )
    if options.json:
        print(json.dumps({"identity": options.identity, "observations": list(added)}))
    else:
        print(f"{options.identity}: {len(options.images)} images enrolled in {options.gallery}")


@dataclass(frozen=True)
class _IdentifyOptions:
    gallery: Location
    images: Images
    encoder: EncoderFolder
    camera: Camera = None
    """Camera that took the images; what the gallery has from it is left out, as in re-ID evaluation."""
    exclude_camera: bool = True
    """Leave out what the gallery has from the probe's own camera."""
    after: Time = None
    """Only observations from then on."""
    before: Time = None
    """Only observations until then."""
    threshold: float | None = None
    """Accept nearer matches only (default: the calibrated threshold)."""
    top: int = 10
    """Candidates to list."""
    tracklet: bool = False
    """The images are one tracklet of one person."""
    json: Json = False


def identify(arguments: Sequence[str]) -> None:
    """Who is this? Ranked candidates, or unknown; changes nothing."""
    options = parse(_IdentifyOptions, arguments, "identify", doc=identify.__doc__)
    probes: list[Any] = [list(options.images)] if options.tracklet else list(options.images)
    with _open(options.gallery, options.encoder) as gallery:
        found = [
            gallery.identify(
                probe,
                camera=options.camera,
                exclude_camera=options.exclude_camera,
                after=options.after,
                before=options.before,
                threshold=options.threshold,
                top=options.top,
            )
            for probe in probes
        ]
    names = [", ".join(map(str, options.images))] if options.tracklet else [str(path) for path in options.images]
    if options.json:
        print(json.dumps([{"probe": n, **asdict(f)} for n, f in zip(names, found, strict=True)], indent=2, default=str))
    else:
        print("\n\n".join(f"{n}\n{f}" for n, f in zip(names, found, strict=True)))


@dataclass(frozen=True)
class _ObserveOptions:
    gallery: Location
    images: Images
    encoder: EncoderFolder
    camera: Camera = None
    time: Time = None
    keep: bool = False
    """Also add the images of people who are recognised (their identity then drifts with them)."""
    threshold: float | None = None
    """Accept nearer matches only (default: the calibrated threshold)."""
    tracklet: bool = False
    """The images are one tracklet of one person."""


def observe(arguments: Sequence[str]) -> None:
    """Identify, and enrol whoever is unknown as a new identity ("unknown-1", "unknown-2", ...)."""
    options = parse(_ObserveOptions, arguments, "observe", doc=observe.__doc__)
    probes: list[Any] = [list(options.images)] if options.tracklet else list(options.images)
    with _open(options.gallery, options.encoder, must_exist=False) as gallery:
        for probe in probes:
            sighting = gallery.observe(
                probe, camera=options.camera, time=options.time, keep=options.keep, threshold=options.threshold
            )
            print(sighting)


@dataclass(frozen=True)
class _ForgetOptions:
    gallery: Location
    identity: Positional[str]
    """Name of the person."""


def forget(arguments: Sequence[str]) -> None:
    """Erase a person: vectors, thumbnails and names leave every byte of the gallery's files."""
    options = parse(_ForgetOptions, arguments, "forget", doc=forget.__doc__)
    with _open(options.gallery) as gallery:
        print(gallery.forget(options.identity))


ACTIONS = {
    "list": "identities with their observations, cameras and dates",
    "history": "what happened, in order",
    "rename": "give an identity another name",
    "merge": "make two identities one",
    "undo": "take the last change back",
    "purge": "forget everyone whose retention date has passed",
    "backup": "copy a gallery while it is in use",
    "check": "read everything and tell whether it is sound",
    "export": "write the gallery as Parquet",
    "import": "add what `export` wrote",
    "migrate": "copy a gallery into another store, and verify the copy",
}


def gallery(arguments: Sequence[str]) -> None:
    """Look after a gallery."""
    action = pick_action("gallery", arguments, ACTIONS)

    @dataclass(frozen=True)
    class Options:
        gallery: Location
        arguments: Positional[tuple[str, ...]] = ()
        """What the action needs: names, or a file."""
        json: Json = False

    options = parse(Options, arguments[1:], f"gallery {action}", doc=ACTIONS[action])
    if action == "migrate":
        from passerby.gallery.migrate import migrate

        print(migrate(options.gallery, *_expect(options.arguments, "TO", action)))
        return
    with _open(options.gallery) as opened:
        _look_after(opened, action, options.arguments, options.json)


def _look_after(opened: Gallery, action: str, given: tuple[str, ...], as_json: bool) -> None:
    if action == "list":
        _rows([asdict(identity) for identity in opened.identities()], as_json)
    elif action == "history":
        _rows([asdict(event) for event in opened.history(*given[:1])], as_json)
    elif action == "rename":
        print(opened.rename(*_expect(given, "NAME NEW", action)))
    elif action == "merge":
        print(opened.merge(*_expect(given, "INTO OTHER", action)))
    elif action == "undo":
        print(opened.undo(*[int(event) for event in given[:1]]))
    elif action == "purge":
        print(opened.purge())
    elif action == "backup":
        opened.backup(*_expect(given, "FILE", action))
    elif action == "check":
        opened.check()
        print(f"{opened.location}: sound, {opened.observation_count:,} observations")
    elif action == "export":
        print(f"{opened.export_parquet(*_expect(given, 'FILE', action)):,} observations written")
    else:
        print(f"{opened.import_parquet(*_expect(given, 'FILE', action)):,} observations added")


def _expect(given: tuple[str, ...], names: str, action: str) -> tuple[str, ...]:
    if len(given) != len(names.split()):
        raise GalleryError(f"passerby gallery {action} GALLERY {names}: found {' '.join(given) or 'nothing'}")
    return given


def _rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=2, default=str))
        return
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items() if value not in (None, "", {}, (), False)))


@dataclass(frozen=True)
class _ServeOptions:
    gallery: Location
    encoder: EncoderFolder
    host: str = "127.0.0.1"
    """Address to listen on; the default can be reached from this machine only."""
    port: int = 8000
    """Port to listen on; 0: any free one."""
    keys: Path | None = None
    """File of API keys (`passerby keys add`); without one, a key for this run is printed."""
    read_only: bool = False
    """Refuse every change."""
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto"
    """What runs the encoder; auto: the fastest here of torch and of what `passerby export` put into its folder."""
    tls_certificate: Path | None = None
    """PEM file; with --tls-key, the service uses HTTPS."""
    tls_key: Path | None = None
    """PEM file."""


def serve(arguments: Sequence[str]) -> None:
    """Serve a gallery over HTTP, with a page for the operator, until stopped."""
    options = parse(_ServeOptions, arguments, "serve", doc=serve.__doc__)
    from passerby.service import serve as run_serve

    settings = dict(vars(options))
    run_serve(settings.pop("gallery"), settings.pop("encoder"), **settings)
