"""The command line: one verb is one public function of the same name.

Results go to stdout (`--json` for machines), log and progress to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage.
Nothing here imports torch before a verb needs it, so `passerby --help` answers at once.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from passerby.errors import PasserbyError, UsageError, unknown_name
from passerby.version import __version__


class Verb(NamedTuple):
    """One command: where it lives and what it does."""

    module: str
    summary: str


VERBS: dict[str, Verb] = {
    "demo": Verb("training", "draw people, train, evaluate, enrol, identify: a few minutes, no data needed"),
    "data": Verb("data", "list, describe, check and write datasets; crop tracklets from a video"),
    "recipes": Verb("training", "list the recipes, or show one with every setting"),
    "train": Verb("training", "train a recipe, or go on with a training that was interrupted"),
    "compare": Verb("training", "train recipes under equal conditions: a table with spread and significance"),
    "evaluate": Verb("evaluation", "mAP, CMC and mINP of a trained encoder under a protocol"),
    "cross-domain": Verb("evaluation", "evaluate several encoders on several datasets: a matrix"),
    "embed": Verb("evaluation", "turn a dataset or a folder of images into vectors (Parquet)"),
    "rank": Verb("evaluation", "rank a gallery for every query; score the ranking where ids are known"),
    "calibrate": Verb("evaluation", "choose the distance threshold for a false-alarm rate on held-out identities"),
    "report": Verb("evaluation", "write one HTML file with curves, histograms and ranked lists"),
    "enroll": Verb("gallery", "add images of a known person to a gallery"),
    "identify": Verb("gallery", "who is this? ranked candidates, or unknown"),
    "observe": Verb("gallery", "identify, and enrol whoever is unknown as a new identity"),
    "track": Verb("track", "follow people through films: one number a person, over time and cameras"),
    "forget": Verb("gallery", "erase a person from a gallery, without a trace"),
    "gallery": Verb("gallery", "look after a gallery: list, history, merge, purge, backup, ..."),
    "serve": Verb("gallery", "serve a gallery over HTTP, with a page for the operator"),
    "export": Verb("encoders", "write an encoder as ONNX, OpenVINO or an exported program"),
    "bench-encoder": Verb("encoders", "find the fastest way to run an encoder here"),
    "doctor": Verb("encoders", "what is installed, what this machine can do, what is missing"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb that the arguments name and exit with its code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("passerby").setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the verb that the arguments name; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] == "--version":
        print(f"passerby {__version__}")
        return 0
    name, rest = arguments[0], list(arguments[1:])
    try:
        if name not in VERBS:
            raise UsageError(unknown_name("command", name, VERBS))
        module = importlib.import_module(f"passerby.cli.{VERBS[name].module}")
        getattr(module, name.replace("-", "_"))(rest)
    except PasserbyError as error:
        if speaks() and not error.told:
            print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if speaks():
            print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
    return 0


def speaks() -> bool:
    """Whether this process prints: of several that torchrun started, the first one does."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1 or os.environ.get("RANK", "0") == "0"


def overview() -> str:
    """The text of `passerby --help`."""
    width = max(map(len, VERBS))
    return "\n".join(
        [
            "usage: passerby COMMAND [options]",
            "",
            "Person re-identification: is this the person another camera saw?",
            "",
            *(f"  {name:{width}}  {verb.summary}" for name, verb in VERBS.items()),
            "",
            "passerby COMMAND --help explains one command. Newcomers start with: passerby demo",
        ]
    )
