"""Every command of the table keeps the same promises; a new line in `COMMANDS` is tested without a new test."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from passerby.cli import COMMANDS, GROUPS, run
from passerby.gallery.gallery import Gallery

SOURCE = Path(__file__).parents[2] / "src"
JSON = [name for name, command in COMMANDS.items() if command.json]


def function_of(name: str) -> Any:
    module, function = COMMANDS[name].function.split(":")
    return getattr(importlib.import_module(module), function)


def plain_type(annotation: Any) -> Any:
    """X of Annotated[X | None, ...]."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return plain_type(next(kind for kind in get_args(annotation) if kind is not type(None)))
    return annotation


def parameters_of(name: str) -> Iterator[tuple[inspect.Parameter, Any]]:
    function = function_of(name)
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        yield parameter, plain_type(hints[parameter.name])


def flag(parameter: inspect.Parameter) -> str:
    return "--" + parameter.name.replace("_", "-")


def value_of(kind: Any, folder: Path) -> str:
    """Something of the type, which does not exist where it is a file."""
    if get_origin(kind) is tuple:
        return value_of(plain_type(get_args(kind)[0]), folder)
    if get_origin(kind) is Literal:
        return str(get_args(kind)[0])
    return "1" if kind in (int, float) else str(folder / "nowhere.npy")


def words_of(name: str, folder: Path) -> list[str]:
    """The command with everything that it requires, and nothing else."""
    words = name.split()
    for parameter, kind in parameters_of(name):
        if parameter.default is not inspect.Parameter.empty or parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        words += [] if parameter.kind is inspect.Parameter.POSITIONAL_ONLY else [flag(parameter)]
        words.append(value_of(kind, folder))
    return words


def takes_any_number(name: str) -> bool:
    return any(
        parameter.kind is inspect.Parameter.POSITIONAL_ONLY and get_origin(kind) is tuple
        for parameter, kind in parameters_of(name)
    )


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """What the command says when it refuses: exit code 2, one line on stderr, nothing on stdout."""
    capsys.readouterr()
    assert run(words) == 2, words
    out, err = capsys.readouterr()
    assert out == "", words
    assert err.startswith("error: "), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("name", [*COMMANDS, *GROUPS])
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*name.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: passerby {name} ")
    assert err == ""
    assert "STR" not in out, "a placeholder that says nothing"
    assert "[ARGS]" not in out, "arguments without their names"
    assert "MAP" not in out, "mAP"
    assert "see `" not in out, "a docstring's note for readers of the source"


def test_help_loads_neither_torch_nor_numpy() -> None:
    script = (
        "import sys; from passerby.cli import COMMANDS, run\n"
        "codes = [run([*name.split(), '--help']) for name in COMMANDS]\n"
        "assert not any(codes), codes\n"
        "assert not {'torch', 'numba', 'numpy', 'pyarrow'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", [name for name in COMMANDS if not takes_any_number(name)])
