"""The public names are explicit, sorted, lazy, documented, and all there."""

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import passerby
from passerby.moved_modules import MOVED

SOURCE = Path(__file__).parents[2] / "src"


def test_all_is_what_loads() -> None:
    assert set(passerby.__all__) == set(passerby._HOME)
    assert list(passerby._HOME) == sorted(passerby._HOME)
    for name in passerby.__all__:
        assert getattr(passerby, name) is not None, name


def test_no_public_name_is_hidden_by_a_module() -> None:
    """Importing `passerby.x` puts the module x where the name x was, unless the package prevents it."""
    modules = {path.stem for path in (SOURCE / "passerby").iterdir()} & set(passerby.__all__)
    assert modules == {"demo", "doctor", "report"}
    for name in modules:
        importlib.import_module(f"passerby.{name}")
        assert inspect.isfunction(getattr(passerby, name)), name


@pytest.mark.parametrize("old", sorted(MOVED))
def test_moved_modules_keep_their_old_names(old: str) -> None:
    """... with a warning that says where they are now."""
    sys.modules.pop(f"passerby.{old}", None)
    with pytest.warns(DeprecationWarning, match="has moved to"):
        module = importlib.import_module(f"passerby.{old}")
    for place in MOVED[old]:
        target = importlib.import_module(f"passerby.{place}")
        for name, value in vars(target).items():
            if getattr(value, "__module__", None) == target.__name__ and not name.startswith("_"):
                assert getattr(module, name) is value


def test_every_public_name_is_documented() -> None:
    for name in passerby.__all__:
        value = getattr(passerby, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_import_and_help_load_no_torch() -> None:
    script = (
        "import sys, passerby, passerby.cli, passerby.config;"
        "passerby.cli.run(['--help']); passerby.cli.run(['recipes']);"
        "assert not {'torch', 'numba', 'matplotlib'} & set(sys.modules), sorted(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, stdout=subprocess.DEVNULL)


def test_data_and_settings_load_no_torch() -> None:
    script = "import sys, passerby.data, passerby.data.info; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": str(SOURCE)})
