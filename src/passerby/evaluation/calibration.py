"""From an encoder and people it was not trained on to a threshold, kept beside the encoder's weights."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

import passerby
from passerby.data.records import ReIDDataset
from passerby.errors import EmbeddingError
from passerby.evaluation.embed import embed
from passerby.evaluation.open_set import Threshold, calibrate_threshold
from passerby.models.encoder import load_encoder, save_threshold


def calibrate(
    encoder: str | os.PathLike[str],
    data: ReIDDataset,
    *,
    far: float = 0.01,
    metric: str = "euclidean",
    batch_size: int = 128,
    flip: bool = True,
    seed: int = 0,
    progress: bool = True,
) -> Threshold:
    """Choose the threshold for a false accept rate and write it into the encoder's folder, with its provenance.

    Half of the people of `data` are enrolled with their gallery images, the other half are strangers; every query is
    a probe.

    Args:
        encoder: folder of an encoder or a run.
        data: query and gallery of people who served neither training nor the test (`ReIDDataset.hold_out`).
        far: share of strangers' probes that may be taken for somebody.
        metric: "euclidean" or "cosine".
        batch_size: images a forward pass.
        flip: average the vectors of an image and its mirror image.
        seed: chooses who is enrolled.
        progress: show bars on stderr.

    Returns:
        The threshold; galleries opened with this encoder use it.

    Raises:
        EmbeddingError: fewer than four people, or no query or gallery images.
        StorageError: it could not be written.
    """
    pids = sorted({s.pid for s in data.query} & {s.pid for s in data.gallery})
    if len(pids) < 4:
        raise EmbeddingError(
            f"{data.name}: {len(pids)} people have both query and gallery images; expected at least 4, half of them "
            "to enrol and half to be strangers. Hold out more identities (data.held_out_identities)"
        )
    model = load_encoder(encoder)
    known = set(np.random.default_rng(seed).permutation(pids)[: len(pids) // 2].tolist())
    probes = embed(model, data.query, batch_size=batch_size, flip=flip, progress=progress)
    enrolled = [s for s in data.gallery if s.pid in known]
    gallery = embed(model, enrolled, batch_size=batch_size, flip=flip, progress=progress)
    threshold = calibrate_threshold(
        probes.vectors,
        gallery.vectors,
        probes.pids,
        gallery.pids,
        probes.camids if data.has_cameras else None,
        gallery.camids if data.has_cameras else None,
        far=far,
        metric=metric,
        seed=seed,
    )
    save_threshold(encoder, _with_provenance(threshold.to_dict(), data, model.fingerprint, seed))
    return threshold


def _with_provenance(
    calibration: Mapping[str, object], data: ReIDDataset, fingerprint: str, seed: int
) -> dict[str, object]:
    return {
        **calibration,
        "encoder": fingerprint,
        "data": {"name": data.name, "fingerprint": data.fingerprint()},
        "seed": seed,
        "passerby": passerby.__version__,
    }
