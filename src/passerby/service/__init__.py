"""The gallery over HTTP: an API with keys and roles, and a page for the operator (extra `serve`)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from passerby.service.app import create_app
    from passerby.service.keys import add_key, list_keys, remove_key
    from passerby.service.limits import Limits
    from passerby.service.server import serve

_HOME = {
    "Limits": "limits",
    "add_key": "keys",
    "create_app": "app",
    "list_keys": "keys",
    "remove_key": "keys",
    "serve": "server",
}

__all__ = ["Limits", "add_key", "create_app", "list_keys", "remove_key", "serve"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
