"""The files of the operator's page, and under which paths they are served without a key."""

from __future__ import annotations

from pathlib import Path

WEB = Path(__file__).parent / "web"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE = {
    "/" if file.name == "index.html" else f"/{file.name}": (file.name, _TYPES[file.suffix])
    for file in sorted(WEB.iterdir())
    if file.suffix in _TYPES
}
"""Path -> (file, media type)."""
