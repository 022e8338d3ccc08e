"""Encoders from model files that carry no description: a bare graph, a public checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passerby.config import InputConfig, ModelConfig
from passerby.errors import WeightsError
from passerby.models.engines.engine import Engine
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.onnxruntime_graph import open_onnxruntime
from passerby.models.engines.openvino_graph import open_openvino
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.engines.torch_engine import TorchEngine
from passerby.models.fingerprint import architecture_of, fingerprint_of_file, fingerprint_of_weights
from passerby.models.model import build_model
from passerby.models.sources import OF_CHECKPOINTS, OF_GRAPHS, EncoderSource
from passerby.models.weights.checkpoints import head_settings, load_weights, looks_like, read_checkpoint


@dataclass(frozen=True)
class LoadedModel:
    """What an encoder is made of."""

    engine: Engine
    preprocessing: Preprocessing
    fingerprint: str
    model_config: Mapping[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)


def load_graph(source: EncoderSource, engine: str | None, *, described: bool = False) -> LoadedModel:
    """An ONNX or OpenVINO graph, its preprocessing given by the source's settings.

    A graph that `passerby export` wrote holds its preprocessing and its fingerprint, and needs no settings.

    Args:
        source: the file and its settings.
        engine: "onnxruntime" or "openvino"; None: the one that the file needs.
        described: the settings stand in a description file, which always has them.

    Raises:
        WeightsError: preprocessing that neither the graph nor the settings say, or settings that would do nothing.
        MissingExtraError: the engine is not installed.
    """
    path = Path(source.place)
    chosen = engine or ("onnxruntime" if path.suffix == ".onnx" else "openvino")
    if chosen == "torch":
        raise WeightsError(f"{path}: a graph runs on onnxruntime or openvino, not on torch")
    source.allow(OF_GRAPHS, "this is a graph")
    size, exported = _read_graph(path, chosen, source.settings.output)
    if exported and not described:
        source.allow((), "the graph holds its preprocessing itself, `passerby export` wrote it")
        preprocessing = _preprocessing_of_export(exported)
        own = exported.get("fingerprint") if not _is_quantised(path) else None
        return LoadedModel(
            GraphEngine(path, chosen, preprocessing),
            preprocessing,
            # int8 and float16 graphs give other vectors than the encoder that they were made from
            own or fingerprint_of_file(path, preprocessing),
            {"backbone": path.stem},
            {"licence": exported.get("licence", "unknown"), "file": path.name},
        )
    preprocessing = _preprocessing_of_graph(source, size, reshapes=chosen == "openvino")
    return LoadedModel(
        GraphEngine(path, chosen, preprocessing, output=source.settings.output),
        preprocessing,
        fingerprint_of_file(path, preprocessing),
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


def _is_quantised(path: Path) -> bool:
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
        }
    )


def load_checkpoint(source: EncoderSource, engine: str | None) -> LoadedModel:
    """A public checkpoint as an encoder, without training: the backbone that is named, and the file's own head.

    Raises:
        WeightsError: no backbone named (the message says what the file looks like), a file of another one, tensors
            that the file lacks, a head that no setting of a model makes, or settings that would do nothing.
        ConfigError: an unknown backbone.
    """
    if engine not in (None, "torch"):
        raise WeightsError(f"{source}: a checkpoint runs on torch; `passerby export` makes a file for {engine}")
    source.allow(OF_CHECKPOINTS, "this is a checkpoint")
    settings = source.settings
    if settings.backbone is None:
        raise WeightsError(
            f"{source}: a checkpoint does not say which network it holds: give backbone (--backbone NAME); "
            f"{looks_like(read_checkpoint(source.place))}"
        )
    head = head_settings(settings.backbone, source.place)
    pooling = settings.map_pooling or head.pop("pooling", "average")
    config = ModelConfig(backbone=settings.backbone, last_stride=settings.last_stride or 1, pooling=pooling, **head)
    model = build_model(config)
    report = load_weights(model, source.place)
    lost = [name for name in report.missing if not name.endswith("num_batches_tracked")]
    if lost or report.mismatched:
        names = ", ".join([*lost, *report.mismatched][:4])
        raise WeightsError(
            f"{source}: not all of {config.backbone} is in the file ({len(lost) + len(report.mismatched)} tensors are "
            f"missing or of another shape: {names}), so that its vectors would be drawn at random in part; to train "
            "from it: --model.weights"
        )
    fields = InputConfig()
    given = {k: v for k, v in settings.given().items() if k in Preprocessing.model_fields}
    preprocessing = Preprocessing.model_validate(
        {"height": fields.height, "width": fields.width, "mean": fields.mean, "std": fields.std, **given}
    )
    architecture = architecture_of(config)
    return LoadedModel(
        TorchEngine(model.eval(), preprocessing, fuse=True),
        preprocessing,
        fingerprint_of_weights(model.state_dict(), preprocessing, architecture),
        architecture,
        {"file": Path(source.place).name, **({"note": report.note} if report.note else {})},
    )
