"""Any setting of a recipe can be replaced, added or removed."""

import pytest

from passerby.config import Config, load_recipe
from passerby.config.overrides import merged, nested, take_flags, with_overrides
from passerby.errors import ConfigError


def changed(**names: object) -> Config:
    return with_overrides(load_recipe("beyond"), {k.replace("__", "."): v for k, v in names.items()}, where="test")


def test_a_term_that_the_recipe_does_not_have() -> None:
    config = changed(objective__center__weight=0.0005)
    assert list(config.objective) == ["softmax", "lin", "center"]
    assert config.objective["center"].weight == 0.0005
    assert config.objective["softmax"] == load_recipe("beyond").objective["softmax"]


def test_an_argument_that_the_recipe_does_not_have() -> None:
    config = changed(objective__lin__arguments__form="code")
    assert config.objective["lin"].arguments == {"radius": 0.7, "temperature": 1.0, "form": "code"}


def test_a_term_is_removed() -> None:
    assert list(changed(objective__lin="none").objective) == ["softmax"]
    assert changed(objective__lin__arguments="none").objective["lin"].arguments == {}


def test_the_last_term_cannot_be_removed() -> None:
    with pytest.raises(ConfigError, match="at least one term"):
        changed(objective__lin="none", objective__softmax="none")


def test_a_term_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(ConfigError, match=r"unknown term of the objective 'linn': did you mean 'lin'"):
        changed(objective__linn="none")


def test_wrong_names_and_values_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'optimizer\.lr'"):
        changed(optimizer__lrr=1)
    with pytest.raises(ConfigError, match=r"objective\.lin\.weight: .*'much'"):
        changed(objective__lin__weight="much")
    with pytest.raises(ConfigError, match=r"did you mean 'objective\.lin\.arguments'"):
        changed(objective__lin__argument={"radius": 1})


def test_tables_and_dotted_names_mean_the_same() -> None:
    tables = with_overrides(load_recipe("beyond"), {"objective": {"lin": {"weight": 2.0}}}, where="test")
    assert tables == changed(objective__lin__weight=2.0)


def test_nested_tables() -> None:
    assert nested({"a.b": 1, "a.c.d": 2, "e": {"f": 3}}) == {"a": {"b": 1, "c": {"d": 2}}, "e": {"f": 3}}
    assert nested({"a": {"b": 1}, "a.b": 2}) == {"a": {"b": 2}}


def test_merging_leaves_what_it_is_given_alone() -> None:
    first = {"a": {"b": 1}}
    assert merged(first, {"a": {"c": 2}}, where="test") == {"a": {"b": 1, "c": 2}}
    assert first == {"a": {"b": 1}}


def test_flags_of_a_group_are_taken_out() -> None:
    arguments = [
        "--run.seed", "3", "--objective.center.weight", "0.0005", "--objective.lin=none",
        "--objective.x.arguments.form", "code", "--objective.batch-hard-triplet.weight", "-1", "--json",
    ]  # fmt: skip
    changes, others = take_flags(arguments, "objective")
    assert others == ["--run.seed", "3", "--json"]
    assert changes == {
        "objective.center.weight": 0.0005,
        "objective.lin": "none",
        "objective.x.arguments.form": "code",
        "objective.batch_hard_triplet.weight": -1,
    }


@pytest.mark.parametrize("arguments", [["--objective.lin.weight"], ["--objective.lin.weight", "--json"]])
def test_a_flag_without_a_value_is_refused(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"--objective\.lin\.weight: expected a value"):
        take_flags(arguments, "objective")
