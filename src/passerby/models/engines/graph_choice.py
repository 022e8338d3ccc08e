"""The graphs of an encoder that are there already, opened without torch."""

from __future__ import annotations

from pathlib import Path

from passerby.errors import MissingExtraError, WeightsError
from passerby.models.described_encoder import DescribedEncoder
from passerby.models.engines.engine_cache import EngineChoice, cached_graph, remembered_choice
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.onnxruntime_graph import open_onnxruntime
from passerby.models.engines.preprocessing import Preprocessing


def exported_graph(described: DescribedEncoder) -> Path | None:
    """The ONNX file of this very encoder in its folder, or in the cache; None where there is none, or a stale one."""
    own = described.folder / "encoder.onnx"
    return own if _is_graph_of(own, described.fingerprint) else graph_in_cache(described.fingerprint)


def graph_in_cache(fingerprint: str) -> Path | None:
    """The ONNX file of an encoder in the cache; None where there is none."""
    file = cached_graph(fingerprint)
    return file if _is_graph_of(file, fingerprint) else None


def _is_graph_of(file: Path, fingerprint: str) -> bool:
    try:
        return file.is_file() and open_onnxruntime(file, None).metadata.get("fingerprint") == fingerprint
    except (MissingExtraError, WeightsError):
        return False


def open_remembered(fingerprint: str, preprocessing: Preprocessing, choice: EngineChoice) -> GraphEngine | None:
    """The graph of a choice; None where it cannot be opened any more, or is another encoder's."""
    try:
        engine = GraphEngine(choice.graph, choice.engine, preprocessing, threads=choice.threads)
    except (MissingExtraError, WeightsError):
        return None
    return engine if engine.metadata.get("fingerprint") == fingerprint else None


def graph_at_hand(described: DescribedEncoder, threads: int | None = None) -> GraphEngine | None:
    """A graph to start with at once, for a few images: what was chosen before, else what `passerby export` wrote.

    None where torch was found faster, or there is no graph.
    """
    choice = remembered_choice(described.fingerprint, threads)
    if choice is not None:
        if choice.engine == "torch":
            return None
        return open_remembered(described.fingerprint, described.preprocessing, choice)
    file = exported_graph(described)
    try:
        return None if file is None else GraphEngine(file, "onnxruntime", described.preprocessing, threads=threads or 1)
    except (MissingExtraError, WeightsError):
        return None
