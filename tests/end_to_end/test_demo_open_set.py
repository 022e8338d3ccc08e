"""The open set of the demo: who is enrolled, who is asked about, and what is counted."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from tests.stripe_colors import StripeColors

from passerby.config import load_recipe
from passerby.data.datasets import load_dataset
from passerby.data.synthetic.dataset import draw_dataset
from passerby.embedding.embed import embed
from passerby.gallery.gallery import Gallery
from passerby.models.encoder import Encoder
from passerby.models.engines.preprocessing import Preprocessing


def test_the_demo_s_open_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo: Any = importlib.import_module("passerby.demo")
    monkeypatch.setattr(demo, "ENROLLED", 10)
    root = draw_dataset(tmp_path / "people", identities=32, train_identities=2, cameras=4, images_per_camera=2)
    data = load_dataset("synthetic", root)
    size = Preprocessing(height=64, width=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    encoder = Encoder(StripeColors(), size, fingerprint="stripes", model_config={}, provenance={})
    query, gallery = (embed(encoder, samples, progress=False) for samples in (data.query, data.gallery))
    found, report = demo._use(tmp_path / "people.gallery", encoder, query, gallery)
    assert found.recognised + found.confused + found.missed == 10 * 2 == report.genuine
    assert found.impostors_refused + found.impostors_accepted == 20 * 2 == report.impostors
    assert found.impostors == 20
    assert found.best.far <= 0.01
    assert found.best.dir[1] <= found.rank1 <= 1
    assert found.rank1 > 0.5
    assert found.false_accept_rate <= 0.1
    with Gallery.open(tmp_path / "people.gallery") as people:
        assert len(people) == 10
        assert {o.camera for o in people.observations()} == {"camera-1", "camera-2", "camera-3"}
        assert people.far == 0.01
        threshold = people.calibration("identify").threshold
    assert threshold is not None
    nearer = (report.scores.own < threshold) & (report.scores.own_rank == 1) & report.scores.genuine
    assert found.recognised == nearer.sum()
    for shown in (f"{found.recognised} recognised", f"FAR {found.false_accept_rate:.1%}", "20 people who are not"):
        assert shown in str(found)


def test_the_demo_has_enough_impostors_to_show_its_rate() -> None:
    demo: Any = importlib.import_module("passerby.demo")
    assert demo.IMPOSTORS >= 200
    assert demo.IMPOSTORS * demo.FALSE_ALARMS >= 1


def test_the_demo_calibrates_on_enough_people_to_show_its_rate() -> None:
    """One pair of people who look alike among 40 made a law of 0.4 that should have been 0.6."""
    demo: Any = importlib.import_module("passerby.demo")
    held_out = load_recipe("demo").data.held_out_identities
    assert isinstance(held_out, int)
    assert held_out * demo.FALSE_ALARMS >= 1
    assert demo.TRAINED - held_out >= 400
