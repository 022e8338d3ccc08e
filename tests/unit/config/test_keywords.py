"""Functions that take single settings show each of them, with the default of the settings."""

from __future__ import annotations

import inspect

import pytest

import passerby as pb
from passerby.config.adaptation import AdaptationSettings
from passerby.config.encoder import EncoderSettings
from passerby.config.evaluation import EvaluationSettings
from passerby.config.settings_group import Settings
from passerby.config.tracking import TrackingSettings
from passerby.errors import ConfigError
from passerby.evaluation.evaluate import score

TAKE_SETTINGS: dict[str, type[Settings]] = {
    "evaluate_embeddings": EvaluationSettings,
    "evaluate": EvaluationSettings,
    "evaluate_splits": EvaluationSettings,
    "cross_domain": EvaluationSettings,
    "rank": EvaluationSettings,
    "report": EvaluationSettings,
    "adapt": AdaptationSettings,
    "track": TrackingSettings,
    "load_encoder": EncoderSettings,
}


@pytest.mark.parametrize("name", TAKE_SETTINGS)
def test_the_signature_shows_every_setting_and_its_default(name: str) -> None:
    parameters = inspect.signature(getattr(pb, name)).parameters
    assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values())
    for setting, field in TAKE_SETTINGS[name].model_fields.items():
        assert parameters[setting].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[setting].default == field.get_default(call_default_factory=True)


def test_watch_shows_the_settings_that_it_reads() -> None:
    parameters = inspect.signature(pb.watch).parameters
    assert parameters["lost_seconds"].default == TrackingSettings().lost_seconds
    assert "prior" not in parameters
    assert "changes" not in parameters


def test_the_contract_of_evaluation_on_plain_arrays() -> None:
    shown = inspect.signature(pb.evaluate_embeddings).parameters
    for name, default in {
        "metric": "euclidean",
        "ap": "step",
        "max_rank": 50,
        "junk_pids": (-1,),
        "rerank": None,
    }.items():
        assert shown[name].default == default
        assert inspect.signature(score).parameters[name].default == default
    assert "protocol" in shown
    assert shown["device"].default is None


def test_an_unknown_setting_is_named_all_the_same() -> None:
    with pytest.raises(ConfigError, match="did you mean 'metric'"):
        pb.evaluate_embeddings([[0.0]], [[1.0]], [1], [1], metrik="cosine")
