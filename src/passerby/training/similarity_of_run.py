"""The similarity that a run's verification loss has learnt, for ranking (`passerby rank --similarity learned`)."""

from __future__ import annotations

import os
from pathlib import Path

from passerby.config import Config
from passerby.errors import ConfigError, WeightsError
from passerby.evaluation.learned_similarity import LearnedSimilarity
from passerby.training.checkpoint import load_checkpoint
from passerby.training.objective_terms import reads_of
from passerby.training.run import Run

_LOSS = "verification"


def learned_similarity(run: str | os.PathLike[str]) -> LearnedSimilarity:
    """What a run's verification loss has learnt, for the vectors of the run's encoder.

    An encoder's vectors have unit length, so the loss must have read unit vectors of what retrieval compares:
    `reads = "embedding"` (or a model without a neck) and `normalize = true`.

    Args:
        run: the run's folder.

    Raises:
        ConfigError: no run there, no verification loss in it, or one that learnt on other vectors than the encoder's.
        WeightsError: the run has no checkpoint.
    """
    folder = Path(run)
    opened = Run.open(folder)
    name = _term(opened.config, folder)
    state = load_checkpoint(folder, opened.config)
    if state is None:
        raise WeightsError(f"{folder}: no checkpoint; the weights of the verification loss are in the run's")
    weight, bias = (state["objective"][f"terms.{name}.{part}"].float().numpy() for part in ("weight", "bias"))
    held_out = opened.config.data.held_out_identities > 0
    notes = ("the similarity is of the last epoch, the encoder of the best one",) if held_out else ()
    return LearnedSimilarity(weight[1] - weight[0], float(bias[1] - bias[0]), opened.encoder.fingerprint, notes)


def _term(config: Config, folder: Path) -> str:
    """Name of the verification term."""
    active = {key: term for key, term in config.objective.items() if term.weight != 0}
    found = [key for key, term in active.items() if (term.loss or key) == _LOSS]
    if not found:
        raise ConfigError(
            f"{folder}: a learned similarity needs a run with the loss {_LOSS!r}; this one minimises "
            f"{', '.join(active)}"
        )
    term = active[found[0]]
    comparable = config.model.neck == "none" or reads_of(found[0], term) == "embedding"
    if not comparable or not term.arguments.get("normalize", False) or config.model.tail != "none":
        raise ConfigError(
            f"{folder}: its verification loss did not learn on the vectors that are ranked, which are unit vectors "
            f"behind the neck; train with --objective.{found[0]}.reads embedding and "
            f"--objective.{found[0]}.arguments.normalize true, without model.tail"
        )
    return found[0]
