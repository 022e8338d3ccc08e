"""The gallery's contract against a real Milvus server, and what a search costs there beside the exact one.

    pip install --no-deps milvus==2.3.5     # a standalone server as a package; some 15 s to start
    python -m benchmarks.milvus             # starts it in a temporary folder, and stops it again
    python -m benchmarks.milvus --address milvus://host:19530

Prints the server's version, runs tests/contracts for the server (`--no-contract` leaves that out), then fills two
galleries alike and prints, for filters of several widths, recall of the exact neighbours and the time of an answer over
that of the file gallery.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gallery import around, interleaved, people, report
from passerby.gallery.gallery import Gallery

CAMERAS = 8
PROBES = 20


@contextmanager
def server(address: str | None) -> Iterator[str]:
    if address is not None:
        yield address
        return
    from milvus import MilvusServer

    with tempfile.TemporaryDirectory() as folder:
        running = MilvusServer()
        running.set_base_dir(folder)
        running.start()
        try:
            yield f"milvus://127.0.0.1:{running.listen_port}"
        finally:
            running.stop()


def contract(address: str) -> bool:
    """Run the contract tests against the server; whether all passed."""
    environment = {**os.environ, "PASSERBY_MILVUS": address}
    names = ("test_gallery", "test_gallery_migrate", "test_gallery_milvus")
    tests = [*(f"tests/contracts/{name}.py" for name in names), "-k", "server"]
    return subprocess.run([sys.executable, "-m", "pytest", *tests], env=environment, check=False).returncode == 0


def version(address: str) -> str:
    from pymilvus import MilvusClient

    client = MilvusClient(address.replace("milvus://", "http://"))
    try:
        return str(client.get_server_version())
    finally:
        client.close()


def compare(address: str, folder: Path, size: int, dim: int, settle: float) -> None:
    rows = people(0, size, dim)
    names = [f"person-{i}" for i in range(size)]
    cameras = [f"camera-{i % CAMERAS}" for i in range(size)]
    times = [float(i) for i in range(size)]
    probes = around(rows[:: max(1, size // PROBES)][:PROBES], np.random.default_rng(1))
    filters: dict[str, dict[str, Any]] = {
        "everything": {},
        "other cameras (88 %)": {"exclude_camera": ["camera-1"]},
        "one camera (12 %)": {"exclude_camera": [f"camera-{i}" for i in range(CAMERAS - 1)]},
        "a time window (1 %)": {"after": 0.5 * size, "before": 0.51 * size},
    }
    name = f"{address}/benchmark_{os.getpid()}"
    with Gallery.open(folder / "people.gallery") as exact, Gallery.open(name) as gallery:
        for one in (exact, gallery):
            one.enroll_many(names, rows, cameras=cameras, times=times)
        time.sleep(settle)
        for title, where in filters.items():
            expected, found = (one.identify_many(probes, **where) for one in (exact, gallery))
            hits = [
                len({m.identity for m in a} & {m.identity for m in b}) / len(a)
                for a, b in zip(expected, found, strict=True)
            ]
            tasks = {
                label: (lambda one=one, where=where: one.identify(probes[0], **where))
                for label, one in (("file, exact", exact), ("Milvus", gallery))
            }
            report(f"{title}: recall {np.mean(hits):.4f} of the 10 nearest of {size:,} x {dim}", interleaved(5, tasks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default=None)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--settle", type=float, default=60.0, help="seconds given to the server to build its index")
    parser.add_argument("--no-contract", action="store_true", help="leave the contract tests out")
    arguments = parser.parse_args()
    with server(arguments.address) as address, tempfile.TemporaryDirectory() as folder:
        print(f"Milvus {version(address)} at {address}", flush=True)
        passed = arguments.no_contract or contract(address)
        compare(address, Path(folder), arguments.size, arguments.dim, arguments.settle)
    if not passed:
        sys.exit("contract tests failed: see above")


if __name__ == "__main__":
    main()
