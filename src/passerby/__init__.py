"""passerby: person re-identification, trained, proved and put to use.

Names below load on first use, so that `import passerby` costs nothing and imports no torch.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

from passerby import moved_modules
from passerby.lazy import lazy_names
from passerby.version import __version__ as __version__

if TYPE_CHECKING:
    from passerby.adaptation.adapt import adapt
    from passerby.adaptation.crops import read_crops
    from passerby.adaptation.result import AdaptationResult
    from passerby.config import Config, load_recipe, recipe_names
    from passerby.config.tracking import TrackingSettings
    from passerby.data.check.dataset_check import check_dataset
    from passerby.data.datasets import (
        DATASETS,
        combine_datasets,
        dataset_info,
        list_datasets,
        load_dataset,
        load_splits,
    )
    from passerby.data.records import ReIDDataset, Sample
    from passerby.demo import demo
    from passerby.doctor import doctor
    from passerby.embedding.camera_statistics import CameraStatistics, measure_camera_statistics
    from passerby.embedding.embed import embed
    from passerby.embedding.embeddings import Embeddings
    from passerby.embedding.tracklet import Tracklet
    from passerby.errors import (
        ConfigError,
        DamagedGalleryError,
        DataError,
        EmbeddingError,
        GalleryError,
        GalleryRequestError,
        ImageError,
        MissingExtraError,
        NetworkError,
        NotInGalleryError,
        PasserbyError,
        StorageError,
        TrainingError,
        UsageError,
        WeightsError,
    )
    from passerby.evaluation.closed_set.protocols import evaluate_embeddings
    from passerby.evaluation.closed_set.result import Report
    from passerby.evaluation.closed_set.splits import CrossDomain, average_splits, cross_domain, evaluate_splits
    from passerby.evaluation.evaluate import evaluate
    from passerby.evaluation.open_set.calibration import calibrate
    from passerby.evaluation.open_set.curves import OpenSetReport, evaluate_open_set
    from passerby.evaluation.open_set.thresholds import Threshold, calibrate_threshold
    from passerby.evaluation.rank import rank
    from passerby.evaluation.tracks import TrackReport, TrackRows
    from passerby.experiments.benchmark_encoder import bench_encoder
    from passerby.experiments.compare.compare import compare
    from passerby.experiments.export_ranking import export
    from passerby.gallery.enroll_people import EnrolledPeople, enroll_people
    from passerby.gallery.gallery import Gallery
    from passerby.gallery.result_types import Identification, Match, Sighting
    from passerby.losses import LOSSES
    from passerby.models.backbones.table import BACKBONES
    from passerby.models.encoder import Encoder, load_encoder
    from passerby.models.engines.precision import lower_precision
    from passerby.models.hub import hub_encoders, hub_get, hub_info
    from passerby.models.model import build_model
    from passerby.models.sources import EncoderSource
    from passerby.report.look_alikes import look_alikes
    from passerby.report.report import report, write_report
    from passerby.search.reranking.k_reciprocal import rerank_k_reciprocal
    from passerby.service import serve
    from passerby.tracking.boxes.reading import read_boxes
    from passerby.tracking.crop_embedder import CropEmbedder
    from passerby.tracking.detections import Detections
    from passerby.tracking.detectors.detector import load_detector
    from passerby.tracking.evaluate_tracks import evaluate_tracks
    from passerby.tracking.observe_tracks import observe_tracks
    from passerby.tracking.result import TrackingResult
    from passerby.tracking.track import track
    from passerby.tracking.tracklet_calibration import TrackletCalibration, calibrate_tracklets
    from passerby.tracking.watch import watch
    from passerby.training.objective import Objective
    from passerby.training.run import Run
    from passerby.training.similarity_of_run import learned_similarity
    from passerby.training.trainer import train

_HOME = {
    "AdaptationResult": "passerby.adaptation.result",
    "BACKBONES": "passerby.models.backbones.table",
    "CameraStatistics": "passerby.embedding.camera_statistics",
    "Config": "passerby.config",
    "ConfigError": "passerby.errors",
    "CropEmbedder": "passerby.tracking.crop_embedder",
    "CrossDomain": "passerby.evaluation.closed_set.splits",
    "DATASETS": "passerby.data.datasets",
    "DamagedGalleryError": "passerby.errors",
    "DataError": "passerby.errors",
    "Detections": "passerby.tracking.detections",
    "EmbeddingError": "passerby.errors",
    "Embeddings": "passerby.embedding.embeddings",
    "Encoder": "passerby.models.encoder",
    "EncoderSource": "passerby.models.sources",
    "EnrolledPeople": "passerby.gallery.enroll_people",
    "Gallery": "passerby.gallery.gallery",
    "GalleryError": "passerby.errors",
    "GalleryRequestError": "passerby.errors",
    "Identification": "passerby.gallery.result_types",
    "ImageError": "passerby.errors",
    "LOSSES": "passerby.losses",
    "Match": "passerby.gallery.result_types",
    "MissingExtraError": "passerby.errors",
    "NetworkError": "passerby.errors",
    "NotInGalleryError": "passerby.errors",
    "Objective": "passerby.training.objective",
    "OpenSetReport": "passerby.evaluation.open_set.curves",
    "PasserbyError": "passerby.errors",
    "ReIDDataset": "passerby.data.records",
    "Report": "passerby.evaluation.closed_set.result",
    "Run": "passerby.training.run",
    "Sample": "passerby.data.records",
    "Sighting": "passerby.gallery.result_types",
    "StorageError": "passerby.errors",
    "Threshold": "passerby.evaluation.open_set.thresholds",
    "TrackReport": "passerby.evaluation.tracks",
    "TrackRows": "passerby.evaluation.tracks",
    "TrackingResult": "passerby.tracking.result",
    "TrackingSettings": "passerby.config.tracking",
    "Tracklet": "passerby.embedding.tracklet",
    "TrackletCalibration": "passerby.tracking.tracklet_calibration",
    "TrainingError": "passerby.errors",
    "UsageError": "passerby.errors",
    "WeightsError": "passerby.errors",
    "adapt": "passerby.adaptation.adapt",
    "average_splits": "passerby.evaluation.closed_set.splits",
    "bench_encoder": "passerby.experiments.benchmark_encoder",
    "build_model": "passerby.models.model",
    "calibrate": "passerby.evaluation.open_set.calibration",
    "calibrate_threshold": "passerby.evaluation.open_set.thresholds",
    "calibrate_tracklets": "passerby.tracking.tracklet_calibration",
    "check_dataset": "passerby.data.check.dataset_check",
    "combine_datasets": "passerby.data.datasets",
    "compare": "passerby.experiments.compare.compare",
    "cross_domain": "passerby.evaluation.closed_set.splits",
    "dataset_info": "passerby.data.datasets",
    "demo": "passerby.demo",
    "doctor": "passerby.doctor",
    "embed": "passerby.embedding.embed",
    "enroll_people": "passerby.gallery.enroll_people",
    "evaluate": "passerby.evaluation.evaluate",
    "evaluate_embeddings": "passerby.evaluation.closed_set.protocols",
    "evaluate_open_set": "passerby.evaluation.open_set.curves",
    "evaluate_splits": "passerby.evaluation.closed_set.splits",
    "evaluate_tracks": "passerby.tracking.evaluate_tracks",
    "export": "passerby.experiments.export_ranking",
    "hub_encoders": "passerby.models.hub",
    "hub_get": "passerby.models.hub",
    "hub_info": "passerby.models.hub",
    "learned_similarity": "passerby.training.similarity_of_run",
    "list_datasets": "passerby.data.datasets",
    "load_dataset": "passerby.data.datasets",
    "load_detector": "passerby.tracking.detectors.detector",
    "load_encoder": "passerby.models.encoder",
    "load_recipe": "passerby.config",
    "load_splits": "passerby.data.datasets",
    "look_alikes": "passerby.report.look_alikes",
    "lower_precision": "passerby.models.engines.precision",
    "measure_camera_statistics": "passerby.embedding.camera_statistics",
    "observe_tracks": "passerby.tracking.observe_tracks",
    "rank": "passerby.evaluation.rank",
    "read_boxes": "passerby.tracking.boxes.reading",
    "read_crops": "passerby.adaptation.crops",
    "recipe_names": "passerby.config",
    "report": "passerby.report.report",
    "rerank_k_reciprocal": "passerby.search.reranking.k_reciprocal",
    "serve": "passerby.service",
    "track": "passerby.tracking.track",
    "train": "passerby.training.trainer",
    "watch": "passerby.tracking.watch",
    "write_report": "passerby.report.report",
}

__all__ = [
    "BACKBONES",
    "DATASETS",
    "LOSSES",
    "AdaptationResult",
    "CameraStatistics",
    "Config",
    "ConfigError",
    "CropEmbedder",
    "CrossDomain",
    "DamagedGalleryError",
    "DataError",
    "Detections",
    "EmbeddingError",
    "Embeddings",
    "Encoder",
    "EncoderSource",
    "EnrolledPeople",
    "Gallery",
    "GalleryError",
    "GalleryRequestError",
    "Identification",
    "ImageError",
    "Match",
    "MissingExtraError",
    "NetworkError",
    "NotInGalleryError",
    "Objective",
    "OpenSetReport",
    "PasserbyError",
    "ReIDDataset",
    "Report",
    "Run",
    "Sample",
    "Sighting",
    "StorageError",
    "Threshold",
    "TrackReport",
    "TrackRows",
    "TrackingResult",
    "TrackingSettings",
    "Tracklet",
    "TrackletCalibration",
    "TrainingError",
    "UsageError",
    "WeightsError",
    "adapt",
    "average_splits",
    "bench_encoder",
    "build_model",
    "calibrate",
    "calibrate_threshold",
    "calibrate_tracklets",
    "check_dataset",
    "combine_datasets",
    "compare",
    "cross_domain",
    "dataset_info",
    "demo",
    "doctor",
    "embed",
    "enroll_people",
    "evaluate",
    "evaluate_embeddings",
    "evaluate_open_set",
    "evaluate_splits",
    "evaluate_tracks",
    "export",
    "hub_encoders",
    "hub_get",
    "hub_info",
    "learned_similarity",
    "list_datasets",
    "load_dataset",
    "load_detector",
    "load_encoder",
    "load_recipe",
    "load_splits",
    "look_alikes",
    "lower_precision",
    "measure_camera_statistics",
    "observe_tracks",
    "rank",
    "read_boxes",
    "read_crops",
    "recipe_names",
    "report",
    "rerank_k_reciprocal",
    "serve",
    "track",
    "train",
    "watch",
    "write_report",
]


__getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])


class _Package(types.ModuleType):
    """This package: a submodule called like a public function (`report`, `demo`, `doctor`) does not take its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
moved_modules.install()
