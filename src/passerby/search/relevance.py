"""Which gallery vectors are right for a query, and which do not count for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Bool, Int64

METRICS = ("euclidean", "cosine")
EXCLUDED = ("same_label_and_source", "same_source", "none")


@dataclass(frozen=True)
class Relevance:
    """Label and source of queries and gallery, and what is left out of a query's ranking.

    A gallery vector is right for a query where their labels agree. A source is where a vector comes from;
    what comes from the query's own source can be left out.

    Attributes:
        query_labels: [q].
        gallery_labels: [g].
        query_sources: [q], -1 unknown.
        gallery_sources: [g], -1 unknown; an unknown source equals no other.
        counted: [g], false for gallery vectors that count for no query.
        exclude: "same_label_and_source", "same_source" or "none".
    """

    query_labels: Int64
    gallery_labels: Int64
    query_sources: Int64
    gallery_sources: Int64
    counted: Bool
    exclude: str = "same_label_and_source"

    def kept(self, rows: slice | Int64) -> Bool:
        """Which gallery vectors count for the queries `rows`: [rows, g]."""
        kept = np.broadcast_to(self.counted, (len(self.query_labels[rows]), len(self.counted)))
        if self.exclude == "none":
            return kept
        sources = self.query_sources[rows, None]
        same = (sources == self.gallery_sources) & (sources >= 0)
        if self.exclude == "same_label_and_source":
            same &= self.query_labels[rows, None] == self.gallery_labels
        return np.asarray(kept & ~same)

    def own_source(self, rows: Int64, columns: Int64) -> tuple[Int64, Int64, Int64]:
        """(starts, ends, hidden): hidden[starts[i] : ends[i]] are the columns that have rows[i]'s label and source."""
        # a label and a source become one number; unknown sources get one that no image has
        sources = int(max(self.query_sources.max(), self.gallery_sources.max())) + 2
        shown = np.where(self.gallery_sources < 0, sources - 1, self.gallery_sources)[columns]
        shown = shown + sources * self.gallery_labels[columns]
        hidden = np.argsort(shown, kind="stable")
        wanted = self.query_sources[rows] + sources * self.query_labels[rows]
        starts = np.searchsorted(shown[hidden], wanted, "left")
        ends = np.searchsorted(shown[hidden], wanted, "right")
        return starts, np.where(self.query_sources[rows] < 0, starts, ends), hidden

    def groups(self) -> Iterator[tuple[Int64, Int64]]:
        """(queries, gallery vectors searched for all of them); what is left out besides has the query's own label."""
        everything = np.flatnonzero(self.counted)
        if self.exclude != "same_source":
            yield np.arange(len(self.query_labels)), everything
            return
        for source in np.unique(self.query_sources):
            other = everything if source < 0 else np.flatnonzero(self.counted & (self.gallery_sources != source))
            yield np.flatnonzero(self.query_sources == source), other
