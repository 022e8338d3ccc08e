"""One group of settings for every evaluation."""

import tomllib
from typing import get_args

import pytest

import passerby.config
from passerby.config import Config, EvaluationSettings, RerankSettings, parse_config
from passerby.config.evaluation import BY_PROTOCOL, with_changes
from passerby.embedding.pooling import POOLINGS
from passerby.errors import ConfigError
from passerby.evaluation.closed_set.metrics import AP_DEFINITIONS
from passerby.evaluation.good_and_junk import EXCLUSIONS
from passerby.search.relevance import METRICS


@pytest.mark.parametrize(
    ("field", "table"),
    [
        ("metric", METRICS), ("ap", AP_DEFINITIONS), ("exclude", (BY_PROTOCOL, *EXCLUSIONS)), ("pooling", POOLINGS),
    ],
)  # fmt: skip
def test_choices_are_those_that_are_computed(field: str, table: tuple[str, ...]) -> None:
    assert set(get_args(EvaluationSettings.model_fields[field].annotation)) == set(table)


def test_reranking_by_name_by_settings_and_none() -> None:
    def rerank(value: object) -> RerankSettings | None:
        return parse_config({"evaluation": {"rerank": value}}, where="test").evaluation.rerank

    assert rerank("k_reciprocal") == RerankSettings()
    assert rerank({"k1": 7, "half": "matlab"}) == RerankSettings(k1=7, half="matlab")
    assert rerank("none") is rerank(None) is None
    with pytest.raises(ConfigError, match="did you mean 'k_reciprocal'"):
        rerank("k_reciprocals")
    with pytest.raises(ConfigError, match=r"did you mean 'evaluation\.rerank\.lambda_value'"):
        rerank({"lambda_valu": 0.3})


def test_a_recipe_keeps_them() -> None:
    given = {"metric": "cosine", "rerank": {"k1": 7}, "exclude": "none", "junk_pids": [-1, -2], "repeats": 3}
    config = parse_config({"evaluation": given}, where="test")
    assert config.evaluation.exclude == "none"  # nothing is left out, which is not the same as no wish
    assert parse_config(tomllib.loads(config.to_toml()), where="test") == config
    assert Config().evaluation == EvaluationSettings()


def test_the_table_of_version_0_1_loads() -> None:
    old = {"metric": "cosine", "protocol": "cuhk03", "flip": False, "batch_size": 32}
    settings = parse_config({"evaluation": old}, where="test").evaluation
    assert {name: getattr(settings, name) for name in old} == old


def test_single_settings_replace_others() -> None:
    base = EvaluationSettings(metric="cosine", rerank=RerankSettings(k1=7))
    assert with_changes(base, {}) is base
    assert with_changes(None, {"ap": "trapezoid"}) == EvaluationSettings(ap="trapezoid")
    changed = with_changes(base, {"max_rank": 20, "exclude": None})
    assert changed == base.model_copy(update={"max_rank": 20})
    assert with_changes(base, {"rerank": None}).rerank is None
    with pytest.raises(ConfigError, match="unknown setting 'matric': did you mean 'metric'"):
        with_changes(base, {"matric": "cosine"})
    with pytest.raises(ConfigError, match="expected EvaluationSettings, found dict"):
        with_changes({"metric": "cosine"}, {})  # type: ignore[arg-type]


def test_the_old_name_warns() -> None:
    with pytest.warns(DeprecationWarning, match="EvaluationSettings"):
        assert passerby.config.EvaluationConfig is EvaluationSettings


@pytest.mark.parametrize("group", ["run", "evaluation"])
def test_seeds_are_not_negative(group: str) -> None:
    with pytest.raises(ConfigError, match=rf"{group}\.seed: Input should be greater than or equal to 0 \(found -1\)"):
        parse_config({group: {"seed": -1}}, where="test")
