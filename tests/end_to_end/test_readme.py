"""What the README and the docs tell people to type exists."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from cyclopts import App

import passerby
from passerby.cli import COMMANDS, GROUPS
from passerby.cli.main import build_app
from passerby.config import recipe_names

ROOT = Path(__file__).parents[2]
HAND_WRITTEN = [page for page in ROOT.glob("docs/**/*.md") if page.parent.name != "reference"]  # that one is generated
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *HAND_WRITTEN])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_exist(page: Path) -> None:
    fenced = "\n".join(re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE))
    for line in re.findall(r"^\s*(?:\$ )?passerby (.+)$", fenced, re.MULTILINE):
        words = line.split()
        name = " ".join(words[:2]) if words[0] in GROUPS else words[0]
        assert name in COMMANDS or words[0].isupper() or words[0].startswith("-"), line
        if words[0] == "train" and len(words) > 1 and re.fullmatch(r"[a-z_0-9]+", words[1]):
            assert words[1] in recipe_names(), line


@pytest.fixture(scope="module")
def app() -> App:
    return build_app()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_parse(page: Path, app: App) -> None:
    """Every flag and every argument of a command that a page shows is one that the command takes."""
    fenced = "\n".join(re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE))
    for line in re.findall(r"^\s*(?:\$ )?passerby (.+)$", fenced.replace("\\\n", " "), re.MULTILINE):
        optional = re.sub(r"(?<=\s)\[(--[^\]]+)\]", r"\1", line)
        words = shlex.split(re.split(r"\s{2,}(?=[a-z])", optional)[0], comments=True)
        if words and words[0].split()[0] in {name.partition(" ")[0] for name in COMMANDS} and "..." not in words:
            app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_python_uses_public_names(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        names = {
            node.attr
            for node in ast.walk(ast.parse(block))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pb"
        }
        assert names <= set(passerby.__all__), names


def test_benchmarks_that_are_named_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"python -m benchmarks\.(\w+)", page.read_text("utf-8")):
            assert (ROOT / "benchmarks" / f"{name}.py").exists(), f"{page.name}: {name}"
