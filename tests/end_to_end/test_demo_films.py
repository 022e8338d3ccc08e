"""The films of the demo: followed with an encoder and a calibration of drawn people, and shown in the report."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.stripe_colors import StripeColors

from passerby.data.datasets import load_dataset
from passerby.data.synthetic.dataset import draw_dataset
from passerby.data.synthetic.film import DrawnFilm
from passerby.models.encoder import Encoder
from passerby.models.engines.preprocessing import Preprocessing

pytest.importorskip("av")
pytest.importorskip("trackers")
pytest.importorskip("trackeval")


def test_the_demos_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo: Any = importlib.import_module("passerby.demo")
    draw_films = demo.draw_films

    def shorter(folder: Path, *, seconds: float, **settings: Any) -> list[DrawnFilm]:
        made: list[DrawnFilm] = draw_films(folder, seconds=seconds / 2, **settings)
        return made

    monkeypatch.setattr(demo, "draw_films", shorter)
    root = draw_dataset(tmp_path / "people", identities=12, train_identities=2, cameras=2, images_per_camera=4)
    data = load_dataset("synthetic", root)
    size = Preprocessing(height=64, width=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    encoder = Encoder(StripeColors(), size, fingerprint="stripes", model_config={}, provenance={})
    for _ in range(2):  # a demo that is run again replaces its results
        report, section = demo._track(tmp_path, encoder, SimpleNamespace(held_out=data), 0)
    assert report.true_identities == 4
    assert report.idf1 > 0.5
    assert [picture.source.shape for picture in section.strips[0].others] == [(180, 320, 3)] * 2
    assert (tmp_path / "tracked/camera0.annotated.mp4").is_file()
    assert (tmp_path / "tracked/report.html").is_file()
