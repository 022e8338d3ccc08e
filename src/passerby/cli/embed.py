"""`passerby embed`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.image_folder import images_below
from passerby.cli.output import is_first_process, show
from passerby.cli.shared_parameters import BatchSize, Encoder, Engine, Flip, Json, Threads
from passerby.config.engine import EngineName, PrecisionName
from passerby.errors import EmbeddingError, UsageError

Part = Literal["train", "query", "gallery"]
PARTS: tuple[Part, ...] = get_args(Part)


def embed(
    encoder: Encoder,
    /,
    *,
    out: Annotated[Path, Parameter(metavar="FOLDER")],
    images: Annotated[Path | None, Parameter(metavar="FOLDER")] = None,
    data: DatasetFlags = DatasetFlags(),
    parts: tuple[Part, ...] = (),
    batch_size: BatchSize = 128,
    flip: Flip = True,
    views: Annotated[int, Parameter(metavar="N")] = 0,
    views_of: Annotated[str | None, Parameter(metavar="RECIPE")] = None,
    shard: Annotated[str, Parameter(metavar="I/N")] = "",
    shard_size: Annotated[int, Parameter(metavar="N")] = 8192,
    engine: Engine = "auto",
    threads: Threads = None,
    precision: PrecisionName = "float32",
    reading: Reading = EncoderFlags(),
    json: Json = False,
) -> None:
    """Turn a dataset, or a folder of images, into vectors: Parquet files with vector, pid, camid and path.

    Args:
        encoder: see `Encoder`.
        out: Folder for query.parquet, gallery.parquet (of a dataset) or images.parquet (of a folder of images).
        images: Embed every image below this folder instead of a dataset.
        data: Which dataset.
        parts: Which parts of the dataset (default: query and gallery).
        batch_size: see `BatchSize`.
        flip: see `Flip`.
        views: Instead of the images as they are, N views of each, randomly changed: folders PART.views, from which a
            training learns (`--distillation.vectors`) while it shows the same views. They are not mirrored once more.
        views_of: Recipe, or .toml file, whose random changes the views show (default: beyond).
        shard: Do part I of N; whoever ends last joins them. Default: all of it, or under torchrun this process's.
        shard_size: Images between two writes; what has been written is not done again after an interruption.
        engine: see `Engine`.
        threads: see `Threads`.
        precision: Arithmetic of the network; bfloat16 and int8 change vectors, and what that does to a ranking is
            measured on 256 of the images.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    if images is not None and (data.given or parts):
        raise UsageError("--images embeds a folder of images, which has neither --data.* nor --parts")
    _check_views(views, views_of, images, precision)
    part, of = _part(shard)
    source = source_of(encoder, reading)
    if images is not None:
        samples = {"images": images_below(images)}
    else:
        dataset = data.load(encoder)
        samples = {name: dataset.part(name) for name in parts or ("query", "gallery")}
        empty = [name for name, items in samples.items() if not items]
        if empty:
            there = [name for name in PARTS if dataset.part(name)]
            raise EmbeddingError(
                f"{dataset.name}: no images in {' and '.join(empty)}; expected --parts {' '.join(there)}, which it has"
            )
    every = [sample for items in samples.values() for sample in items]
    from passerby.models.engines.choice import pick_encoder

    if precision == "float32":
        model, _ = pick_encoder(source, engine, images=len(every) * max(1, views), threads=threads)
    else:
        model = _lower(source, precision, every, engine, threads)
    settings = {"shard_size": shard_size, "batch_size": batch_size, "worker": part - 1, "workers": of}
    if views:
        seen = _views_of(views_of or "beyond", views)
        made = [_embed_views(model, items, seen, out / f"{name}.views", settings) for name, items in samples.items()]
        show([row for row, _ in made], as_json=json, text="\n".join(text for _, text in made))
        return
    settings["flip"] = flip
    rows = [_embed_part(model, items, out / f"{name}.parquet", settings) for name, items in samples.items()]
    values, text = [row for row, _ in rows], "\n".join(text for _, text in rows)
    from passerby.embedding.precision_effect import precision_effect

    effect = precision_effect(model, every, batch_size=batch_size, flip=flip)
    if effect is not None:
        values = [{**row, "precision_effect": effect.to_dict()} for row in values]
        text = f"{text}\n{effect}"
    show(values, as_json=json, text=text)


