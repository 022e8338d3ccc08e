"""What k-reciprocal re-ranking with evaluation costs beside one blocked N x N product, interleaved in one run.

    python -m benchmarks.reranking                           # Market-1501's size, N = 19,281, 512-d
    python -m benchmarks.reranking --size msmt17 --rounds 0  # N = 93,820: the time and memory of re-ranking alone
    python -m benchmarks.reranking --distances 2000 60000    # all distances, as `rerank_k_reciprocal` returns them

N counts queries and gallery. Prints processor seconds (all threads), elapsed seconds and memory above the inputs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.measure import interleaved
from benchmarks.people import SIZES, PeakMemory, blocked_product, draw
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.evaluation.closed_set.result import Report
from passerby.search.reranking.k_reciprocal import rerank_k_reciprocal


def all_distances(queries: int, gallery: int, dim: int) -> None:
    """Time and memory of a [q, g] result; twelve vectors a person."""
    rng = np.random.default_rng(0)
    people = rng.standard_normal((max(1, gallery // 12), dim), dtype=np.float32)
    vectors = np.float32(0.7) * rng.standard_normal((queries + gallery, dim), dtype=np.float32)
    vectors += people[rng.integers(0, len(people), len(vectors))]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rerank_k_reciprocal(vectors[:100], vectors[100:1600])  # loads the compiled code
    with PeakMemory() as peak:
        processor, elapsed = time.process_time(), time.perf_counter()
        result = rerank_k_reciprocal(vectors[:queries], vectors[queries:])
        processor, elapsed = time.process_time() - processor, time.perf_counter() - elapsed
    print(f"{queries:,} x {gallery:,}, {dim}-d: {processor:.1f} processor s, {elapsed:.1f} s elapsed")
    print(f"memory: {peak.mib:.1f} MiB above the inputs, of which {result.nbytes / 2**20:.1f} are the result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("market1501", "msmt17"), default="market1501")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--noise", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--distances", type=int, nargs=2, metavar=("QUERIES", "GALLERY"))
    options = parser.parse_args()
    if options.distances:
        return all_distances(*options.distances, options.dim)
    query, gallery = draw(*SIZES[options.size], options.dim, noise=options.noise)

    def reranking(q: Embeddings = query, g: Embeddings = gallery) -> Report:
        return evaluate_embeddings(
            q.vectors, g.vectors, q.pids, g.pids, q.camids, g.camids, rerank="k_reciprocal", progress=False
        )

    reranking(*draw(50, 200, 5, options.dim, noise=1.0))  # compiles
    with PeakMemory() as peak:
        processor, elapsed = time.process_time(), time.perf_counter()
        report = reranking()
        processor, elapsed = time.process_time() - processor, time.perf_counter() - elapsed
    print(report)
    print(f"\nN = {len(query) + len(gallery):,}, {options.dim}-d: {processor:.1f} processor s, {elapsed:.1f} s elapsed")
    print(f"memory: {peak.mib:.1f} MiB above the inputs")
    if options.rounds:
        joint = np.concatenate([query.vectors, gallery.vectors])
        tasks = {"product": lambda: blocked_product(joint, joint), "reranking": reranking}
        seconds = interleaved(tasks, rounds=options.rounds, clock=time.process_time)
        ratio = seconds["reranking"] / seconds["product"]
        print(
            f"processor: product {seconds['product']:.3f} s, with re-ranking {seconds['reranking']:.3f} s, {ratio:.3f}"
        )


if __name__ == "__main__":
    main()
