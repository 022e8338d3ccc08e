"""The network in a checkpoint is found by structure: whatever word, prefix or depth it lies under."""

from __future__ import annotations

import argparse
import math
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from passerby.config import ModelConfig
from passerby.errors import WeightsError
from passerby.models.model import ReIDModel, build_model
from passerby.models.weights.checkpoints import head_settings, load_weights, read_checkpoint


def tiny(seed: int = 0, **settings: Any) -> ReIDModel:
    torch.manual_seed(seed)
    return build_model(ModelConfig.model_validate({"backbone": "tiny:resnet18", "neck": "none", **settings}))


STATE = tiny(3).backbone.state_dict()
OTHER = tiny(4).backbone.state_dict()


def behind(prefix: str, state: dict[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def wrapped(wrapping: str) -> dict[str, Tensor]:
    return {name.replace("layer1.", f"layer1.{wrapping}."): tensor for name, tensor in STATE.items()}


def containing_itself() -> dict[str, Any]:
    content: dict[str, Any] = {"weights_of_the_net": STATE}
    content["all"] = content
    return content


OPTIMIZER = {
    "state": {i: {"exp_avg": t.clone(), "step": torch.tensor(1.0)} for i, t in enumerate(STATE.values())},
    "param_groups": [{"lr": 0.1, "params": list(range(len(STATE)))}],
}

LAYOUTS: dict[str, Any] = {
    "an unknown word": {"net_dict": STATE, "acc": 91.0, "epoch": 9},
    "EMA alone": {"state_dict_ema": STATE, "epoch": 9},
    "EMA beside the last weights": {"state_dict": OTHER, "state_dict_ema": STATE},
    "EMA beside the last weights, in one mapping": behind("model.", OTHER) | behind("ema.module."),
    "mean teacher": {"student": OTHER, "teacher": STATE},
    "MoCo": {"state_dict": behind("module.encoder_q.") | behind("module.encoder_k.", OTHER)},
    "MoCo v3": behind("module.base_encoder.") | behind("module.momentum_encoder.", OTHER),
    "two levels down": {"result": {"best": {"weights": STATE}}},
    "a list": [STATE],
    "a list of training states": {"states": [{"epoch": 1}, {"net": STATE}]},
    "beside an optimizer": {"model": STATE, "optimizer": OPTIMIZER},
    "optimizer first": {"optimizer": OPTIMIZER, "trained": STATE},
    "a loss with centres": {"reid": STATE, "center": {"centers": torch.zeros(700, 512)}},
    "Lightning in DataParallel": {"state_dict": behind("model.module.net."), "pytorch-lightning_version": "2"},
    "compiled": behind("_orig_mod."),
    "compiled below a prefix": behind("module.backbone._orig_mod."),
    "compiled inside": wrapped("_orig_mod"),
    "sharded inside": behind("module.", wrapped("_fsdp_wrapped_module")),
    "recomputed and compiled inside": wrapped("_checkpoint_wrapped_module._orig_mod"),
    "teacher's own prefix": behind("teacher.backbone."),
    "SWA": behind("module.") | {"n_averaged": torch.tensor(3)},
    "contains itself": containing_itself(),
    "numpy history": {"state_dict": STATE, "history": np.array([1.0, 2.0]), "names": np.array(["a", "b"])},
    "numpy arrays": {name: tensor.numpy() for name, tensor in STATE.items()},
    "numpy arrays beside records": {
        "net": {name: tensor.numpy().astype(tensor.numpy().dtype.newbyteorder(">")) for name, tensor in STATE.items()},
        "history": np.array([1.0, 2.0]),
    },
    "arguments and logs": {"m": STATE, "args": argparse.Namespace(lr=0.1, out=Path("x")), "log": defaultdict(list)},
    "classifier of another size": {"state_dict": STATE | {"classifier.weight": torch.zeros(3, 512)}},
    "the same weights twice": {"a": STATE, "b": STATE},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_network_is_found(layout: str, tmp_path: Path) -> None:
    torch.save(LAYOUTS[layout], tmp_path / "c.pth")
    model = tiny(7)
    load_weights(model, tmp_path / "c.pth")
    loaded = model.backbone.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in STATE.items())


def test_which_copy_was_taken_is_said(tmp_path: Path) -> None:
    torch.save(LAYOUTS["EMA beside the last weights"], tmp_path / "c.pth")
    report = load_weights(tiny(7), tmp_path / "c.pth")
    assert "state_dict_ema was taken, and not state_dict" in str(report)


@pytest.mark.parametrize("content", [{"first": STATE, "second": OTHER}, behind("net1.") | behind("net2.", OTHER)])
def test_two_networks_and_nothing_that_tells_them_apart(content: dict[str, Any], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(WeightsError, match=r"several networks.*(first, second|net1, net2)"):
        load_weights(tiny(7), tmp_path / "c.pth")


def test_a_network_saved_in_parts_is_put_together(tmp_path: Path) -> None:
    donor = tiny(3, neck="bnneck")
    donor.head.state_dict()["neck.weight"].fill_(7.0)
    torch.save({"backbone": donor.backbone.state_dict(), "heads": {"bnneck": donor.head.neck.state_dict()}},
               tmp_path / "c.pth")  # fmt: skip
    model = tiny(7, neck="bnneck")
    load_weights(model, tmp_path / "c.pth")
    assert torch.equal(model.head.state_dict()["neck.weight"], torch.full((donor.dim,), 7.0))


def test_arrays_beside_networks_are_no_tensors_of_theirs(tmp_path: Path) -> None:
    torch.save({"state_dict": STATE, "history": np.array([1.0, 2.0])}, tmp_path / "c.pth")
    assert set(read_checkpoint(tmp_path / "c.pth")) == set(STATE)


def test_a_file_without_a_network_says_what_it_holds(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "loss": 0.5}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="found none; the file holds the keys epoch, loss, and no named tensors"):
        read_checkpoint(tmp_path / "a.pth")
    torch.save({"decoder": {"up.weight": torch.zeros(3)}}, tmp_path / "b.pth")
    with pytest.raises(WeightsError, match=r"another model.*begins with up\.weight; it looks like none"):
        load_weights(tiny(), tmp_path / "b.pth")


def drawn(model: torch.nn.Module) -> Any:
    """Weights of which none is at its start value."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if tensor.dtype.is_floating_point:
            noise = torch.rand(tensor.shape, generator=generator)
            wide = tensor.ndim > 1
            tensor.copy_((noise - 0.5) * 2 / math.sqrt(tensor[0].numel()) if wide else noise + 0.5 * (name[-1] != "p"))
    return model.eval()


def embedding(model: torch.nn.Module) -> Tensor:
    images = torch.rand(4, 3, 32, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return torch.nn.functional.normalize(model.eval()(images).embedding)


FAST_REID = [("head.neck.", "heads.bottleneck.0."), ("pool.p", "heads.pool_layer.p")]
HEADS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "fast-reid": ({"neck": "bnneck", "pooling": "gem"}, FAST_REID),
    "fast-reid before 2021": ({"neck": "bnneck", "pooling": "gem"}, [("head.neck.", "heads.bnneck."), FAST_REID[1]]),
    "strong baseline": ({"neck": "bnneck"}, [("head.neck.", "bottleneck.")]),
    "torchreid fc512": ({"fc_dims": (24,), "fc_end": "norm_relu"}, [("head.fc.", "fc.")]),
    "mmtracking": (
        {"fc_dims": (40, 24), "neck": "bnneck"},
        [("head.fc.0.", "head.fcs.0.fc."), ("head.fc.1.", "head.fcs.0.bn."), ("head.fc.3.", "head.fc_out."),
         ("head.neck.", "head.bn.")],
    ),
    "layumi": (
        {"fc_dims": (24,), "neck": "bnneck"},
        [("head.fc.0.", "classifier.add_block.0."), ("head.neck.", "classifier.add_block.1.")],
    ),
}  # fmt: skip


def renamed(model: ReIDModel, names: list[tuple[str, str]], prefix: str = "") -> dict[str, Tensor]:
    state = OrderedDict()
    for name, tensor in model.state_dict().items():
        for ours, theirs in names:
            if name.startswith(ours):
                name = theirs + name.removeprefix(ours)
        state[prefix + name] = tensor.clone()
    dim = model.dim
    return state | {f"{prefix}classifier.classifier.0.weight": torch.randn(77, dim)}


@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod."])
@pytest.mark.parametrize("code", HEADS)
def test_a_trained_head_travels(code: str, prefix: str, tmp_path: Path) -> None:
    settings, names = HEADS[code]
    donor = drawn(tiny(**settings))
    torch.save({"model": renamed(donor, names, prefix)}, tmp_path / "c.pth")
    model = tiny(7, **settings)
    report = load_weights(model, tmp_path / "c.pth")
    torch.testing.assert_close(embedding(model), embedding(donor))
    assert [name for name in report.missing if "num_batches" not in name] == []
    assert report.unexpected == (f"{prefix}classifier.classifier.0.weight",)


@pytest.mark.parametrize(
    ("code", "settings", "message"),
    [
        (
            "strong baseline",
            {"fc_dims": (24,), "neck": "bnneck"},
            r"bottleneck\), while head.fc.0, head.neck would stay",
        ),
        (
            "torchreid fc512",
            {"fc_dims": (24,)},
            r"\(module\.fc\.1\).*model.fc_dims = \[24\], model.fc_end = \"norm_relu\"",
        ),
        ("fast-reid", {"neck": "bnneck"}, r"\(module\.heads\.pool_layer\).*model.pooling = \"gem\""),
        ("layumi", {"fc_dims": (16,), "neck": "bnneck"}, r"add_block\.0, .*the embedding would not be the file's"),
    ],
)
def test_a_trained_head_without_a_place_is_refused(
    code: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    made, names = HEADS[code]
    torch.save(renamed(drawn(tiny(**made)), names, "module."), tmp_path / "c.pth")
    model = tiny(7, **settings)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_weights(model, tmp_path / "c.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_backbone_may_start_a_training_with_a_head_of_its_own(tmp_path: Path) -> None:
    """ImageNet's classifier and a contrastive projection are no trained embedding of people."""
    dim = tiny().dim
    projection = {"fc.0.weight": torch.randn(dim, dim), "fc.2.weight": torch.randn(64, dim)}
    for name, more in {"imagenet": {"fc.weight": torch.zeros(1000, dim)}, "moco": projection}.items():
        torch.save(STATE | more, tmp_path / f"{name}.pth")
        report = load_weights(tiny(7, neck="bnneck"), tmp_path / f"{name}.pth")
        assert set(report.unexpected) == set(more)


DIM = tiny().dim
PLAIN = {"fc_dims": (), "fc_end": "linear", "neck": "none"}


def matrix(out: int, dim: int = DIM) -> Tensor:
    return torch.rand(out, dim, generator=torch.Generator().manual_seed(out)) - 0.5


def statistics(name: str, dim: int) -> dict[str, Tensor]:
    return {f"{name}.{k}": torch.rand(dim) + 0.5 for k in ("weight", "bias", "running_mean", "running_var")}


def scale(name: str, dim: int = DIM) -> dict[str, Tensor]:
    return {f"{name}.{k}": torch.rand(dim) + 0.5 for k in ("weight", "bias")}


@pytest.mark.parametrize("name", ["fc", "linear", "whiten", "pca", "mlp", "head", "last", "emb", "a.b.c", "embedding"])
@pytest.mark.parametrize(
    "reader", ["classifier.weight", "classifier.classifier.0.weight", "loss.arcface.weight", "x.weight"]
)
def test_what_the_classifier_reads_is_the_embedding(name: str, reader: str, tmp_path: Path) -> None:
    weight, bias = matrix(24), torch.rand(24)
    file = behind("base.") | {reader: matrix(751, 24), f"{name}.weight": weight, f"{name}.bias": bias}
    torch.save(file, tmp_path / "c.pth")
    assert head_settings("tiny:resnet18", tmp_path / "c.pth") == {**PLAIN, "fc_dims": (24,)}
    model = tiny(7, fc_dims=(24,))
    load_weights(model, tmp_path / "c.pth")
    assert torch.equal(model.state_dict()["head.fc.0.weight"], weight)
    assert torch.equal(model.state_dict()["head.fc.0.bias"], bias)
    with pytest.raises(WeightsError, match=r"finds no place in this model .*head\.neck would stay.*fc_dims = \[24\]"):
        load_weights(tiny(7, neck="bnneck"), tmp_path / "c.pth")


@pytest.mark.parametrize(
    "head",
    [
        {"fc.weight": matrix(1000)},
        {"classifier.weight": matrix(DIM), "classifier2.weight": matrix(751)},
        {"classifier.0.weight": matrix(24), "classifier.3.weight": matrix(751, 24)},
        {"neck.classifier.weight": matrix(751)},
    ],
)
def test_classifiers_are_no_head(head: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(STATE | head, tmp_path / "c.pth")
    assert head_settings("tiny:resnet18", tmp_path / "c.pth") == PLAIN


def test_a_classifier_of_as_many_people_as_numbers_stands_behind_the_neck(tmp_path: Path) -> None:
    torch.save(STATE | {"classifier.weight": matrix(DIM)} | statistics("neck", DIM), tmp_path / "c.pth")
    assert head_settings("tiny:resnet18", tmp_path / "c.pth") == {**PLAIN, "neck": "bnneck"}


def test_a_batch_norm_of_the_pooled_vector_travels(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"pooled_norm": True, "fc_dims": (24,), "neck": "bnneck"}
    donor = drawn(tiny(**settings))
    torch.save(
        renamed(donor, [("head.norm.", "bn0."), ("head.fc.0.", "fc."), ("head.neck.", "bn1.")]), tmp_path / "c.pth"
    )
    found = head_settings("tiny:resnet18", tmp_path / "c.pth")
    assert found == {**PLAIN, **settings}
    model = tiny(7, **found)
    load_weights(model, tmp_path / "c.pth")
    torch.testing.assert_close(embedding(model), embedding(donor))
    with pytest.raises(WeightsError, match=r"model\.pooled_norm = true"):
        load_weights(tiny(7, neck="bnneck"), tmp_path / "c.pth")


@pytest.mark.parametrize("name", ["neck", "norm", "ln", "head.norm", "bottleneck", "bn", "head.neck"])
def test_a_layer_norm_is_no_batch_norm(name: str, tmp_path: Path) -> None:
    torch.save(behind("base.") | scale(name), tmp_path / "c.pth")
    for read in (
        lambda path: load_weights(tiny(7, neck="bnneck"), path),
        lambda path: head_settings("tiny:resnet18", path),
    ):
        with pytest.raises(WeightsError, match=r"without running statistics|no running statistics") as found:
            read(tmp_path / "c.pth")
        assert "\n" not in str(found.value)


def test_a_layer_norm_behind_a_fully_connected_layer_is_refused(tmp_path: Path) -> None:
    torch.save(STATE | {"fc.weight": matrix(24)} | scale("ln", 24), tmp_path / "c.pth")
    with pytest.raises(WeightsError, match=r"\(fc, ln, a norm without running statistics\)"):
        head_settings("tiny:resnet18", tmp_path / "c.pth")


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1), (DIM,)])
@pytest.mark.parametrize("name", ["pool.p", "pool.power", "pooling.norm", "gap.exponent", "gem_p", "anything.p"])
def test_a_trained_exponent_is_used_whatever_it_is_called(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    torch.save(behind("base.") | {name: torch.full(shape, 6.0)}, tmp_path / "c.pth")
    assert head_settings("tiny:resnet18", tmp_path / "c.pth") == {**PLAIN, "pooling": "gem"}
    model = tiny(7, pooling="gem")
    load_weights(model, tmp_path / "c.pth")
    assert float(model.state_dict()["pool.p"]) == 6.0


@pytest.mark.parametrize(
    "pooling",
    [{"pool.p": torch.linspace(2, 5, DIM)}, {"pool.alpha": torch.rand(1)}, {"attnpool.q.weight": matrix(24)}],
)
def test_a_trained_pooling_of_another_kind_is_refused(pooling: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(behind("base.") | pooling, tmp_path / "c.pth")
    with pytest.raises(WeightsError, match="no setting of a model makes the trained head"):
        head_settings("tiny:resnet18", tmp_path / "c.pth")
    if "pool.p" in pooling:
        with pytest.raises(WeightsError, match="pool, a trained pooling of another kind"):
            load_weights(tiny(7, pooling="gem"), tmp_path / "c.pth")


def test_a_head_that_copies_of_a_backbone_share(tmp_path: Path) -> None:
    for other in ("", "base.", "student.base."):
        torch.save(behind(other, OTHER) | behind("ema.") | statistics("bottleneck", DIM), tmp_path / "c.pth")
        assert head_settings("tiny:resnet18", tmp_path / "c.pth") == {**PLAIN, "neck": "bnneck"}


def with_neck(prefix: str, state: dict[str, Tensor], neck: dict[str, Tensor]) -> dict[str, Tensor]:
    return behind(f"{prefix}base.", state) | behind(f"{prefix}bottleneck.", neck)


@pytest.mark.parametrize(("taken", "other"), [("teacher.", "student."), ("encoder_q.", "encoder_k."), ("ema.", "")])
def test_the_head_of_another_copy_stays_with_it(taken: str, other: str, tmp_path: Path) -> None:
    theirs, ours = (drawn(tiny(neck="bnneck")).head.neck.state_dict() for _ in range(2))
    theirs = {name: tensor + 1 for name, tensor in theirs.items()}
    part = {name: tensor for name, tensor in OTHER.items() if not name.startswith("layer3")}
    for state in (OTHER, part):
        torch.save(with_neck(other, state, theirs) | with_neck(taken, STATE, ours), tmp_path / "c.pth")
        assert head_settings("tiny:resnet18", tmp_path / "c.pth") == {**PLAIN, "neck": "bnneck"}
        model = tiny(7, neck="bnneck")
        load_weights(model, tmp_path / "c.pth")
        assert torch.equal(model.state_dict()["head.neck.weight"], ours["weight"])
        assert torch.equal(model.state_dict()["backbone.conv1.weight"], STATE["conv1.weight"])
