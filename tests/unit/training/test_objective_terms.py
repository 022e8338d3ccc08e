"""What cannot learn or cannot be built is refused before any image is read; objects by import path are built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from passerby.config import SamplerConfig, TermConfig, parse_config
from passerby.errors import ConfigError
from passerby.losses import LOSSES
from passerby.training.objective import Objective
from passerby.training.objective_terms import build_term, check_name, check_terms, reads_of

PML = "pytorch_metric_learning"
NEED_PAIRS = {name for name, loss in LOSSES.items() if vars(loss).get("needs_pairs")}
ALONE = {"softmax", "sphere_softmax", "center", "center_invariant"}
LABELS = torch.arange(4).repeat_interleave(2)


def points() -> torch.Tensor:
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


class AlwaysZero(nn.Module):
    """Of somebody else, and silent where there is no pair."""

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        same = (labels[:, None] == labels[None, :]).fill_diagonal_(False)
        return (torch.cdist(x, x) * same).sum()


class Fussy(nn.Module):
    """Of somebody else, and refuses with errors of no particular kind, of several lines."""

    def __init__(self, where: str = "nowhere", around: Any = None) -> None:
        super().__init__()
        self.where = where
        if where == "constructor":
            raise Exception("this\n  does not fit")
        if where == "silent":
            raise ArithmeticError

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.where == "batch":
            raise Exception("this\n  does not fit")
        return x.square().sum()


def test_every_loss_says_whether_it_needs_pairs() -> None:
    assert LOSSES.keys() - ALONE == NEED_PAIRS


@pytest.mark.parametrize("name", sorted(NEED_PAIRS))
@pytest.mark.parametrize(("identities", "images"), [(8, 1), (1, 8)])
def test_metric_losses_without_a_pair_are_refused(name: str, identities: int, images: int) -> None:
    sampler = SamplerConfig(identities=identities, images=images)
    with pytest.raises(ConfigError, match=rf"objective\.{name}: .*sampler\.images = {images}.*at least 2"):
        check_terms({name: TermConfig()}, sampler)
    check_terms({name: TermConfig()}, SamplerConfig(identities=2, images=2))
    check_terms({name: TermConfig(weight=0.0), "softmax": TermConfig()}, sampler)
    check_terms({name: TermConfig()}, SamplerConfig(kind="shuffled", identities=identities, images=images))


@pytest.mark.parametrize("name", sorted(ALONE))
def test_the_others_take_any_batch(name: str) -> None:
    for identities, images in ((8, 1), (1, 8)):
        check_terms({name: TermConfig()}, SamplerConfig(identities=identities, images=images))


def test_a_foreign_loss_that_is_zero_without_a_pair_is_refused() -> None:
    terms = {"mine": TermConfig(loss=f"{__name__}:AlwaysZero")}
    check_terms(terms, SamplerConfig(identities=2, images=2))
    with pytest.raises(ConfigError, match=r"objective\.mine: .*does not hold both"):
        check_terms(terms, SamplerConfig(identities=8, images=1))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"where": "constructor"}, "arguments: .*:Fussy refuses .*: this does not fit$"),
        ({"where": "silent"}, "arguments: .*:Fussy refuses .*: ArithmeticError$"),
        ({"where": "batch"}, ": .*:Fussy fails on a batch of 4 x 4 images: this does not fit"),
        (
            {"where": "constructor", "around": {"class": "torch.nn:Sequential"}},
            "arguments: .* refuses .*Sequential.*: this does",
        ),
    ],
)
def test_whatever_a_foreign_loss_raises_is_said_in_one_line(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=rf"^objective\.mine.?{says}") as found:
        check_terms({"mine": TermConfig(loss=f"{__name__}:Fussy", arguments=arguments)})
    assert "\n" not in str(found.value)
    assert isinstance(found.value.__cause__, Exception)


@pytest.mark.parametrize("text", ["raise RuntimeError('no such device')", "import torch.nothing", "def f(:"])
def test_a_module_that_cannot_be_imported_is_said_in_one_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_loss.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"^objective\.mine: cannot import 'broken_loss' \(.+\); check") as found:
        check_terms({"mine": TermConfig(loss="broken_loss:Loss")})
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("loss", "arguments", "says"),
    [
        ("softmax", {"num_ids": 3}, "num_ids = 3, and there are 4 identities; leave it out"),
        ("center", {"dim": 7}, "dim = 7, and the vectors have length 6; leave it out"),
        ("softmax", {"num_ids": "4"}, "num_ids must be a whole number of at least 1, found '4'"),
        ("triplet", {"squared": "false", "normalize": "false"}, "squared must be true or false, found 'false'"),
    ],
)
def test_sizes_and_flags_of_a_recipe_are_checked(loss: str, arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=rf"^objective\.mine\.arguments: {says}$"):
        Objective({"mine": TermConfig(loss=loss, arguments=arguments)}, num_ids=4, dim=6)


def test_sizes_that_fit_may_be_given() -> None:
    term = TermConfig(loss="softmax", arguments={"num_ids": 40, "dim": 512})
    check_terms({"mine": term})
    assert Objective({"mine": term}, num_ids=30, dim=512).terms["mine"].weight.shape == (40, 512)


@pytest.mark.parametrize("weight", [-1.0, -0.001, float("nan"), float("inf")])
def test_a_weight_is_a_finite_number_of_at_least_zero(weight: float) -> None:
    with pytest.raises(ConfigError, match=r"^r: objective\.lin\.weight: Input should be"):
        parse_config({"objective": {"lin": {"weight": weight}}}, where="r")


@pytest.fixture
def pml() -> None:
    pytest.importorskip(PML)


@pytest.mark.usefixtures("pml")
def test_a_distance_by_its_name_is_refused_with_the_argument() -> None:
    term = TermConfig(loss=f"{PML}.losses:TripletMarginLoss", arguments={"margin": 0.1, "distance": "CosineSimilarity"})
    with pytest.raises(ConfigError, match=r"objective\.triplet: .*distance = 'CosineSimilarity'.*import path") as found:
        check_terms({"triplet": term})
    assert "\n" not in str(found.value)


@pytest.mark.usefixtures("pml")
def test_objects_by_import_path() -> None:
    from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.reducers import ThresholdReducer

    arguments = {
        "distance": f"{PML}.distances:CosineSimilarity",
        "reducer": {"class": f"{PML}.reducers:ThresholdReducer", "low": 0.01},
    }
    term = TermConfig(loss=f"{PML}.losses:TripletMarginLoss", arguments=arguments)
    check_terms({"triplet": term})
    loss = build_term("triplet", term, num_ids=4, dim=6)
    assert isinstance(loss.distance, CosineSimilarity)
    assert isinstance(loss.reducer, ThresholdReducer)
    expected = TripletMarginLoss(distance=CosineSimilarity(), reducer=ThresholdReducer(low=0.01))
    torch.testing.assert_close(loss(points(), LABELS), expected(points(), LABELS))
    term = TermConfig(
        loss=f"{PML}.losses:TripletMarginLoss", arguments={"distance": {"class": f"{PML}.distances:LpDistance", "p": 1}}
    )
    built = build_term("triplet", term, num_ids=4, dim=6).distance
    assert isinstance(built, LpDistance)
    assert built.p == 1


@pytest.mark.usefixtures("pml")
def test_a_miner_chooses_the_pairs() -> None:
    from pytorch_metric_learning.losses import MultiSimilarityLoss
    from pytorch_metric_learning.miners import MultiSimilarityMiner

    term = TermConfig(
        loss=f"{PML}.losses:MultiSimilarityLoss",
        arguments={"alpha": 3, "miner": {"class": f"{PML}.miners:MultiSimilarityMiner", "epsilon": 0.2}},
    )
    check_terms({"ms": term})
    assert reads_of("ms", term) == "feature"
    loss, x = build_term("ms", term, num_ids=4, dim=6), points()
    chosen = MultiSimilarityMiner(epsilon=0.2)(x, LABELS)
    torch.testing.assert_close(loss(x, LABELS), MultiSimilarityLoss(alpha=3)(x, LABELS, chosen))


@pytest.mark.usefixtures("pml")
def test_a_memory_of_earlier_batches() -> None:
    term = TermConfig(
        loss=f"{PML}.losses:CrossBatchMemory",
        arguments={
            "loss": {"class": f"{PML}.losses:ContrastiveLoss", "distance": f"{PML}.distances:CosineSimilarity",
                     "pos_margin": 1, "neg_margin": 0},
            "memory_size": 32,
            "miner": f"{PML}.miners:PairMarginMiner",
        },
    )  # fmt: skip
    check_terms({"xbm": term}, SamplerConfig(identities=4, images=4))
    loss = build_term("xbm", term, num_ids=4, dim=6)
    assert loss.embedding_memory.shape == (32, 6)
    loss(points(), LABELS)
    assert loss.queue_idx == 8
    with pytest.raises(ConfigError, match=r"objective\.xbm: .*fails on a batch of 16 x 4"):
        check_terms({"xbm": term}, SamplerConfig(identities=16, images=4))  # longer than the memory


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"distance": f"{PML}.distances:CosineSimilarty"}, "arguments.distance: .* did you mean 'CosineSimilarity'"),
        (
            {"distance": {"class": f"{PML}.distances:LpDistance", "pp": 1}},
            "arguments.distance: .*unknown argument 'pp'",
        ),
        ({"distance": "no_such_module:Distance"}, "arguments.distance: cannot import 'no_such_module'"),
    ],
)
@pytest.mark.usefixtures("pml")
def test_faults_name_the_argument(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_terms({"t": TermConfig(loss=f"{PML}.losses:TripletMarginLoss", arguments=arguments)})


@pytest.mark.usefixtures("pml")
def test_a_loss_by_its_name_where_an_object_is_needed() -> None:
    term = TermConfig(loss=f"{PML}.losses:CrossBatchMemory", arguments={"loss": "TripletMarginLoss"})
    with pytest.raises(ConfigError, match=r"^objective\.x\.arguments: .* refuses .*: .*not supported for str$"):
        check_terms({"x": term})


@pytest.mark.usefixtures("pml")
def test_our_losses_take_no_miner() -> None:
    term = TermConfig(arguments={"miner": f"{PML}.miners:TripletMarginMiner"})
    with pytest.raises(ConfigError, match=r"objective\.lin\.arguments: lin takes no pairs from a miner"):
        check_terms({"lin": term})


@pytest.mark.parametrize("name", ["total", "", "a.b", "softmax@1", "forward"])
def test_names_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be called"):
        check_name(name)
