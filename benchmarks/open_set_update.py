"""What a gallery's calibration costs: when first asked for, and after changes, in processor seconds.

python -m benchmarks.open_set_update [--people 100000] [--dim 512] [--index-only | --searches-only]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from passerby.gallery import impostor_searches
from passerby.gallery.gallery import Gallery
from passerby.gallery.impostor_searches import CalibrationRows
from passerby.gallery.stores.enrolled_rows import EnrolledRows
from passerby.search.index import BLOCK


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def measure(place: Path, people: int, dim: int) -> None:
    draw = np.random.default_rng(0)
    rows = draw.standard_normal((people, dim), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with Gallery.open(place, thumbnails=False) as gallery:
        cameras = [str(i % 6) for i in range(people)]
        gallery.enroll_many([f"p{i}" for i in range(people)], vectors=rows, cameras=cameras)
        print(f"{people:,} people with one vector of {dim} numbers")
        for camera in ("1", None):
            first = seconds(lambda c=camera: gallery.identify(rows[0], camera=c))
            print(f"first identify, camera {camera}: {first:.2f} s")
        search = seconds(lambda: [gallery.identify(rows[i], camera="1") for i in range(10)]) / 10
        print(f"identify: {search:.4f} s")
        product = seconds(lambda: [rows @ rows[i] for i in range(10)]) / 10
        print(f"the product alone: {product:.4f} s")
        found = []
        for number in range(10):
            gallery.enroll(f"late-{number}", vectors=draw.standard_normal(dim), camera="2")
            both = seconds(lambda: [gallery.identify(rows[0], camera=camera) for camera in ("1", None)])
            found.append(both - 2 * search)
        print(f"update of both laws after an enrolment: {np.median(found):.3f} s (largest {max(found):.3f} s)")
        gallery.forget("p77")
        after = seconds(lambda: [gallery.identify(rows[0], camera=camera) for camera in ("1", None)]) - 2 * search
        print(f"after forgetting: {after:.3f} s")


def identify_alone(people: int, dim: int) -> None:
    """`identify` with p-values against the product, the store's index filled in memory; 64 people calibrate."""
    draw = np.random.default_rng(0)
    everyone = np.arange(people)
    impostor_searches.MOST_IDENTITIES = 64  # moves the first call alone
    with tempfile.TemporaryDirectory() as folder, Gallery.open(Path(folder) / "g.gallery", thumbnails=False) as gallery:
        rows = draw.standard_normal((6, dim))
        gallery.enroll_many([f"p{i}" for i in range(6)], vectors=rows, cameras=[str(i) for i in range(6)])
        memory = gallery._store._memory
        record, index = memory.identities[1], memory.index
        memory._blocks = None  # nothing of what follows is in the file
        memory.identities = {number + 1: record for number in range(people)}
        index.put(everyone, everyone + 1, everyone + 1, everyone % 6 + 1, np.full(people, np.nan))
        for start in range(0, people, 65_536):
            part = everyone[start : start + 65_536]
            vectors = draw.random((len(part), dim), dtype=np.float32) - 0.5
            index.put_vectors(part, vectors / np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None])
        probes = index.vectors(everyone[:4])
        gallery.identify(probes[0], camera="1")
        blocks = [block[: people - first * BLOCK] for first, block in enumerate(index._blocks)]
        ratios = []
        for _ in range(6):
            search = seconds(lambda: [gallery.identify(probe, camera="1") for probe in probes])
            ratios.append(search / seconds(lambda: [block @ probe for probe in probes for block in blocks]))
        print(f"{people:,} x {dim}: identify takes {np.median(ratios):.2f} times the product (of {len(ratios)} rounds)")


def searches_alone(people: int, dim: int) -> None:
    """The first searches of a calibration against the bare product of as many vectors, in memory; one vector each."""
    draw = np.random.default_rng(0)
    vectors = np.empty((people, dim), np.float32)
    for start in range(0, people, 65_536):
        part = draw.random((min(65_536, people - start), dim), dtype=np.float32) - 0.5
        vectors[start : start + 65_536] = part / np.sqrt(np.einsum("ij,ij->i", part, part))[:, None]
    rows = EnrolledRows(np.arange(people), np.arange(people), draw.integers(0, 6, people))
    small = EnrolledRows(rows.ids[:20_000], rows.identities[:20_000], rows.cameras[:20_000])
    CalibrationRows(small, {}).impostors("identify", "images", vectors.__getitem__)  # loads the compiled code
    for kind in ("identify", "observe"):
        found = CalibrationRows(rows, {})
        search = seconds(lambda f=found, k=kind: f.impostors(k, "images", vectors.__getitem__))
        probes = vectors[: len(found.searches["images"].probes)].copy()
        out = np.empty((len(probes), 4096), np.float32)
        blocks = [vectors[start : start + 4096] for start in range(0, people, 4096)]
        product = seconds(lambda p=probes, o=out, b=blocks: [np.matmul(p, one.T, out=o[:, : len(one)]) for one in b])
        print(
            f"{kind}: {len(probes):,} of {people:,} people: {search:.1f} s, {search / product:.2f} times the product "
            f"({2e-9 * len(probes) * people * dim / product:.0f} Gflop/s)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--index-only", action="store_true", help="identify alone, in an index filled without the file")
    parser.add_argument("--searches-only", action="store_true", help="the first searches of a calibration alone")
    options = parser.parse_args()
    if options.searches_only:
        return searches_alone(options.people, options.dim)
    if options.index_only:
        return identify_alone(options.people, options.dim)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "g.gallery"
        measure(place, options.people, options.dim)
        with Gallery.open(place) as gallery:
            gallery.identify(np.ones(options.dim), camera="1")
        with Gallery.open(place) as gallery:
            again = seconds(lambda: gallery.identify(np.ones(options.dim), camera="1"))
        print(f"first identify of a later process, camera 1: {again:.2f} s")


if __name__ == "__main__":
    main()
