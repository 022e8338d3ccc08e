"""The graphs of an encoder that are there already, opened without torch."""

from __future__ import annotations

from pathlib import Path

from passerby.errors import MissingExtraError, WeightsError
from passerby.models.described_encoder import DescribedEncoder
from passerby.models.engines.engine_cache import EngineChoice, cached_graph, remembered_choice
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.onnxruntime_graph import open_onnxruntime


def exported_graph(described: DescribedEncoder) -> Path | None:
    """The ONNX file of this very encoder in its folder, or in the cache; None where there is none, or a stale one."""
    for file in (described.folder / "encoder.onnx", cached_graph(described.fingerprint)):
        try:
            if file.is_file() and open_onnxruntime(file, None).metadata.get("fingerprint") == described.fingerprint:
                return file
        except (MissingExtraError, WeightsError):
            continue
    return None


def open_remembered(described: DescribedEncoder, choice: EngineChoice) -> GraphEngine | None:
    """The graph of a choice; None where it cannot be opened any more, or is another encoder's."""
    try:
        engine = GraphEngine(choice.graph, choice.engine, described.preprocessing, threads=choice.threads)
    except (MissingExtraError, WeightsError):
        return None
    return engine if engine.metadata.get("fingerprint") == described.fingerprint else None


def graph_at_hand(described: DescribedEncoder) -> GraphEngine | None:
    """A graph to start with at once, for a few images: what was chosen before, else what `passerby export` wrote.

    None where torch was found faster, or there is no graph.
    """
    choice = remembered_choice(described.fingerprint)
    if choice is not None:
        return None if choice.engine == "torch" else open_remembered(described, choice)
    file = exported_graph(described)
    try:
        return None if file is None else GraphEngine(file, "onnxruntime", described.preprocessing, threads=1)
    except (MissingExtraError, WeightsError):
        return None
