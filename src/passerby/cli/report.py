"""`passerby report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.evaluation_flags import ReportFlags, Reporting, given_for
from passerby.cli.open_gallery import open_gallery
from passerby.cli.output import show
from passerby.cli.shared_parameters import Encoder, Json, Seed


def report(
    encoder: Encoder,
    /,
    *,
    out: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    data: DatasetFlags = DatasetFlags(),
    evaluation: Reporting = ReportFlags(),
    gallery: Annotated[
        str | None, Parameter(metavar="GALLERY", help="Also show whom the cameras of this gallery saw.")
    ] = None,
    seed: Seed = 0,
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Evaluate, plain and re-ranked, and write one HTML file with curves, distance histograms and ranked lists.

    Args:
        encoder: see `Encoder`.
        out: The HTML file (default: report.html in the run).
        data: Which dataset.
        evaluation: How rankings are scored; what is not given is as the run's recipe says.
        gallery: A gallery's sightings are shown by person and by camera.
        seed: Chooses who counts as an impostor in the section on unknown people.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    source = source_of(encoder, reading)
    seen = None
    if gallery is not None:
        with open_gallery(gallery, read_only=True) as opened:
            seen = opened.sightings()
    dataset = data.load(encoder)
    from passerby.report.report import report as write_report

    written = write_report(
        source,
        dataset,
        out,
        sightings=seen,
        seed=seed,
        **given_for(evaluation, dataset.protocol),
    )
    show({"report": str(written)}, as_json=json, text=str(written))
