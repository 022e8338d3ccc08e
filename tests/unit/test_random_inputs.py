"""Drawn at random: whatever bytes, names or numbers come, the answer is a result or one of our errors."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.contracts.galleries import DIM, people

from passerby.data.manifest import read_manifest
from passerby.errors import PasserbyError
from passerby.gallery.gallery import Gallery
from passerby.images.decode import decode_image
from passerby.models.calibrated_threshold import check_threshold
from passerby.models.description import read_description
from passerby.service.errors import ServiceError
from passerby.service.uploads import open_image

FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
VECTOR = people(1, 1)[0, 0]


def pictures() -> list[bytes]:
    found = []
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        out = io.BytesIO()
        Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(out, kind)
        found.append(out.getvalue())
    return found


@st.composite
def changed(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A file with some bytes changed, cut off or repeated."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) + draw(st.binary(max_size=20))


@FEW
@given(changed(pictures()))
def test_pictures(data: bytes) -> None:
    with suppress(PasserbyError):
        assert decode_image(data, max_pixels=10_000).ndim == 3
    with suppress(ServiceError):
        assert open_image(data, 0, max_pixels=10_000).ndim == 3


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Gallery.open(tmp_path_factory.mktemp("random") / "people.gallery") as opened:
        yield opened


values = st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.none(), st.booleans())


@FEW
@given(name=values, camera=values, time=values, expires=values)
def test_enrolments(gallery: Gallery, name: Any, camera: Any, time: Any, expires: Any) -> None:
    """What is enrolled is found, exported and forgotten under the name it was given."""
    try:
        gallery.enroll(name, vectors=VECTOR, camera=camera, time=time, expires=expires)
    except PasserbyError:
        return
    assert name in [identity.name for identity in gallery.identities()] or gallery.describe(name)
    gallery.identify(VECTOR, camera=camera, threshold=0.5)
    gallery.forget(name)
    assert len(gallery) == 0


@FEW
@given(st.lists(st.lists(st.floats(width=32), min_size=DIM - 1, max_size=DIM + 1), max_size=3))
def test_vectors(gallery: Gallery, vectors: list[list[float]]) -> None:
    with suppress(PasserbyError):
        gallery.enroll("Ada", vectors=vectors)
        gallery.forget("Ada")


@FEW
@given(st.text(max_size=200))
def test_manifests_and_descriptions(tmp_path: Path, text: str) -> None:
    (tmp_path / "people.csv").write_text("path,pid\n" + text, "utf-8", errors="replace")
    (tmp_path / "model.toml").write_text(text, "utf-8", errors="replace")
    with suppress(PasserbyError):
        read_manifest(tmp_path / "people.csv", verify=False)
    with suppress(PasserbyError):
        read_description(tmp_path / "model.toml")


@FEW
@given(st.recursive(values, lambda inner: st.lists(inner, max_size=2), max_leaves=4))
def test_thresholds(value: Any) -> None:
    with suppress(PasserbyError):
        check_threshold(json.loads(json.dumps({"value": value})), "threshold.json")
