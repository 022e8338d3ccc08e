"""`.ci/run` runs where a newcomer runs: in a folder with the name that `git clone` gives it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"
MAKE = '#!/bin/sh\necho "$* in $(basename "$PWD"), data ${PASSERBY_DATA:-none}, file $(cat file)"\nexit "${CODE:-0}"\n'


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of programs that stand in for those that take long."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, text in (("make", MAKE), ("chromium", "#!/bin/sh\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "some-branch"
    (folder / ".ci").mkdir(parents=True)
    (folder / ".venv").mkdir()
    shutil.copy(RUN, folder / ".ci" / "run")
    (folder / "file").write_text("content")
    return folder


def run(checkout: Path, tools: Path, temporary: Path, **more: str) -> subprocess.CompletedProcess[str]:
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PASSERBY_DATA"}
    environment |= {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(temporary), **more}
    return subprocess.run([checkout / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)


def expected(data: object) -> list[str]:
    return [f"check docs demo test in passerby, data {data}, file content"]


def test_a_checkout_of_another_name_is_copied(checkout: Path, tools: Path, tmp_path: Path) -> None:
    done = run(checkout, tools, tmp_path / "temporary")
    assert (done.returncode, done.stdout.splitlines()) == (0, expected("none")), done.stderr
    assert not list((tmp_path / "temporary").iterdir())


def test_the_copy_finds_the_data(checkout: Path, tools: Path, tmp_path: Path) -> None:
    data = checkout.parent / "shared" / "data"
    data.mkdir(parents=True)
    assert run(checkout, tools, tmp_path / "first").stdout.splitlines() == expected(data.resolve())
    elsewhere = run(checkout, tools, tmp_path / "second", PASSERBY_DATA="/elsewhere")
    assert elsewhere.stdout.splitlines() == expected("/elsewhere")


def test_what_fails_in_the_copy_fails(checkout: Path, tools: Path, tmp_path: Path) -> None:
    done = run(checkout, tools, tmp_path / "temporary", CODE="2")
    assert (done.returncode, len(done.stdout.splitlines())) == (2, 1), done.stderr
    assert not list((tmp_path / "temporary").iterdir())


def test_a_clone_is_where_it_runs(checkout: Path, tools: Path, tmp_path: Path) -> None:
    clone = checkout.rename(checkout.with_name("passerby"))
    done = run(clone, tools, tmp_path / "temporary")
    assert (done.returncode, done.stdout.splitlines()) == (0, expected("none")), done.stderr
