"""Figures as data URIs, to be written into a page."""

from __future__ import annotations

import base64
import io
import re

from matplotlib.figure import Figure


def to_svg(figure: Figure) -> str:
    """The figure as a data URI of an SVG; the same figure gives the same text."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    # matplotlib draws random ids; numbered ones make equal figures equal files
    for number, found in enumerate(dict.fromkeys(re.findall(r'id="([a-z][0-9a-f]{10})"', text))):
        text = text.replace(found, f"i{number}")
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def to_png(figure: Figure, *, dpi: int = 160) -> str:
    """The figure as a data URI of a PNG with a transparent background."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
