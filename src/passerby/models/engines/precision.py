"""An encoder in less than float32, where somebody asks for it: other vectors, and hence another fingerprint."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from typing import TypeVar

import torch

from passerby.array_types import UInt8
from passerby.config.engine import PrecisionName
from passerby.errors import ConfigError, MissingExtraError, WeightsError
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines.choice import AUTO, measure
from passerby.models.engines.engine_cache import engine_cache_dir
from passerby.models.engines.torch_engine import TorchEngine
from passerby.models.image_inputs import Images, as_list, pixels_of
from passerby.version import __version__

LEAST_CROPS = 16
"""Crops on which activations are measured for int8, at least."""
CROPS = 128
"""... and as many as are taken."""
GRAPHS = ("onnxruntime", "openvino")


def lower_precision(
    encoder: Encoder,
    precision: PrecisionName,
    *,
    images: Images | None = None,
    engine: str = AUTO,
    threads: int | None = None,
) -> Encoder:
    """The same network in bfloat16 or int8: another encoder, whose vectors must not be mixed with the exact ones.

    - "bfloat16": torch under autocast, on a processor or device that computes in it; one that does not emulates it many
      times slower, and is refused.
    - "int8": convolutions and matrix products of the ONNX graph, static, weights per channel, activations measured on
      `images` (Jacob et al. 2018, arXiv:1712.05877). The graph is put into the cache.

    Args:
        encoder: on torch.
        precision: see above; "float32" gives the encoder itself.
        images: int8: at least 16 crops like those in use, of which 128 are taken.
        engine: "auto", or for bfloat16 "torch", for int8 "onnxruntime" or "openvino" (auto: the faster one here).
        threads: of the engine; None: as of `load_encoder`.

    Returns:
        An encoder with a fingerprint of its own, `precision`, and the given one as `exact`.

    Raises:
        ConfigError: an engine that does not compute so, a processor without bfloat16, int8 without enough images.
        WeightsError: the encoder does not run on torch, or cannot be quantised.
        MissingExtraError: the engine is not installed.
        StorageError: the cache cannot be written.
    """
    if precision == encoder.precision:
        return encoder
    running = encoder.engine
    if not isinstance(running, TorchEngine):
        raise WeightsError(
            f"precision: {precision} is made from the network itself, and this encoder is a graph on {running.name}; "
            "load it with the engine 'torch', or give a graph that is quantised already"
        )
    if precision == "bfloat16":
        return _in_bfloat16(encoder, running, engine, threads)
    if engine == "torch":
        raise ConfigError("precision: int8 runs as a graph, on onnxruntime or openvino, not on torch")
    pictures = [] if images is None else as_list(images)
    if len(pictures) < LEAST_CROPS:
        raise ConfigError(
            f"precision: int8 measures activations on crops like those in use; expected at least {LEAST_CROPS}, found "
            f"{len(pictures)}"
        )
    return _in_int8(
        encoder, [pixels_of(item, bits=encoder.preprocessing.bits) for item in evenly(pictures, CROPS)], engine, threads
    )


Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many items, spread over the whole sequence."""
    return [items[row * len(items) // most] for row in range(most)] if len(items) > most else list(items)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself; a CPU says so in /proc/cpuinfo."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    return bool(_processor_flags() & {"avx512_bf16", "amx_bf16", "bf16"})


def _processor_flags() -> set[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if line.startswith(("flags", "Features"))]
    except OSError:
        return set()
    return set(lines[0].partition(":")[2].split()) if lines else set()


def _in_bfloat16(encoder: Encoder, running: TorchEngine, engine: str, threads: int | None) -> Encoder:
    if engine not in (AUTO, "torch"):
        raise ConfigError(f"precision: bfloat16 runs on torch, not on {engine}")
    if not computes_bfloat16(running.device):
        where = platform.machine() if running.device.type == "cpu" else str(running.device)
        raise ConfigError(
            f"precision: this processor ({where}) does not compute in bfloat16 (no avx512_bf16, amx_bf16 or bf16 among "
            "its features), and emulates it many times slower than float32; leave precision at float32"
        )
    return Encoder(
        TorchEngine(
            running.model,
            encoder.preprocessing,
            fuse=running.fuse,
            threads=running.threads if threads is None else threads,
            dtype=torch.bfloat16,
        ),
        encoder.preprocessing,
        fingerprint=hashlib.sha256(f"{encoder.fingerprint} bfloat16".encode()).hexdigest()[:32],
        model_config=encoder.model_config,
        provenance=encoder.provenance,
        precision="bfloat16",
        exact=encoder,
    )


def _in_int8(encoder: Encoder, pictures: Sequence[UInt8], engine: str, threads: int | None) -> Encoder:
    from passerby.models.export.int8 import export_int8  # it stands above the engines

    digest = hashlib.sha256(str(encoder.preprocessing).encode())
    for picture in pictures:
        digest.update(str(picture.shape).encode() + picture.tobytes())
    folder = engine_cache_dir() / encoder.fingerprint / __version__ / f"int8-{digest.hexdigest()[:16]}"
    if not (folder / "encoder.json").is_file():
        export_int8(encoder, folder, pictures)
    names = GRAPHS if engine == AUTO else (engine,)
    found, absent = {}, []
    for name in names:
        try:
            found[name] = load_encoder(folder, name, threads=threads)
        except MissingExtraError as error:
            absent.append(error)
    if not found:
        raise absent[0]
    speeds = measure(found) if len(found) > 1 else {}
    fastest = found[max(speeds, key=lambda name: speeds[name])] if speeds else next(iter(found.values()))
    fastest.precision, fastest.exact = "int8", encoder
    return fastest
