"""Recipe files that change another recipe."""

from pathlib import Path

import pytest

from passerby.config import load_recipe
from passerby.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_file_extends_a_recipe_by_name(tmp_path: Path) -> None:
    own = write(
        tmp_path / "mine.toml",
        'extends = "strong_osnet"\n[objective]\nlin = "none"\n[objective.center]\nweight = 0.0005\n[run]\nseed = 3\n',
    )
    base, mine = load_recipe("strong_osnet"), load_recipe(own)
    assert mine.name == "mine"
    assert mine.run.seed == 3
    assert mine.optimizer == base.optimizer
    assert mine.objective.keys() == (base.objective.keys() - {"lin"}) | {"center"}


def test_a_file_extends_a_file_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    write(tmp_path / "recipes" / "first.toml", 'extends = "beyond"\nname = "first"\n[run]\nseed = 1\nthreads = 2\n')
    second = write(tmp_path / "recipes" / "second.toml", 'extends = "first.toml"\n[run]\nseed = 2\n')
    monkeypatch.chdir(tmp_path)  # found from the file's folder, not from the working folder
    config = load_recipe(second)
    assert (config.name, config.run.seed, config.run.threads) == ("second", 2, 2)


def test_what_is_printed_is_complete(tmp_path: Path) -> None:
    own = write(tmp_path / "mine.toml", 'extends = "beyond"\n')
    assert "extends" not in str(load_recipe(own))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "beyondd"', "did you mean 'beyond'"),
        ('extends = "missing.toml"', "cannot be read"),
        ("extends = 3", "expected the name of a recipe"),
        ('extends = "mine.toml"', "in a circle"),
        ('extends = "beyond"\n[objective]\ntriplet = "none"', "nothing to remove"),
        ('extends = "beyond"\n[optimizer]\nlrr = 1', "did you mean 'optimizer.lr'"),
        (
            'extends = "beyond"\n[data.arguments]\nsplit = 1',
            "split is no argument of a dataset's reader; give data.split",
        ),
        (
            'extends = "beyond"\n[objective.triplet]\nweight = -1',
            "objective.triplet.weight: .*greater than or equal to 0",
        ),
        ('extends = "beyond"\n[optimizer]\nlr = inf', "optimizer.lr: Input should be a finite number"),
    ],
)
def test_faults_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        load_recipe(write(Path("mine.toml"), text))
