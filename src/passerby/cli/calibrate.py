"""`passerby calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags, data_of
from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.output import show
from passerby.cli.shared_parameters import Encoder, Engine, Flip, Json, Metric, Seed
from passerby.errors import UsageError


def calibrate(
    encoder: Encoder,
    /,
    *,
    data: DatasetFlags = DatasetFlags(),
    far: Annotated[float, Parameter(metavar="RATE")] = 0.01,
    held_out_identities: Annotated[int | None, Parameter(metavar="N")] = None,
    metric: Metric = "euclidean",
    flip: Flip = True,
    seed: Seed = 0,
    engine: Engine = "auto",
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Choose the distance below which a match is accepted, on identities that served neither training nor the test.

    The threshold is written into the encoder's folder. Vectors of anyone's: `passerby open-set`.

    Args:
        encoder: see `Encoder`.
        data: Other data than the run's.
        far: False accept rate: share of impostors that may be taken for somebody.
        held_out_identities: Calibrate on so many held-out training identities (default: as many as the run held out).
        metric: see `Metric`.
        flip: see `Flip`.
        seed: Chooses who is enrolled and who is an impostor.
        engine: see `Engine`.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    from passerby.evaluation.open_set.calibration import calibrate as run_calibrate

    held_out = held_out_of(encoder, held_out_identities, same_data=data.name is None)
    _, people = data.load(encoder).hold_out(held_out)
    source = source_of(encoder, reading)
    show(run_calibrate(source, people, far=far, metric=metric, flip=flip, seed=seed, engine=engine), as_json=json)


def held_out_of(run: Path, wanted: int | None, *, same_data: bool) -> int:
    """How many training identities to hold out for calibration; default: as many as the run itself held out.

    Args:
        run: the run's folder.
        wanted: the number asked for, if any.
        same_data: the data are those the run was trained on.

    Raises:
        UsageError: nothing says how many; or more than the run held out, so that it was trained on some of them.
    """
    trained_on = data_of(run)
    held_out = 0 if trained_on is None else trained_on.held_out_identities
    if same_data and (wanted or 1) > held_out:
        raise UsageError(
            f"{run}: the run held {held_out} training identities out, and calibration needs people it was not trained "
            "on. Train with --data.held-out-identities N, or name other data"
        )
    if wanted is None and not same_data:
        raise UsageError(
            "other data than the run's: say how many of its training identities with --held-out-identities N"
        )
    return held_out if wanted is None else wanted
