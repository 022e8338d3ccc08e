"""Identities that look alike, with pictures: very hard negatives, or one person under two labels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby.array_types import Float32, Int64
from passerby.data.sampling.hard_identity import Linkage, LookAlikePair, closest_pairs, nearest_identities
from passerby.data.sampling.identity_groups import IdentityGroups
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError, EmbeddingError, unknown_name
from passerby.report.html_page import Picture, Section, Strip, render_page, write_page

_LINKAGES = ("mean", "min", "average")
_SHOWN = 4  # pictures of each identity on the page


@dataclass(frozen=True)
class NearestImages:
    """The two images, one of each identity of a pair, that lie closest together.

    Attributes:
        rows: their rows in the embeddings.
        distance: between their unit vectors, 0 to 2.
    """

    rows: tuple[int, int]
    distance: float


@dataclass(frozen=True)
class LookAlikes:
    """Pairs of identities that look most alike, nearest first.

    Attributes:
        pairs: the pairs; their distance is that of the linkage.
        nearest: of each pair its two nearest images.
        embeddings: what was searched; distractors and junk are not in it.
        linkage: what the distance of two identities is.
        left_out: images of distractors and junk (person numbers below 1).
    """

    pairs: tuple[LookAlikePair, ...]
    nearest: tuple[NearestImages, ...]
    embeddings: Embeddings
    linkage: str
    left_out: int

    def rows(self) -> list[dict[str, Any]]:
        """One row a pair, as plain values."""
        found = []
        for pair, images in zip(self.pairs, self.nearest, strict=True):
            first, second = (self._path(row) for row in images.rows)
            found.append(
                {
                    "pid": pair.label,
                    "other_pid": pair.other,
                    "distance": round(pair.distance, 6),
                    "nearest_images": round(images.distance, 6),
                    "image": first,
                    "other_image": second,
                    "cameras": list(pair.cameras),
                    "other_cameras": list(pair.other_cameras),
                }
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        identities = len(np.unique(self.embeddings.pids))
        return {
            "linkage": self.linkage,
            "identities": identities,
            "images": len(self.embeddings),
            "left_out": self.left_out,
            "pairs": self.rows(),
        }

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write a page with the pictures of every pair: the nearest two images first.

        Raises:
            StorageError: it cannot be written.
        """
        strips = tuple(
            self._strip(number, pair, images)
            for number, (pair, images) in enumerate(zip(self.pairs, self.nearest, strict=True), 1)
        )
        text = (
            "Each row is two identities: the image of the one that lies nearest to the other, then images of the "
            "other, then further images of the first. Two people who look alike are hard negatives; one person under "
            "two labels is a fault of the dataset.",
        )
        section = Section("Closest pairs of identities", text=text, strips=strips)
        return write_page(path, render_page("Look-alikes", self._summary(), (), (section,)))

    def __str__(self) -> str:
        lines = [self._summary()]
        for row in self.rows():
            cameras, others = (_cameras(row[key]) for key in ("cameras", "other_cameras"))
            lines.append(
                f"  {row['pid']} ({cameras}) and {row['other_pid']} ({others}): {row['distance']:.4f}, nearest images "
                f"{row['nearest_images']:.4f}: {row['image']} {row['other_image']}"
            )
        return "\n".join(lines)

    def _summary(self) -> str:
        found = self.to_dict()
        left = f", {self.left_out:,} images of distractors and junk left out" if self.left_out else ""
        return (
            f"{len(self.pairs)} closest pairs of {found['identities']:,} identities "
            f"({found['images']:,} images{left}), linkage {self.linkage}"
        )

    def _strip(self, number: int, pair: LookAlikePair, images: NearestImages) -> Strip:
        first, second = images.rows
        pids = self.embeddings.pids
        others = [second, *[r for r in np.flatnonzero(pids == pair.other).tolist() if r != second][: _SHOWN - 1]]
        mine = [r for r in np.flatnonzero(pids == pair.label).tolist() if r != first][: _SHOWN - 1]
        title = f"{number}: identities {pair.label} and {pair.other}, distance {pair.distance:.3f}"
        return Strip(title, self._picture(first), tuple(self._picture(row) for row in (*others, *mine)))

    def _picture(self, row: int) -> Picture:
        camera = int(self.embeddings.camids[row])
        lines = (f"id {int(self.embeddings.pids[row])}", f"camera {camera}" if camera >= 0 else "camera unknown")
        return Picture(self._path(row) or None, ", ".join(lines), lines)

    def _path(self, row: int) -> str:
        return self.embeddings.paths[row] if self.embeddings.paths else ""


def look_alikes(embeddings: Embeddings, *, top: int = 20, linkage: Linkage = "mean") -> LookAlikes:
    """The pairs of identities that look most alike to an encoder.

    Args:
        embeddings: vectors of a labelled set, usually the training images (`passerby embed ENCODER --parts train`);
            compared as unit vectors.
        top: pairs to find.
        linkage: distance of two identities: "mean" of their mean vectors; "min" of their nearest two images; "average"
            over all pairs of images.

    Raises:
        EmbeddingError: fewer than two identities with a person number of at least 1.
        ConfigError: top below 1, or an unknown linkage.
    """
    if linkage not in _LINKAGES:
        raise ConfigError(unknown_name("linkage", str(linkage), _LINKAGES))
    if top < 1:
        raise ConfigError(f"top: expected at least 1 pair, found {top}")
    known = embeddings.pids > 0
    people = embeddings.select(known)
    identities = len(np.unique(people.pids))
    if identities < 2:
        raise EmbeddingError(
            f"look-alikes need images of at least two identities, found {identities} in {len(embeddings):,} vectors "
            f"({len(embeddings) - len(people):,} of distractors and junk); embed a labelled set"
        )
    vectors = people.vectors / np.maximum(np.linalg.norm(people.vectors, axis=1, keepdims=True), 1e-12)
    groups = IdentityGroups(people.pids, people.camids.tolist())
    number = min(top, identities - 1)  # of the closest `top` pairs each is among the nearest `top` of its identities
    lists, distances = nearest_identities(vectors, groups, number, linkage)
    pairs = tuple(closest_pairs(groups, lists, distances, top))
    nearest = tuple(_nearest_images(vectors, people.pids, pair) for pair in pairs)
    return LookAlikes(pairs, nearest, people, linkage, int((~known).sum()))


def _nearest_images(vectors: Float32, pids: Int64, pair: LookAlikePair) -> NearestImages:
    first, second = (np.flatnonzero(pids == pid) for pid in (pair.label, pair.other))
    cosines = vectors[first] @ vectors[second].T
    i, j = np.unravel_index(int(cosines.argmax()), cosines.shape)
    distance = float(np.linalg.norm(vectors[first[i]] - vectors[second[j]]))
    return NearestImages((int(first[i]), int(second[j])), distance)


def _cameras(numbers: list[int]) -> str:
    return "cameras " + ", ".join(map(str, numbers)) if numbers else "cameras unknown"