def test_a_surplus_argument_is_refused(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = words_of(name, tmp_path)
    optional = [
        value_of(kind, tmp_path)
        for parameter, kind in parameters_of(name)
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and parameter.default is not inspect.Parameter.empty
    ]
    assert "surplus" in refused(capsys, [*words, *optional, "surplus-word"])


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_flag_is_refused(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "--no-such-flag" in refused(capsys, [*words_of(name, tmp_path), "--no-such-flag"])


@pytest.mark.parametrize("name", JSON)
def test_the_nearest_flag_is_named(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = refused(capsys, [*words_of(name, tmp_path), "--jsno"])
    assert "did you mean" in said
    assert "--json" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_missing_is_named(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if words_of(name, tmp_path) == name.split():
        pytest.skip("requires nothing")
    assert "missing: " in refused(capsys, name.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_value_of_the_wrong_type_is_refused(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = words_of(name, tmp_path)
    typed = [
        (parameter, kind)
        for parameter, kind in parameters_of(name)
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and (kind in (int, float) or get_origin(kind) is Literal)
    ]
    if not typed:
        pytest.skip("takes text only")
    for parameter, _ in typed:
        assert flag(parameter) in refused(capsys, [*words, flag(parameter), "wrong"])


WITHOUT_INPUT = {"demo", "doctor", "completion", "data list", "data draw", "hub list", "keys add", "recipes"}
"""Commands that read no file, and so can miss none."""


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in WITHOUT_INPUT])
def test_a_missing_file_is_refused(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    assert "nowhere" in refused(capsys, words_of(name, tmp_path))
    assert set(tmp_path.iterdir()) == before, "a refused command leaves nothing behind"


@pytest.mark.parametrize("name", COMMANDS)
def test_whether_a_command_takes_json_is_what_the_table_says(name: str) -> None:
    assert COMMANDS[name].json == ("json" in inspect.signature(function_of(name)).parameters)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery, keys and vectors of eight people under two cameras."""
    folder = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(0)
    people = rng.normal(size=(8, 16))
    with Gallery.open(folder / "people.gallery", fingerprint="drawn") as gallery:
        for n, person in enumerate(people[:4]):
            gallery.enroll(f"person-{n}", vectors=person + 0.1 * rng.normal(size=(2, 16)), camera="door", time=1.8e9)
        gallery.observe(people[1], camera="hall", time=1.8e9, threshold=0.5)
    run(["keys", "add", str(folder / "keys.json"), "desk"])
    for side, camera in (("query", 0), ("gallery", 1)):
        vectors = (people + 0.1 * rng.normal(size=people.shape)).astype(np.float32)
        known = slice(None) if side == "query" else slice(6)
        pids = np.arange(1, 9)
        np.savez(folder / f"{side}.npz", vector=vectors[known], pid=pids[known], camid=np.full(8, camera)[known])
    (folder / "seen.csv").write_text("identity,camera,start\nperson-2,yard,1800000000\n")
    (folder / "tracks.txt").write_text("1,1,4,8,16,48,1\n2,1,5,8,16,48,1\n2,2,90,8,16,48,1\n")
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it, since commands change what they are given."""
    return Path(shutil.copytree(prepared, tmp_path, dirs_exist_ok=True))


CHEAP = {
    "doctor": "doctor",
    "data list": "data list",
    "data info": "data info market1501",
    "data draw": "data draw {0}/drawn --identities 8 --train-identities 4 --cameras 2 --images-per-camera 2",
    "data write": "data write viper {0}/viper --persons 10",
    "hub list": "hub list",
    "hub info": "hub info retail-0277",
    "recipes": "recipes demo",
    "keys add": "keys add {0}/keys.json other",
    "keys list": "keys list {0}/keys.json",
    "keys remove": "keys remove {0}/keys.json desk",
    "score": "score {0}/query.npz {0}/gallery.npz",
    "rank": "rank {0}/query.npz {0}/gallery.npz --expand-queries 1 --augment-gallery 1 --alpha 3",
    "data look-alikes": "data look-alikes {0}/gallery.npz --top 2 --linkage min",
    "verify": "verify {0}/query.npz {0}/gallery.npz --fpr 0.1",
    "open-set": "open-set {0}/query.npz {0}/gallery.npz --far 0.5 --camera-thresholds",
    "enroll-stream": "enroll-stream {0}/query.npz --threshold 0.5",
    "evaluate-tracks": "evaluate-tracks {0}/tracks.txt --truth {0}/tracks.txt",
    "export-vectors": "export-vectors {0}/query.npz {0}/query.npy",
    "forget": "forget {0}/people.gallery person-0",
    "gallery list": "gallery list {0}/people.gallery",
    "gallery observations": "gallery observations {0}/people.gallery person-1",
    "gallery sightings": "gallery sightings {0}/people.gallery person-1 --camera hall --newest 3",
    "gallery import-sightings": "gallery import-sightings {0}/people.gallery {0}/seen.csv",
    "gallery thin-templates": "gallery thin-templates {0}/people.gallery --most 1 --apply",
    "gallery keep-sightings": "gallery keep-sightings {0}/people.gallery --vectors --days 30 --templates 5",
    "gallery consolidate": "gallery consolidate {0}/people.gallery --least 0.5",
    "gallery history": "gallery history {0}/people.gallery --limit 2",
    "gallery update": "gallery update {0}/people.gallery person-1 --notes x --expires 2030-01-01",
    "gallery rename": "gallery rename {0}/people.gallery person-1 ann",
    "gallery merge": "gallery merge {0}/people.gallery person-1 person-2",
    "gallery split": "gallery split {0}/people.gallery person-1 3 --to bob",
    "gallery undo": "gallery undo {0}/people.gallery",
    "gallery purge": "gallery purge {0}/people.gallery",
    "gallery calibration": "gallery calibration {0}/people.gallery",
    "gallery comparison": "gallery comparison {0}/people.gallery",
    "gallery duplicates": "gallery duplicates {0}/people.gallery",
    "gallery judge": "gallery judge {0}/people.gallery person-1 person-2 different-people",
    "gallery threshold": "gallery threshold {0}/people.gallery 0.7",
    "gallery check": "gallery check {0}/people.gallery",
    "gallery compact": "gallery compact {0}/people.gallery",
    "gallery backup": "gallery backup {0}/people.gallery {0}/copy.gallery",
    "gallery restore": "gallery restore {0}/people.gallery {0}/restored.gallery --replace",
    "gallery salvage": "gallery salvage {0}/people.gallery {0}/salvaged.gallery",
    "gallery export": "gallery export {0}/people.gallery {0}/people.parquet",
    "gallery migrate": "gallery migrate {0}/people.gallery {0}/moved.gallery",
}
"""Commands that need neither an encoder nor a minute; `tests/end_to_end` has the others."""


@pytest.mark.parametrize("name", CHEAP)
def test_json_parses(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = CHEAP[name].format(place).split()
    capsys.readouterr()
    assert run([*words, "--json"]) == 0, capsys.readouterr().err
    json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", CHEAP)
def test_people_get_text_on_stdout(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(CHEAP[name].format(place).split()) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert out.strip()
    assert "Identity(" not in out
    assert "Event(" not in out
    assert "Sighting(" not in out
