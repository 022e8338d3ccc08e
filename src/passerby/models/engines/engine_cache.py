"""What was found out about encoders on this machine: which engine is fastest, and the graphs made for it.

One folder an encoder, named by its fingerprint. A choice holds for one machine, number of usable threads and set of
package versions; anything else is measured anew. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from passerby.files import cache_folder, replace_file
from passerby.models.engines.threads import usable_threads
from passerby.version import __version__

MOST_ENCODERS = 16
"""Encoders whose graphs are kept; those that were used longest ago go first."""
GRAPH = "encoder.onnx"
_PACKAGES = ("torch", "onnxruntime", "openvino")


@dataclass(frozen=True)
class EngineChoice:
    """The fastest engine of an encoder here.

    Attributes:
        engine: "torch", "onnxruntime" or "openvino".
        threads: of one run; 0: the engine's default.
        graph: the file that it runs, "" for torch.
        images_per_second: of everything that was tried, by engine and threads.
        difference: largest difference of any number of a vector from torch's.
        machine: what it holds for, see `machine_key`.
    """

    engine: str
    threads: int = 0
    graph: str = ""
    images_per_second: dict[str, float] = field(default_factory=dict)
    difference: float = 0.0
    machine: str = ""


def engine_cache_dir() -> Path:
    """`engines` in $PASSERBY_CACHE, else in `passerby` in the user's cache folder."""
    return cache_folder("engines")


def cached_graph(fingerprint: str) -> Path:
    """Where the graph of an encoder is or will be; graphs of another version of passerby are never used."""
    return engine_cache_dir() / fingerprint / __version__ / GRAPH


def _choice_file(fingerprint: str, threads: int | None) -> Path:
    name = "choice.json" if threads is None else f"choice-{threads}-threads.json"
    return engine_cache_dir() / fingerprint / name


def machine_key() -> str:
    """Hash of what decides speed: processor, usable threads, versions of the engines and of passerby."""
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            versions.append("none")
    parts = [platform.machine(), _processor(), str(usable_threads()), __version__, *versions]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        return platform.processor()


def remembered_choice(fingerprint: str, threads: int | None = None) -> EngineChoice | None:
    """The choice for this encoder on this machine, if there is one that still holds.

    Args:
        fingerprint: of the encoder.
        threads: the number that was asked for; None: any.
    """
    file = _choice_file(fingerprint, threads)
    try:
        choice = EngineChoice(**json.loads(file.read_text("utf-8")))
        if choice.machine != machine_key() or (choice.graph and not Path(choice.graph).is_file()):
            return None
        os.utime(file)
    except (OSError, ValueError, TypeError):  # none, or one that another version wrote
        return None
    return choice


def remember_choice(fingerprint: str, choice: EngineChoice, threads: int | None = None) -> None:
    """Keep a choice, and no more encoders than `MOST_ENCODERS`.

    Args:
        fingerprint: of the encoder.
        choice: what was found.
        threads: the number that was asked for; None: any.

    Raises:
        StorageError: the cache folder cannot be written.
    """
    with replace_file(_choice_file(fingerprint, threads)) as temporary:
        temporary.write_text(json.dumps({**asdict(choice), "machine": machine_key()}, indent=2) + "\n", "utf-8")
    others = sorted(_folders(), key=_last_used, reverse=True)
    for old in others[MOST_ENCODERS:]:
        shutil.rmtree(old, ignore_errors=True)


def _folders() -> list[Path]:
    place = engine_cache_dir()
    return [entry for entry in place.iterdir() if entry.is_dir()] if place.is_dir() else []


def _last_used(folder: Path) -> float:
    return max(entry.stat().st_mtime for entry in (*folder.glob("choice*.json"), folder))


def cache_size() -> tuple[int, int]:
    """Encoders in the cache, and bytes that they take."""
    folders = _folders()
    return len(folders), sum(f.stat().st_size for folder in folders for f in folder.rglob("*") if f.is_file())
