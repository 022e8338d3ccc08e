"""One round of self-training: an ordinary training run on the clusters of the place."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from passerby.adaptation.cluster_memory import ClusterMemoryLoss
from passerby.adaptation.place import Place
from passerby.array_types import Bool, Float32, Int64
from passerby.config import Config, ModelConfig, load_recipe
from passerby.config.adaptation import AdaptationSettings
from passerby.config.data import DataConfig
from passerby.data.records import ReIDDataset, Sample, labels_of
from passerby.files import replace_file
from passerby.models.encoder import Encoder
from passerby.training.objective import Objective

MEMORY = 4 * 2**30
"""Bytes of decoded crops up to which they stay in memory during a round."""


def round_config(
    encoder: Encoder, place: Place, settings: AdaptationSettings, *, number: int, weights: Path, manifest: Path
) -> Config:
    """The recipe of a round, for this encoder and this place.

    The architecture is the encoder's own, behind a batch-norm neck where it has none.

    Args:
        encoder: the one that learns.
        place: its crops.
        settings: which recipe, how long.
        number: of the round, from 1.
        weights: file of the weights to start from.
        manifest: file that lists what is trained on (`write_manifest`).

    Raises:
        ConfigError: no such recipe.
    """
    recipe = load_recipe(settings.recipe)
    size = encoder.preprocessing
    own = {name: getattr(size, name) for name in ("height", "width", "mean", "std", "bits")}
    fits = 3 * size.height * size.width * len(place) <= MEMORY
    cameras = any(s.camid >= 0 for s in place.samples)
    sampler = recipe.sampler
    if sampler.kind == "camera" and not cameras:
        sampler = sampler.model_copy(update={"kind": "pk"})
    architecture = ModelConfig.model_validate({**encoder.model_config, "weights": weights, "neck": "bnneck"})
    return recipe.model_copy(
        update={
            "data": DataConfig(name=str(manifest)),
            "input": recipe.input.model_copy(update={**own, "cache": recipe.input.cache if fits else "none"}),
            "sampler": sampler,
            "model": architecture,
            "schedule": recipe.schedule.model_copy(update={"epochs": settings.epochs}),
            "run": recipe.run.model_copy(update={"seed": settings.seed + number}),
        }
    )


def labelled(place: Place, clusters: Int64, held: Bool) -> ReIDDataset:
    """Crops with their clusters as identities: without outliers, held-out crops and clusters of fewer than two crops.

    Args:
        place: the crops.
        clusters: int64 [crops], -1 outliers.
        held: [crops], those that never train.
    """
    numbers, counts = np.unique(clusters[(clusters >= 0) & ~held], return_counts=True)
    used = np.isin(clusters, numbers[counts > 1]) & ~held
    samples = tuple(
        Sample(s.path, int(label) + 1, s.camid, s.time, s.tracklet)
        for s, label, use in zip(place.samples, clusters, used, strict=True)
        if use
    )
    return ReIDDataset("pseudo-labels", train=samples)


def write_manifest(path: Path, data: ReIDDataset) -> None:
    """Write training images and their clusters as a manifest that `load_dataset` reads.

    Raises:
        StorageError: it cannot be written.
    """
    with replace_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "pid", "camid", "time", "tracklet", "split"])
        for s in data.train:
            optional = ["" if value is None else value for value in (s.time, s.tracklet)]
            rows.writerow([s.path.absolute(), s.pid, s.camid, *optional, "train"])


def cluster_means(vectors: Float32, data: ReIDDataset, place: Place) -> Float32:
    """Means of what a round trains on, a row a cluster in the order of their numbers, [clusters, dim].

    Dimensions are standardised first, as the batch-norm neck of the encoder in training does.

    Args:
        vectors: float32 [units, dim], raw, of the encoder that the round begins with.
        data: what is trained on (`labelled`).
        place: the crops.
    """
    spread = vectors.std(axis=0)
    standard = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    row = {s.path: unit for s, unit in zip(place.samples, place.units.tolist(), strict=True)}
    labels, pids = labels_of(data.train)
    sums = np.zeros((len(pids), vectors.shape[1]), np.float32)
    np.add.at(sums, np.array(labels), standard[[row[s.path] for s in data.train]])
    return np.asarray(sums / np.bincount(labels)[:, None], np.float32)


def start_memories(objective: Objective, means: Float32) -> None:
    """Begin every memory of clusters with known means; each part of a vector has its own."""
    parts = torch.split(torch.from_numpy(means), list(objective.parts), dim=1)
    for name, loss in objective.terms.items():
        if isinstance(loss, ClusterMemoryLoss):
            loss.start(parts[int(name.partition("@")[2] or 0)])
