"""The engine that runs an encoder fastest here: measured once for a machine, and remembered.

Torch alone is always there. ONNX Runtime and OpenVINO run a graph: that in the encoder's folder, or one that is written
into the cache where there are enough images to pay for it.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch

from passerby.errors import ConfigError, MissingExtraError, StorageError, WeightsError
from passerby.models.described_encoder import described_encoder
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines.engine import ENGINES, Engine
from passerby.models.engines.engine_cache import EngineChoice, cached_graph, remember_choice, remembered_choice
from passerby.models.engines.graph_choice import exported_graph, graph_in_cache, open_remembered
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.threads import check_threads, usable_threads
from passerby.models.engines.timing import seconds_of_each
from passerby.models.engines.torch_engine import TorchEngine

log = logging.getLogger("passerby")

AUTO = "auto"
TRIAL_FROM = 2000
"""Images from which writing a graph and trying all engines is worth it: measured 18 s, against 8 ms saved an image."""
TOLERANCE = 1e-5
"""Largest difference of any number of a vector from torch's with which an engine is chosen."""
_IMAGES, _ROUNDS = 8, 3


def pick_encoder(
    folder: str | os.PathLike[str], engine: str | None = AUTO, *, images: int = 0, threads: int | None = None
) -> tuple[Encoder, dict[str, float]]:
    """An encoder on an engine: "torch", "onnxruntime", "openvino", or the fastest of them here ("auto").

    "auto" takes what was measured on this machine before. Else, with at least `TRIAL_FROM` images to come, it tries
    all engines with one and with all threads, writing a graph into the cache first, and remembers the fastest whose
    vectors are within `TOLERANCE` of torch's. With fewer images it takes the fastest of what `passerby export` put into
    the folder, and of torch.

    Args:
        folder: whatever `load_encoder` takes.
        engine: see above; None: as `load_encoder` without one.
        images: how many will be encoded, as far as is known.
        threads: of the engine; None: the fastest number.

    Returns:
        The encoder, and images per second of each engine that was measured.

    Raises:
        WeightsError: no encoder there, or nothing for this engine.
        ConfigError: an unknown engine, or less than one thread.
        MissingExtraError: the engine is not installed.
    """
    check_threads(threads)
    if engine != AUTO:
        return load_encoder(folder, engine, threads=threads), {}
    described = described_encoder(folder)
    if described is None:  # a graph has one engine; a checkpoint may become a graph
        return _fastest(load_encoder(folder, threads=threads), None, images, threads)
    choice = remembered_choice(described.fingerprint, threads)
    if choice is not None and choice.engine != "torch":  # opened without the weights
        graph = open_remembered(described.fingerprint, described.preprocessing, choice)
        if graph is not None:
            about = {name: getattr(described, name) for name in ("model_config", "provenance", "calibration")}
            return Encoder(graph, described.preprocessing, fingerprint=described.fingerprint, **about), {}
    if images < TRIAL_FROM and (choice is None or choice.engine != "torch"):
        return _fastest_of_folder(folder, threads)
    return _fastest(load_encoder(folder, "torch", threads=threads), exported_graph(described), images, threads)


def on_engine(
    encoder: Encoder, engine: str = AUTO, *, images: int = 0, threads: int | None = None, keep: bool = True
) -> Encoder:
    """An encoder that is in memory on an engine: "torch", "onnxruntime", "openvino", or the fastest here ("auto").

    Args:
        encoder: its vectors stay the same, to `TOLERANCE`. One that runs a graph stays on it.
        engine: "auto" leaves an encoder alone that is not on the CPU, and tries engines as `pick_encoder` does.
        images: how many will be encoded, as far as is known.
        threads: of the engine; None: the fastest number, or what the encoder has.
        keep: put graphs into the cache, and remember what is fastest; not for weights that change every minute.

    Raises:
        ConfigError: an encoder that runs a graph, on another engine; a graph engine for one that is not on the CPU;
            less than one thread.
        WeightsError: the network cannot be written as a graph, or gives other vectors on this engine.
        MissingExtraError: the engine is not installed.
    """
    check_threads(threads)
    running = encoder.engine
    if isinstance(running, GraphEngine):
        if engine not in (AUTO, running.name):
            raise ConfigError(
                f"engine: this encoder runs on {running.name!r} and cannot be moved to {engine!r}; load it with "
                f"load_encoder(..., engine={engine!r})"
            )
        return encoder if threads in (None, running.threads) else _with(encoder, running.with_threads(threads or 0))
    if not isinstance(running, TorchEngine):
        return encoder
    if engine == AUTO and running.device.type == "cpu":
        return _fastest(_on_torch(encoder, running, threads), None, images, threads, keep=keep)[0]
    if engine in (AUTO, "torch"):
        return _on_torch(encoder, running, threads)
    if running.device.type != "cpu":
        raise ConfigError(f"engine: {engine!r} computes on the CPU, and this encoder is on {running.device}")
    with tempfile.TemporaryDirectory(prefix="passerby-engine-", ignore_cleanup_errors=True) as temporary:
        graph = _written(encoder, _place(encoder, keep, temporary))
        placed = _with(encoder, GraphEngine(graph, engine, encoder.preprocessing, threads=threads or 0))
        difference = _difference(placed, encoder)
    if not difference <= TOLERANCE:
        raise WeightsError(f"{engine} cannot run this encoder: its vectors differ from torch's by {difference:.1e}")
    return placed


def _on_torch(encoder: Encoder, running: TorchEngine, threads: int | None) -> Encoder:
    if threads in (None, running.threads):
        return encoder
    return _with(encoder, TorchEngine(running.model, encoder.preprocessing, fuse=running.fuse, threads=threads or 0))


