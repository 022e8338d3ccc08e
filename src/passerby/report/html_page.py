"""One self-contained HTML page of sections: text, tables, figures and rows of pictures, all inside the one file.

What goes into a page is a list of `Section`; which evidence there is about a model is `passerby.report.report`'s
business. Nothing on the page is fetched from anywhere, nothing runs in it, and every word in it is escaped.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import jinja2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from passerby.array_types import UInt8
from passerby.errors import ImageError
from passerby.files import replace_file
from passerby.images.decode import GREY_BITS, read_image
from passerby.report.figures import DARK, LIGHT, Theme, to_svg

PictureSource: TypeAlias = str | os.PathLike[str] | UInt8

THUMBNAIL_HEIGHT = 128
_JPEG_QUALITY = 80


class Drawing(Protocol):
    """A function of `passerby.report.figures` whose data is bound (`functools.partial`)."""

    def __call__(self, *, theme: Theme) -> Figure:
        """Draw in these colours."""
        ...


@dataclass(frozen=True)
class Table:
    """A table with a header row; the first cell of every row is its header.

    Attributes:
        headers: names of the columns.
        rows: cells as text.
        caption: what the table shows.
        words: cells are words, not numbers: set to the left.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    words: bool = False


@dataclass(frozen=True)
class Plot:
    """A figure that is drawn twice, for light and for dark pages.

    Attributes:
        draw: theme=... -> figure.
        alt: what the figure says, for those who cannot see it.
        caption: a line or two below it.
        title: above it.
        draw_wide: the same for wide pages, where the figure then has the whole width; None: it stands beside others.
    """

    draw: Drawing
    alt: str
    caption: str = ""
    title: str = ""
    draw_wide: Drawing | None = None


@dataclass(frozen=True)
class Picture:
    """A small picture with a line or two below it.

    Attributes:
        source: an image file, RGB uint8 [H, W, 3], or None where there is nothing to show.
        alt: what the picture is, for those who cannot see it.
        lines: text below it.
        mark: "correct" (green, ✓), "wrong" (red, ✗), or "" for neither.
    """

    source: PictureSource | None
    alt: str
    lines: tuple[str, ...] = ()
    mark: Literal["correct", "wrong", ""] = ""


@dataclass(frozen=True)
class Strip:
    """A row of pictures: a query and its results.

    Attributes:
        title: above the row.
        first: the query (it stays in view when the row is scrolled), or None.
        others: the results, in order.
    """

    title: str
    first: Picture | None
    others: tuple[Picture, ...]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: its heading, and its entry in the page's contents.
        text: paragraphs before the rest.
        table: a table, if any.
        plots: figures, side by side where the page is wide enough.
        strips: rows of pictures.
        code: text shown as written (a configuration), folded away; (title, text) pairs.
        notes: paragraphs after the rest, in small print.
    """

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    plots: tuple[Plot, ...] = ()
    strips: tuple[Strip, ...] = ()
    code: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tile:
    """One of the few numbers at the top of the page.

    Attributes:
        name: what it is.
        value: the number, as text.
        detail: what it was counted on.
    """

    name: str
    value: str
    detail: str = ""


def render_page(
    title: str,
    subtitle: str,
    tiles: Sequence[Tile],
    sections: Sequence[Section],
    *,
    notes: Sequence[str] = (),
    footer: str = "",
    bits: int = GREY_BITS,
) -> str:
    """Write the page as HTML.

    Args:
        title: name of the page.
        subtitle: one line below it.
        tiles: the few numbers that matter most.
        sections: the page's parts, in order.
        notes: paragraphs below the numbers.
        footer: the last line.
        bits: of grey values in picture files of 16, as of `read_image`.

    Returns:
        a complete HTML document that refers to nothing outside itself.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        (resources.files("passerby.report") / "templates" / "report.html").read_text("utf-8")
    )
    return template.render(
        title=title,
        subtitle=subtitle,
        tiles=tiles,
        sections=sections,
        notes=notes,
        footer=footer,
        light=lambda draw: to_svg(draw(theme=LIGHT)),
        dark=lambda draw: to_svg(draw(theme=DARK)),
        thumbnail=partial(thumbnail, bits=bits),
    )


def thumbnail(source: PictureSource | None, *, height: int = THUMBNAIL_HEIGHT, bits: int = GREY_BITS) -> str | None:
    """A picture as a data URI of a small JPEG.

    Args:
        source: an image file or RGB uint8 [H, W, 3].
        height: pixels; smaller pictures keep their size, and wide ones are at most as wide as high.
        bits: as of `read_image`.

    Returns:
        the data URI, or None where there is no such picture or it cannot be read.
    """
    if source is None or (isinstance(source, str) and not source):
        return None
    try:
        pixels = source if isinstance(source, np.ndarray) else read_image(source, bits=bits)
    except ImageError:
        return None
    image = Image.fromarray(pixels)
    scale = min(1.0, height / image.height, height / image.width)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    stream = io.BytesIO()
    image.resize(size, Image.Resampling.BILINEAR).save(stream, format="JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def write_page(path: str | os.PathLike[str], html: str) -> Path:
    """Write the page in one step: the file is the old page or the new one, never half of it.

    Raises:
        StorageError: the file cannot be written.
    """
    target = Path(path)
    with replace_file(target) as temporary:
        # file names may hold bytes that are not UTF-8, which no page can show
        temporary.write_bytes(html.encode("utf-8", "replace"))
    return target
