"""Rooms import only from the layers below them, and never in a circle."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "passerby"
LAYER = {
    "errors": -1, "compiled": 0, "config": 0, "distributed": 0, "pixels": 0, "progress": 0, "files": 0, "recipes": 0,
    "data": 1, "losses": 1, "models": 1,
    "evaluation": 2,
    "training": 3, "gallery": 3, "export": 3,
    "gallery.service": 4, "demo": 4, "doctor": 4, "compare": 4, "bench_encoder": 4,
    "cli": 5, "__main__": 6,
}  # fmt: skip
FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


def room_of(module: str) -> str:
    parts = module.split(".")
    if parts[:3] == ["passerby", "gallery", "service"]:
        return "gallery.service"
    return parts[1] if len(parts) > 1 else ""


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.split(".")[0] == "passerby"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down_the_layers(path: Path) -> None:
    module = ".".join(("passerby", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    own = room_of(module)
    for imported in imports_of(path):
        other = room_of(imported)
        if other in ("", own):
            continue
        assert LAYER[other] < LAYER[own], f"{module} (layer {LAYER[own]}) imports {imported} (layer {LAYER[other]})"


def test_every_room_is_on_the_plan() -> None:
    rooms = {room_of(".".join(("passerby", *p.relative_to(SOURCE).with_suffix("").parts))) for p in FILES}
    assert rooms <= set(LAYER)


def test_no_drawers() -> None:
    assert not [p for p in FILES if p.stem in {"utils", "common", "base", "core", "misc", "helpers"}]
