"""What every loss of the table promises, whatever its formula."""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.oracles.loss_formulas import VARIANTS, Variant
from torch import Tensor, nn

from passerby.errors import ConfigError, EmbeddingError
from passerby.losses import LOSSES
from passerby.losses.docs_page import BY_PATH

LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4])
SIGNATURES: dict[str, tuple[str, dict[str, Any]]] = {
    "softmax": ("SoftmaxLoss", {"label_smoothing": 0.0, "bias": False, "normalize": False}),
    "sphere_softmax": ("SphereSoftmaxLoss", {"scale": 14.0}),
    "verification": ("VerificationLoss", {"negatives_per_positive": 1}),
    "contrastive": ("ContrastiveLoss", {"margin": 1.0, "form": "overview", "normalize": True}),
    "triplet": ("TripletLoss", {"margin": 0.3, "squared": False}),
    "improved_triplet": ("ImprovedTripletLoss", {"margin": 0.3}),
    "thresholded_triplet": ("ThresholdedTripletLoss", {"tau1": -1.0, "tau2": 0.01, "beta": 0.002}),
    "batch_hard_triplet": ("BatchHardTripletLoss", {"margin": 0.3}),
    "quadruplet": ("QuadrupletLoss", {"alpha": 1.0, "beta": 0.5, "mining": "hard"}),
    "msml": ("MarginSampleMiningLoss", {"margin": 0.3}),
    "hap2s": ("HAP2SLoss", {"weighting": "exponential", "sigma": 0.5, "alpha": 10.0, "margin": 0.3}),
    "adaptive_weighted_triplet": ("AdaptiveWeightedTripletLoss", {"margin": None}),
    "ranked_list": ("RankedListLoss", {"alpha": 1.2, "margin": 0.4, "temperature": 10.0}),
    "lin": ("LinLoss", {"radius": 0.7, "temperature": 1.0, "form": "paper"}),
    "support_neighbor": ("SupportNeighborLoss", {"neighbors": 10, "sigma": 50.0, "weight": 0.1, "squeeze": "gap_all"}),
    "center": ("CenterLoss", {"alpha": 0.5, "form": "half_mean"}),
    "center_invariant": ("CenterInvariantLoss", {"center_weight": 1.0, "weight": 1.0}),
    "range": ("RangeLoss", {"k": 2, "margin": 1.0, "alpha": 1.0, "beta": 1.0}),
}
READS_EMBEDDING = {"softmax", "sphere_softmax", "ranked_list", "lin"}
OF_IDENTITIES = {"softmax": "weight", "sphere_softmax": "weight", "center": "centers", "center_invariant": "centers"}
ALWAYS_UNIT_VECTORS = {"sphere_softmax", "ranked_list", "lin", "support_neighbor"}
OWN = [*LOSSES.values(), *BY_PATH]
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
each_name = pytest.mark.parametrize("name", LOSSES)


