"""The packages that export: imported with a clear message, and without their own warnings."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from passerby.errors import MissingExtraError


def import_exporter(name: str) -> Any:
    """A module of the extra `export`.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(name, "export", "exporting") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Exporters warn about their own insides (deprecated pytree classes and the like), nothing a user can act on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(disabled)
