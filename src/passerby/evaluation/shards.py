"""Embedding many images: in shards that survive an interruption and can be shared out among processes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from passerby.data.records import Sample
from passerby.errors import EmbeddingError
from passerby.evaluation.embed import Embedder, Embeddings, embed
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
        "list": _digest(samples),
        "encoder": encoder.fingerprint,
        "shard_size": shard_size,
        "flip": flip,
    }
    _agree(target / _PLAN, plan)
    mine = range(worker, -(-len(samples) // shard_size), workers)
    missing = [shard for shard in mine if not _shard(target, shard).exists()]
    with progress_bar("embed shards", len(mine) if progress else 0, done=len(mine) - len(missing)) as bar:
        for shard in missing:
            part = samples[shard * shard_size : (shard + 1) * shard_size]
            embed(encoder, part, batch_size=batch_size, flip=flip, progress=False).to_parquet(_shard(target, shard))
            bar.advance()
    return len(missing)


def read_shards(folder: str | os.PathLike[str]) -> Embeddings:
    """Join the shards of `embed_to_shards`, in the order of its samples.

    Raises:
        EmbeddingError: not such a folder, or a shard is missing.
    """
    source = Path(folder)
    try:
        plan = json.loads((source / _PLAN).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EmbeddingError(f"{source}: not a folder of shards ({error})") from None
    paths = [_shard(source, shard) for shard in range(-(-plan["samples"] // plan["shard_size"]))]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise EmbeddingError(
            f"{source}: {len(missing)} of {len(paths)} shards are missing, the first is {missing[0]}; "
            "run embed_to_shards again with the same samples"
        )
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


def _shard(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.parquet"


def _digest(samples: Sequence[Sample]) -> str:
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
