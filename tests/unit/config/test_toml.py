"""What a recipe prints is TOML that reads back, by 0.1's rules too."""

import tomllib
from pathlib import Path

import pytest

from passerby.config import Config, InputConfig, TermConfig, load_recipe, parse_config, recipe_names
from passerby.config.toml import read_toml, read_value, to_toml
from passerby.errors import ConfigError


def test_every_kind_of_value_survives(tmp_path: Path) -> None:
    config = Config(
        description='with "quotes", ü and a\nnew line',
        input=InputConfig(cache_dir=tmp_path / "a folder"),
        objective={"lin": TermConfig(arguments={"radius": 0.7, "flags": [1, 2], "nested": {"a": True}})},
    )
    assert parse_config(tomllib.loads(str(config)), where="printed") == config


def test_null_is_written_as_none_and_read_as_null() -> None:
    """0.1 knew "none" in the arguments of losses."""
    config = Config(objective={"batch_hard_triplet": TermConfig(arguments={"margin": None})})
    written = tomllib.loads(str(config))
    assert written["objective"]["batch_hard_triplet"]["arguments"] == {"margin": "none"}
    assert parse_config({"data": {"root": "none"}, "model": {"neck": "none"}}, where="x").data.root is None
    assert parse_config({"model": {"neck": "none"}}, where="x").model.neck == "none"  # not a null, but a choice


def test_empty_tables_are_left_out() -> None:
    assert to_toml({"a": {}, "b": {"c": 1, "d": {}}}) == "[b]\nc = 1\n"


def test_a_value_behind_a_flag_is_toml_or_text() -> None:
    given = {"0.3": 0.3, "true": True, "[1, 2]": [1, 2], "none": "none", "a/b.toml": "a/b.toml", '"x"': "x"}
    assert {text: read_value(text) for text in given} == given


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("= 1")
    with pytest.raises(ConfigError, match=r"bad\.toml: not TOML"):
        read_toml(bad)
    bad.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"bad\.toml: not TOML"):
        read_toml(bad)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path / "missing.toml")


@pytest.mark.parametrize("name", recipe_names())
def test_a_printed_recipe_is_the_recipe(name: str, tmp_path: Path) -> None:
    (tmp_path / "printed.toml").write_text(str(load_recipe(name)))
    assert load_recipe(tmp_path / "printed.toml") == load_recipe(name)
