"""The weighted, named sum, and what it refuses before anything is trained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from passerby.config import TermConfig
from passerby.errors import ConfigError, MissingExtraError
from passerby.losses import LOSSES
from passerby.training.objective import Objective, check_terms

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
CIRCLE = "pytorch_metric_learning.losses:CircleLoss"


class SumOfSquares(nn.Module):
    """A loss of one's own, reached by its import path."""

    def __init__(self, power: float = 2.0) -> None:
        super().__init__()
        if power < 0:
            raise ValueError("power is negative")
        self.power = power

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (x.abs() ** self.power).sum()


OWN = f"{__name__}:SumOfSquares"


def output(seed: int = 0) -> SimpleNamespace:
    feature, embedding = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(seed))
    return SimpleNamespace(feature=feature.requires_grad_(), embedding=embedding.requires_grad_())


def test_total_is_the_weighted_sum_and_terms_are_unweighted() -> None:
    terms = {"lin": TermConfig(weight=0.4), "hard": TermConfig(loss="batch_hard_triplet", weight=2.0)}
    vectors = output()
    values = Objective(terms, num_ids=3, dim=4)(vectors, LABELS)
    assert list(values) == ["total", "lin", "hard"]
    lin, hard = LOSSES["lin"]()(vectors.embedding, LABELS), LOSSES["batch_hard_triplet"]()(vectors.feature, LABELS)
    torch.testing.assert_close([values["lin"], values["hard"]], [lin.detach(), hard.detach()])
    torch.testing.assert_close(values["total"], 0.4 * lin + 2.0 * hard)
    assert values["total"].requires_grad
    assert not values["lin"].requires_grad


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_table_is_a_term(name: str) -> None:
    objective = Objective({name: TermConfig()}, num_ids=3, dim=4)
    vectors = output()
    objective(vectors, LABELS)["total"].backward()
    table: Any = LOSSES
    read, other = ("embedding", "feature") if table[name].reads == "embedding" else ("feature", "embedding")
    assert getattr(vectors, read).grad is not None
    assert getattr(vectors, other).grad is None


def test_a_teacher_adds_a_term_that_reads_the_embedding() -> None:
    vectors, alone = output(), output()
    terms = {"hard": TermConfig(loss="batch_hard_triplet")}
    objective = Objective(terms, num_ids=3, dim=4, teacher_dim=3, teacher_weight=2.0)
    teacher = torch.randn(6, 3, generator=torch.Generator().manual_seed(9))
    values = objective(vectors, LABELS, teacher)
    assert tuple(values) == objective.names == ("total", "hard", "distillation")
    values["total"].backward()
    assert objective.distillation is not None
    (2.0 * objective.distillation(alone.embedding, teacher)).backward()
    torch.testing.assert_close(vectors.embedding.grad, alone.embedding.grad)
    assert any(p is objective.distillation.projection.weight for p in objective.whole_parameters())


def test_reads_can_be_chosen() -> None:
    vectors = output()
    Objective({"lin": TermConfig(reads="feature")}, num_ids=3, dim=4)(vectors, LABELS)["total"].backward()
    assert vectors.feature.grad is not None


def test_two_terms_of_one_loss() -> None:
    terms = {
        "soft": TermConfig(loss="batch_hard_triplet", arguments={"margin": None}),
        "batch_hard_triplet": TermConfig(),
    }
    values = Objective(terms, num_ids=3, dim=4)(output(), LABELS)
    assert values["soft"] != values["batch_hard_triplet"]


def test_weight_zero_switches_a_term_off_but_it_is_still_checked() -> None:
    objective = Objective({"lin": TermConfig(), "center": TermConfig(weight=0.0)}, num_ids=3, dim=4)
    assert not list(objective.parameters())
    assert list(objective(output(), LABELS)) == ["total", "lin"]
    with pytest.raises(ConfigError, match="radus"):
        Objective({"lin": TermConfig(weight=0.0, arguments={"radus": 1})}, num_ids=3, dim=4)


def test_no_term_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one term"):
        Objective({"lin": TermConfig(weight=0.0)}, num_ids=3, dim=4)


def test_losses_of_ones_own_and_of_pytorch_metric_learning() -> None:
    pytest.importorskip("pytorch_metric_learning")
    terms = {
        "mine": TermConfig(loss=OWN, arguments={"power": 1.0}),
        "circle": TermConfig(loss=CIRCLE, arguments={"m": 0.25}),
        "arcface": TermConfig(loss="pytorch_metric_learning.losses:ArcFaceLoss", arguments={"scale": 30}),
    }
    check_terms(terms)
    objective = Objective(terms, num_ids=3, dim=4)
    assert objective.reads == {"mine": "feature", "circle": "feature", "arcface": "embedding"}
    assert objective.terms["arcface"].W.shape == (4, 3)
    vectors = output()
    assert objective(vectors, LABELS)["mine"] == vectors.feature.abs().sum()


def test_half_precision_vectors_are_measured_in_single() -> None:
    vectors = output()
    vectors = SimpleNamespace(feature=vectors.feature.bfloat16(), embedding=vectors.embedding.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = Objective({"softmax": TermConfig(), "lin": TermConfig()}, num_ids=3, dim=4)(vectors, LABELS)
    assert {value.dtype for value in values.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "term", "says"),
    [
        ("batch_hard_tripet", {}, "objective.batch_hard_tripet: unknown loss .* did you mean 'batch_hard_triplet'"),
        ("metric", {"loss": "lim"}, "objective.metric: .* did you mean 'lin'"),
        ("lin", {"arguments": {"radus": 1}}, "objective.lin.arguments: .* did you mean 'radius'"),
        ("lin", {"arguments": {"form": "papers"}}, "objective.lin.arguments: .* did you mean 'paper'"),
        ("circle", {"loss": CIRCLE[:-1]}, "did you mean 'CircleLoss'"),
        ("circle", {"loss": CIRCLE, "arguments": {"gama": 1}}, "did you mean 'gamma'"),
        ("mine", {"loss": OWN, "arguments": {"power": -1.0}}, "refuses .* power is negative"),
        ("mine", {"loss": "no_such_module:Loss"}, "cannot import 'no_such_module'"),
        ("mine", {"loss": f"{__name__}:LABELS"}, "unknown loss of"),
        ("rll", {"loss": "pytorch_metric_learning.losses:RankedListLoss"}, "margin, Tn must be given"),
        ("a.b", {"loss": "lin"}, "cannot be called 'a.b'"),
        ("keys", {"loss": "lin"}, "cannot be called 'keys'"),
        ("total", {"loss": "lin"}, "cannot be called 'total'"),
    ],
)
def test_terms_that_cannot_be_built_are_refused(name: str, term: dict[str, object], says: str) -> None:
    terms = {name: TermConfig.model_validate(term)}
    with pytest.raises(ConfigError, match=says):
        check_terms(terms)
    with pytest.raises(ConfigError, match=says):
        Objective(terms, num_ids=3, dim=4)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="pytorch_metric_learning")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(MissingExtraError, match=r"passerby\[metric-learning\]"):
        check_terms({"circle": TermConfig(loss=CIRCLE)})


def test_checking_draws_no_random_number() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    check_terms({"softmax": TermConfig(), "center": TermConfig()})
    assert torch.equal(torch.rand(1), expected)
