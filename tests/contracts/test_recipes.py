"""Every recipe is complete, can be built, and survives its own TOML."""

import tomllib

import pytest
import torch

from passerby.config import ModelConfig, load_recipe, parse_config, recipe_names
from passerby.data.sampling.sampler import make_sampler
from passerby.errors import ConfigError
from passerby.models.model import BACKBONES, build_model
from passerby.training.objective import Objective, check_terms
from passerby.training.optim import learning_rate_factor

RECIPES = recipe_names()


def test_the_papers_are_there() -> None:
    papers = {
        "softmax_baseline", "triplet_baseline", "strong_baseline", "msml", "support_neighbor", "hap2s_exponential",
        "hap2s_polynomial", "lin", "sphere_reid", "ghis", "center", "center_invariant", "range", "verification",
    }  # fmt: skip
    assert papers <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_complete(name: str) -> None:
    config = load_recipe(name)
    assert config.name == name
    assert config.description
    assert config.model.backbone.removeprefix("tiny:") in BACKBONES
    assert parse_config(tomllib.loads(str(config)), where=name) == config


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_trains_a_step(name: str) -> None:
    config = load_recipe(name)
    check_terms(config.objective)
    tiny: ModelConfig = config.model.model_copy(
        update={"backbone": f"tiny:{config.model.backbone.removeprefix('tiny:')}"}
    )
    model = build_model(tiny)
    objective = Objective(config.objective, num_ids=40, dim=model.widths)
    labels = [pid for pid in range(40) for _ in range(4)]
    sampler = make_sampler(config.sampler, labels, [i % 2 for i in range(160)], seed=0)
    assert sampler.epoch_batches(0).shape[1] == config.sampler.batch_size
    chosen = torch.tensor(labels)[torch.from_numpy(sampler.epoch_batches(0)[0][:16])]
    torch.manual_seed(0)
    terms = objective(model(torch.rand(16, 3, 32, 16)), chosen)
    terms["total"].backward()
    assert torch.isfinite(terms["total"])
    assert set(terms) == {"total", *config.objective}


@pytest.mark.parametrize("name", RECIPES)
def test_the_rate_never_exceeds_the_base_and_ends_lower(name: str) -> None:
    schedule = load_recipe(name).schedule
    schedule = schedule.model_copy(update={"epochs": schedule.epochs or 20})  # "auto" is 0
    factors = [learning_rate_factor(schedule, epoch) for epoch in range(schedule.epochs)]
    assert max(factors) == pytest.approx(1.0)
    assert 0 < factors[-1] < 1


def test_unknown_keys_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'optimizer\.lr'"):
        parse_config({"optimizer": {"lrr": 1}}, where="x.toml")
    with pytest.raises(ConfigError, match="did you mean 'lin'"):
        load_recipe("linn")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe("nowhere.toml")
    with pytest.raises(ConfigError, match="total"):
        parse_config({"objective": {"total": {}}}, where="x.toml")
