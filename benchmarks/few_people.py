"""Manifests of few people of Market-1501, to see what a fine-tuning on so many images gains.

    python -m benchmarks.few_people --root DIR --images 500 2000 10000 --out FOLDER

writes FOLDER/market_500.csv and so on: whole training people in an order of their own until that many images are
reached, and 100 other training people as the test, the same ones in every file. The dataset's own test is not touched:
what is chosen on these 100 people may then be measured there.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from pathlib import Path

from passerby.data.datasets import load_dataset
from passerby.data.records import Sample

TEST_PEOPLE = 100


def main() -> None:
    options = _options()
    people: dict[int, list[Sample]] = {}
    for sample in load_dataset("market1501", options.root).train:
        people.setdefault(sample.pid, []).append(sample)
    order = sorted(people, key=lambda pid: hashlib.sha256(f"{pid:04d}".encode()).digest())
    test = [sample for pid in order[:TEST_PEOPLE] for sample in people[pid]]
    options.out.mkdir(parents=True, exist_ok=True)
    for wanted in options.images:
        learn: list[Sample] = []
        for pid in order[TEST_PEOPLE:]:
            if len(learn) >= wanted:
                break
            learn += people[pid]
        target = options.out / f"market_{wanted}.csv"
        _write(target, learn, test)
        print(
            f"{target}: {len(learn):,} images of {len({s.pid for s in learn})} people, {len(test):,} images to test on"
        )


def _write(target: Path, learn: list[Sample], test: list[Sample]) -> None:
    with target.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "pid", "camid", "split"))
        for part, samples in (("train", learn), ("test", test)):
            rows.writerows((sample.path.absolute(), sample.pid, sample.camid, part) for sample in samples)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of Market-1501")
    parser.add_argument("--images", type=int, nargs="+", default=[500, 2000, 10000])
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
