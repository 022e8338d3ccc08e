"""`passerby adapt`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, source_of
from passerby.cli.output import show
from passerby.cli.setting_flags import flags_of, given
from passerby.cli.shared_parameters import Encoder, Json
from passerby.config.adaptation import AdaptationSettings
from passerby.errors import UsageError

AdaptationFlags: Any = flags_of(AdaptationSettings)
_OF_TRAINING = ("recipe", "epochs", "patience")


def adapt(
    encoder: Encoder,
    /,
    *,
    data: Annotated[Path, Parameter(metavar="CROPS")],
    out: Annotated[Path, Parameter(metavar="FOLDER")],
    camera: Annotated[str | None, Parameter(metavar="PATTERN")] = None,
    adaptation: Annotated[AdaptationFlags, Parameter(name="*", accepts_keys=True, show_default=False)] = (
        AdaptationFlags()  # noqa: B008  (frozen)
    ),
    json: Json = False,
) -> None:
    """Let an encoder learn a new place from its crops, without labels; resume it if it was interrupted.

    Rounds of clustering and training, which take minutes to hours; --rounds 0 measures camera statistics alone, which
    takes seconds. The encoder that is best by a label-free criterion is kept: the one to begin with, if no other is
    better.

    Args:
        encoder: see `Encoder`.
        data: Crops of the place: a manifest (.csv, .parquet: path, and camid, time, tracklet where known), what
            `passerby data from-video` wrote (a folder, or a folder of them), or a folder of images with one folder a
            camera. Person ids are never read.
        out: Folder for encoder/ (with camera_statistics.parquet), report.html and the rounds; the same command goes on.
        camera: A folder of images: a regular expression with one group that finds the camera in a file's name.
        adaptation: Settings.
        json: see `Json`.
    """
    from passerby.adaptation.crops import read_crops
    from passerby.config.group_validation import parse_settings

    source = source_of(encoder, EncoderFlags())
    asked = given(adaptation)
    settings = parse_settings(AdaptationSettings, asked, where="adapt")
    _refuse_unread(settings, asked)
    crops = read_crops(data, camera=camera)
    from passerby.adaptation.adapt import adapt as run_adapt
    from passerby.adaptation.report import write_adaptation_report
    from passerby.models.encoder import load_encoder

    result = run_adapt(load_encoder(source, "torch"), crops.samples, out=out, settings=settings, cameras=crops.cameras)
    page = write_adaptation_report(result, crops.samples, notes=crops.notes)
    text = "\n".join([str(result), f"report: {page}", *(f"note: {note}" for note in crops.notes)])
    show({**result.to_dict(), "report": str(page), "notes": crops.notes}, as_json=json, text=text)


def _refuse_unread(settings: AdaptationSettings, asked: Iterable[str]) -> None:
    """Refuse settings of a training where none takes place.

    Raises:
        UsageError: one of them was asked for.
    """
    unread = [f"--{name}" for name in _OF_TRAINING if name in asked]
    if unread and settings.rounds == 0:
        raise UsageError(f"{', '.join(unread)} would do nothing: --rounds 0 trains nothing; leave one of them out")