def _lower(
    source: Any, precision: PrecisionName, samples: Sequence[Any], engine: EngineName, threads: int | None
) -> Any:
    """The encoder in less than float32; int8 measures activations on the images themselves."""
    from passerby.models.encoder import load_encoder
    from passerby.models.engines.precision import CROPS, evenly, lower_precision

    crops = evenly([sample.path for sample in samples], CROPS)
    return lower_precision(load_encoder(source), precision, images=crops, engine=engine, threads=threads)


def _check_views(views: int, views_of: str | None, images: Path | None, precision: PrecisionName) -> None:
    if views < 0:
        raise UsageError(f"--views: expected 1 or more, found {views}")
    if views and images is not None:
        raise UsageError("--views are of a dataset's images (--data.name NAME --parts train), not of --images FOLDER")
    if views and precision != "float32":
        raise UsageError(f"--views are encoded in float32, found --precision {precision}")
    if views_of is not None and not views:
        raise UsageError("--views-of says what views show: give --views N, too")


def _views_of(recipe: str, count: int) -> Any:
    from passerby.config import load_recipe
    from passerby.data.views import Views

    config = load_recipe(recipe)
    return Views(count, config.augment, config.input)


def _embed_views(
    encoder: Any, samples: Any, views: Any, folder: Path, settings: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Embed every view; what to print, as values and as text."""
    from passerby.embedding.views import embed_views

    missing = embed_views(encoder, samples, views, folder, progress=is_first_process(), **settings)
    row = {
        "folder": str(folder),
        "views": views.count,
        "vectors": None if missing else views.count * len(samples),
        "dim": encoder.dim,
        "engine": encoder.engine.name,
        "threads": encoder.engine.threads or None,
        "missing": missing,
    }
    if missing:
        return row, f"{folder}: this part is done; {missing} files of other parts are not there yet"
    return row, f"{folder}: {views.count} views of {len(samples):,} images, {encoder.dim} values each"


def _embed_part(encoder: Any, samples: Any, file: Path, settings: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Embed into shards and, when all are there, join them; what to print, as values and as text."""
    from passerby.embedding.shards import embed_to_shards, join_shards, missing_shards

    folder = file.with_suffix(".shards")
    embed_to_shards(encoder, samples, folder, progress=is_first_process(), **settings)
    row: dict[str, Any] = {
        "file": str(file),
        "vectors": None,
        "dim": encoder.dim,
        "engine": encoder.engine.name,
        "threads": encoder.engine.threads or None,
        "precision": encoder.precision,
        "missing": missing_shards(folder),
    }
    if row["missing"]:
        this = f"part {settings['worker'] + 1} of {settings['workers']}"
        return row, f"{folder}: {this} is done; {row['missing']} files of other parts are not there yet"
    try:
        row["vectors"] = join_shards(folder, file)
    except EmbeddingError:
        if file.exists() and not folder.exists():  # another part ended at the same time, and has joined them
            return row, f"{file}: joined by another part"
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return row, f"{file}: {row['vectors']:,} x {encoder.dim}"


def _part(shard: str) -> tuple[int, int]:
    """Which part of how many, counted from 1."""
    if not shard:
        return int(os.environ.get("RANK", "0")) + 1, int(os.environ.get("WORLD_SIZE", "1"))
    part, _, of = shard.partition("/")
    if not (part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
        raise UsageError(f"--shard: expected I/N with 1 <= I <= N, found {shard!r}")
    return int(part), int(of)
