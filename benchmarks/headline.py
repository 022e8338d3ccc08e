"""README's table of measured numbers, anew: every row that can be measured on this machine in a quarter of an hour.

    python -m benchmarks.headline                                # about ten minutes on two quiet cores
    python -m benchmarks.headline --root DIR --weights DIR       # with the published figures of a reference model, too

Each row is another command of this folder, run by itself, and the numbers are taken from what it prints; the command
stands beside its row. A command that fails, or prints no such number, is named, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

Runner = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what is measured.
        command: behind `python -m`.
        pattern: finds the numbers in what the command prints; groups by name.
        result: the cell, with the groups' names in braces.
    """

    what: str
    command: tuple[str, ...]
    pattern: str
    result: str


def rows(root: Path | None = None, weights: Path | None = None) -> list[Row]:
    """The table's rows.

    Args:
        root: folder of Market-1501; None leaves out what needs it.
        weights: folder with person-reidentification-retail-0277.xml.
    """
    bfloat16 = torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "NO AVX", "AVX2")  # emulated there
    ratio = r"processor: product .*? s, evaluation .*? s, ratio (?P<ratio>[\d.]+)"
    memory = r".*?memory: (?P<memory>[\d,.]+) MiB"
    table = [
        Row(
            "exact evaluation, Market-1501's size, 512-d, against the bare float32 product",
            ("benchmarks.evaluation", "--rounds", "3"),
            ratio + memory,
            "{ratio}x the processor time, {memory} MiB above the inputs",
        ),
        Row(
            "... with 500,000 distractors",
            ("benchmarks.evaluation", "--size", "distractors", "--rounds", "1"),
            ratio + memory,
            "{ratio}x, {memory} MiB",
        ),
        Row(
            "k-reciprocal re-ranking with evaluation, against one N x N product",
            ("benchmarks.reranking", "--rounds", "1"),
            r"memory: (?P<memory>[\d,.]+) MiB.*?with re-ranking .*? s, (?P<ratio>[\d.]+)",
            "{ratio}x, {memory} MiB",
        ),
        Row(
            "training step of OSNet x0.25, the trainer's way against eager float32; cost of the input",
            ("benchmarks.training", "--rounds", "3", "--precision", "bfloat16" if bfloat16 else "float32"),
            r"fast .*?(?P<ratio>[\d.]+)x plain.*?input: (?P<cost>[-+\d.]+)%",
            "{ratio}x; {cost} %",
        ),
        Row(
            "images from JPEG to a training batch, against Pillow image by image",
            ("benchmarks.input", "--rounds", "5"),
            r"passerby, JPEG to float32 .*?(?P<ratio>[\d.]+) x",
            "{ratio}x a core",
        ),
        Row(
            "one probe in a gallery of 100,000 x 512, with its p-value, against the bare product",
            ("benchmarks.gallery", "--rounds", "7"),
            r"one probe.*?\n.*?\n +identify.*?ms .*?ms +(?P<ratio>[\d.]+) x",
            "{ratio}x the processor time",
        ),
    ]
    if root is not None and weights is not None:
        table.append(
            Row(
                "published 87.7 / 96.2 of the reference model retail-0277, through our reader, pixels and evaluation",
                ("benchmarks.reference_models", "--root", str(root), "--weights", str(weights), "--models", "0277"),
                r"mAP: (?P<map>[\d.]+), published.*?rank-1: (?P<rank>[\d.]+), published",
                "{map} mAP / {rank} rank-1",
            )
        )
    return table


def cell(row: Row, run: Runner) -> str:
    """A row's result.

    Args:
        row: which.
        run: runs `python -m` with arguments and returns what it printed.

    Raises:
        ValueError: the command printed no such numbers.
    """
    printed = run(row.command)
    found = re.search(row.pattern, printed, re.DOTALL)
    if found is None:
        raise ValueError(f"printed nothing like {row.pattern!r}:\n{printed[-2000:]}")
    return row.result.format(**found.groupdict())


def run_module(command: Sequence[str]) -> str:
    """What `python -m` prints with these arguments.

    Raises:
        ValueError: it ended with another exit code than 0.
    """
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of Market-1501")
    parser.add_argument("--weights", type=Path, help="folder of person-reidentification-retail-0277.xml")
    options = parser.parse_args()
    failed = []
    print("| what | result | command |\n|---|---|---|", flush=True)
    for row in rows(options.root, options.weights):
        command = " ".join(("python -m", *row.command))
        try:
            print(f"| {row.what} | {cell(row, run_module)} | `{command}` |", flush=True)
        except ValueError as error:
            failed.append(f"{command}: {error}")
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    main()
