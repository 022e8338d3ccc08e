"""Embedding many images: in shards that survive an interruption and can be shared out among processes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from passerby.array_types import Float32
from passerby.data.records import Sample
from passerby.embedding.embed import Embedder, encode_in_order
from passerby.embedding.embeddings import Embeddings, embeddings_of
from passerby.errors import EmbeddingError
from passerby.files import replace_file
from passerby.progress import progress_bar

_PLAN = "plan.json"


def embed_to_shards(
    encoder: Embedder,
    samples: Sequence[Sample],
    folder: str | os.PathLike[str],
    *,
    shard_size: int = 8192,
    batch_size: int = 128,
    flip: bool = True,
    worker: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> int:
    """Encode images into folder/shard-00000.parquet, ...; shards that are there already are not made again.

    Call it again after an interruption and it goes on. Several processes, on one or many machines that share the
    folder, each take every `workers`-th shard. `read_shards` joins the result.

    Args:
        encoder: a `passerby.Encoder`.
        samples: images with their labels, the same ones in the same order at every call.
        folder: where the shards go; made if needed.
        shard_size: images in a shard.
        batch_size: images a forward pass.
        flip: average the vectors of an image and of its mirror image.
        worker: number of this process, from 0.
        workers: how many processes there are.
        progress: show a bar on stderr.

    Returns:
        How many shards this call made.

    Raises:
        EmbeddingError: no samples, or a folder that was begun with other images, another encoder or other settings.
        ImageError: an image cannot be read.
        StorageError: writing failed.
    """
    if not samples or shard_size < 1 or not 0 <= worker < workers:
        raise EmbeddingError(
            f"embed: expected samples, shard_size >= 1 and 0 <= worker < workers, found {len(samples):,} samples, "
            f"{shard_size}, {worker} and {workers}"
        )
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    plan = {
        "samples": len(samples),
        "list": list_digest(samples),
        "encoder": encoder.fingerprint,
        "shard_size": shard_size,
        "flip": flip,
    }
    _agree(target / _PLAN, plan)
    mine = range(worker, -(-len(samples) // shard_size), workers)
    missing = [shard for shard in mine if not _shard(target, shard).exists()]
    parts = {shard: samples[shard * shard_size : (shard + 1) * shard_size] for shard in missing}
    todo = [sample for part in parts.values() for sample in part]
    there = sum(min(shard_size, len(samples) - shard * shard_size) for shard in mine) - len(todo)
    # one stream for all shards: images are decoded ahead across their borders
    rows = _Rows(encode_in_order(encoder, todo, batch_size=min(batch_size, shard_size), flip=flip))
    with progress_bar("embed", there + len(todo), done=there, quiet=not progress) as bar:
        for shard, part in parts.items():
            vectors = np.empty((len(part), encoder.dim), np.float32)
            for start, stop in rows.fill(vectors):
                bar.advance(stop - start)
            embeddings_of(vectors, part, fingerprint=encoder.fingerprint).to_parquet(_shard(target, shard))
    return len(missing)


class _Rows:
    """Cuts a stream of batches into shards."""

    def __init__(self, batches: Iterator[Float32]) -> None:
        self._batches = batches
        self._left = np.empty((0, 0), np.float32)

    def fill(self, out: Float32) -> Iterator[tuple[int, int]]:
        """Write the next rows into `out`; which ones, as they come."""
        done = 0
        while done < len(out):
            if not len(self._left):
                self._left = next(self._batches)
            part, self._left = self._left[: len(out) - done], self._left[len(out) - done :]
            out[done : done + len(part)] = part
            yield done, done + len(part)
            done += len(part)


def join_shards(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> int:
    """Write the shards of `embed_to_shards` into one Parquet file, one after the other: memory for a single one.

    Returns:
        How many rows there are.

    Raises:
        EmbeddingError: not such a folder, or a shard is missing.
        StorageError: writing failed.
    """
    plan, paths = _whole(Path(folder))
    schemas = [pq.read_schema(shard) for shard in paths]
    schema = pa.unify_schemas([s.remove_metadata() for s in schemas])
    about = json.loads(schemas[0].metadata[b"passerby"]) | {"rows": plan["samples"]}
    unknown = {"time": (np.nan, pa.float64()), "tracklet": (-1, pa.int64())}  # where no image of a shard has one
    schema = schema.with_metadata({"passerby": json.dumps(about)})
    with replace_file(path) as temporary, pq.ParquetWriter(temporary, schema, use_dictionary=["path"]) as writer:
        for shard in paths:
            table = pq.read_table(shard)
            for name in (n for n in schema.names if n not in table.column_names):
                value, kind = unknown[name]
                table = table.append_column(name, pa.array([value] * len(table), kind))
            writer.write_table(table.select(schema.names).replace_schema_metadata(schema.metadata))
    return int(plan["samples"])


def missing_shards(folder: str | os.PathLike[str]) -> int:
    """How many shards of a folder are not made yet.

    Raises:
        EmbeddingError: not such a folder.
    """
    return sum(not path.exists() for path in _planned(Path(folder))[1])


def read_shards(folder: str | os.PathLike[str]) -> Embeddings:
    """Join the shards of `embed_to_shards`, in the order of its samples.

    Raises:
        EmbeddingError: not such a folder, or a shard is missing.
    """
    plan, paths = _whole(Path(folder))
    parts = [Embeddings.from_parquet(path) for path in paths]
    times = [np.full(len(p), np.nan) if p.times is None else p.times for p in parts]
    tracklets = [np.full(len(p), -1, dtype=np.int64) if p.tracklets is None else p.tracklets for p in parts]
    return Embeddings(
        vectors=np.concatenate([p.vectors for p in parts]),
        pids=np.concatenate([p.pids for p in parts]),
        camids=np.concatenate([p.camids for p in parts]),
        paths=tuple(path for p in parts for path in p.paths),
        times=None if all(p.times is None for p in parts) else np.concatenate(times),
        tracklets=None if all(p.tracklets is None for p in parts) else np.concatenate(tracklets),
        fingerprint=plan["encoder"],
    )


def _planned(source: Path) -> tuple[dict[str, Any], list[Path]]:
    try:
        plan = json.loads((source / _PLAN).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EmbeddingError(f"{source}: not a folder of shards ({error})") from None
    return plan, [_shard(source, shard) for shard in range(-(-plan["samples"] // plan["shard_size"]))]


def _whole(source: Path) -> tuple[dict[str, Any], list[Path]]:
    plan, paths = _planned(source)
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise EmbeddingError(
            f"{source}: {len(missing)} of {len(paths)} shards are missing, the first is {missing[0]}; "
            "run embed_to_shards again with the same samples"
        )
    return plan, paths


def _shard(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.parquet"


def list_digest(samples: Sequence[Sample]) -> str:
    """Digest of which images these are, in which order, and of whom."""
    digest = hashlib.sha256()
    for s in samples:
        digest.update(f"{s.path}\0{s.pid}\0{s.camid}\0{s.time}\0{s.tracklet}\n".encode())
    return digest.hexdigest()[:16]


def _agree(path: Path, plan: dict[str, object]) -> None:
    """Write the plan, or make sure that it is the one that was begun with."""
    if path.exists():
        begun = json.loads(path.read_text("utf-8"))
        other = [name for name in plan if begun.get(name) != plan[name]]
        if other:
            raise EmbeddingError(
                f"{path.parent}: was begun with another {', '.join(other)}; take a new folder, or delete this one"
            )
        return
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(plan, indent=2) + "\n", "utf-8")
