"""Encoders that are graphs: bare files, described ones, and those of a hub; nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passerby.errors import WeightsError
from passerby.images.decode import GREY_BITS
from passerby.models.calibrated_threshold import read_calibration
from passerby.models.description import description_path, read_description, read_json
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.onnxruntime_graph import open_onnxruntime
from passerby.models.engines.openvino_graph import open_openvino
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.file_fingerprint import fingerprint_of_file
from passerby.models.hub import find_in_hub, recognise_file
from passerby.models.sources import OF_GRAPHS, EncoderSource, encoder_source, is_hub_name, kind_of

if TYPE_CHECKING:
    from passerby.models.engines.engine import Engine


@dataclass(frozen=True)
class LoadedModel:
    """What an encoder is made of."""

    engine: Engine
    preprocessing: Preprocessing
    fingerprint: str
    model_config: Mapping[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)


def find_graph(source: EncoderSource, engine: str | None, threads: int = 0) -> LoadedModel | None:
    """The encoder, with its calibration, where it is a graph: bare, described, or a hub's; None: another kind.

    Raises:
        WeightsError: as of `load_graph`; a damaged description, or one of a file outside its folder.
        MissingExtraError: the engine is not installed.
        NetworkError: a hub's encoder cannot be fetched.
    """
    if is_hub_name(source):
        return _of_hub(source, engine, threads)
    kind = kind_of(source)
    if kind == "graph":
        return _bare(source, engine, threads)
    described = None if kind == "checkpoint" else described_file(source)
    if described is None or kind_of(described[1]) != "graph":
        return None
    path, model = described
    foreign = read_description(path)
    loaded = load_graph(model, engine, described=True, threads=threads)
    return replace(
        loaded,
        model_config={**loaded.model_config, **({"backbone": foreign.name} if foreign.name else {})},
        provenance={**loaded.provenance, "licence": foreign.licence, "source": foreign.source},
        calibration=read_calibration(path),
    )


def _bare(source: EncoderSource, engine: str | None, threads: int) -> LoadedModel:
    """A graph's file; what a known public one does not say itself stands in the hub's entry."""
    known = recognise_file(source)
    loaded = load_graph(source if known is None else known.source, engine, threads=threads)
    calibration = read_calibration(Path(source), loaded.fingerprint)
    if known is None:
        return replace(loaded, calibration=calibration)
    provenance = {**loaded.provenance, **known.provenance}
    return replace(loaded, provenance=provenance, calibration={**known.calibration, **calibration})


def described_file(source: EncoderSource) -> tuple[Path, EncoderSource] | None:
    """The description of a foreign model, and its file with the settings that stand there; None: no such description.

    Raises:
        WeightsError: no encoder there, a damaged description, a file outside its folder, or settings that would do
            nothing.
    """
    path = description_path(source)
    source.allow((), f"{path} describes the encoder")
    if path.suffix != ".toml" and "file" not in read_json(path):
        return None
    foreign = read_description(path)
    model = path.parent / foreign.file
    if not Path(foreign.file).is_absolute() and not model.resolve().is_relative_to(path.parent.resolve()):
        raise WeightsError(
            f"{path}: file = {foreign.file!r} lies outside the description's folder; expected it beside it"
        )
    return path, EncoderSource(str(model), foreign.settings)


def _of_hub(source: EncoderSource, engine: str | None, threads: int) -> LoadedModel | None:
    if source.place.startswith("hub:"):
        source.allow((), "the hub's entry says everything")
    found = find_in_hub(source.place)
    loaded = find_graph(encoder_source(found.source, source.settings.given()), engine, threads)
    if loaded is None:
        return None
    provenance = {**loaded.provenance, **found.provenance}
    return replace(loaded, provenance=provenance, calibration={**found.calibration, **loaded.calibration})


def load_graph(source: EncoderSource, engine: str | None, *, described: bool = False, threads: int = 0) -> LoadedModel:
    """An ONNX or OpenVINO graph, its preprocessing given by the source's settings.

    A graph that `passerby export` wrote holds its preprocessing and its fingerprint, and needs no settings.

    Args:
        source: the file and its settings.
        engine: "onnxruntime" or "openvino"; None: the one that the file needs.
        described: the settings stand in a description file, which always has them.
        threads: of the engine; 0: as many as this process may use.

    Raises:
        WeightsError: preprocessing that neither the graph nor the settings say, or settings that would do nothing.
        MissingExtraError: the engine is not installed.
    """
    path = Path(source.place)
    chosen = engine or ("onnxruntime" if path.suffix == ".onnx" else "openvino")
    if chosen == "torch":
        raise WeightsError(
            f"{path}: a graph runs on onnxruntime or openvino, not on torch; what trains, exports or shows activation "
            "maps takes the network's own weights (a run, or a checkpoint with --backbone)"
        )
    source.allow(OF_GRAPHS, "this is a graph")
    size, exported = _read_graph(path, chosen, source.settings.output)
    if exported and not described:
        source.allow((), "the graph holds its preprocessing itself, `passerby export` wrote it")
        preprocessing = _preprocessing_of_export(exported)
        own = exported.get("fingerprint") if not is_quantised(path) else None
        return LoadedModel(
            GraphEngine(path, chosen, preprocessing, threads=threads),
            preprocessing,
            # int8 and float16 graphs give other vectors than the encoder that they were made from
            own or _fingerprint_of_graph(path, preprocessing, chosen),
            {"backbone": path.stem},
            {"licence": exported.get("licence", "unknown"), "file": path.name},
        )
    preprocessing = _preprocessing_of_graph(source, size, reshapes=chosen == "openvino")
    return LoadedModel(
        GraphEngine(path, chosen, preprocessing, output=source.settings.output, threads=threads),
        preprocessing,
        _fingerprint_of_graph(path, preprocessing, chosen),
        {"backbone": path.stem},
        {"file": path.name},
    )


def _preprocessing_of_graph(
    source: EncoderSource, size: tuple[int | None, int | None], *, reshapes: bool
) -> Preprocessing:
    given = source.settings.given()
    for name, pixels in zip(("height", "width"), size, strict=True):
        if pixels is not None and given.setdefault(name, pixels) != pixels and not reshapes:
            raise WeightsError(f"{source}: its {name} is {pixels} pixels, and {name} = {given[name]} was given")
    missing = [name for name in ("height", "width", "colors", "scale") if name not in given]
    if missing:
        flags = " ".join(f"--{name} {_EXAMPLE[name]}" for name in missing)
        raise WeightsError(
            f"{source}: say how its pixels are prepared, the graph does not: missing {', '.join(missing)} (such as "
            f"{flags}; and --mean, --std where it expects normalised pixels; other values give poor vectors without an "
            "error, so look up its publisher's: torchreid's are RGB, 255, mean 0.485 0.456 0.406, std 0.229 0.224 "
            "0.225, the Open Model Zoo's BGR, 1), or describe it in a .toml file"
        )
    given.pop("output", None)
    return Preprocessing.model_validate({"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), **given})


_EXAMPLE = {"height": 256, "width": 128, "colors": "RGB", "scale": 255}


def _fingerprint_of_graph(path: Path, preprocessing: Preprocessing, engine: str) -> str:
    """That of the file; eight bits round otherwise in OpenVINO, whose vectors hence have one of their own."""
    of_file = fingerprint_of_file(path, preprocessing)
    if engine != "openvino" or not is_quantised(path):
        return of_file
    return hashlib.sha256(f"{of_file} {engine}".encode()).hexdigest()[:32]


def is_quantised(path: Path) -> bool:
    """Whether an ONNX file computes in eight bits."""
    return path.suffix == ".onnx" and b"QuantizeLinear" in path.read_bytes()


def _read_graph(path: Path, engine: str, output: str | None) -> tuple[tuple[int | None, int | None], dict[str, str]]:
    """Height and width of the input where they are fixed, and what `passerby export` wrote into the file."""
    if engine == "onnxruntime" and path.suffix != ".onnx":
        raise WeightsError(f"{path}: ONNX Runtime reads .onnx files; use the engine 'openvino'")
    graph = (open_openvino if engine == "openvino" else open_onnxruntime)(path, output)
    if len(graph.shape) not in (0, 4):
        raise WeightsError(f"{path}: expected an input of images [batch, 3, height, width], found {list(graph.shape)}")
    _, *axes = graph.shape or (None,) * 4
    channels_last = axes[2] == 3 and axes[0] != 3
    height, width = axes[:2] if channels_last else axes[1:]
    return (height, width), graph.metadata if "input" in graph.metadata else {}


def _preprocessing_of_export(exported: Mapping[str, str]) -> Preprocessing:
    """What stands in the file; files of 0.1 take pixels and name no mean."""
    return Preprocessing.model_validate(
        {
            "height": int(exported["height"]),
            "width": int(exported["width"]),
            "mean": json.loads(exported.get("mean", "[0, 0, 0]")),
            "std": json.loads(exported.get("std", "[1, 1, 1]")),
            "scale": float(exported.get("scale", 1)),
            "colors": exported.get("colors", "RGB"),
            "bits": int(exported.get("bits", GREY_BITS)),
        }
    )
