"""From an encoder and people it was not trained on to a threshold, kept beside the encoder's weights."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from passerby.config.engine import EngineName
from passerby.data.records import JUNK_PID, ReIDDataset, query_and_gallery
from passerby.embedding.embed import embed
from passerby.embedding.embeddings import Embeddings
from passerby.errors import DataError, EmbeddingError
from passerby.evaluation.open_set.encoder_impostor_laws import (
    KINDS,
    LAWS,
    PROBES,
    HeldOutLaws,
    fit_held_out_laws,
    law_key,
    stored_laws,
)
from passerby.evaluation.open_set.enrolment import enroll, half_of
from passerby.evaluation.open_set.error_rates import SIZES, check_calibration
from passerby.evaluation.open_set.impostor_distances import pseudo_tracklets
from passerby.evaluation.open_set.nearest_identities import LabelledVectors
from passerby.evaluation.open_set.probes import join_scores, search_probes
from passerby.evaluation.open_set.thresholds import Threshold, threshold_of
from passerby.models.encoder import save_threshold
from passerby.models.engines.choice import pick_encoder
from passerby.version import __version__

_FINETUNING = "finetune"  # the recipe of encoders that have learnt from people of one's own
_FEW_PEOPLE = 40


def calibrate(
    encoder: str | os.PathLike[str],
    data: ReIDDataset,
    *,
    far: float = 0.01,
    metric: str = "euclidean",
    batch_size: int = 128,
    flip: bool = True,
    seed: int = 0,
    draws: int = 10,
    progress: bool = True,
    engine: EngineName | None = None,
    threads: int | None = None,
) -> Threshold:
    """Choose the threshold for a false accept rate and write it into the encoder's folder, with its provenance.

    Beside it stand the impostor laws of the encoder (`held_out_laws`), from all images of all these people, by which
    small galleries of this encoder calibrate themselves.

    Half of the people of `data` are enrolled with their gallery images, the other half are impostors, and then the
    other way round; so for several draws of the halves, over which the rates are means. Every query is a
    probe, and so are the impostors' gallery images.

    Args:
        encoder: folder of an encoder or a run.
        data: query and gallery of people who served neither training nor the test (`ReIDDataset.hold_out`).
        far: share of the impostors' probes that may be accepted.
        metric: "euclidean" or "cosine".
        batch_size: images a forward pass.
        flip: average the vectors of an image and its mirror image.
        seed: chooses who is enrolled.
        draws: how often the people are halved.
        progress: show bars on stderr.
        engine: what runs the encoder, as for `load_encoder`.
        threads: of the engine, as for `load_encoder`.

    Returns:
        The threshold; galleries opened with this encoder use it.

    Raises:
        EmbeddingError: fewer than four people, or no query or gallery images; no share, or no draw.
        StorageError: it could not be written.
    """
    check_calibration(far, draws)
    pids = sorted({s.pid for s in data.query} & {s.pid for s in data.gallery})
    if len(pids) < 4:
        raise EmbeddingError(
            f"{data.name}: {len(pids)} people have both query and gallery images; expected at least 4, half of them "
            "to enrol and half as impostors. Hold out more identities (data.held_out_identities) or name other people, "
            "each with at least two images (`passerby calibrate ENCODER --people FOLDER`)"
        )
    model, _ = pick_encoder(encoder, engine, images=len(data.query) + len(data.gallery), threads=threads)
    query = embed(model, data.query, batch_size=batch_size, flip=flip, progress=progress)
    gallery = embed(model, data.gallery, batch_size=batch_size, flip=flip, progress=progress)
    threshold = calibrate_on_people(
        query, gallery, far=far, metric=metric, cameras=data.has_cameras, seed=seed, draws=draws,
        finetuned=model.provenance.get("recipe") == _FINETUNING,
    )  # fmt: skip
    laws = laws_of_people(query, gallery, metric=metric, cameras=data.has_cameras)
    identify = laws.get("identify")
    if identify is not None:
        expected = tuple((size, identify.at(size).p_value(threshold.value)) for size in SIZES)
        threshold = replace(threshold, expected_far=expected)
    content = threshold.to_dict() | {LAWS: {kind: law.to_list() for kind, law in laws.items()}}
    save_threshold(encoder, _with_provenance(content, data, model.fingerprint, seed))
    return threshold


def everybody(data: ReIDDataset) -> ReIDDataset:
    """Query and gallery of all people of a dataset, whatever part they are in; nobody is left to learn from.

    Raises:
        DataError: nobody has two images.
    """
    samples = [*data.train, *data.query, *data.gallery]
    named = [s for s in samples if s.pid > 0]
    cameras = data.protocol != "no_cameras" and len({s.camid for s in named}) > 1
    query, gallery = query_and_gallery(named, cameras=cameras)
    if not query:
        raise DataError(
            f"{data.name}: nobody has two images"
            + (" from different cameras" if cameras else "")
            + f" among {len({s.pid for s in named})} people, so nobody can be searched for"
        )
    return replace(data, train=(), query=query, gallery=gallery)


def laws_of_people(
    query: Embeddings, gallery: Embeddings, *, metric: str = "euclidean", cameras: bool = True
) -> dict[str, HeldOutLaws]:
    """Impostor laws by the kind of search: "identify" leaves out the probe's camera, "observe" does not.

    Both for single images and, as far as people have several images of one camera, for tracklets (`law_key`).

    Args:
        query: images of people who served neither training nor the test.
        gallery: more images of theirs.
        metric: "euclidean" or "cosine".
        cameras: whether their cameras are known.

    Returns:
        The laws; without a kind that these people give none for.
    """
    vectors, pids, camids = (
        np.concatenate([getattr(p, n) for p in (query, gallery)]) for n in ("vectors", "pids", "camids")
    )
    person = pids > 0
    rows = LabelledVectors(vectors[person], pids[person], camids[person] if cameras else np.full(person.sum(), -1))
    tracklets = pseudo_tracklets(rows)
    found = {
        law_key(kind, probes): fit_held_out_laws(
            rows, None if probes == "images" else tracklets, exclude_camera=kind == "identify", metric=metric
        )
        for kind in KINDS
        for probes in PROBES
    }
    return {kind: laws for kind, laws in found.items() if laws is not None}


def describe_calibration(calibration: Mapping[str, Any]) -> str:
    """One sentence on what an encoder's calibration holds for."""
    if "value" not in calibration and stored_laws(calibration, "identify") is not None:
        return (
            f"no threshold; impostor laws of {calibration.get('people', 'people held out')} for galleries of every size"
        )
    if "value" not in calibration:
        return "not calibrated: no threshold and no impostor law (`passerby calibrate`)"
    people = calibration.get("identities", "an unknown number of")
    text = (
        f"threshold {calibration['value']:.4f} for a FAR of {calibration.get('target')} with {people} people enrolled"
    )
    if stored_laws(calibration, "identify") is None:
        return (
            f"{text}; no impostor law, so that it says nothing about galleries of other sizes: its FAR grows about in "
            "proportion to their number of people (`passerby calibrate` of this version adds the law)"
        )
    return f"{text}, and impostor laws for galleries of every size"


