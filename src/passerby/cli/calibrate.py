"""`passerby calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags, data_of
from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.output import show
from passerby.cli.shared_parameters import Encoder, Engine, Flip, Json, Metric, Seed, Threads
from passerby.errors import UsageError

if TYPE_CHECKING:
    from passerby.data.records import ReIDDataset


def calibrate(
    encoder: Encoder,
    /,
    *,
    people: Annotated[Path | None, Parameter(metavar="FOLDER|TABLE")] = None,
    data: DatasetFlags = DatasetFlags(),
    far: Annotated[float, Parameter(metavar="RATE")] = 0.01,
    held_out_identities: Annotated[int | None, Parameter(metavar="N")] = None,
    draws: Annotated[int, Parameter(metavar="N")] = 10,
    metric: Metric = "euclidean",
    flip: Flip = True,
    seed: Seed = 0,
    engine: Engine = "auto",
    threads: Threads = None,
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Choose the distance below which a match is accepted, on people that served neither training nor the test.

    Without further flags these are the people whom the run held out of its training. The threshold is written into the
    encoder's folder. Vectors of anyone's: `passerby open-set`.

    Args:
        encoder: see `Encoder`.
        people: Calibrate on everybody in this folder (one folder a person) or manifest (.csv, .parquet).
        data: Calibrate on held-out training identities of other data than the run's.
        far: False accept rate: share of the pictures of people who are not enrolled that may be taken for somebody.
        held_out_identities: How many training identities of the data (default: as many as the run held out).
        draws: How often half of the people are enrolled and the others are impostors; the rates are means.
        metric: see `Metric`.
        flip: see `Flip`.
        seed: Chooses who is enrolled and who is an impostor.
        engine: see `Engine`.
        threads: see `Threads`.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    from passerby.evaluation.open_set.error_rates import check_calibration

    source = source_of(encoder, reading)
    check_calibration(far, draws)
    if people is not None:
        if data.given or held_out_identities is not None:
            raise UsageError(
                "--people takes everybody in the folder: leave --data.name and --held-out-identities out, or leave "
                "--people out"
            )
        chosen = _people_of(encoder, people)
    else:
        held_out = held_out_of(encoder, held_out_identities, same_data=data.name is None)
        _, chosen = data.load(encoder).hold_out(held_out)
    from passerby.evaluation.open_set.calibration import calibrate as run_calibrate

    asked: dict[str, Any] = {"far": far, "metric": metric, "flip": flip, "seed": seed, "draws": draws}
    found = run_calibrate(source, chosen, engine=engine, threads=threads, **asked)
    show(
        found,
        as_json=json,
        text=f"{found}\nnext: passerby enroll people.gallery --people FOLDER --encoder {encoder}\n"
        "(a gallery finds the distance for its own number of people: passerby gallery calibration people.gallery)",
    )


def _people_of(encoder: Path, people: Path) -> ReIDDataset:
    """Everybody of a folder or manifest.

    Raises:
        UsageError: no such folder, or the encoder was trained on these people.
        DataError: as for `load_dataset`.
    """
    from passerby.data.dataset_of_config import with_absolute_paths
    from passerby.data.datasets import load_dataset

    if not people.expanduser().exists():
        raise UsageError(f"--people: {people}: no such folder or manifest")
    trained_on = data_of(encoder)
    where = people.expanduser().resolve()
    if trained_on is not None and trained_on.named:
        own = with_absolute_paths(trained_on, run=encoder)
        if where in (Path(own.name).resolve(), *([] if own.root is None else [own.root.resolve()])):
            raise UsageError(
                f"--people: {encoder} was trained on {people}, and calibration needs people it was not trained on. "
                f"Leave --people out to take the {trained_on.held_out_identities} people that the run held out"
            )
    named = load_dataset(str(where))
    from passerby.evaluation.open_set.calibration import everybody

    return everybody(named)


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
    if trained_on is None and same_data:
        raise UsageError(
            f"{run} is an encoder without a run, so nobody is held out: name people it was not trained on with "
            "--people FOLDER"
        )
    held_out = 0 if trained_on is None else trained_on.held_out_identities
    if same_data and (wanted or 1) > held_out:
        raise UsageError(
            f"{run}: the run held {held_out} training identities out, and calibration needs people it was not trained "
            "on. Name such people with --people FOLDER, or train with --data.held-out-identities N"
        )
    if wanted is None and not same_data:
        raise UsageError(
            "other data than the run's: say how many of its training identities with --held-out-identities N, or take "
            "everybody of a folder with --people FOLDER"
        )
    return held_out if wanted is None else wanted
