"""Vectors and thumbnails from every form of input, and answers as text."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.contracts.galleries import DIM, TinyEncoder, picture

from passerby.errors import GalleryError, GalleryRequestError, ImageError
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import THUMBNAIL_BYTES, looks_like_vectors, mean_vector, thumbnail, unit_vectors
from passerby.gallery.times import show_time, to_seconds
from passerby.images.decode import decode_image


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "people.gallery", TinyEncoder()) as opened:
        yield opened


def as_bytes(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_every_form_of_an_image_gives_the_same_vector(gallery: Gallery, tmp_path: Path) -> None:
    image = picture(1)
    path = tmp_path / "a.png"
    path.write_bytes(as_bytes(image))
    forms = {
        "path": path,
        "text": str(path),
        "bytes": as_bytes(image),
        "array": image,
        "PIL image": Image.fromarray(image),
        "opened file": Image.open(path),
        "list of PIL images": [Image.fromarray(image)],
        "tensor": torch.from_numpy(image).permute(2, 0, 1),
        "batch": torch.from_numpy(image).permute(2, 0, 1)[None],
        "list of tensors": [torch.from_numpy(image).permute(2, 0, 1)],
    }
    for name, form in forms.items():
        (observation,) = gallery.enroll(name, form)
        assert np.array_equal(gallery.vectors([observation]), TinyEncoder().encode([image])), name
        assert gallery.identify(form).matches[0].distance == 0


def test_a_pil_image_is_read_like_its_file(gallery: Gallery, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # held on its side
    Image.fromarray(picture(1)).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(picture(1)[..., 0]).save(tmp_path / "grey.png")
    for name in ("turned.jpg", "grey.png"):
        gallery.enroll(name, tmp_path / name)
        assert gallery.identify([Image.open(tmp_path / name)], threshold=1e-6).identity == name
    (observation,) = gallery.enroll("x", Image.open(tmp_path / "turned.jpg"))
    shown = gallery.thumbnail(observation)
    assert shown is not None
    assert decode_image(shown).shape == (16, 32, 3)
    whole = (tmp_path / "turned.jpg").read_bytes()
    with pytest.raises(ImageError, match="image 0: not a readable image"):
        gallery.identify(Image.open(io.BytesIO(whole[:-20])))


def test_every_form_of_a_vector_gives_the_same_vector(gallery: Gallery) -> None:
    vector = TinyEncoder().encode([picture(1)])[0]
    forms = [vector, vector[None], vector.tolist(), torch.from_numpy(vector), [torch.from_numpy(vector)], 7.5 * vector]
    for number, form in enumerate(forms):
        (observation,) = gallery.enroll(number, vectors=form)
        assert np.allclose(gallery.vectors([observation])[0], vector, atol=1e-7)
        assert looks_like_vectors(form)
        assert gallery.identify(form).matches[0].distance == pytest.approx(0, abs=1e-6)


def test_several_images_may_come_from_several_cameras(gallery: Gallery) -> None:
    gallery.enroll("Ada", [picture(1), picture(2)], camera=["door", 3], time=["2026-05-01", 12.5])
    assert [(o.camera, o.time) for o in gallery.observations("Ada")] == [("door", 1777593600.0), ("3", 12.5)]
    assert gallery.describe("Ada").cameras == ("3", "door")


def test_a_broken_image_stops_the_whole_call(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        gallery.enroll("Ada", [picture(1), tmp_path / "broken.jpg"])
    with pytest.raises(ImageError, match="no such image"):
        gallery.identify(tmp_path / "missing.jpg")
    assert len(gallery) == 0
    assert gallery.history() == []


@pytest.mark.parametrize(
    "bad",
    [[], 17, None, object(), [picture(1)[..., 0]], np.zeros((4, 4, 4), np.uint8), [None]],
    ids=["nothing", "number", "none", "object", "grey", "four channels", "none in a list"],
)
def test_what_is_no_image_is_refused(gallery: Gallery, bad: object) -> None:
    with pytest.raises(GalleryError):
        gallery.identify(bad)


@pytest.mark.parametrize("shape", [(256, 128), (2000, 40), (40, 2000), (3, 3), (1, 1), (1200, 900)])
def test_thumbnails_are_small_and_look_like_the_picture(shape: tuple[int, int]) -> None:
    noise = picture(1, *shape)
    data = thumbnail(noise)
    assert len(data) <= THUMBNAIL_BYTES
    small = decode_image(data)
    assert small.shape[0] <= 128
    assert small.shape[1] <= 96
    plain = np.full((*shape, 3), (200, 100, 50), np.uint8)
    assert np.abs(decode_image(thumbnail(plain)).astype(int) - (200, 100, 50)).max() <= 6


def test_thumbnails_can_be_left_out(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "p.gallery", TinyEncoder(), thumbnails=False) as gallery:
        (observation,) = gallery.enroll("Ada", picture(1))
        assert gallery.thumbnail(observation) is None


def test_unit_vectors_keep_unit_vectors_to_the_last_bit() -> None:
    rows = np.random.default_rng(0).standard_normal((50, DIM))
    once = unit_vectors(rows, None)
    assert np.array_equal(unit_vectors(once, DIM), once)
    assert np.allclose(np.linalg.norm(once.astype(np.float64), axis=1), 1, atol=1e-6)


def test_a_tracklet_that_cancels_out_is_refused() -> None:
    row = np.eye(4, dtype=np.float32)[:1]
    with pytest.raises(GalleryError, match="cancel out"):
        mean_vector(np.concatenate([row, -row]))


def test_an_encoder_without_threshold_gives_candidates_and_the_gallerys_own_goes_first(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "p.gallery", TinyEncoder(threshold=None)) as gallery:
        gallery.enroll("Ada", picture(1))
        assert gallery.identify(picture(1)).known is None
        assert gallery.identify(picture(1), threshold=0.1).known is True
    with Gallery.open(tmp_path / "p.gallery", TinyEncoder(threshold=0.3)) as gallery:
        assert gallery.threshold == 0.3
        assert gallery.identify(picture(1)).identity == "Ada"
        gallery.set_threshold(0.0)
        assert gallery.identify(picture(1)).known is False
        gallery.set_threshold(None)
        assert gallery.threshold == 0.3


def test_answers_as_text(gallery: Gallery) -> None:
    gallery.enroll("Ada", picture(1), camera="door", time="2026-05-01T12:00:00+00:00")
    known = gallery.identify(picture(1), camera="hall")
    assert str(known).splitlines() == [
        "known: Ada (distance 0.0000 < threshold 0.3000)",
        "rank  identity  distance  camera      time",
        "   1  Ada         0.0000  door        2026-05-01 12:00:00Z",
        "1 observations compared",
    ]
    assert str(gallery.identify(picture(2))).startswith("unknown: the nearest is at ")
    assert "1 left out" in str(gallery.identify(picture(1), camera="door"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (5, 5.0),
        (np.float32(2.5), 2.5),
        ("1970-01-02", 86400.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        (dt.date(1970, 1, 2), 86400.0),
        (dt.datetime(1970, 1, 1, 0, 0, 7, tzinfo=dt.UTC), 7.0),
    ],
)
def test_moments_become_seconds(value: object, seconds: float) -> None:
    assert to_seconds(value, what="time") == seconds  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), "soon", dt.datetime(2026, 1, 1), [1]])
def test_other_moments_are_refused(value: object) -> None:
    with pytest.raises(GalleryError, match="time"):
        to_seconds(value, what="time")  # type: ignore[arg-type]


def test_times_are_shown_as_dates_where_they_are() -> None:
    assert show_time(None) == show_time(float("nan")) == "-"
    assert show_time(12.5) == "12.5"
    assert show_time(1777636800.0) == "2026-05-01 12:00:00Z"


def test_a_tracklet_is_enrolled_as_one_observation(gallery: Gallery) -> None:
    frames = [picture(i) for i in range(3)]
    ids = gallery.enroll("ann", frames, camera="door", time=5.0, tracklet=True)
    assert len(ids) == gallery.observation_count == 1
    found = gallery.identify(frames)
    assert found.matches[0].distance == pytest.approx(0, abs=1e-3)
    gallery.enroll("bob", frames)
    assert gallery.observation_count == 4


def test_many_images_are_enrolled_and_identified_by_one_camera_for_all(gallery: Gallery) -> None:
    ids = gallery.enroll_many(["Ada", "Bob"], images=[picture(1), picture(2)], cameras="door", times=5.0)
    assert [(o.identity, o.camera, o.time) for o in gallery.observations()] == [("Ada", "door", 5), ("Bob", "door", 5)]
    assert all(gallery.thumbnail(observation) is not None for observation in ids)
    for cameras in ("hall", ["hall", "hall"], None):
        found = gallery.identify_many([picture(1), picture(2)], cameras=cameras)
        assert [answer.identity for answer in found] == ["Ada", "Bob"]
    assert [len(answer) for answer in gallery.identify_many([picture(1), picture(2)], cameras="door")] == [0, 0]
    rows = gallery.vectors(ids)
    assert [answer.identity for answer in gallery.identify_many(vectors=rows)] == ["Ada", "Bob"]


def test_one_of_images_and_vectors(gallery: Gallery) -> None:
    row = np.ones((1, DIM))
    for wrong in (
        lambda: gallery.enroll_many(["Ada"]),
        lambda: gallery.enroll_many(["Ada"], row, images=[picture(1)]),
        lambda: gallery.identify_many(),
        lambda: gallery.identify_many(row, vectors=row),
    ):
        with pytest.raises(GalleryError, match="one of the two"):
            wrong()
    with pytest.raises(GalleryError, match="2 identities for 1 vectors"):
        gallery.enroll_many(["Ada", "Bob"], images=[picture(1)])


def test_the_old_name_of_enroll_many_s_names_still_works(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        with pytest.warns(DeprecationWarning, match="called `names`"):
            gallery.enroll_many(identities=["Ada", "Bob"], vectors=np.eye(2, 8))
        assert [person.name for person in gallery.identities()] == ["Ada", "Bob"]
        with pytest.raises(GalleryRequestError, match="a name for each observation"):
            gallery.enroll_many(vectors=np.eye(2, 8))
        with pytest.raises(GalleryRequestError, match="`identities` is the old name of `names`"):
            gallery.enroll_many(["Ada", "Bob"], np.eye(2, 8), identities=["Ada", "Bob"])


def test_enroll_takes_a_name_and_its_old_name_still_works(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll(name="Ada", vectors=np.eye(1, 8))
        with pytest.warns(DeprecationWarning, match="called `name`") as warned:
            gallery.enroll(identity="Bob", vectors=np.eye(1, 8, 1))
        assert warned[0].filename == __file__
        assert [person.name for person in gallery.identities()] == ["Ada", "Bob"]
        with pytest.raises(GalleryRequestError, match="`identity` is the old name of `name`"):
            gallery.enroll("Ada", vectors=np.eye(1, 8), identity="Bob")
        with pytest.raises(GalleryRequestError, match="identity: expected a name"):
            gallery.enroll(vectors=np.eye(1, 8))
