"""Which of a training's encoders is kept: the best on held-out people, the weights it began with among them."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import torch

from passerby import distributed
from passerby.config.evaluation import EvaluationSettings
from passerby.data.records import ReIDDataset
from passerby.embedding.embed import embed_together
from passerby.errors import ConfigError
from passerby.evaluation.evaluate import score_dataset
from passerby.evaluation.precision_cost import precision_cost
from passerby.models.encoder import Encoder
from passerby.models.engines.choice import AUTO, TRIAL_FROM, on_engine
from passerby.models.engines.precision import lower_precision
from passerby.training.journal import Journal

log = logging.getLogger("passerby")

_FEW_QUERIES = 50


def check_engine(rules: EvaluationSettings, device: torch.device) -> None:
    """Refuse, before a training, what its evaluations cannot be run with.

    Raises:
        ConfigError: int8, which is fitted to a finished encoder; a graph's engine while the network is on a GPU.
    """
    if rules.precision == "int8":
        raise ConfigError(
            "evaluation.precision: int8 is fitted to a finished encoder; train with float32 or bfloat16, and then: "
            "passerby evaluate RUN --precision int8"
        )
    if rules.engine in ("onnxruntime", "openvino") and device.type != "cpu":
        raise ConfigError(
            f"evaluation.engine: {rules.engine} computes on the CPU, and this training is on {device}; leave it at auto"
        )


class Judge:
    """Evaluates encoders on held-out people, and writes the best so far into the run's folder.

    Every process calls it; the first one scores, writes and logs.

    Args:
        folder: of the run.
        people: query and gallery of the held-out people; empty: nobody is held out, and nothing is judged.
        rules: how they are evaluated.
        journal: gets a row for each evaluation; None in the other processes.

    Attributes:
        best: mAP of the best encoder so far; -inf: none yet.
        best_epoch: after how many epochs it was; 0: before the first; -1: not known.
        start: mAP before the first epoch; NaN: not judged.
    """

    def __init__(self, folder: Path, people: ReIDDataset, rules: EvaluationSettings, journal: Journal | None) -> None:
        self._folder = folder
        self._people = people
        self._rules = rules
        self._journal = journal
        self._engine: str = "torch" if rules.engine == AUTO and rules.pooling == "norm" else rules.engine
        self._threads = rules.threads
        self.best = -math.inf
        self.best_epoch = -1
        self.start = math.nan

    @property
    def can_judge(self) -> bool:
        """Whether anybody is held out."""
        return bool(self._people.query)

    def judge(self, encoder: Encoder, epochs: int) -> None:
        """Evaluate an encoder, and keep it if it is the best.

        Args:
            encoder: the same in every process.
            epochs: how many it was trained.
        """
        rules = self._rules
        running = self._running(encoder)
        query, gallery = (
            embed_together(running, part, batch_size=rules.batch_size, flip=rules.flip, progress=False)
            for part in (self._people.query, self._people.gallery)
        )
        if self._journal is None:
            return
        report = score_dataset(running, self._people, query, gallery, rules, progress=False)
        self._journal.evaluation(
            epochs - 1, mAP=report.mAP, rank1=report.rank(1), queries=report.queries, engine=running.engine.name
        )
        if cost := precision_cost(running, self._people, query, gallery, rules):
            log.info("%s", cost)
        when = f"epoch {epochs}" if epochs else "before training"
        log.info(
            "%s, held-out identities: mAP %.3f, rank-1 %.3f (%d queries)",
            when,
            report.mAP,
            report.rank(1),
            report.queries,
        )
        if epochs == 0:
            self.start = report.mAP
        if report.mAP > self.best:
            self.best, self.best_epoch = report.mAP, epochs
            encoder.save(self._folder / "encoder")

    def _running(self, encoder: Encoder) -> Encoder:
        """The encoder on the engine of the rules; its weights are of this minute, so its graph is not kept."""
        rules = self._rules
        if rules.precision != "float32":
            return lower_precision(encoder, rules.precision, engine=rules.engine, threads=rules.threads)
        images = len(self._people.query) + len(self._people.gallery)
        if distributed.world_size() > 1 and self._engine == AUTO:  # all processes must choose alike
            images = 0
        running = on_engine(encoder, self._engine, images=images, threads=self._threads, keep=False)
        if images >= TRIAL_FROM and self._engine == AUTO:
            self._engine, self._threads = running.engine.name, running.engine.threads or self._threads
        return running

    def conclude(self) -> str:
        """What the held-out people say in the end; warns where training made nothing better."""
        if not self.can_judge:
            return "nobody was held out: the last epoch's encoder is kept, unjudged"
        if self.best_epoch == 0:
            log.warning(
                "no epoch was better on the held-out people than the weights the training began with (mAP %.3f): "
                "encoder/ holds those weights, not trained ones. A lower optimizer.lr, more epochs, or more people may "
                "help",
                self.start,
            )
            return f"held-out mAP {self.best:.3f}, that of the weights it began with"
        after = f" after epoch {self.best_epoch}" if self.best_epoch > 0 else ""
        before = "" if math.isnan(self.start) else f" (before training {self.start:.3f})"
        few = len(self._people.query) < _FEW_QUERIES
        caution = f"; of {len(self._people.query)} queries, so that small differences are chance" if few else ""
        return f"held-out mAP {self.best:.3f}{after}{before}, which is the encoder{caution}"

    def state_dict(self) -> dict[str, float]:
        """What a resumed training needs."""
        return {"best": self.best, "best_epoch": self.best_epoch, "start": self.start}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore what `state_dict` gave; version 0.1 kept `best` alone."""
        self.best = state["best"]
        self.best_epoch = int(state.get("best_epoch", -1))
        self.start = state.get("start", math.nan)
