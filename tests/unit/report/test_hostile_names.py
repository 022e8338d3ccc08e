"""Nothing that a report is given can run in it: names of people, cameras, files, datasets, encoders are text."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from passerby.embedding.embeddings import Embeddings
from passerby.embedding.tracklet import Tracklet
from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.gallery.result_types import Sighting
from passerby.report.html_page import Picture, Section, Strip, Table
from passerby.report.report import write_report
from passerby.tracking.result import IdentityRows, TrackedFilm, TrackingResult
from passerby.tracking.writers.page import write_report_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "'><svg onload='window.hacked = 1'>",
    "javascript:window.hacked=1",
    "</title></style><script>window.hacked = 1</script>",
    "{{ 7 * 7 }}{% raw %}",
    r"$\frac{<b>$ _x",
    "--><script>window.hacked = 1</script><!--",
)
ALL = " ".join(HOSTILE)  # evidence takes seconds to draw
ATTRIBUTES = {"src", "href", "srcset", "action", "data", "xlink:href", "formaction", "poster"}


class Tags(HTMLParser):
    """What is not allowed on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "base", "form"):
            self.wrong.append(tag)
        for name, value in attrs:
            if name.startswith("on"):
                self.wrong.append(f"{tag} {name}")
            if name in ATTRIBUTES and not re.match(r"#|data:image/(jpeg|png|svg\+xml)", value or ""):
                self.wrong.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


class HostileEncoder:
    """An encoder whose provenance somebody else wrote."""

    def __init__(self, text: str) -> None:
        self.fingerprint = text
        self.provenance: dict[str, Any] = {"recipe": text, "dataset": text, text: text, "config": text}


def evaluation(path: Path, text: str) -> None:
    path.write_text(evaluation_page(text), "utf-8")


@cache
def evaluation_page(text: str) -> str:
    pids = np.arange(24) % 4 + 1
    vectors = np.eye(5, dtype=np.float32)[pids] + np.random.default_rng(0).normal(0, 0.1, (24, 5)).astype(np.float32)
    camids = np.arange(24) // 4 % 2
    paths = tuple(f"{text}/{i}_{text}.jpg" for i in range(24))
    query, gallery = (
        Embeddings(vectors[part], pids[part], camids[part], paths[part], fingerprint=text, notes=(text,))
        for part in (slice(0, 8), slice(8, 24))
    )
    report = evaluate_embeddings(query.vectors, gallery.vectors, query.pids, gallery.pids, query.camids, gallery.camids)
    own = Section(
        text,
        (text,),
        Table((text, text), ((text, text),), text),
        strips=(Strip(text, Picture(text, text, (text,)), (Picture(None, text, (text,), "wrong"),)),),
        code=((text, text),),
        notes=(text,),
    )
    with TemporaryDirectory() as folder:
        path = write_report(
            Path(folder) / "report.html",
            reports={text: report},
            query=query,
            gallery=gallery,
            title=text,
            encoder=HostileEncoder(text),
            config=text,
            notes=(text,),
            extra_sections=(own,),
            sightings=[Sighting(text, False, None, camera=text, start=1.0, end=2.0)],
        )
        return path.read_text("utf-8")


def tracking(path: Path, text: str) -> None:
    frames, numbers = np.arange(1, 4), np.zeros(3, np.int64)
    boxes, scores = np.tile(np.array([0, 0, 4, 8], np.float32), (3, 1)), np.ones(3, np.float32)
    vectors, none = np.ones((0, 4), np.float32), np.zeros(0)
    tracklet = Tracklet(
        text, frames, frames / 25, boxes, scores, vectors, none.astype(np.int64), none.astype(np.float32), source=text
    )
    rows = IdentityRows(frames, frames / 25, numbers + 1, boxes, scores, numbers, np.zeros(3, np.bool_))
    film = TrackedFilm(text, text, text, 3, 25.0, 1, (8, 8), rows, {text: 2}, (text,))
    result = TrackingResult((film,), (tracklet,), np.ones(1, np.int64), np.ones(1, np.bool_), text, (text,))
    write_report_page(path, result)


@pytest.mark.parametrize(("write", "text"), [(evaluation, ALL), *((tracking, text) for text in (*HOSTILE, ALL))])
def test_names_are_text(tmp_path: Path, write: Callable[[Path, str], None], text: str) -> None:
    path = tmp_path / "report.html"
    write(path, text)
    page = path.read_text("utf-8")
    found = Tags(page)
    assert found.wrong == []
    assert text in "".join(found.words)
    if "<" in text:
        assert text not in page
    for drawing in re.findall(r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+", page):
        assert "script" not in drawing


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine (Debian: apt-get install chromium)")
def test_nothing_runs_in_the_browser(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="reports are opened with playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for write in (evaluation, tracking):
            path = tmp_path / f"{write.__name__}.html"
            write(path, ALL)
            page = browser.new_page()
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("dialog", lambda dialog: pytest.fail(dialog.message))
            page.goto(path.as_uri())
            assert page.evaluate("window.hacked") is None
            assert [url for url in asked if not url.startswith(("data:", "file:"))] == []
            page.close()
        browser.close()
