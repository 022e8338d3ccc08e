"""The gallery over HTTP: an API with keys and roles, and a page for the operator (extra `serve`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.service.api_keys import add_key, list_keys, remove_key
    from passerby.service.app import create_app
    from passerby.service.limits import Limits
    from passerby.service.server import serve

__all__ = ["Limits", "add_key", "create_app", "list_keys", "remove_key", "serve"]

__getattr__ = lazy_names(
    __name__,
    {
        "Limits": "passerby.service.limits",
        "add_key": "passerby.service.api_keys",
        "create_app": "passerby.service.app",
        "list_keys": "passerby.service.api_keys",
        "remove_key": "passerby.service.api_keys",
        "serve": "passerby.service.server",
    },
)