def calibrate_on_people(
    query: Embeddings,
    gallery: Embeddings,
    *,
    far: float = 0.01,
    metric: str = "euclidean",
    cameras: bool = True,
    seed: int = 0,
    draws: int = 10,
    finetuned: bool = False,
) -> Threshold:
    """Like `calibrate`, from vectors.

    Args:
        query: probes.
        gallery: what is enrolled, of the same people.
        far: share of the impostors' probes that may be accepted.
        metric: "euclidean" or "cosine".
        cameras: leave out enrolled images of the probe's own person and camera.
        seed: chooses the halves.
        draws: how often the people are halved; the rates are means over the draws.
        finetuned: the encoder has learnt from people of one's own already: what is advised at low rates.

    Raises:
        EmbeddingError: fewer than four people in both, or person 0 in both (a different person each time).
    """
    pids = np.setdiff1d(np.intersect1d(query.pids, gallery.pids), [JUNK_PID])
    if len(pids) < 4:
        raise EmbeddingError(f"calibrate: expected at least 4 people with query and gallery images, found {len(pids)}")
    parts, probe_pids, identities = [], [], []
    halves = [half_of(pids, seed + draw) for draw in range(draws)]
    for known in (known for half in halves for known in (half, np.setdiff1d(pids, half))):
        enrolled, impostors = enroll(gallery, known)
        probes = [(e.vectors, e.pids, e.camids) for e in (query, impostors)]
        vectors, labels, camids = (np.concatenate(column) for column in zip(*probes, strict=True))
        scores, count = search_probes(
            vectors, enrolled.vectors, labels, enrolled.pids, camids if cameras else None,
            enrolled.camids if cameras else None, metric=metric,
        )  # fmt: skip
        parts.append(scores)
        probe_pids.append(labels)
        identities.append(count)
    threshold = threshold_of(
        join_scores(parts), np.concatenate(probe_pids), min(identities), far=far, metric=metric, seed=seed, draws=draws,
        finetuned=finetuned,
    )  # fmt: skip
    notes: tuple[str, ...] = (f"means over {draws} draws of who is enrolled",) if draws > 1 else ()
    if len(pids) < _FEW_PEOPLE:
        notes += (
            f"only {len(pids)} people: other people would give another threshold (see the interval); {_FEW_PEOPLE} or "
            "more make it steadier",
        )
    if len(pids) * far < 1 - 1e-9:
        notes += (
            f"{len(pids)} people cannot show a FAR of {far:.2%}: small galleries of this encoder rest on them, and one "
            f"pair of people who look alike moves their thresholds; {math.ceil(1 / far):,} or more show it",
        )
    return replace(threshold, notes=(*notes, *threshold.notes))


def _with_provenance(
    calibration: Mapping[str, object], data: ReIDDataset, fingerprint: str, seed: int
) -> dict[str, object]:
    return {
        **calibration,
        "encoder": fingerprint,
        "data": {"name": data.name, "fingerprint": data.fingerprint()},
        "seed": seed,
        "passerby": __version__,
    }
