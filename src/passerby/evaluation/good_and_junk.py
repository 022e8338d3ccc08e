"""Which gallery images are right for a query, and which do not count for it, in terms of persons and cameras."""

from __future__ import annotations

from passerby.array_types import Bool, Int64
from passerby.search.relevance import Relevance

_EXCLUDED = {"same_id_same_camera": "same_label_and_source", "same_camera": "same_source", "none": "none"}
EXCLUSIONS = tuple(_EXCLUDED)
"""Left out of a query's list: images of its person and camera (Market-1501), of its camera (CUHK03), or nothing."""


def relevance_of(
    query_pids: Int64,
    gallery_pids: Int64,
    query_camids: Int64,
    gallery_camids: Int64,
    counted: Bool,
    exclude: str = "same_id_same_camera",
) -> Relevance:
    """Persons as labels and cameras as sources.

    Args:
        query_pids: [q].
        gallery_pids: [g].
        query_camids: [q], -1 unknown.
        gallery_camids: [g], -1 unknown; an unknown camera equals no camera.
        counted: [g], false for gallery images that count for nobody (junk).
        exclude: a name of `EXCLUSIONS`.
    """
    return Relevance(query_pids, gallery_pids, query_camids, gallery_camids, counted, _EXCLUDED[exclude])
