"""The drawing of the exception tree is the tree, and every error is public and has its exit code."""

import inspect
import re

import passerby as pb
from passerby import errors


def drawn() -> dict[str, tuple[str, ...]]:
    """Each error of the drawing with all those above it."""
    above: list[str] = []
    found = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│├└─ ]*)(\w+(?:Error|Extra\w*))\s", line)
        if match:
            depth = len(match[1]) // 4
            above = [*above[:depth], match[2]]
            found[match[2]] = tuple(above[:-1])
    return found


def classes() -> dict[str, type[errors.PasserbyError]]:
    return {
        name: item
        for name, item in vars(errors).items()
        if inspect.isclass(item) and issubclass(item, errors.PasserbyError)
    }


def test_the_drawing_is_the_tree() -> None:
    tree = {
        name: tuple(c.__name__ for c in reversed(item.__mro__[1:]) if issubclass(c, errors.PasserbyError))
        for name, item in classes().items()
    }
    assert drawn() == tree


def test_every_error_is_public() -> None:
    assert set(classes()) <= set(pb.__all__)


def test_what_the_caller_can_mend_ends_with_2_all_else_with_1() -> None:
    for item in classes().values():
        assert item.exit_code == (2 if issubclass(item, errors.UsageError) else 1)
