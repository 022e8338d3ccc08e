"""README's table from what the benchmarks print."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.headline import cell, rows, run_module

PRINTED = {
    "benchmarks.evaluation": "3,368 x 15,913, 512-d\n processor: product 1.000 s, evaluation 1.140 s, ratio 1.140\n"
    "   elapsed: product 1.000 s, evaluation 1.200 s, ratio 1.200\n    memory: 24.0 MiB above the inputs\n",
    "benchmarks.reranking": "N = 19,281, 512-d: 9.0 processor s, 5.0 s elapsed\nmemory: 82.0 MiB above the inputs\n"
    "processor: product 9.900 s, with re-ranking 9.300 s, 0.940\n",
    "benchmarks.training": "plain       40.0 images/s   1.00x plain   10.0% of the matmul ceiling\n"
    "fast       128.0 images/s   3.20x plain   20.0% of the matmul ceiling\n"
    "input: +1.5% against tensors in memory; 0.10% of the time waiting\n",
    "benchmarks.input": "Pillow, per image, JPEG to float32 256x128           500      1.0 x\n"
    "passerby, JPEG to float32 256x128                  3,100      6.2 x\n",
    "benchmarks.gallery": "\none probe, 100,000 x 512         by the clock            processor time\n"
    "  bare G @ q                         8.00 ms  1.00 x       8.00 ms  1.00 x\n"
    "  identify                           8.50 ms  1.06 x       8.56 ms  1.07 x\n"
    "  identify, other cameras            9.50 ms  1.18 x       9.28 ms  1.16 x\n",
    "benchmarks.reference_models": "mAP: 87.68, published 87.7\nrank-1: 96.14, published 96.2\n",
}
RESULTS = [
    "1.140x the processor time, 24.0 MiB above the inputs",
    "1.140x, 24.0 MiB",
    "0.940x, 82.0 MiB",
    "3.20x; +1.5 %",
    "6.2x a core",
    "1.07x the processor time",
    "87.68 mAP / 96.14 rank-1",
]


def test_each_row_finds_its_numbers(tmp_path: Path) -> None:
    table = rows(tmp_path, tmp_path)
    assert [cell(row, lambda command: PRINTED[command[0]]) for row in table] == RESULTS


def test_without_data_only_what_needs_none() -> None:
    assert all("reference_models" not in row.command[0] for row in rows())


def test_a_command_that_prints_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="printed nothing like"):
        cell(rows()[0], lambda _: "nothing")


def test_a_command_that_fails_is_an_error() -> None:
    with pytest.raises(ValueError, match="exit code 2"):
        run_module(("passerby", "--no-such-flag"))
