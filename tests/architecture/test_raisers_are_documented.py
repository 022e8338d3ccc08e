"""Who raises one of passerby's errors says so: every public function that does has a `Raises:` that names it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from passerby import errors

SOURCE = Path(__file__).parents[2] / "src" / "passerby"
ERRORS = {
    name: [base.__name__ for base in item.__mro__ if issubclass(base, errors.PasserbyError)]
    for name, item in vars(errors).items()
    if isinstance(item, type) and issubclass(item, errors.PasserbyError)
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(tree: ast.AST) -> Iterator[Function]:
    """Functions of modules and methods of classes without an underscore; validators are called by pydantic alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node)
        elif isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def raised_by(function: ast.AST) -> Iterator[str]:
    """Errors that a function raises itself, not in functions within it."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, Function):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            yield node.exc.func.id
        yield from raised_by(node)


def undocumented(path: Path) -> Iterator[str]:
    for function in public_functions(ast.parse(path.read_text("utf-8"))):
        promised = (ast.get_docstring(function) or "").partition("Raises:")[2]
        for name in set(raised_by(function)) & set(ERRORS):
            if not any(base in promised for base in ERRORS[name]):
                yield f"{path.relative_to(SOURCE)}:{function.lineno} {function.name} raises {name}"


def test_raisers_are_documented() -> None:
    # the command line turns errors into messages, and a store's methods raise what stores/protocol.py says of all
    paths = [p for p in SOURCE.rglob("*.py") if p.parts[len(SOURCE.parts)] != "cli"]
    assert [line for path in paths for line in undocumented(path)] == []
