"""What a gallery's calibration costs: when first asked for, and after changes, in processor seconds.

python -m benchmarks.open_set_update [--people 100000] [--dim 512]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from passerby.gallery.gallery import Gallery


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    options = parser.parse_args()
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