def _with(encoder: Encoder, engine: Engine) -> Encoder:
    """The same encoder on another engine."""
    return Encoder(
        engine,
        encoder.preprocessing,
        fingerprint=encoder.fingerprint,
        model_config=encoder.model_config,
        provenance=encoder.provenance,
        calibration=encoder.calibration,
    )


def _fastest(
    reference: Encoder, graph: Path | None, images: int, threads: int | None, *, keep: bool = True
) -> tuple[Encoder, dict[str, float]]:
    """What was fastest before, or is now where there are images enough; the encoder itself where it is a graph."""
    if not isinstance(reference.engine, TorchEngine):
        return reference, {}
    choice = remembered_choice(reference.fingerprint, threads)
    if choice is not None and choice.engine == "torch":
        return reference, {}
    if choice is not None:
        opened = open_remembered(reference.fingerprint, reference.preprocessing, choice)
        if opened is not None:
            return _with(reference, opened), {}
    if images < TRIAL_FROM:
        return reference, {}
    with tempfile.TemporaryDirectory(prefix="passerby-engine-", ignore_cleanup_errors=True) as temporary:
        return _tried(reference, graph, threads, None if keep else temporary)


def _fastest_of_folder(folder: str | os.PathLike[str], threads: int | None) -> tuple[Encoder, dict[str, float]]:
    found: dict[str, Encoder] = {}
    for name in ENGINES:
        try:
            found[name] = load_encoder(folder, name, threads=threads)
        except (MissingExtraError, WeightsError):
            continue  # not exported, not installed, or stale
    if not found:
        return load_encoder(folder), {}  # says what is wrong
    if len(found) == 1:
        return next(iter(found.values())), {}
    speeds = measure(found)
    return found[max(speeds, key=lambda name: speeds[name])], speeds


def _tried(
    reference: Encoder, graph: Path | None, threads: int | None, temporary: str | None
) -> tuple[Encoder, dict[str, float]]:
    """Every engine with one and with all threads, on torch's own terms: its vectors or none."""
    try:
        graph = graph or _written(reference, _place(reference, temporary is None, temporary or ""))
    except (MissingExtraError, WeightsError, StorageError) as error:
        log.info("torch runs this encoder: %s", error)
    found = {"torch": reference}
    graphs: dict[str, GraphEngine] = {}
    for engine in () if graph is None else ("onnxruntime", "openvino"):
        for count in [threads] if threads is not None else sorted({1, usable_threads()}):
            try:
                opened = GraphEngine(graph, engine, reference.preprocessing, threads=count)  # type: ignore[arg-type]
            except (MissingExtraError, WeightsError) as error:
                log.info("%s cannot run this encoder: %s", engine, error)
                break
            name = f"{engine}, {count} thread{'s' if count > 1 else ''}"
            found[name], graphs[name] = _with(reference, opened), opened
    differences = {name: _difference(encoder, reference) for name, encoder in found.items()}
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            log.warning("%s is not used: its vectors differ from torch's by %.1e", name, difference)
            del found[name]
    speeds = measure(found) if len(found) > 1 else {}
    best = max(speeds, key=lambda name: speeds[name]) if speeds else "torch"
    if temporary is None:
        _remember(reference, graphs.get(best), speeds, differences[best], threads)
    log.info("encoding by %s (%s)", best, ", ".join(f"{n}: {s:.0f} images/s" for n, s in speeds.items()))
    return found[best], speeds


def _remember(
    encoder: Encoder, best: GraphEngine | None, speeds: Mapping[str, float], difference: float, threads: int | None
) -> None:
    choice = EngineChoice(
        engine=best.name if best else "torch",
        threads=best.threads if best else 0,
        graph=str(best.path.resolve()) if best else "",
        images_per_second={name: round(speed, 1) for name, speed in speeds.items()},
        difference=difference,
    )
    try:
        remember_choice(encoder.fingerprint, choice, threads)
    except StorageError as error:
        log.warning("the choice of an engine is not remembered: %s", error)


def _place(encoder: Encoder, keep: bool, temporary: str) -> Path:
    target = cached_graph(encoder.fingerprint)
    return target if keep else Path(temporary) / target.name


def _written(encoder: Encoder, target: Path) -> Path:
    """The graph of an encoder on torch: that of the cache, or written now.

    Raises:
        MissingExtraError, WeightsError, StorageError: it cannot be.
    """
    there = graph_in_cache(encoder.fingerprint)
    if there is not None:
        return there
    from passerby.models.export.encoder_export import write_checked  # it stands above the engines

    log.info("writing a graph of this encoder into %s", target.parent)
    return write_checked(encoder, "onnx", target).path


def _difference(encoder: Encoder, reference: Encoder) -> float:
    size = reference.preprocessing
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.integers(0, 256, (_IMAGES, 3, 16, 8), dtype=np.uint8))
    images = torch.nn.functional.interpolate(coarse.float(), (size.height, size.width)).to(torch.uint8)
    return float((encoder.encode_batch(images) - reference.encode_batch(images).cpu()).abs().max())


def measure(encoders: Mapping[str, Encoder]) -> dict[str, float]:
    """Images per second of each, the best of a few rounds in which they take turns."""
    size = next(iter(encoders.values())).preprocessing
    images = torch.zeros((_IMAGES, 3, size.height, size.width), dtype=torch.uint8)
    ways = {name: partial(encoder.encode_batch, images, flip=True) for name, encoder in encoders.items()}
    return {name: _IMAGES / min(taken) for name, taken in seconds_of_each(ways, rounds=_ROUNDS).items()}
