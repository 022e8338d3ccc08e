"""A teacher's vectors of the views that a student will see, in one file a view."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from passerby.config import AugmentConfig, InputConfig
from passerby.data.records import Sample
from passerby.data.views import Views
from passerby.embedding.embed import Embedder
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.shards import embed_to_shards, join_shards, list_digest, missing_shards
from passerby.errors import EmbeddingError
from passerby.files import replace_file

_ABOUT = "views.json"


def embed_views(
    encoder: Embedder,
    samples: Sequence[Sample],
    views: Views,
    folder: str | os.PathLike[str],
    *,
    shard_size: int = 8192,
    batch_size: int = 128,
    worker: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> int:
    """Encode every view of images into folder/view-0.parquet, ...; views that are there already are not made again.

    Args:
        encoder: the teacher.
        samples: images with their labels.
        views: which views; written into folder/views.json.
        folder: made if needed.
        shard_size: images in a shard.
        batch_size: images a forward pass; views are not mirrored once more.
        worker: number of this process, from 0.
        workers: how many processes there are.
        progress: show a bar on stderr.

    Returns:
        How many shards of other workers are missing; 0: all views are there.

    Raises:
        EmbeddingError: no samples, or a folder that was begun with other views, images or another encoder.
        ImageError: an image cannot be read.
        StorageError: writing failed.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    _agree(target, {"views": _to_dict(views), "encoder": encoder.fingerprint, "images": list_digest(samples)})
    missing = 0
    for view in range(views.count):
        if not _file(target, view).exists():
            missing += _embed_view(
                _OfView(encoder, views, view), samples, _file(target, view),
                shard_size=shard_size, batch_size=batch_size, worker=worker, workers=workers, progress=progress,
            )  # fmt: skip
    return missing


def read_views(folder: str | os.PathLike[str]) -> Views:
    """Which views the vectors in a folder of `embed_views` are of.

    Raises:
        EmbeddingError: not such a folder.
    """
    return _read(Path(folder))[0]


def is_view(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of the views in a folder of `embed_views`."""
    return (Path(path).parent / _ABOUT).exists()


def read_vectors_of_views(folder: str | os.PathLike[str]) -> list[Embeddings]:
    """The vectors of each view, in the order of the views.

    Raises:
        EmbeddingError: not such a folder, a view is missing, or a file is another view's.
    """
    target = Path(folder)
    views, encoder = _read(target)
    count = views.count
    missing = [_file(target, view).name for view in range(count) if not _file(target, view).exists()]
    if missing:
        raise EmbeddingError(
            f"{target}: {len(missing)} of {count} views are missing ({', '.join(missing)}); the same "
            "`passerby embed` goes on"
        )
    vectors = [Embeddings.from_parquet(_file(target, view)) for view in range(count)]
    for view, found in enumerate(vectors):
        if found.fingerprint != _fingerprint(encoder, views, view):
            raise EmbeddingError(f"{_file(target, view)}: holds other vectors than those of view {view}; make it anew")
    return vectors


class _OfView:
    """An encoder that sees one view of each image."""

    def __init__(self, encoder: Embedder, views: Views, view: int) -> None:
        self._encoder, self._views, self._view = encoder, views, view
        self.fingerprint = _fingerprint(encoder.fingerprint, views, view)
        self.dim = encoder.dim

    def encode(self, images: Any, *, batch_size: int = 128, flip: bool = False) -> npt.NDArray[np.float32]:
        pictures = self._views.pictures(images, self._view)
        return self._encoder.encode(list(pictures), batch_size=batch_size, flip=flip)


def _embed_view(encoder: _OfView, samples: Sequence[Sample], file: Path, **settings: Any) -> int:
    shards = file.with_suffix(".shards")
    embed_to_shards(encoder, samples, shards, flip=False, **settings)
    missing = missing_shards(shards)
    if not missing:
        join_shards(shards, file)
        shutil.rmtree(shards, ignore_errors=True)
    return missing


def _agree(folder: Path, about: dict[str, Any]) -> None:
    """Write what the views are of, or refuse if the folder was begun with something else."""
    file = folder / _ABOUT
    if file.exists():
        _read(folder)
        found = json.loads(file.read_text("utf-8"))
        other = [name for name, value in about.items() if found.get(name) != value]
        if other:
            names = " and ".join({"encoder": "another encoder"}.get(name, f"other {name}") for name in other)
            raise EmbeddingError(f"{folder}: was begun with {names}; remove it, or choose another --out")
        return
    with replace_file(file) as temporary:
        temporary.write_text(json.dumps(about, indent=1), "utf-8")


def _read(folder: Path) -> tuple[Views, str]:
    """The views, and the fingerprint of the encoder that saw them."""
    try:
        about = json.loads((folder / _ABOUT).read_text("utf-8"))
        seen = about["views"]
        views = Views(int(seen["count"]), AugmentConfig(**seen["augment"]), InputConfig(**seen["input"]))
        return views, str(about["encoder"])
    except FileNotFoundError:
        problem = f"found no {_ABOUT} in it"
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        problem = f"found another {_ABOUT} ({type(error).__name__})"
    raise EmbeddingError(
        f"{folder}: expected a Parquet file of vectors, or a folder of views as `passerby embed TEACHER --parts train "
        f"--views N` makes it; {problem}"
    )


def _fingerprint(encoder: str, views: Views, view: int) -> str:
    about = json.dumps([encoder, view, _to_dict(views)], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def _file(folder: Path, view: int) -> Path:
    return folder / f"view-{view}.parquet"


def _to_dict(views: Views) -> dict[str, Any]:
    return {
        "count": views.count,
        "augment": views.augment.model_dump(mode="json"),
        "input": views.input.model_dump(mode="json", include={"height", "width", "mean", "std", "bits"}),
    }
