"""Commands that prove a model: evaluate, embed, rank, calibrate, report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from passerby.cli import speaks
from passerby.cli.arguments import DataChoice, EvaluationFlags, Json, evaluation_of, images_below, parse, show
from passerby.errors import EmbeddingError, UsageError


@dataclass(frozen=True)
class _EvaluateOptions:
    encoder: Positional[Path]
    """Folder of a run or an encoder."""
    data: DataChoice = DataChoice()
    scoring: Annotated[EvaluationFlags, tyro.conf.arg(name="")] = EvaluationFlags()
    pooling: Literal["mean", "max", "attention", "sharpness", "norm", "min_distance"] | None = None
    """How the frames of a tracklet, or a person's queries under multi_query, become one vector."""
    all_splits: bool = False
    """Mean and deviation over every split of a dataset that the encoder was not trained on."""
    flip: bool = True
    """Average the vectors of an image and its mirror image."""
    json: Json = False


def evaluate(arguments: Sequence[str]) -> None:
    """MAP, CMC and mINP of a trained encoder, with everything that was counted or skipped."""
    options = parse(_EvaluateOptions, arguments, "evaluate", doc=evaluate.__doc__)
    from passerby.evaluation.evaluate import evaluate as run_evaluate
    from passerby.models.encoder import load_encoder

    encoder = load_encoder(options.encoder)
    settings = {"settings": evaluation_of(options.encoder), **options.scoring.changes()}
    settings |= {} if options.pooling is None else {"pooling": options.pooling}
    settings |= {} if options.flip else {"flip": False}
    if options.all_splits:
        from passerby.evaluation.closed_set.splits import evaluate_splits

        show(evaluate_splits(encoder, options.data.load_splits(), **settings), as_json=options.json)
        return
    show(run_evaluate(encoder, options.data.load(options.encoder), **settings), as_json=options.json)


@dataclass(frozen=True)
class _CrossDomainOptions:
    encoders: Positional[tuple[Path, ...]]
    """Folders of runs or encoders."""
    on: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=ROOT ...")]
    """Datasets: a name of `passerby data list` and its folder; or one's own manifest or folder, without =ROOT."""
    scoring: Annotated[EvaluationFlags, tyro.conf.arg(name="")] = EvaluationFlags()
    json: Json = False


def cross_domain(arguments: Sequence[str]) -> None:
    """Evaluate every encoder on every dataset: a matrix of mAP and rank-1."""
    options = parse(_CrossDomainOptions, arguments, "cross-domain", doc=cross_domain.__doc__)
    from passerby.data.datasets import load_dataset
    from passerby.evaluation.closed_set.splits import cross_domain as run_cross_domain
    from passerby.models.encoder import load_encoder

    places = [(place, *place.partition("=")) for place in options.on]
    datasets = {place: load_dataset(name, root or None) for place, name, _, root in places}
    encoders = {str(folder): load_encoder(folder) for folder in options.encoders}
    show(run_cross_domain(encoders, datasets, **options.scoring.changes()), as_json=options.json)


@dataclass(frozen=True)
class _EmbedOptions:
    encoder: Positional[Path]
    """Folder of a run or an encoder."""
    out: Path
    """Folder for query.parquet, gallery.parquet (of a dataset) or images.parquet (of a folder of images)."""
    images: Path | None = None
    """Embed every image below this folder instead of a dataset."""
    data: DataChoice = DataChoice()
    parts: tuple[Literal["train", "query", "gallery"], ...] = ("query", "gallery")
    """Which parts of the dataset."""
    batch_size: int = 128
    """Images a forward pass."""
    flip: bool = True
    """Average the vectors of an image and its mirror image."""
    shard: str = ""
    """Do part I of N, as I/N; whoever ends last joins them. Default: all of it, or under torchrun this process's."""
    shard_size: int = 8192
    """Images between two writes; what has been written is not done again after an interruption."""


