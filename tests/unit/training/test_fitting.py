"""What a recipe leaves to the data, and what no data can mend."""

from pathlib import Path
from typing import Any

import pytest

import passerby as pb
from passerby.config import Config, parse_config
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import ConfigError, UsageError, WeightsError
from passerby.training.checkpoint import differing_settings
from passerby.training.fitting import (
    EPOCHS_BY_IMAGES,
    check_fitting,
    check_full_size_steps,
    describe_split,
    epochs_for,
    fit_to_data,
)


def recipe(**groups: Any) -> Config:
    return parse_config({"name": "mine", **groups}, where="test")


def people(number: int, *, notes: tuple[str, ...] = ()) -> ReIDDataset:
    samples = tuple(Sample(Path(f"{p}-{i}.png"), p, -1) for p in range(1, number + 1) for i in range(4))
    return ReIDDataset("mine", samples, protocol="no_cameras", notes=notes)


@pytest.mark.parametrize(("number", "held"), [(751, 40), (200, 40), (60, 12), (10, 2), (9, 0), (3, 0)])
def test_a_fifth_is_held_out_40_at_most_and_said(number: int, held: int) -> None:
    given = recipe(data={"held_out_identities": "auto"})
    fitted = fit_to_data(given, people(number))
    assert fitted.data.held_out_identities == held
    training, validation = people(number).hold_out(held)
    assert len({s.pid for s in training.train}) == number - held
    words = describe_split(given, fitted, people(number))
    assert words.startswith(f"mine: {number - held} people to learn from, ")
    assert ("none held out" if not held else f"{held} held out") in words
    assert (not held) == (not validation.query)


def test_the_text_survives_a_file_and_numbers_stay_numbers() -> None:
    config = recipe(data={"name": "x.csv", "held_out_identities": "auto"}, schedule={"epochs": "auto"})
    assert 'epochs = "auto"' in config.to_toml()
    assert 'held_out_identities = "auto"' in config.to_toml()
    assert recipe(data={"held_out_identities": 7}).data.held_out_identities == 7
    with pytest.raises(ConfigError, match="greater than 0"):
        recipe(schedule={"epochs": 0})
    with pytest.raises(ConfigError, match="held_out_identities"):
        recipe(data={"held_out_identities": -1})


def test_fewer_images_take_more_epochs() -> None:
    assert [epochs_for(images) for images, _ in EPOCHS_BY_IMAGES] == [epochs for _, epochs in EPOCHS_BY_IMAGES]
    lengths = [epochs_for(images) for images in (10, 500, 700, 1_000, 2_000, 5_000, 10_000, 100_000)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == EPOCHS_BY_IMAGES[0][1]
    assert lengths[-1] == EPOCHS_BY_IMAGES[-1][1]


def test_epochs_of_a_fine_tuning_follow_the_images_that_are_learnt_from() -> None:
    config = recipe(data={"held_out_identities": 100}, schedule={"epochs": "auto"}, model={"weights": "weights.pth"})
    assert fit_to_data(config, people(600)).schedule.epochs == epochs_for(2_000)


def test_a_batch_has_no_more_people_than_there_are() -> None:
    config = recipe(schedule={"epochs": "auto"}, model={"weights": "weights.pth"})
    fitted = fit_to_data(config, people(5))
    assert fitted.sampler.identities == 5
    assert differing_settings(fitted.to_toml(), config, fitted=False) == []
    assert fit_to_data(recipe(), people(5)).sampler.identities == 16, "a recipe with a number is as it says"


def test_a_fine_tuning_of_nothing_and_no_epoch_at_full_size_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--model\.weights FILE"):
        check_fitting(recipe(schedule={"epochs": "auto"}))
    with pytest.raises(ConfigError, match="leaves none at full size"):
        check_fitting(recipe(schedule={"epochs": 2, "small_until": 0.8}))


def test_too_few_steps_at_full_size_are_refused() -> None:
    config = recipe(schedule={"epochs": 30, "small_until": 0.9})
    check_full_size_steps(config, 0, 3)
    check_full_size_steps(config, 2_000, 50)
    check_full_size_steps(config, 20, 5)
    with pytest.raises(ConfigError, match="24 steps at full size follow 216 at half the size; expected at least 50"):
        check_full_size_steps(config, 216, 24)


def test_a_run_of_0_1_with_small_images_says_why_it_does_not_go_on() -> None:
    """Its rate went on falling, and so its numbers would change in the middle."""
    old = recipe(schedule={"epochs": 30, "small_until": 0.3}).to_toml().replace("full_size_rate = 1.0\n", "")
    now = recipe(schedule={"epochs": 30, "small_until": 0.3})
    assert differing_settings(old, now) == ["schedule.full_size_rate: 0.0 -> 1.0"]
    assert differing_settings(old, recipe(schedule={"epochs": 30, "small_until": 0.3, "full_size_rate": 0})) == []
    without = recipe(schedule={"epochs": 30}).to_toml().replace("full_size_rate = 1.0\n", "")
    assert differing_settings(without, recipe(schedule={"epochs": 30})) == []


def test_numbers_that_were_fitted_are_compared_once_they_are_known() -> None:
    fitted = recipe(data={"name": "x.csv", "held_out_identities": 12, "arguments": {"test_share": 0.0}}).to_toml()
    again = recipe(data={"name": "x.csv", "held_out_identities": "auto"})
    assert differing_settings(fitted, again, fitted=False) == []
    other = recipe(data={"name": "x.csv", "held_out_identities": 13, "arguments": {"test_share": 0.0}})
    assert differing_settings(fitted, other) == ["data.held_out_identities: 12 -> 13"]
    halved = recipe(data={"name": "x.csv", "held_out_identities": 12}).to_toml()  # as 0.1 did
    assert differing_settings(halved, recipe(data={"name": "x.csv", "held_out_identities": 12,
                                                   "arguments": {"test_share": 0.0}})) == [
        "data.arguments.test_share: 0.5 -> 0.0"
    ]  # fmt: skip


def test_nothing_is_made_before_data_and_weights_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match="train on what"):
        pb.train(pb.load_recipe("strong_osnet"), out="run")
    with pytest.raises(WeightsError, match=r"absent\.pth: no such file"):
        pb.train(recipe(data={"name": "synthetic"}, model={"weights": "absent.pth"}), out="run")
    with pytest.raises(WeightsError, match=r"did you mean 'osnet_x0_25_msmt17'"):
        pb.train(recipe(data={"name": "synthetic"}, model={"weights": "hub:osnet_x0_25_msmt7"}), out="run")
    with pytest.raises(ConfigError, match=r"distillation\.vectors: absent\.parquet: no such file"):
        pb.train(recipe(data={"name": "synthetic"}, distillation={"vectors": "absent.parquet"}), out="run")
    assert list(tmp_path.iterdir()) == []
