"""Every block of Python in the README and the docs: it compiles, its names are there, and it runs where it can.

The blocks of a page share their names, from top to bottom. `<!-- not run: REASON -->` above a block excuses it from
running; its names must be there all the same.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.contracts.galleries import picture

import passerby as pb
from passerby.config import InputConfig, ModelConfig
from passerby.models.encoder import Encoder
from passerby.models.model import build_model

ROOT = Path(__file__).parents[2]
PAGES = [
    page for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))] if "```python" in page.read_text("utf-8")
]
_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n+)?^```python\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """One block; `reason` says why it does not run, "" where it does."""

    code: str
    line: int
    reason: str


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        yield Block(found["code"], text[: found.start("code")].count("\n") + 1, found["reason"] or "")


def defined(tree: ast.Module) -> set[str]:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
    return names


def free_names(code: str) -> set[str]:
    """Names that a block reads from outside."""
    table = symtable.symtable(code, "block", "exec")
    tables, free = [table], set()
    while tables:
        one = tables.pop()
        tables += one.get_children()
        free |= {s.get_name() for s in one.get_symbols() if s.is_global() or (one is table and s.is_referenced())}
    return free - set(dir(builtins))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_names_are_there(page: Path) -> None:
    known: set[str] = set()
    for block in blocks_of(page):
        where = f"{page.name}, line {block.line}"
        tree = ast.parse(block.code, where)
        known |= defined(tree)
        assert free_names(block.code) <= known, f"{where}: {sorted(free_names(block.code) - known)} stand nowhere above"
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "passerby":
                module = importlib.import_module(node.module)
                for alias in node.names:
                    inside = (
                        importlib.util.find_spec(f"{node.module}.{alias.name}") if hasattr(module, "__path__") else None
                    )
                    assert inside or hasattr(module, alias.name), f"{where}: {node.module} has no {alias.name}"
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pb":
                assert node.attr in pb.__all__, f"{where}: pb.{node.attr}"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    size = InputConfig(height=64, width=32)
    config = ModelConfig(backbone="tiny:osnet_x0_25")
    return Encoder.from_model(build_model(config), size, config)


@pytest.fixture
def place(tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages read: an encoder in runs/first, pictures, people; hub: names are that encoder."""
    monkeypatch.chdir(tmp_path)
    encoder.save(tmp_path / "runs" / "first")
    load = pb.load_encoder

    def load_here(source: Any, *arguments: Any, **named: Any) -> Encoder:
        from_elsewhere = str(source).startswith("hub:")
        return load("runs/first") if from_elsewhere else load(source, *arguments, **named)

    monkeypatch.setattr(pb, "load_encoder", load_here)
    for seed, name in enumerate(["door-1.jpg", "door-2.jpg", "hall-9.jpg", "a.jpg", "b.jpg"]):
        Image.fromarray(picture(seed)).save(tmp_path / name)
    for person in range(12):
        folder = tmp_path / "people" / f"visitor-{person}"
        folder.mkdir(parents=True)
        for view in range(3):
            Image.fromarray(picture(100 + person * 3 + view)).save(folder / f"{view}.jpg")
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_blocks_run(page: Path) -> None:
    names: dict[str, Any] = {}
    ran = 0
    for block in blocks_of(page):
        if not block.reason:
            exec(compile("\n" * (block.line - 1) + block.code, page.name, "exec"), names)
            ran += 1
    if not ran:
        pytest.skip("; ".join(block.reason for block in blocks_of(page)))
