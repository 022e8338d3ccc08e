"""Modules import only from the layers below them, never from the package's `__init__`, and never in a circle."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "passerby"
LAYERS = (
    ("array_types", "config", "distributed", "errors", "files", "lazy", "moved_modules", "numba_jit", "plain_names",
     "progress", "recipes", "small_work", "strict_json", "version", "zip_files"),
    ("images",),
    ("data", "losses", "models", "search"),
    ("embedding",),
    ("evaluation",),
    ("report", "training", "gallery"),
    ("adaptation", "tracking", "experiments"),
    ("service",),
    ("demo", "doctor"),
    ("cli",),
    ("__main__",),
)  # fmt: skip
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names}
SIDEWAYS = {
    ("config", "errors"), ("distributed", "errors"), ("files", "errors"), ("recipes", "config"), ("config", "recipes"),
    ("moved_modules", "lazy"), ("config", "files"), ("progress", "errors"),
    ("config", "lazy"),
}  # fmt: skip
"""On the lowest layer what may import what; on all others modules of one layer do not know each other."""
FILES = {
    ".".join(("passerby", *p.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): p
    for p in sorted(SOURCE.rglob("*.py"))
}
MODULES = {name: path for name, path in FILES.items() if name != "passerby"}


def top(module: str) -> str:
    return module.split(".")[1]


@cache
def imports_of(module: str) -> frozenset[str]:
    """Modules that a module imports anywhere, names of a package resolved to the module where it is one."""
    return frozenset(_imports(module, ast.walk(ast.parse(FILES[module].read_text()))))


@cache
def imports_at_start(module: str) -> frozenset[str]:
    """Modules that are imported when this one is: not inside a function, and not for type checkers alone."""
    return frozenset(_imports(module, _outside_functions(ast.parse(FILES[module].read_text()))))


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _outside_functions(child)


def _imports(module: str, nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            source = node.module or ""
            if source == "passerby" or source.startswith("passerby."):
                for alias in node.names:
                    inner = f"{source}.{alias.name}"
                    yield inner if inner in FILES else source
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "passerby")


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_the_layers(module: str) -> None:
    own = top(module)
    for imported in imports_of(module):
        assert imported != "passerby", f"{module} imports the package's __init__"
        other = top(imported)
        if other == own or (own, other) in SIDEWAYS:
            continue
        assert LAYER[other] < LAYER[own], f"{module} (layer {LAYER[own]}) imports {imported} (layer {LAYER[other]})"


def test_no_circles_between_files() -> None:
    state: dict[str, int] = {}
    circles: list[list[str]] = []

    def visit(module: str, path: list[str]) -> None:
        state[module] = 1
        for imported in sorted(imports_at_start(module) & MODULES.keys()):
            if state.get(imported) == 1:
                circles.append([*path[path.index(imported) :], imported])
            elif imported not in state:
                visit(imported, [*path, imported])
        state[module] = 2

    for module in MODULES:
        if module not in state:
            visit(module, [module])
    assert not circles


def test_every_module_is_on_the_plan() -> None:
    assert {top(module) for module in MODULES} <= LAYER.keys()


def test_no_file_that_could_hold_anything() -> None:
    assert not [p for p in FILES.values() if p.stem in {"utils", "common", "base", "core", "misc", "helpers"}]
