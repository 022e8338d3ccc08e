"""`adapt(encoder, crops, out=...)`: learn a new place without labels, in rounds of clustering and training."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from passerby.adaptation.choice import best_round
from passerby.adaptation.criterion import Criterion, hold_out, measure_criterion
from passerby.adaptation.fast_encoder import fast_encoder
from passerby.adaptation.place import Place, place_of
from passerby.adaptation.pseudo_labels import PseudoLabels, find_pseudo_labels
from passerby.adaptation.result import AdaptationResult, Round, labels_file
from passerby.adaptation.rounds import cluster_means, labelled, round_config, start_memories, write_manifest
from passerby.adaptation.state import HELD_FILE, STATE_FILE, changed_settings, read_held_out, read_state
from passerby.array_types import Bool, Int64
from passerby.config.adaptation import AdaptationSettings
from passerby.config.group_validation import parse_settings
from passerby.config.keywords import keywords_of, takes_keywords
from passerby.config.recipe_files import load_recipe
from passerby.data.records import Sample
from passerby.embedding.camera_statistics import FILE_NAME, CameraStatistics
from passerby.embedding.embed import embed
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError, DataError
from passerby.files import replace_file
from passerby.models.encoder import WEIGHTS_FILE, Encoder, load_encoder
from passerby.training.trainer import train

log = logging.getLogger("passerby")

FORMAT = 2


@takes_keywords(keywords_of(AdaptationSettings))
def adapt(
    encoder: Encoder,
    crops: Sequence[Sample],
    *,
    out: str | os.PathLike[str],
    settings: AdaptationSettings | None = None,
    cameras: Mapping[int, str] | None = None,
    progress: bool = True,
    **changes: Any,
) -> AdaptationResult:
    """Let an encoder learn a new place from crops without labels.

    Run again with the same arguments it resumes, in the middle of a round's training too.

    Args:
        encoder: the one to begin with, on torch.
        crops: images of the place with cameras and, where known, times and tracklets. Person ids are never read.
        out: folder of the adaptation.
        settings: how; None: the defaults of `passerby.config.adaptation.AdaptationSettings`.
        cameras: names of the cameras by number, under which camera statistics are kept; None: their numbers.
        progress: show bars on stderr.
        **changes: single settings by name, instead of those of `settings`: `rounds=3`, `epochs=2`, ...

    Returns:
        The rounds and the encoder that is best by the label-free criterion, the latest where several are as good within
        its error; the one to begin with where every round is worse.

    Raises:
        ConfigError: an unknown setting or recipe, a folder of another adaptation or of something else, several
            processes, or something that is no encoder.
        DataError: too few crops, too few people among them to form a batch, something that is no crops, or a folder
            whose files are damaged or missing.
        WeightsError: an encoder that does not run on torch.
        ImageError: an image cannot be read.
        TrainingError: a loss became NaN or Inf.
        StorageError: the disk is full.
    """
    chosen = settings if settings is not None else AdaptationSettings()
    if changes:
        chosen = parse_settings(AdaptationSettings, {**chosen.model_dump(), **changes}, where="adaptation")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("adapt runs in one process: start it without torchrun")
    if not isinstance(encoder, Encoder):
        raise ConfigError(f"adapt: expected an encoder, as load_encoder gives it, found {type(encoder).__name__}")
    encoder.model  # noqa: B018  (refuses other engines before anything is read)
    if chosen.rounds:
        load_recipe(chosen.recipe)
    work = _Work(Path(out), encoder, place_of(crops), chosen, cameras or {}, progress)
    work.open()
    work.look(0)
    while (number := work.next_round()) is not None:
        if not work.train(number):
            break
        work.look(number)
    return work.finish()


class _Work:
    """An adaptation under way: what is on disk decides what is left to do."""

    def __init__(
        self,
        folder: Path,
        encoder: Encoder,
        place: Place,
        settings: AdaptationSettings,
        cameras: Mapping[int, str],
        progress: bool,
    ) -> None:
        self.cameras = {str(number): name for number, name in cameras.items()}
        self.folder, self.encoder, self.place, self.settings, self.progress = folder, encoder, place, settings, progress
        self.rounds: list[Round] = []
        self.held: Bool = np.zeros(len(place), np.bool_)
        self.started = time.monotonic()

    def open(self) -> None:
        """Begin, or go on with what the folder holds.

        Raises:
            ConfigError: it holds another adaptation, or an encoder of something else.
            DataError: its files are damaged or missing.
        """
        if (self.folder / STATE_FILE).exists():
            found, self.rounds = read_state(self.folder)
            about = self._about()
            differing = [name for name, value in about.items() if found.get(name) != value]
            if differing:
                changed = ", ".join(changed_settings(found, about))
                raise ConfigError(
                    f"{self.folder} holds another adaptation ({', '.join(differing)} differ): choose another folder, "
                    f"or the same encoder, crops and settings{f' ({changed})' if changed else ''} to resume it"
                )
            if self.rounds:
                self.held = read_held_out(self.folder, len(self.place))
            log.info("resuming %s: %d rounds are done", self.folder, max(len(self.rounds) - 1, 0))
        elif (self.folder / "encoder").exists():
            raise ConfigError(
                f"{self.folder}: holds encoder/ but no {STATE_FILE}, so that encoder is of something else and would be "
                "replaced: choose another folder"
            )
        if not (self.folder / "start").is_dir():
            self.encoder.save(self.folder / "start")
        self._write()

    def _about(self) -> dict[str, Any]:
        settings = self.settings.model_dump(mode="json", exclude={"rounds", "patience", "batch_size"})
        return {
            "format": FORMAT,
            "encoder": self.encoder.fingerprint,
            "place": self.place.digest(),
            "crops": len(self.place),
            "cameras": self.cameras,
            "settings": settings,
        }

    def _write(self, **more: Any) -> None:
        with replace_file(self.folder / STATE_FILE) as temporary:
            content = {**self._about(), "rounds": [vars(r) for r in self.rounds], **more}
            temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")

    def run_folder(self, number: int) -> Path:
        """Where a round's training lies."""
        return self.folder / "rounds" / f"{number:02d}"

    def encoder_of(self, number: int) -> Encoder:
        """The encoder that a round made; the one to begin with for 0."""
        return load_encoder(self._encoder_folder(number))

    def _encoder_folder(self, number: int) -> Path:
        return self.folder / "start" if number == 0 else self.run_folder(number) / "encoder"

    def labels(self, number: int) -> Int64:
        """int64 [crops], clusters that the encoder of a round found."""
        return np.asarray(np.load(labels_file(self.folder, number)), np.int64)

    def look(self, number: int) -> None:
        """Embed the place by the encoder of a round, cluster it and measure the criterion; done once."""
        if number < len(self.rounds):
            return
        encoder = fast_encoder(self._encoder_folder(number), len(self.place))
        embeddings = embed(
            encoder, self.place.samples, batch_size=self.settings.batch_size, flip=False, progress=self.progress
        )
        known = None if number == 0 else self.place.of_units(self.labels(number - 1))
        if number == 0:
            self._hold_out(embeddings)
        found = find_pseudo_labels(self.place, embeddings, self.settings, known=known)
        clusters = found.of_crops(self.place)
        criterion = measure_criterion(encoder, self.place, embeddings, found, self.held, self.settings)
        self._store(number, clusters, found)
        self._store_means(number, embeddings, clusters)
        self.rounds.append(self._round(number, encoder, clusters, found, criterion))
        self._write()
        self._announce()

    def _hold_out(self, embeddings: Embeddings) -> None:
        units = hold_out(self.place.by_unit(embeddings).vectors, self.settings.held_out, self.settings.seed)
        self.held = units[self.place.units]
        with replace_file(self.folder / HELD_FILE) as temporary, temporary.open("wb") as file:
            np.save(file, self.held)

    def _store(self, number: int, clusters: Int64, found: PseudoLabels) -> None:
        with replace_file(labels_file(self.folder, number)) as temporary, temporary.open("wb") as file:
            np.save(file, clusters)
        if found.statistics is not None:
            names = tuple(self.cameras.get(name, name) for name in found.statistics.cameras)
            replace(found.statistics, cameras=names).to_parquet(self._statistics_file(number))

    def _store_means(self, number: int, embeddings: Embeddings, clusters: Int64) -> None:
        """Means of the clusters, with which the memory of the next round begins."""
        data = labelled(self.place, clusters, self.held)
        if data.train:
            means = cluster_means(self.place.by_unit(embeddings).vectors, data, self.place)
            with replace_file(self._means_file(number)) as temporary, temporary.open("wb") as file:
                np.save(file, means)

    def _means_file(self, number: int) -> Path:
        return labels_file(self.folder, number).with_name(f"{number:02d}-means.npy")

    def _statistics_file(self, number: int) -> Path:
        return labels_file(self.folder, number).with_name(f"{number:02d}-{FILE_NAME}")

    def _round(
        self, number: int, encoder: Encoder, clusters: Int64, found: PseudoLabels, criterion: Criterion
    ) -> Round:
        return Round(
            number=number,
            fingerprint=encoder.fingerprint,
            clusters=found.clustering.clusters,
            outliers=int((clusters < 0).sum()),
            trained_on=len(labelled(self.place, clusters, self.held).train),
            broken=found.clustering.broken,
            agreement=criterion.agreement,
            score=criterion.score,
            error=criterion.error,
            seconds=self._seconds(),
        )

    def _seconds(self) -> float:
        now = time.monotonic()
        passed, self.started = now - self.started, now
        return passed

    def _announce(self) -> None:
        last = self.rounds[-1]
        left = (self.settings.rounds - last.number) * last.seconds / 60 if last.number else 0.0
        estimate = f"; at most {left:,.0f} minutes are left" if left else ""
        log.info(
            "round %d: %s clusters, %.1f %% outliers, score %.3f%s",
            last.number,
            f"{last.clusters:,}",
            100 * last.outliers / len(self.place),
            last.score,
            estimate,
        )

    @property
    def best(self) -> Round:
        """The round whose encoder would be kept now."""
        return best_round(self.rounds)

    def next_round(self) -> int | None:
        """Number of the round to train; None when done."""
        last = self.rounds[-1].number
        if last >= self.settings.rounds or last - self.best.number >= self.settings.patience:
            return None
        return last + 1

    def train(self, number: int) -> bool:
        """Train a round on the clusters of the one before; False where too few are left to form a batch.

        Raises:
            DataError: too few clusters for the first round.
        """
        data = labelled(self.place, self.labels(number - 1), self.held)
        manifest = labels_file(self.folder, number - 1).with_suffix(".csv").absolute()
        weights = (self._encoder_folder(number - 1) / WEIGHTS_FILE).absolute()
        config = round_config(
            self.encoder, self.place, self.settings, number=number, weights=weights, manifest=manifest
        )
        people = len({s.pid for s in data.train})
        if people < config.sampler.identities:
            found = (
                f"{people} people with at least two crops among the {int((~self.held).sum()):,} that are not held out, "
                f"and a batch needs {config.sampler.identities}"
            )
            if number == 1:
                raise DataError(
                    f"adaptation: found {found}. More crops of the place, or another distance or min_samples, may help"
                )
            log.warning("round %d: found %s: it ends here", number, found)
            return False
        write_manifest(manifest, data)
        means = np.load(self._means_file(number - 1))
        train(config, data, out=self.run_folder(number), begin=lambda objective: start_memories(objective, means))
        return True

    def finish(self) -> AdaptationResult:
        """Write the kept encoder with its statistics."""
        best = self.best
        kept = self.encoder_of(best.number)
        about = {**self._about(), "rounds": [vars(r) for r in self.rounds], "best": best.number}
        if best.number:  # an encoder that was not changed keeps its own description
            origin = dict(self.encoder.provenance)
            kept.provenance = {"adapted_from": {"fingerprint": self.encoder.fingerprint, **origin}, "adaptation": about}
        kept.save(self.folder / "encoder")
        statistics_file = self._statistics_file(best.number)
        statistics = CameraStatistics.from_parquet(statistics_file) if statistics_file.exists() else None
        if statistics is not None:
            statistics.to_parquet(self.folder / "encoder" / FILE_NAME)
        self._write(best=best.number)
        return AdaptationResult(self.folder, tuple(self.rounds), best.number, statistics, len(self.place))
