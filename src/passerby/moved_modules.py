"""Modules that moved since 0.1 can still be imported under their old names, with a warning, until 0.3."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Sequence
from typing import Any

MOVED: dict[str, tuple[str, ...]] = {
    "bench_encoder": ("experiments.benchmark_encoder",),
    "cli.datasets": ("cli.data",),
    "cli.arguments": ("cli.dataset_flags", "cli.image_folder", "cli.output"),
    "cli.learn": ("cli.compare", "cli.demo", "cli.recipes", "cli.train"),
    "cli.leave": ("cli.bench_encoder", "cli.doctor", "cli.export"),
    "cli.prove": (
        "cli.calibrate",
        "cli.cross_domain",
        "cli.embed",
        "cli.evaluate",
        "cli.rank",
        "cli.report",
    ),
    "cli.use": ("cli.enroll", "cli.forget", "cli.gallery", "cli.identify", "cli.observe", "cli.serve"),
    "compare": (
        "experiments.compare.compare",
        "experiments.compare.plan",
        "experiments.compare.comparison_table",
        "experiments.compare.trial",
    ),
    "compiled": ("numba_jit",),
    "data.check_report": ("data.check.check_report",),
    "data.duplicates": ("data.check.near_duplicates",),
    "data.grouping": ("data.sampling.identity_groups",),
    "data.hard_identity": ("data.sampling.hard_identity",),
    "data.image_check": ("data.check.image_files",),
    "data.layouts.cast": ("data.layouts.drawn_people",),
    "data.images": ("images.cache",),
    "data.pedestrian": (
        "data.synthetic.pedestrian",
        "data.synthetic.camera",
        "data.synthetic.figure",
        "data.synthetic.person",
    ),
    "data.pk": ("data.sampling.pk",),
    "data.readers.draws": ("data.readers.drawn_protocols",),
    "data.readers.extraction": ("data.readers.extract_once",),
    "data.readers.pairs": ("data.readers.two_cameras",),
    "data.resize": ("images.resize",),
    "data.sampler": ("data.sampling.sampler",),
    "data.splits": ("data.random_split",),
    "data.video": ("tracking.crop_dataset", "tracking.boxes.mot", "tracking.boxes.box"),
    "evaluation.activation": ("report.activation_maps",),
    "evaluation.arrays": ("search.arrays", "evaluation.inputs"),
    "evaluation.calibration": ("evaluation.open_set.calibration",),
    "evaluation.camera_pairs": ("evaluation.closed_set.camera_pairs",),
    "evaluation.candidates": ("search.candidates",),
    "evaluation.counting": ("search.counting", "search.exact_keys"),
    "evaluation.embed": ("embedding.embed", "embedding.embeddings"),
    "evaluation.evidence": ("report.figure_data",),
    "evaluation.expansion": ("search.reranking.query_expansion",),
    "evaluation.figures": ("report.figures",),
    "evaluation.identity_map": ("report.identity_map",),
    "evaluation.labels": ("search.relevance", "evaluation.good_and_junk"),
    "evaluation.metrics": ("evaluation.closed_set.metrics",),
    "evaluation.neighbors": ("search.neighbors", "search.tiles"),
    "evaluation.normalization": ("evaluation.open_set.normalization",),
    "evaluation.page": ("report.html_page",),
    "evaluation.picture_sections": ("report.sections.pictures",),
    "evaluation.pooling": ("embedding.pooling",),
    "evaluation.probes": (
        "evaluation.open_set.probes",
        "evaluation.open_set.curves",
        "evaluation.open_set.error_rates",
        "evaluation.open_set.normalization",
    ),
    "evaluation.products": ("search.products",),
    "evaluation.protocols": ("evaluation.closed_set.protocols", "evaluation.closed_set.result"),
    "evaluation.quality": ("embedding.quality",),
    "evaluation.ranking": (
        "search.ranking",
        "search.key_discounts",
        "search.distances",
        "search.neighbors",
        "search.relevance",
    ),
    "evaluation.reciprocal": ("search.reranking.sparse_encoding",),
    "evaluation.report": ("report.report",),
    "evaluation.reranking": ("search.reranking.k_reciprocal",),
    "evaluation.result": ("evaluation.closed_set.result",),
    "evaluation.scoring": ("evaluation.closed_set.scoring",),
    "evaluation.screening": ("search.screening",),
    "evaluation.sections": (
        "report.sections.scores",
        "report.sections.distance_pairs",
        "report.sections.provenance",
        "report.formatting",
    ),
    "evaluation.shards": ("embedding.shards",),
    "evaluation.single_gallery_shot": ("evaluation.closed_set.single_gallery_shot",),
    "evaluation.splits": ("evaluation.closed_set.splits",),
    "evaluation.statistics": ("evaluation.closed_set.statistics",),
    "evaluation.stream": ("evaluation.open_set.stream",),
    "evaluation.verification": ("evaluation.open_set.verification",),
    "export": (
        "models.export.encoder_export",
        "models.export.check",
        "models.export.graph",
        "models.export.writers",
    ),
    "gallery.probes": ("gallery.images_or_vectors",),
    "gallery.records": (
        "gallery.result_types",
        "gallery.argument_checks",
        "gallery.events",
        "gallery.stores.rows",
        "gallery.times",
    ),
    "gallery.search": ("search.index", "search.index_groups"),
    "gallery.service": ("service",),
    "gallery.service.app": ("service.app", "service.error_handlers"),
    "gallery.service.batching": ("service.batching",),
    "gallery.service.calibration": ("service.calibration_curve", "service.verdict"),
    "gallery.service.engines": ("models.engines.choice",),
    "gallery.service.forms": ("service.multipart",),
    "gallery.service.gate": ("service.middleware", "service.request_bodies", "service.request_head"),
    "gallery.service.keys": ("service.api_keys", "service.authentication", "service.rate_limit"),
    "gallery.service.limits": ("service.limits",),
    "gallery.service.logs": ("service.logs",),
    "gallery.service.messages": ("service.schemas", "service.verdict", "service.calibration_curve"),
    "gallery.service.metrics": ("service.metrics",),
    "gallery.service.pictures": ("service.uploads",),
    "gallery.service.pipeline": ("service.identification",),
    "gallery.service.refusal": ("service.errors",),
    "gallery.service.replays": ("service.idempotency",),
    "gallery.service.routes": ("service.routes",),
    "gallery.service.routes.asking": ("service.routes.identify",),
    "gallery.service.routes.changing": (
        "service.routes.identities",
        "service.routes.observations",
        "service.routes.identify",
        "service.routes.gallery",
        "service.routes.history",
    ),
    "gallery.service.routes.looking": (
        "service.routes.system",
        "service.routes.gallery",
        "service.routes.identities",
        "service.routes.observations",
        "service.routes.history",
    ),
    "gallery.service.routes.parts": ("service.dependencies",),
    "gallery.service.running": ("service.timeouts",),
    "gallery.service.server": ("service.server",),
    "gallery.service.state": ("service.context",),
    "gallery.service.watch": ("service.gallery_handle",),
    "gallery.stores.schema": ("gallery.stores.sqlite.schema",),
    "losses.document": ("losses.docs_page",),
    "losses.lists": ("losses.list_wise",),
    "losses.neighbors": ("losses.support_neighbor",),
    "losses.sets": ("losses.point_to_set",),
    "models.foreign": ("models.description", "models.fingerprint"),
    "models.fusion": ("models.engines.batch_norm_fusion",),
    "models.images": ("models.image_inputs",),
    "models.inception": ("models.backbones.inception",),
    "models.mobilenet": ("models.backbones.mobilenet",),
    "models.osnet": ("models.backbones.osnet",),
    "models.recompute": ("models.backbones.recompute",),
    "models.resnet": ("models.backbones.resnet",),
    "models.timm_backbone": ("models.backbones.timm_backbone",),
    "pixels": ("images.decode",),
    "training.losses_seen": ("training.epoch_losses",),
    "training.shares": ("training.sharded_state",),
    "training.teacher": ("training.distillation",),
}
"""Old module -> where its names are now; below `passerby`."""


class _Moved(types.ModuleType):
    """An old module: names are looked up where they are now."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        for place in MOVED[self.__name__.removeprefix("passerby.")]:
            module = importlib.import_module(f"passerby.{place}")
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds old names that no file has any more."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of an old module; None for every other name."""
        if not fullname.startswith("passerby.") or fullname.removeprefix("passerby.") not in MOVED:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """A module that looks its names up where they are now."""
        return _Moved(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Warn: there is nothing to run."""
        places = " or ".join(f"passerby.{place}" for place in MOVED[module.__name__.removeprefix("passerby.")])
        warnings.warn(
            f"{module.__name__} has moved to {places}; the old name goes with version 0.3",
            DeprecationWarning,
            stacklevel=2,
        )


def install() -> None:
    """Let the old names be found, after all others."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
