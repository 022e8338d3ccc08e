"""Opening the gallery that a command names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from passerby.config.engine import EngineName
from passerby.errors import GalleryError

if TYPE_CHECKING:
    from passerby.gallery.gallery import Gallery
    from passerby.gallery.images_or_vectors import VectorEncoder

_MANY = 500  # images, of which torch decodes and prepares the next ones while it works


def open_gallery(
    location: str,
    encoder: str | os.PathLike[str] | None = None,
    *,
    engine: EngineName = "auto",
    threads: int | None = None,
    images: int = 0,
    make: bool = False,
    read_only: bool = False,
    far: float | None = None,
    override_far: bool = False,
    guaranteed: bool = False,
) -> Gallery:
    """Open a gallery.

    Args:
        location: a file, or milvus://HOST:PORT/NAME.
        encoder: the encoder, where images come in.
        engine: what runs the encoder.
        threads: of the engine; None: as many as were measured to be fastest.
        images: how many will be encoded.
        make: make it where there is none.
        read_only: refuse every change.
        far: asked false accept rate; of an existing gallery it must be the stored one, unless `override_far`.
        override_far: use `far` for this command only.
        guaranteed: see `Gallery.open`.

    Raises:
        GalleryError: there is none, or it cannot be opened.
        WeightsError: no such encoder.
    """
    if not make and "://" not in location and not Path(location).exists():
        raise GalleryError(f"{location}: no such gallery; `passerby enroll` makes one")
    from passerby.gallery.gallery import Gallery
    from passerby.gallery.stores.opening import check_place

    check_place(location)
    return Gallery.open(
        location,
        None if encoder is None else _encoder(encoder, engine, threads, images),
        read_only=read_only,
        far=far,
        override_far=override_far and far is not None,
        guaranteed=guaranteed,
    )


@contextmanager
def no_gallery_left_by_failure(location: str) -> Iterator[None]:
    """Take away again the file of a gallery that a command made and, since it failed, stored nothing in.

    Args:
        location: as for `open_gallery`, which is called within.
    """
    from passerby.gallery.stores.opening import is_new_file, remove_if_unused

    new = is_new_file(location)
    try:
        yield
    except BaseException:
        if new:
            remove_if_unused(location)
        raise


def _encoder(place: str | os.PathLike[str], engine: EngineName, threads: int | None, images: int) -> VectorEncoder:
    """The encoder; where a graph of it is at hand, without torch, whose import takes longer than a picture."""
    if engine != "torch" and images < _MANY:
        from passerby.models.described_encoder import described_encoder
        from passerby.models.engines.graph_choice import graph_at_hand
        from passerby.models.engines.graph_engine import GraphEngine
        from passerby.models.engines.threads import check_threads
        from passerby.models.graph_encoder import GraphEncoder
        from passerby.models.graph_loading import find_graph
        from passerby.models.sources import encoder_source

        check_threads(threads)
        described = described_encoder(place)
        graph = None if described is None else graph_at_hand(described, threads)
        if described is not None and graph is not None and engine in ("auto", graph.name):
            return GraphEncoder(graph, described)
        found = None
        if described is None:
            found = find_graph(encoder_source(place), None if engine == "auto" else engine, threads or 0)
        if found is not None and isinstance(found.engine, GraphEngine):
            return GraphEncoder(found.engine, found)
    from passerby.models.engines.choice import pick_encoder

    return pick_encoder(place, engine, images=images, threads=threads)[0]
