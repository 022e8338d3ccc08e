"""What exact evaluation costs beside the bare blocked float32 product of the same sizes, interleaved in one run.

    python -m benchmarks.evaluation                           # Market-1501's size, 512-d
    python -m benchmarks.evaluation --size msmt17 --rounds 1  # 1 TFLOP a turn
    python -m benchmarks.evaluation --size distractors --rounds 1
    python -m benchmarks.evaluation --query q.parquet --gallery g.parquet   # one's own embeddings

Prints processor seconds (all threads) and elapsed seconds of both, their ratios, and the memory that evaluation takes
above its inputs. Embeddings are drawn, with easy and hard images; `--noise` says how hard.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import interleaved
from benchmarks.people import SIZES, PeakMemory, blocked_product, draw
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.evaluation.closed_set.result import Report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="market1501")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--noise", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--query", type=Path)
    parser.add_argument("--gallery", type=Path)
    options = parser.parse_args()
    if options.query and options.gallery:
        query, gallery = (Embeddings.from_parquet(path) for path in (options.query, options.gallery))
    else:
        query, gallery = draw(*SIZES[options.size], options.dim, noise=options.noise)

    def evaluation(q: Embeddings = query, g: Embeddings = gallery) -> Report:
        return evaluate_embeddings(q.vectors, g.vectors, q.pids, g.pids, q.camids, g.camids, progress=False)

    evaluation(*draw(50, 200, 5, query.vectors.shape[1], noise=1.0))  # compiles
    with PeakMemory() as peak:
        report = evaluation()
    print(report)
    print(f"\n{len(query):,} x {len(gallery):,}, {query.vectors.shape[1]}-d")
    counted = np.ascontiguousarray(gallery.vectors[gallery.pids != -1])
    tasks = {"product": lambda: blocked_product(query.vectors, counted), "evaluation": evaluation}
    for name, clock in (("processor", time.process_time), ("elapsed", time.perf_counter)):
        seconds = interleaved(tasks, rounds=options.rounds, clock=clock)
        ratio = seconds["evaluation"] / seconds["product"]
        of = f"product {seconds['product']:.3f} s, evaluation {seconds['evaluation']:.3f} s"
        print(f"{name:>10}: {of}, ratio {ratio:.3f}")
    print(f"    memory: {peak.mib:.1f} MiB above the inputs")


if __name__ == "__main__":
    main()
