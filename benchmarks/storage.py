"""What storing vectors as float16 does to ranking and to the disk, on vectors of your own.

    passerby embed runs/first --data.name market1501 ...          # query.parquet and gallery.parquet
    python -m benchmarks.storage query.parquet gallery.parquet

Stores the gallery's vectors in a float32 and in a float16 gallery, reads them back, and scores both by the protocol of
Market-1501: mAP, rank-1, the largest change of a distance, and how many probes get another nearest identity.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.gallery.gallery import Gallery


def stored(gallery: Embeddings, path: Path, storage: str) -> tuple[np.ndarray, int]:
    """The vectors as a gallery of this storage gives them back, and the bytes of its file."""
    names = [f"person {pid}" for pid in gallery.pids.tolist()]
    cameras = [None if camid < 0 else camid for camid in gallery.camids.tolist()]
    with Gallery.open(path, fingerprint=gallery.fingerprint, storage=storage) as opened:  # type: ignore[arg-type]
        ids = opened.enroll_many(names, gallery.vectors, cameras=cameras)
        opened.compact()
        vectors = opened.vectors(ids)
    return vectors, path.stat().st_size


def nearest(query: Embeddings, gallery: Embeddings, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Identity of the nearest vector of another camera for each probe, and the distances of all to the first probes."""
    probes = query.vectors / np.linalg.norm(query.vectors, axis=1, keepdims=True)
    similarities = probes @ vectors.T
    distances = np.sqrt(np.maximum(2 - 2 * similarities[:50].astype(np.float64), 0))
    similarities[(query.camids[:, None] == gallery.camids) & (gallery.camids >= 0)] = -np.inf
    return gallery.pids[similarities.argmax(axis=1)], distances


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("query", type=Path)
    parser.add_argument("gallery", type=Path)
    arguments = parser.parse_args()
    query, gallery = (Embeddings.from_parquet(path) for path in (arguments.query, arguments.gallery))
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for storage in ("float32", "float16"):
            vectors, size = stored(gallery, Path(folder) / f"{storage}.gallery", storage)
            report = evaluate_embeddings(
                query.vectors, vectors, query.pids, gallery.pids, query.camids, gallery.camids, metric="cosine"
            )
            found[storage] = nearest(query, gallery, vectors)
            print(
                f"{storage}: mAP {100 * report.mAP:.4f} %, rank-1 {100 * report.cmc[0]:.4f} %, "
                f"file {size / 2**20:.1f} MiB ({size / len(gallery):,.0f} bytes an observation)"
            )
    (names, distances), (other_names, other_distances) = found.values()
    print(
        f"{len(gallery):,} vectors of {gallery.vectors.shape[1]}, {len(query):,} probes: distances move by at most "
        f"{np.abs(distances - other_distances).max():.6f}; another nearest identity for {(names != other_names).sum()}"
    )


if __name__ == "__main__":
    main()
