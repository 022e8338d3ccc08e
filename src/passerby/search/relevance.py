"""Who is who, and what counts for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from passerby.search.arrays import Bool, Int64

METRICS = ("euclidean", "cosine")
EXCLUSIONS = ("same_id_same_camera", "same_camera", "none")


@dataclass(frozen=True)
class Labels:
    """Person and camera of queries and gallery, and what is left out of a query's ranking.

    Attributes:
        query_pids: [q].
        gallery_pids: [g].
        query_camids: [q], -1 unknown.
        gallery_camids: [g], -1 unknown; an unknown camera equals no camera.
        counted: [g], false for gallery images that count for nobody (junk).
        exclude: "same_id_same_camera" (Market-1501), "same_camera" (CUHK03) or "none".
    """

    query_pids: Int64
    gallery_pids: Int64
    query_camids: Int64
    gallery_camids: Int64
    counted: Bool
    exclude: str = "same_id_same_camera"

    def kept(self, rows: slice | Int64) -> Bool:
        """Which gallery images count for the queries `rows`: [rows, g]."""
        kept = np.broadcast_to(self.counted, (len(self.query_pids[rows]), len(self.counted)))
        if self.exclude == "none":
            return kept
        camids = self.query_camids[rows, None]
        same = (camids == self.gallery_camids) & (camids >= 0)
        if self.exclude == "same_id_same_camera":
            same &= self.query_pids[rows, None] == self.gallery_pids
        return np.asarray(kept & ~same)

    def own_camera(self, rows: Int64, columns: Int64) -> tuple[Int64, Int64, Int64]:
        """(starts, ends, hidden): hidden[starts[i] : ends[i]] are the columns that show rows[i]'s person and camera."""
        # a person and a camera become one number; unknown cameras get one that no image has
        cameras = int(max(self.query_camids.max(), self.gallery_camids.max())) + 2
        shown = np.where(self.gallery_camids < 0, cameras - 1, self.gallery_camids)[columns]
        shown = shown + cameras * self.gallery_pids[columns]
        hidden = np.argsort(shown, kind="stable")
        asked = self.query_camids[rows] + cameras * self.query_pids[rows]
        starts = np.searchsorted(shown[hidden], asked, "left")
        ends = np.searchsorted(shown[hidden], asked, "right")
        return starts, np.where(self.query_camids[rows] < 0, starts, ends), hidden

    def groups(self) -> Iterator[tuple[Int64, Int64]]:
        """(queries, gallery images searched for all of them); what is left out besides is of the query's own person."""
        everything = np.flatnonzero(self.counted)
        if self.exclude != "same_camera":
            yield np.arange(len(self.query_pids)), everything
            return
        for camid in np.unique(self.query_camids):
            other = everything if camid < 0 else np.flatnonzero(self.counted & (self.gallery_camids != camid))
            yield np.flatnonzero(self.query_camids == camid), other
