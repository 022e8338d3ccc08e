"""Trainings that would fail or learn nothing for want of images in a batch, or of pixels in an image."""

import logging
from pathlib import Path

import pytest

import passerby as pb
from passerby.config import Config, SamplerConfig, parse_config
from passerby.data.records import ReIDDataset, Sample
from passerby.data.synthetic.dataset import draw_dataset
from passerby.errors import ConfigError
from passerby.images.cache import ImageStore
from passerby.training.batch_requirements import warn_of_copies, warn_of_idle_terms


def settings(objective: str, **sampler: object) -> Config:
    content = {
        "input": {"height": 32, "width": 16},
        "augment": {"erasing": 0.0},
        "sampler": sampler,
        "model": {"backbone": "tiny:osnet_x0_25"},
        "objective": {objective: {}},
        "schedule": {"epochs": 1, "warmup_epochs": 0},
        "run": {"threads": 1},
    }
    return parse_config(content, where="test")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReIDDataset:
    root = draw_dataset(
        tmp_path_factory.mktemp("people"), identities=10, train_identities=8, cameras=2, images_per_camera=2
    )
    return pb.load_dataset("synthetic", root)


@pytest.fixture
def no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("an image was read")

    monkeypatch.setattr(ImageStore, "__init__", read)


@pytest.mark.usefixtures("no_images")
def test_a_batch_of_one_image_is_refused_before_any_is_read(data: ReIDDataset, tmp_path: Path) -> None:
    config = settings("softmax", kind="shuffled", identities=1, images=1)
    with pytest.raises(ConfigError, match=r"batch of 1 image .*batch norm needs at least two") as found:
        pb.train(config, data, out=tmp_path / "run")
    assert "\n" not in str(found.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_images")
def test_what_the_network_cannot_be_trained_on_is_refused_before_any_image_is_read(
    data: ReIDDataset, tmp_path: Path
) -> None:
    content = settings("batch_hard_triplet", identities=2, images=2).model_dump(exclude={"objective"})
    content |= {"objective": {"batch_hard_triplet": {}}, "input": {"height": 16, "width": 8}}
    with pytest.raises(ConfigError, match=r"images of 16x8 .*cannot be trained on them .*too small") as found:
        pb.train(parse_config(content, where="test"), data, out=tmp_path / "run")
    assert "\n" not in str(found.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_images")
@pytest.mark.parametrize(("identities", "images"), [(8, 1), (1, 8)])
def test_a_metric_loss_without_a_pair_is_refused_before_any_is_read(
    data: ReIDDataset, tmp_path: Path, identities: int, images: int
) -> None:
    with pytest.raises(ConfigError, match=r"objective\.batch_hard_triplet: .*at least 2"):
        pb.train(settings("batch_hard_triplet", identities=identities, images=images), data, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_picture_a_person_in_shuffled_batches_is_noticed_after_the_first_epoch(
    data: ReIDDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first: dict[int, Sample] = {}
    for sample in data.train:
        first.setdefault(sample.pid, sample)
    single = ReIDDataset("single", tuple(first.values()), data.query, data.gallery, data.protocol)
    with caplog.at_level(logging.WARNING, "passerby"):
        pb.train(settings("batch_hard_triplet", kind="shuffled", identities=4, images=1), single, out=tmp_path / "run")
    warnings = [
        r.getMessage() for r in caplog.records if "objective.batch_hard_triplet was exactly 0" in r.getMessage()
    ]
    assert len(warnings) == 1
    assert "epoch 1" in warnings[0]


def test_copies_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "passerby"):
        warn_of_copies([0, 1, 1, 2, 3, 3, 3], SamplerConfig(images=4))
    assert "2 of 4 identities have one training image" in caplog.text
    caplog.clear()
    warn_of_copies([0, 0, 1, 1], SamplerConfig(images=4))
    warn_of_copies([0, 1, 2], SamplerConfig(images=1))
    warn_of_copies([0, 1, 2], SamplerConfig(kind="shuffled"))
    assert not caplog.records


def test_terms_that_learn_are_not_named(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_idle_terms({"total": 0.0, "lin": 0.1}, SamplerConfig(), epoch=0)
    assert not caplog.records
