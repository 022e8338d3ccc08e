"""Rank by the vectors of several encoders side by side: the unit vectors of each image, one after the other.

    python -m benchmarks.side_by_side FOLDER FOLDER ... [--rerank k_reciprocal]

Each folder holds query.parquet and gallery.parquet, as `passerby embed ENCODER --data.name NAME --out FOLDER` writes
them, of the same images. Encoding an image takes the time of all encoders together.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.closed_set.protocols import evaluate_embeddings

PARTS = ("query", "gallery")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--rerank", choices=("k_reciprocal",))
    options = parser.parse_args()
    query, gallery = (side_by_side([folder / f"{part}.parquet" for folder in options.folders]) for part in PARTS)
    report = evaluate_embeddings(
        query.vectors,
        gallery.vectors,
        query.pids,
        gallery.pids,
        query.camids,
        gallery.camids,
        rerank=options.rerank,
    )
    print(report)


def side_by_side(files: Sequence[Path]) -> Embeddings:
    """One vector for each image, from several files about the same images in the same order.

    Raises:
        SystemExit: the files are about different images.
    """
    first, *others = (Embeddings.from_parquet(file) for file in files)
    for file, other in zip(files[1:], others, strict=True):
        if list(other.paths) != list(first.paths):
            raise SystemExit(f"{file}: not the images of {files[0]}, in its order")
    units = [each.vectors / np.linalg.norm(each.vectors, axis=1, keepdims=True) for each in (first, *others)]
    return replace(first, vectors=np.hstack(units))


if __name__ == "__main__":
    main()
