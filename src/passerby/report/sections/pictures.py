"""The parts of a report that show images: ranked lists, activation maps, a map of identities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from passerby.embedding.embeddings import Embeddings
from passerby.errors import ImageError
from passerby.evaluation.closed_set.result import Report
from passerby.models.encoder import Encoder
from passerby.report import figures
from passerby.report.activation_maps import activation_maps
from passerby.report.camera_names import CameraNames
from passerby.report.figure_data import RankedList, left_out_by, ranked_lists
from passerby.report.formatting import percent
from passerby.report.html_page import Picture, Plot, Section, Strip
from passerby.report.identity_map import choose_images, tsne

_LIST_LENGTH = 10
_DRAWN_GALLERY = ("cuhk03", "single_shot")


def rankings(
    report: Report, query: Embeddings, gallery: Embeddings, cameras: CameraNames, *, seed: int, each: int = 4
) -> Section:
    """Ranked lists of the worst, the best and some random queries."""
    own = report.per_query
    worst = _distinct(np.lexsort((own.index, -own.matches, own.ap)), own.pid, each)
    best = _distinct(np.lexsort((own.index, -own.matches, -own.ap)), own.pid, each)
    shuffled = np.random.default_rng(seed).permutation(len(own))
    chosen = [
        (kind, number)
        for kind, numbers in (("Worst", worst), ("Random", _distinct(shuffled, own.pid, each)), ("Best", best))
        for number in numbers
    ]
    lists = ranked_lists(
        query,
        gallery,
        [int(own.index[number]) for _, number in chosen],
        length=_LIST_LENGTH,
        protocol=report.protocol,
        metric=report.metric,
        **left_out_by(report),
    )
    strips = tuple(
        _strip(f"{kind}: AP {percent(float(own.ap[number]))}, {_first_match(int(own.first_rank[number]))}",
               ranked, query, gallery, cameras)
        for (kind, number), ranked in zip(chosen, lists, strict=True)
    )  # fmt: skip
    numbered = "in the names of the image files" if cameras.first else "in the dataset's records"
    notes = [f"Cameras are numbered as {numbered}."]
    if report.protocol in _DRAWN_GALLERY:
        notes.append("The protocol draws one image a person; the lists show all of them.")
    return Section(
        "Ranked lists",
        text=(
            f"The {_LIST_LENGTH} nearest gallery images of some queries, nearest first, without re-ranking. ✓ with a "
            "green solid frame is the same person, ✗ with a red dashed frame is not. What the protocol leaves out "
            "(junk, the query's person in the query's own camera) is left out here.",
        ),
        strips=strips,
        notes=tuple(notes),
    )


def activations(
    encoder: Encoder, query: Embeddings, cameras: CameraNames, *, seed: int, count: int = 8
) -> Section | None:
    """Where the network responds in some queries; None where no picture can be read."""
    pictures = []
    for row in np.random.default_rng(seed).permutation(len(query)).tolist():
        path = _path(query, row)
        try:
            found = activation_maps(encoder, [path] if path else [])
        except ImageError:
            continue
        for seen in found:
            person, where = f"id {int(query.pids[row])}", cameras.of(int(query.camids[row]))
            alt = f"{person}, {where}, and where the network responds: on average {seen.height_of_mean:.0%} down"
            pictures.append(Picture(seen.side_by_side(), alt, (person, where)))
        if len(pictures) == count:
            break
    if not pictures:
        return None
    return Section(
        "Activation maps",
        text=(
            "Left the image, right how strongly each place drives the embedding: the norm over the channels of the "
            "last feature map, bright where it is large. It tells where the network looks, not why two images match.",
        ),
        strips=(Strip("Randomly chosen queries", None, tuple(pictures)),),
    )


def identity_map(query: Embeddings, gallery: Embeddings, cameras: CameraNames, *, seed: int) -> Section | None:
    """A plane with the images of some identities; None where nobody has two images."""
    vectors = np.concatenate([query.vectors, gallery.vectors])
    pids = np.concatenate([query.pids, gallery.pids])
    camids = np.concatenate([query.camids, gallery.camids])
    rows = choose_images(pids, seed=seed)
    if len(rows) == 0:
        return None
    points = tsne(vectors[rows], seed=seed)
    shown = np.where(camids[rows] < 0, camids[rows], camids[rows] + cameras.first)
    people = len(np.unique(pids[rows]))
    return Section(
        "Map of identities",
        plots=(
            Plot(
                partial(figures.identity_map, points, pids[rows], shown),
                f"{len(rows)} images of {people} identities as points; images with similar vectors lie together.",
                f"{len(rows)} query and gallery images of {people} randomly chosen identities, exact t-SNE of their "
                "vectors. Who lies together means something; how far apart groups lie does not. Groups that split by "
                "camera show what the model has not learned to ignore.",
                draw_wide=partial(figures.identity_map, points, pids[rows], shown, width=9.6),
            ),
        ),
    )


def _strip(title: str, ranked: RankedList, query: Embeddings, gallery: Embeddings, cameras: CameraNames) -> Strip:
    pid, camera = int(query.pids[ranked.query]), cameras.of(int(query.camids[ranked.query]))
    query_picture = Picture(
        _path(query, ranked.query),
        f"Query: identity {pid}, {camera}",
        ("query", f"id {pid}", camera),
    )
    others = []
    for place, (row, distance, correct) in enumerate(
        zip(ranked.gallery.tolist(), ranked.distances.tolist(), ranked.correct.tolist(), strict=True), start=1
    ):
        own, where = int(gallery.pids[row]), cameras.of(int(gallery.camids[row]))
        verdict = "the same person" if correct else "somebody else"
        others.append(
            Picture(
                _path(gallery, row),
                f"Rank {place}, {verdict}: {_identity(own)}, {where}, distance {distance:.3f}",
                (_identity(own), where, f"{distance:.3f}"),
                "correct" if correct else "wrong",
            )
        )
    return Strip(title, query_picture, tuple(others))


def _path(embeddings: Embeddings, row: int) -> str | None:
    return embeddings.paths[row] if embeddings.paths else None


def _identity(pid: int) -> str:
    return f"id {pid}" if pid > 0 else "distractor"


def _first_match(rank: int) -> str:
    return f"first match at rank {rank}" if rank > 0 else "no match"


def _distinct(order: Sequence[int] | np.ndarray[Any, Any], pids: np.ndarray[Any, Any], count: int) -> list[int]:
    """The first `count` of `order` that show different people."""
    first: dict[int, int] = {}
    for number in order:
        first.setdefault(int(pids[number]), int(number))
        if len(first) == count:
            break
    return list(first.values())
