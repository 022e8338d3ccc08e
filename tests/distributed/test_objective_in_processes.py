"""One process or many: the same loss, the same gradients, the same centres, for every loss."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.distributed.processes import run_in_processes
from tests.oracles.loss_formulas import VARIANTS, Variant
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from passerby.config import TermConfig
from passerby.distributed import gather, is_distributed, rank, world_size
from passerby.training.objective import Objective

LABELS = torch.tensor([0, 1, 2, 0, 3, 1, 0, 2, 4, 4, 1, 3])
NUM_IDS, DIM = 6, 4
SHARDED = {
    "softmax": "passerby.losses.sharded:ShardedSoftmaxLoss",
    "sphere_softmax": "passerby.losses.sharded:ShardedSphereSoftmaxLoss",
}


class Network(nn.Module):
    """A small network with both vectors; float64, the same weights everywhere."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(7)
            self.body = nn.Linear(5, DIM)
            self.neck = nn.Linear(DIM, DIM)
        self.double()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.body(images).tanh() * 2
        return feature, self.neck(feature)


def step(term: TermConfig, full_weight: Tensor | None = None) -> dict[str, Any]:
    """Two training steps on this process's share of one batch; what came out of the second one."""
    torch.manual_seed(100 + rank())  # losses drawn differently on purpose: the first process's must win
    objective = Objective({"term": term}, num_ids=NUM_IDS, dim=DIM).double()
    loss: Any = objective.terms["term"]
    if full_weight is not None:
        first = getattr(loss, "first_row", 0)
        loss.weight.data = full_weight[first : first + len(loss.weight)].clone()
    share = len(LABELS) // world_size()
    mine = slice(rank() * share, (rank() + 1) * share)
    images = torch.randn(len(LABELS), 5, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    network: nn.Module = DistributedDataParallel(Network()) if is_distributed() else Network()
    for _ in range(2):
        network.zero_grad()
        objective.zero_grad()
        feature, embedding = network(images[mine])
        # DistributedDataParallel wants every parameter in the graph
        values = objective(SimpleNamespace(feature=feature + 0 * embedding, embedding=embedding), LABELS[mine])
        values["total"].backward()
    module: Any = network.module if is_distributed() else network
    return {
        "values": values["term"],
        "total": values["total"].detach(),
        "network": [p.grad for p in module.parameters()],
        "loss": [p.grad for p in loss.parameters()],
        "state": [b.clone() for b in loss.buffers()] if full_weight is None else [],
    }


def term_of(variant: Variant) -> TermConfig:
    return TermConfig(loss=variant.name, weight=0.7, arguments=variant.arguments)


def weights() -> Tensor:
    return torch.randn(NUM_IDS, DIM, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def sharded_terms() -> dict[str, tuple[TermConfig, TermConfig]]:
    """Plain and sharded settings of the same loss."""
    arguments = {"softmax": {"label_smoothing": 0.1}, "sphere_softmax": {"scale": 9.0}}
    terms = {
        name: (
            TermConfig(loss=name, arguments=arguments[name]),
            TermConfig(loss=path, arguments={**arguments[name], "sample_rate": 1.0}),
        )
        for name, path in SHARDED.items()
    }
    plain, sharded = (TermConfig(loss=loss, arguments={"normalize": True}) for loss in ("softmax", SHARDED["softmax"]))
    return {**terms, "softmax of unit vectors": (plain, sharded)}


def all_steps() -> dict[str, Any]:
    """Everything the tests below look at, from one set of processes."""
    results: dict[str, Any] = {str(variant): step(term_of(variant)) for variant in VARIANTS}
    for name, (_, sharded) in sharded_terms().items():
        results[f"sharded {name}"] = step(sharded, full_weight=weights())
        sampled = sharded.model_copy(update={"arguments": {"sample_rate": 0.5}})
        results[f"sampled {name}"] = step(sampled, full_weight=weights())
    results["gather"] = [gather(torch.full((1, 2), rank())), gather(torch.tensor([rank()]))]
    return results


@pytest.fixture(scope="module", params=[1, 2, 4])
def ranks(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return run_in_processes(request.param, all_steps)


def close(ours: Any, expected: Any, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_losses_agree_with_one_process(ranks: list[dict[str, Any]]) -> None:
    for variant in VARIANTS:
        torch.manual_seed(100)
        expected = step(term_of(variant))
        for result in ranks:
            close(result[str(variant)], expected)


@pytest.mark.slow
def test_sharded_weights_agree_with_the_plain_loss(ranks: list[dict[str, Any]]) -> None:
    for name, (plain, _) in sharded_terms().items():
        expected = step(plain, full_weight=weights())
        for result in ranks:
            ours = result[f"sharded {name}"]
            close([ours["values"], ours["network"]], [expected["values"], expected["network"]])
        close(torch.cat([result[f"sharded {name}"]["loss"][0] for result in ranks]), expected["loss"][0])


@pytest.mark.slow
def test_sampling_keeps_the_identities_of_the_batch(ranks: list[dict[str, Any]]) -> None:
    """Identities 0 to 4 are in the batch, 5 is not: half of 6 rows is fewer than the 5 that must take part."""
    for name in SHARDED:
        gradient = torch.cat([result[f"sampled {name}"]["loss"][0] for result in ranks])
        assert (gradient[:5] != 0).any(dim=1).all()
        assert not gradient[5].any() or len(ranks) == 4  # alone in its share of 2 rows, it may be drawn
        for result in ranks:
            close(result[f"sampled {name}"]["values"], ranks[0][f"sampled {name}"]["values"])
            close(result[f"sampled {name}"]["network"], ranks[0][f"sampled {name}"]["network"])


@pytest.mark.slow
def test_gather_is_in_order_of_rank(ranks: list[dict[str, Any]]) -> None:
    for result in ranks:
        rows, numbers = result["gather"]
        assert numbers.tolist() == list(range(len(ranks)))
        assert rows.tolist() == [[r, r] for r in range(len(ranks))]