def points(rows: int = len(LABELS), seed: int = 0) -> Tensor:
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slope(loss: nn.Module, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient; both must be finite."""
    x = x.detach().requires_grad_()
    value = loss(x, labels)
    assert value.shape == ()
    (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
    assert value.isfinite()
    assert gradient.isfinite().all()
    for own in torch.autograd.grad(value, list(loss.parameters())) if any(True for _ in loss.parameters()) else ():
        assert own.isfinite().all()
    return value.detach(), gradient


def test_the_table_keeps_the_contract() -> None:
    assert SIGNATURES.keys() <= LOSSES.keys()


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name: str) -> None:
    class_name, defaults = SIGNATURES[name]
    assert LOSSES[name].__name__ == class_name
    parameters = inspect.signature(LOSSES[name]).parameters
    required = [key for key, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    assert required == {"verification": ["dim"]}.get(name, ["num_ids", "dim"] if name in OF_IDENTITIES else [])
    optional = [key for key in parameters if key not in required]
    assert optional[: len(defaults)] == list(defaults)
    assert {key: parameters[key].default for key in defaults} == defaults
    loss: Any = LOSSES[name]
    assert loss.reads == ("embedding" if name in READS_EMBEDDING else "feature")


@each_name
def test_docstring_says_it_all(name: str) -> None:
    text = inspect.getdoc(LOSSES[name]) or ""
    for part in ("Shape:", "Source:", "Degenerate:", "Args:"):
        assert part in text, f"{name}: {part} is missing"
    for parameter in inspect.signature(LOSSES[name]).parameters:
        assert f"{parameter}:" in text, f"{name}: argument {parameter} is not described"


@pytest.mark.parametrize(("name", "attribute"), OF_IDENTITIES.items())
def test_rows_of_identities_are_shown(name: str, attribute: str) -> None:
    assert getattr(LOSSES[name](num_ids=7, dim=3), attribute).shape == (7, 3)


@each_variant
def test_degenerate_batches(variant: Variant) -> None:
    loss = variant.build().eval()
    batches = {
        "one identity": torch.zeros(11, dtype=torch.int64),
        "two identities": torch.arange(11) % 2,
        "one image each": torch.arange(11) % 8 if variant.name in OF_IDENTITIES else torch.arange(11),
        "ragged": LABELS,
    }
    twins = points()[[0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 2]]
    for labels in batches.values():
        for x in (points(), twins, torch.ones(11, 4), torch.zeros(11, 4), 1e4 + points(), 100 * points()):
            for dtype in (torch.float64, torch.float32):
                slope(loss, x.to(dtype), labels)
    for rows in (0, 1, 2):
        slope(loss, points(rows), LABELS[:rows])


@each_variant
def test_identical_images_are_not_torn_apart(variant: Variant) -> None:
    """At a collapsed batch every difference is 0, so pair losses have gradient 0."""
    if variant.name not in OF_IDENTITIES and variant.name != "verification":
        _, gradient = slope(variant.build(), torch.full((11, 4), 0.37), LABELS)
        assert gradient.abs().max() < 1e-6


@each_variant
def test_empty_batch_reaches_every_parameter(variant: Variant) -> None:
    loss = variant.build()
    x = torch.zeros(0, 4, requires_grad=True)
    loss(x, LABELS[:0]).backward()
    assert all(p.grad is not None and not p.grad.any() for p in (x, *loss.parameters()))


@each_variant
def test_without_a_pair_the_loss_is_zero(variant: Variant) -> None:
    if variant.name not in OF_IDENTITIES:
        value, gradient = slope(variant.build(), points(1), LABELS[:1])
        assert value == 0
        assert not gradient.any()


@each_variant
def test_half_precision_is_measured_in_single(variant: Variant) -> None:
    loss = variant.build().float().eval()
    x = points().bfloat16()
    exact = loss(x.float(), LABELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, gradient = slope(loss, x, LABELS)
        inside = loss(x.float(), LABELS)
    assert value.dtype == inside.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(value, exact.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(inside, exact, rtol=1e-5, atol=1e-5)


@each_variant
def test_single_is_close_to_double(variant: Variant) -> None:
    """Also far from the origin, where |a|^2 + |b|^2 - 2ab alone would have no digits left."""
    loss = variant.build().eval()
    shift = 0 if variant.name in {*OF_IDENTITIES, "ranked_list", "lin", "support_neighbor"} else 300
    x = (points() + shift).float()
    single, double = slope(copy.deepcopy(loss).float(), x, LABELS), slope(loss, x.double(), LABELS)
    for ours, exact in zip(single, double, strict=True):
        torch.testing.assert_close(ours.double(), exact, rtol=2e-3, atol=2e-3)


@each_variant
def test_order_names_and_orientation_do_not_matter(variant: Variant) -> None:
    loss = variant.build().eval()
    x, generator = points(), torch.Generator().manual_seed(1)
    order, names = torch.randperm(11, generator=generator), torch.randperm(8, generator=generator)
    expected, gradient = slope(loss, x, LABELS)
    value, permuted = slope(loss, x[order], LABELS[order])
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(permuted, gradient[order], rtol=1e-9, atol=1e-9)
    if not any(True for _ in (*loss.parameters(), *loss.buffers())):
        rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
        value, rotated = slope(loss, x @ rotation, names[LABELS])
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(rotated, gradient @ rotation, rtol=1e-8, atol=1e-8)


@each_variant
def test_state_is_in_the_state_dict(variant: Variant) -> None:
    first, second = variant.build(), copy.deepcopy(variant.build())
    first(points(seed=1), LABELS)
    for tensor in (*second.parameters(), *second.buffers()):
        tensor.data.zero_()
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first(points(), LABELS), second(points(), LABELS), rtol=0, atol=0)


@each_name
@pytest.mark.parametrize(
    ("x", "labels", "says"),
    [
        (torch.zeros(3), LABELS[:3], r"\[B, D\]"),
        (torch.zeros(3, 4, dtype=torch.int64), LABELS[:3], "floating-point"),
        (torch.zeros(3, 4), LABELS[:2], "one label a vector"),
        (torch.zeros(3, 4), torch.zeros(3), "labels are integers"),
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.bool), "labels are integers"),
    ],
)
def test_wrong_input_is_refused(name: str, x: Tensor, labels: Tensor, says: str) -> None:
    with pytest.raises(EmbeddingError, match=says):
        Variant(name).build()(x, labels)


@each_name
@pytest.mark.parametrize(
    ("x", "labels", "says"),
    [
        (np.zeros((3, 4), np.float32), LABELS[:3], r"its vectors as a torch tensor, found numpy\.ndarray; use torch"),
        ([[0.0, 1.0], [1.0, 0.0]], LABELS[:2], "its vectors as a torch tensor, found list"),
        (torch.zeros(3, 4), np.zeros(3, np.int64), r"its labels as a torch tensor, found numpy\.ndarray"),
        (torch.zeros(3, 4), [0, 0, 1], "its labels as a torch tensor, found list"),
    ],
)
def test_what_is_no_tensor_is_refused(name: str, x: Any, labels: Any, says: str) -> None:
    with pytest.raises(EmbeddingError, match=says):
        Variant(name).build()(x, labels)


@pytest.mark.parametrize("name", [name for name in LOSSES if "dim" in inspect.signature(LOSSES[name]).parameters])
def test_vectors_of_another_length_are_refused(name: str) -> None:
    with pytest.raises(EmbeddingError, match=r"made for vectors \[B, 4\], found \[2, 5\]; make it with dim=5"):
        Variant(name).build()(torch.zeros(2, 5), LABELS[:2])


@pytest.mark.parametrize("name", OF_IDENTITIES)
@pytest.mark.parametrize("label", [-1, 8])
def test_a_label_without_a_row_is_refused(name: str, label: int) -> None:
    with pytest.raises(EmbeddingError, match=r"lie in 0\.\.7"):
        Variant(name).build()(points(2), torch.tensor([0, label]))


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("lin", {"form": "papper"}, "did you mean 'paper'"),
        ("contrastive", {"form": "deep"}, "deepid"),
        ("hap2s", {"weighting": "exp"}, "exponential"),
        ("hap2s", {"sigma": 0.0}, "sigma must be a finite number above 0"),
        ("quadruplet", {"mining": "soft"}, "hard"),
        ("support_neighbor", {"squeeze": "gaps"}, "gap"),
        ("support_neighbor", {"neighbors": 0}, "neighbors"),
        ("ranked_list", {"combine": "add"}, "convex"),
        ("range", {"k": 0}, "k must be"),
        ("verification", {"negatives_per_positive": 0, "dim": 4}, "negatives_per_positive"),
    ],
)
def test_wrong_arguments_are_refused(name: str, arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        LOSSES[name](**arguments)


def _numbers(name: str) -> list[str]:
    """Arguments of a loss that are numbers and have a default."""
    parameters = inspect.signature(LOSSES[name], eval_str=True).parameters.values()
    return [p.name for p in parameters if p.default is not p.empty and p.annotation in (float, float | None)]


@pytest.mark.parametrize(("name", "argument"), [(name, argument) for name in LOSSES for argument in _numbers(name)])
@pytest.mark.parametrize("value", [math.nan, math.inf, "soft", [0.3]])
def test_what_is_no_finite_number_is_refused(name: str, argument: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"{argument} must be a .*number.*, found"):
        Variant(name, {argument: value}).build()


def _arguments(*kinds: Any) -> list[Any]:
    """Every argument of such a type, of every own loss."""
    return [
        pytest.param(loss, parameter.name, id=f"{loss.__name__}-{parameter.name}")
        for loss in OWN
        for parameter in inspect.signature(loss, eval_str=True).parameters.values()
        if parameter.annotation in kinds
    ]


def _construct(loss: type[nn.Module], **arguments: Any) -> nn.Module:
    owned = {"num_ids": 8, "dim": 4}
    return loss(**{key: value for key, value in owned.items() if key in inspect.signature(loss).parameters} | arguments)


def test_every_argument_is_of_a_type_that_is_checked_here() -> None:
    checked = _arguments(bool, int, float, float | None, str)
    assert len(checked) == sum(len(inspect.signature(loss).parameters) for loss in OWN)


@pytest.mark.parametrize(("loss", "argument"), _arguments(bool))
@pytest.mark.parametrize("value", ["false", "true", "no", 0, 1, None])
def test_what_is_no_flag_is_refused(loss: type[nn.Module], argument: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{argument} must be true or false, found {value!r}$"):
        _construct(loss, **{argument: value})


@pytest.mark.parametrize(("loss", "argument"), _arguments(int))
@pytest.mark.parametrize("value", [2.5, 2.0, "2", True, None, -1])
def test_what_is_no_whole_number_is_refused(loss: type[nn.Module], argument: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{argument} must be a whole number of at least [01], found {value!r}$"):
        _construct(loss, **{argument: value})
    _construct(loss, **{argument: np.int64(3)})


@pytest.mark.parametrize(("loss", "argument"), [each for each in _arguments(int) if each.values[1] != "seed"])
def test_a_size_of_zero_is_refused(loss: type[nn.Module], argument: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{argument} must be a whole number of at least 1, found 0$"):
        _construct(loss, **{argument: 0})


@pytest.mark.parametrize(("loss", "argument"), _arguments(str))
def test_what_is_no_known_choice_is_refused(loss: type[nn.Module], argument: str) -> None:
    with pytest.raises(ConfigError, match=f"^unknown {argument} 'none of them'.*known are "):
        _construct(loss, **{argument: "none of them"})


@pytest.mark.parametrize("loss", OWN)
def test_every_loss_takes_unit_vectors(loss: type[nn.Module]) -> None:
    normalizes = _construct(loss, normalize=True).double().eval()
    torch.testing.assert_close(normalizes(points(), LABELS), normalizes(3 * points(), LABELS))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_unit_vectors_takes_no_others(name: str) -> None:
    if name not in ALWAYS_UNIT_VECTORS:
        _construct(LOSSES[name], normalize=False)
        return
    with pytest.raises(
        ConfigError, match=r"^normalize must be true, found False: this loss is defined on unit vectors"
    ):
        _construct(LOSSES[name], normalize=False)


@pytest.mark.parametrize("loss", [loss for loss in OWN if "label_smoothing" in inspect.signature(loss).parameters])
@pytest.mark.parametrize(("value", "says"), [(1.0, "below 1, found 1.0"), (-0.1, "of at least 0.0, found -0.1")])
def test_smoothing_is_a_share_below_one(loss: type[nn.Module], value: float, says: str) -> None:
    with pytest.raises(ConfigError, match=f"^label_smoothing must be .*{says}"):
        _construct(loss, label_smoothing=value)


@pytest.mark.parametrize("margin", [2.0, 2.5])
def test_a_contrastive_margin_that_no_unit_vectors_reach_is_refused(margin: float) -> None:
    with pytest.raises(ConfigError, match=rf"^margin must be below 2 with normalize=True .*, found {margin}$"):
        LOSSES["contrastive"](margin=margin)
    LOSSES["contrastive"](margin=margin, normalize=False)


def test_centers_move_by_the_papers_rule() -> None:
    loss: Any = Variant("center").build()
    old, x = loss.centers.clone(), points()
    expected = Variant("center").formula(x, LABELS, loss)
    assert loss(x, LABELS).item() == pytest.approx(expected)
    for j in range(8):
        mine = [x[i] for i in range(11) if LABELS[i] == j]
        step = sum((old[j] - point for point in mine), torch.zeros(4, dtype=torch.float64)) / (1 + len(mine))
        torch.testing.assert_close(loss.centers[j], old[j] - 0.5 * step)
    moved = loss.centers.clone()
    loss.eval()(x, LABELS)
    assert torch.equal(loss.centers, moved)
    assert not list(loss.parameters())
