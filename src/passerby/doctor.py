"""What is installed, what this machine can do, and what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from passerby.models.engines.engine_cache import cache_size, engine_cache_dir
from passerby.version import __version__

_CORE = (
    "torch", "numpy", "numba", "pillow", "simplejpeg", "safetensors", "pydantic", "cyclopts", "pyarrow", "matplotlib",
)  # fmt: skip
_EXTRAS = {
    "serve": ("fastapi", "uvicorn", "python-multipart", "prometheus-client"),
    "export": ("onnx", "onnxscript", "onnxruntime", "openvino"),
    "metric-learning": ("pytorch-metric-learning",),
    "tensorboard": ("tensorboard",),
    "milvus": ("pymilvus", "milvus-lite"),
    "video": ("av",),
    "track": ("av", "trackers", "trackeval", "scipy"),
    "mat": ("scipy", "h5py"),
    "timm": ("timm", "torchvision"),
    "adapt": ("scikit-learn",),
    "faiss": ("faiss-cpu",),
    "hub": ("huggingface_hub",),
    "heic": ("pillow-heif",),
}


@dataclass(frozen=True)
class Diagnosis:
    """Versions, devices, extras and problems; prints as a page."""

    passerby: str
    python: str
    machine: str
    cores: int
    memory_gib: float
    devices: tuple[str, ...]
    packages: dict[str, str | None]
    extras: dict[str, dict[str, str | None]]
    data: str | None
    engine_cache: dict[str, Any]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"passerby {self.passerby}, Python {self.python}, {self.machine}",
            f"{self.cores} cores, {self.memory_gib:.1f} GiB of memory; devices: {', '.join(self.devices)}",
            "core: " + ", ".join(f"{name} {version or 'MISSING'}" for name, version in self.packages.items()),
        ]
        for extra, packages in self.extras.items():
            missing = [name for name, version in packages.items() if version is None]
            state = f"needs {', '.join(missing)}: pip install 'passerby[{extra}]'" if missing else "installed"
            lines.append(f"extra {extra}: {state}")
        if self.data is not None:
            lines.append(f"research data (PASSERBY_DATA): {self.data}")
        kept = self.engine_cache
        lines.append(
            f"engines chosen for {kept['encoders']} encoders: {kept['bytes'] / 2**20:.1f} MiB in {kept['folder']}, "
            "which may be deleted at any time"
        )
        lines += [f"problem: {problem}" for problem in self.problems] or ["no problems found"]
        return "\n".join(lines)


def doctor() -> Diagnosis:
    """Examine this installation and this machine."""
    packages = {name: _version(name) for name in _CORE}
    data = os.environ.get("PASSERBY_DATA")
    return Diagnosis(
        passerby=__version__,
        python=platform.python_version(),
        machine=platform.platform(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=_memory_gib(),
        devices=_devices(),
        packages=packages,
        extras={extra: {name: _version(name) for name in names} for extra, names in _EXTRAS.items()},
        data=data if data is not None and Path(data).is_dir() else None,
        engine_cache=_engine_cache(),
        problems=tuple(_problems(packages)),
    )


def _engine_cache() -> dict[str, Any]:
    encoders, size = cache_size()
    return {"folder": str(engine_cache_dir()), "encoders": encoders, "bytes": size}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory_gib() -> float:
    if not hasattr(os, "sysconf"):
        return float("nan")
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _devices() -> tuple[str, ...]:
    gpus = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return ("cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else []))


def _problems(packages: dict[str, str | None]) -> list[str]:
    found = [f"{name} is missing: pip install passerby" for name, version in packages.items() if version is None]
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        found.append(f"Python {platform.python_version()}: passerby supports 3.11 to 3.13")
    if importlib.util.find_spec("torchvision") is not None:
        found += _torchvision_problem()
    if shutil.disk_usage(Path.cwd()).free < 2**30:
        found.append("less than 1 GiB of disk is free here; checkpoints and caches may not fit")
    return found


def _torchvision_problem() -> list[str]:
    """A torchvision built for another torch fails at import; only the extra `timm` needs it."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError) as error:
        return [f"torchvision does not fit this torch ({error}); only the extra `timm` needs it"]
    return []
