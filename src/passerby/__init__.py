"""passerby: person re-identification, trained, proved and put to use.

Names below load on first use, so that `import passerby` costs nothing and imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from passerby.config import Config, load_recipe, recipe_names
    from passerby.data import DATASETS, load_dataset
    from passerby.data.records import ReIDDataset, Sample
    from passerby.evaluation.embed import Embeddings, embed
    from passerby.evaluation.evaluate import evaluate
    from passerby.evaluation.open_set import OpenSetReport, Threshold, calibrate_threshold, evaluate_open_set
    from passerby.evaluation.protocols import Report, evaluate_embeddings
    from passerby.evaluation.reranking import rerank_k_reciprocal
    from passerby.gallery.gallery import Gallery, Match
    from passerby.losses import LOSSES
    from passerby.models.encoder import Encoder, load_encoder
    from passerby.models.model import BACKBONES
    from passerby.training.trainer import Run, train

__version__ = "0.1.0"

_HOME = {
    "BACKBONES": "passerby.models.model",
    "Config": "passerby.config",
    "DATASETS": "passerby.data",
    "Embeddings": "passerby.evaluation.embed",
    "Encoder": "passerby.models.encoder",
    "Gallery": "passerby.gallery.gallery",
    "LOSSES": "passerby.losses",
    "Match": "passerby.gallery.gallery",
    "OpenSetReport": "passerby.evaluation.open_set",
    "ReIDDataset": "passerby.data.records",
    "Report": "passerby.evaluation.protocols",
    "Run": "passerby.training.trainer",
    "Sample": "passerby.data.records",
    "Threshold": "passerby.evaluation.open_set",
    "calibrate_threshold": "passerby.evaluation.open_set",
    "embed": "passerby.evaluation.embed",
    "evaluate": "passerby.evaluation.evaluate",
    "evaluate_embeddings": "passerby.evaluation.protocols",
    "evaluate_open_set": "passerby.evaluation.open_set",
    "load_dataset": "passerby.data",
    "load_encoder": "passerby.models.encoder",
    "load_recipe": "passerby.config",
    "recipe_names": "passerby.config",
    "rerank_k_reciprocal": "passerby.evaluation.reranking",
    "train": "passerby.training.trainer",
}

__all__ = [
    "BACKBONES",
    "DATASETS",
    "LOSSES",
    "Config",
    "Embeddings",
    "Encoder",
    "Gallery",
    "Match",
    "OpenSetReport",
    "ReIDDataset",
    "Report",
    "Run",
    "Sample",
    "Threshold",
    "calibrate_threshold",
    "embed",
    "evaluate",
    "evaluate_embeddings",
    "evaluate_open_set",
    "load_dataset",
    "load_encoder",
    "load_recipe",
    "recipe_names",
    "rerank_k_reciprocal",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'passerby' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
