"""The engine that runs an encoder fastest here: measured once for a machine, and remembered.

Torch alone is always there. ONNX Runtime and OpenVINO run a graph: that in the encoder's folder, or one that is written
into the cache where there are enough images to pay for it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch

from passerby.errors import MissingExtraError, StorageError, WeightsError
from passerby.models.described_encoder import DescribedEncoder, described_encoder
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines.engine import ENGINES
from passerby.models.engines.engine_cache import EngineChoice, cached_graph, remember_choice, remembered_choice
from passerby.models.engines.graph_choice import exported_graph, open_remembered
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.threads import usable_threads
from passerby.models.engines.timing import seconds_of_each

log = logging.getLogger("passerby")

AUTO = "auto"
TRIAL_FROM = 2000
"""Images from which writing a graph and trying all engines is worth it: measured 18 s, against 8 ms saved an image."""
TOLERANCE = 1e-5
"""Largest difference of any number of a vector from torch's with which an engine is chosen."""
_IMAGES, _ROUNDS = 8, 3


def pick_encoder(
    folder: str | os.PathLike[str], engine: str | None = AUTO, *, images: int = 0
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

    Returns:
        The encoder, and images per second of each engine that was measured.

    Raises:
        WeightsError: no encoder there, or nothing for this engine.
        ConfigError: an unknown engine.
        MissingExtraError: the engine is not installed.
    """
    if engine != AUTO:
        return load_encoder(folder, engine), {}
    described = described_encoder(folder)
    if described is None:  # a graph or a checkpoint: there is one engine for it
        return load_encoder(folder), {}
    choice = remembered_choice(described.fingerprint)
    if choice is not None:
        known = _remembered(folder, described, choice)
        if known is not None:
            return known, {}
    if images >= TRIAL_FROM:
        return _tried(folder, described)
    return _fastest_of_folder(folder)


def _remembered(folder: str | os.PathLike[str], described: DescribedEncoder, choice: EngineChoice) -> Encoder | None:
    if choice.engine == "torch":
        return load_encoder(folder)
    engine = open_remembered(described, choice)
    return None if engine is None else _on_graph(described, engine)


def _on_graph(described: DescribedEncoder, engine: GraphEngine) -> Encoder:
    return Encoder(
        engine,
        described.preprocessing,
        fingerprint=described.fingerprint,
        model_config=described.model_config,
        provenance=described.provenance,
        calibration=described.calibration,
    )


def _fastest_of_folder(folder: str | os.PathLike[str]) -> tuple[Encoder, dict[str, float]]:
    found: dict[str, Encoder] = {}
    for name in ENGINES:
        try:
            found[name] = load_encoder(folder, name)
        except (MissingExtraError, WeightsError):
            continue  # not exported, not installed, or stale
    if not found:
        return load_encoder(folder), {}  # says what is wrong
    if len(found) == 1:
        return next(iter(found.values())), {}
    speeds = measure(found)
    return found[max(speeds, key=lambda name: speeds[name])], speeds


def _tried(folder: str | os.PathLike[str], described: DescribedEncoder) -> tuple[Encoder, dict[str, float]]:
    """Every engine with one and with all threads, on torch's own terms: its vectors or none."""
    reference = load_encoder(folder, "torch")
    graph = _graph_for(folder, described)
    found = {"torch": reference}
    graphs: dict[str, GraphEngine] = {}
    for engine in () if graph is None else ("onnxruntime", "openvino"):
        for threads in sorted({1, usable_threads()}):
            try:
                opened = GraphEngine(graph, engine, described.preprocessing, threads=threads)  # type: ignore[arg-type]
            except (MissingExtraError, WeightsError) as error:
                log.info("%s cannot run this encoder: %s", engine, error)
                break
            name = f"{engine}, {threads} thread{'s' if threads > 1 else ''}"
            found[name], graphs[name] = _on_graph(described, opened), opened
    differences = {name: _difference(encoder, reference) for name, encoder in found.items()}
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            log.warning("%s is not used: its vectors differ from torch's by %.1e", name, difference)
            del found[name]
    speeds = measure(found) if len(found) > 1 else {}
    best = max(speeds, key=lambda name: speeds[name]) if speeds else "torch"
    opened_best = graphs.get(best)
    choice = EngineChoice(
        engine=opened_best.name if opened_best else "torch",
        threads=opened_best.threads if opened_best else 0,
        graph=str(opened_best.path.resolve()) if opened_best else "",
        images_per_second={name: round(speed, 1) for name, speed in speeds.items()},
        difference=differences[best],
    )
    try:
        remember_choice(described.fingerprint, choice)
    except StorageError as error:
        log.warning("the choice of an engine is not remembered: %s", error)
    log.info("encoding by %s (%s)", best, ", ".join(f"{n}: {s:.0f} images/s" for n, s in speeds.items()))
    return found[best], speeds


def _graph_for(folder: str | os.PathLike[str], described: DescribedEncoder) -> Path | None:
    """The graph of the encoder's folder, or of the cache, where it is written now; None where it cannot be."""
    there = exported_graph(described)
    if there is not None:
        return there
    target = cached_graph(described.fingerprint)
    from passerby.models.export.encoder_export import export  # it stands above the engines

    try:
        log.info("writing a graph of this encoder into %s, once", target.parent)
        return export(folder, "onnx", out=target).path
    except (MissingExtraError, WeightsError, StorageError) as error:
        log.info("torch runs this encoder: %s", error)
        return None


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
