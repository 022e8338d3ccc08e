"""A whole Market-1501 evaluation by torch against `--engine auto`, side by side: seconds, and the same mAP and rank-1.

    python -m benchmarks.market1501_engines --root MARKET --encoder FOLDER --out engines.json [--flip] [--threads 1]

Each is `passerby evaluate` in a process of its own: reading, decoding, embedding queries and gallery, ranking; for auto
also writing a graph and trying the engines, as on its first use, and once more when the choice is remembered. Times
already in the file of --out are kept, so that an interrupted benchmark goes on; the command fails where mAP or rank-1
differ in the fourth decimal of a percent.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = {"torch": "torch", "auto, first use": "auto", "auto": "auto"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True, help="an encoder's folder, a run, or a .toml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--flip", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", choices=WAYS, help="run one of them, and print when all are there")
    arguments = parser.parse_args()
    found: dict[str, Any] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    cache = arguments.out.with_suffix(".cache")  # not the user's: the first use must be one
    for name, engine in WAYS.items():
        if name in found or arguments.only not in (None, name):
            continue
        found[name] = timed(arguments, engine, cache)
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    if len(found) == len(WAYS):
        show(found)


def timed(arguments: argparse.Namespace, engine: str, cache: Path) -> dict[str, Any]:
    """Seconds, processor seconds and the report of one evaluation."""
    words = ["evaluate", str(arguments.encoder), "--data.name", "market1501", "--data.root", str(arguments.root)]
    words += ["--engine", engine, "--flip" if arguments.flip else "--no-flip", "--json"]
    words += ["--threads", str(arguments.threads)] if arguments.threads else []
    environment = {**os.environ, "PASSERBY_CACHE": str(cache)}
    if engine == "torch":
        environment["PASSERBY_CACHE"] = tempfile.mkdtemp(prefix="passerby-benchmark-")
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "passerby", *words], env=environment, stdout=subprocess.PIPE, check=True
    )
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(done.stdout)
    return {
        "seconds": seconds,
        "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "mAP": report["mAP"],
        "rank1": report["cmc"][0],
        "queries": report["queries"],
        "gallery": report["gallery"],
        "engine": report["settings"]["engine"],
        "threads": report["settings"]["threads"],
    }


def show(found: dict[str, Any]) -> None:
    """A table, and the ratios; fails where the figures differ."""
    first = found["torch"]
    print(f"{'':16} {'seconds':>8} {'processor':>10} {'ratio':>6} {'ratio':>10}   mAP / rank-1")
    for name, row in found.items():
        times = [row[key] for key in ("seconds", "processor_seconds")]
        ratios = [first["seconds"] / times[0], first["processor_seconds"] / times[1]]
        scores = f"{100 * row['mAP']:.4f} / {100 * row['rank1']:.4f} ({row['engine']}, threads {row['threads']})"
        print(f"{name:16} {times[0]:8.1f} {times[1]:10.1f} {ratios[0]:6.2f} {ratios[1]:10.2f}   {scores}")
    print(f"{first['queries']:,} queries, {first['gallery']:,} gallery images")
    for name, row in found.items():
        for key in ("mAP", "rank1"):
            if f"{100 * row[key]:.4f}" != f"{100 * first[key]:.4f}":
                raise SystemExit(f"{name}: {key} {row[key]} differs from torch's {first[key]}")


if __name__ == "__main__":
    main()