def embed(arguments: Sequence[str]) -> None:
    """Turn a dataset, or a folder of images, into vectors: Parquet files with vector, pid, camid and path."""
    options = parse(_EmbedOptions, arguments, "embed", doc=embed.__doc__)
    from passerby.embedding.shards import embed_to_shards, join_shards, missing_shards
    from passerby.models.encoder import load_encoder

    encoder = load_encoder(options.encoder)
    if options.images is not None:
        parts = {"images": images_below(options.images)}
    else:
        data = options.data.load(options.encoder)
        parts = {name: data.part(name) for name in options.parts}
    part, of = _part(options.shard)
    for name, samples in parts.items():
        folder, file = options.out / f"{name}.shards", options.out / f"{name}.parquet"
        embed_to_shards(
            encoder,
            samples,
            folder,
            shard_size=options.shard_size,
            batch_size=options.batch_size,
            flip=options.flip,
            worker=part - 1,
            workers=of,
            progress=speaks(),
        )
        if missing := missing_shards(folder):
            if speaks():
                print(f"{folder}: part {part} of {of} is done; {missing} files of other parts are not there yet")
            continue
        try:
            rows = join_shards(folder, file)
        except EmbeddingError:
            if file.exists() and not folder.exists():  # another part ended at the same time, and has joined them
                continue
            raise
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{file}: {rows:,} x {encoder.dim}")


def _part(shard: str) -> tuple[int, int]:
    """Which part of how many, counted from 1."""
    if not shard:
        return int(os.environ.get("RANK", "0")) + 1, int(os.environ.get("WORLD_SIZE", "1"))
    part, _, of = shard.partition("/")
    if not (part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
        raise UsageError(f"--shard: expected I/N with 1 <= I <= N, found {shard!r}")
    return int(part), int(of)


@dataclass(frozen=True)
class _RankOptions:
    query: Positional[Path]
    """Vectors of the queries: a Parquet file of `passerby embed`."""
    gallery: Positional[Path]
    """Vectors of the gallery, by the same encoder."""
    scoring: Annotated[EvaluationFlags, tyro.conf.arg(name="")] = EvaluationFlags()
    top: int = 10
    """Candidates to list for each query."""
    out: Path | None = None
    """Write the ranked lists to this CSV file instead of showing the first few."""
    json: Json = False


def rank(arguments: Sequence[str]) -> None:
    """Rank a gallery for every query, and score the ranking where person ids are known."""
    options = parse(_RankOptions, arguments, "rank", doc=rank.__doc__)
    from passerby.embedding.embeddings import Embeddings
    from passerby.evaluation.rank import rank as run_rank

    ranked = run_rank(
        Embeddings.from_parquet(options.query),
        Embeddings.from_parquet(options.gallery),
        top=options.top,
        **options.scoring.changes(),
    )
    if options.out is not None:
        ranked.to_csv(options.out)
    show(ranked, as_json=options.json)


@dataclass(frozen=True)
class _CalibrateOptions:
    encoder: Positional[Path]
    """Folder of a run or an encoder; the threshold is written into it."""
    data: DataChoice = DataChoice()
    far: float = 0.01
    """Share of strangers that may be taken for somebody."""
    held_out_identities: int | None = None
    """Calibrate on these many held-out training identities (default: as many as the run held out)."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """Distance of two vectors."""
    seed: int = 0
    """Chooses who is enrolled and who is a stranger."""
    json: Json = False


def calibrate(arguments: Sequence[str]) -> None:
    """Choose the distance below which a match is accepted, on identities that served neither training nor the test."""
    options = parse(_CalibrateOptions, arguments, "calibrate", doc=calibrate.__doc__)
    from passerby.evaluation.open_set.calibration import calibrate as run_calibrate

    people = options.data.load_held_out(options.encoder, options.held_out_identities)
    threshold = run_calibrate(options.encoder, people, far=options.far, metric=options.metric, seed=options.seed)
    show(threshold, as_json=options.json)


@dataclass(frozen=True)
class _ReportOptions:
    run: Positional[Path]
    """Folder of a run or an encoder."""
    out: Path | None = None
    """The HTML file (default: report.html in the run)."""
    data: DataChoice = DataChoice()
    scoring: Annotated[EvaluationFlags, tyro.conf.arg(name="")] = EvaluationFlags()


def report(arguments: Sequence[str]) -> None:
    """Evaluate, and write one HTML file with curves, distance histograms and ranked lists."""
    options = parse(_ReportOptions, arguments, "report", doc=report.__doc__)
    from passerby.report.report import report as run_report

    settings = options.scoring.changes()
    print(run_report(options.run, options.data.load(options.run), options.out, **settings))
