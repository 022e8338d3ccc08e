"""Encoders from public checkpoints, which carry no description."""

from __future__ import annotations

from pathlib import Path

import torch

from passerby.config import InputConfig, ModelConfig
from passerby.errors import WeightsError
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.engines.torch_engine import TorchEngine
from passerby.models.fingerprint import architecture_of, fingerprint_of_weights
from passerby.models.graph_loading import LoadedModel
from passerby.models.model import build_model
from passerby.models.sources import OF_CHECKPOINTS, EncoderSource
from passerby.models.weights.checkpoints import head_settings, load_weights, looks_like, read_checkpoint


def load_checkpoint(source: EncoderSource, engine: str | None, *, threads: int = 0) -> LoadedModel:
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
    torch_engine = TorchEngine(model.eval(), preprocessing, fuse=True, threads=threads)
    if "height" in given or "width" in given:
        _refuse_small_images(torch_engine, source)
    return LoadedModel(
        torch_engine,
        preprocessing,
        fingerprint_of_weights(model.state_dict(), preprocessing, architecture),
        architecture,
        {"file": Path(source.place).name, **({"note": report.note} if report.note else {})},
    )


def _refuse_small_images(engine: TorchEngine, source: EncoderSource) -> None:
    height, width = engine.preprocessing.height, engine.preprocessing.width
    try:
        engine(torch.zeros(1, 3, height, width, dtype=torch.uint8))
    except (ValueError, RuntimeError, AssertionError) as error:  # torch's layers and timm's networks raise these
        raise WeightsError(
            f"{source}: the backbone {source.settings.backbone!r} cannot read images of {height}x{width} "
            f"({' '.join(str(error).split())}); choose another height and width"
        ) from error
