"""`passerby embed`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from passerby.cli.dataset_flags import DatasetFlags
from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.image_folder import images_below
from passerby.cli.output import is_first_process, show
from passerby.cli.shared_parameters import BatchSize, Encoder, Engine, Flip, Json
from passerby.errors import EmbeddingError, UsageError


def embed(
    encoder: Encoder,
    /,
    *,
    out: Annotated[Path, Parameter(metavar="FOLDER")],
    images: Annotated[Path | None, Parameter(metavar="FOLDER")] = None,
    data: DatasetFlags = DatasetFlags(),
    parts: tuple[Literal["train", "query", "gallery"], ...] = (),
    batch_size: BatchSize = 128,
    flip: Flip = True,
    shard: Annotated[str, Parameter(metavar="I/N")] = "",
    shard_size: Annotated[int, Parameter(metavar="N")] = 8192,
    engine: Engine = "auto",
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
        shard: Do part I of N; whoever ends last joins them. Default: all of it, or under torchrun this process's.
        shard_size: Images between two writes; what has been written is not done again after an interruption.
        engine: see `Engine`.
        reading: How to read a model file that does not describe itself.
        json: see `Json`.
    """
    if images is not None and (data.given or parts):
        raise UsageError("--images embeds a folder of images, which has neither --data.* nor --parts")
    part, of = _part(shard)
    from passerby.models.engines.choice import pick_encoder

    if images is not None:
        samples = {"images": images_below(images)}
    else:
        dataset = data.load(encoder)
        samples = {name: dataset.part(name) for name in parts or ("query", "gallery")}
    model, _ = pick_encoder(source_of(encoder, reading), engine, images=sum(map(len, samples.values())))
    settings = {"shard_size": shard_size, "batch_size": batch_size, "flip": flip, "worker": part - 1, "workers": of}
    rows = [_embed_part(model, items, out / f"{name}.parquet", settings) for name, items in samples.items()]
    show([row for row, _ in rows], as_json=json, text="\n".join(text for _, text in rows))


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
