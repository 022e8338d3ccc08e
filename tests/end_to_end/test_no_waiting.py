"""Between two looks at the losses, nothing in the training loop asks the device for a value.

On an accelerator every such question waits until all the work before it is done. On a CPU nothing waits, but the
operations that would can be counted.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import passerby
from passerby.config import TermConfig, parse_config
from passerby.data.synthetic.dataset import draw_dataset
from passerby.losses import LOSSES
from passerby.training.epoch_losses import EpochLosses
from passerby.training.objective import Objective
from passerby.training.trainer import train

_ATEN = torch.ops.aten
_PACKAGE = os.path.dirname(passerby.__file__) + os.sep
# Their result's value or shape must be known before the program can go on
_ASKS = {
    _ATEN._local_scalar_dense, _ATEN.nonzero, _ATEN.masked_select, _ATEN._unique2, _ATEN.unique_dim,
    _ATEN.unique_consecutive, _ATEN.equal, _ATEN.is_nonzero, _ATEN.bincount,
}  # fmt: skip
_INDEXES = {_ATEN.index, _ATEN.index_put, _ATEN.index_put_, _ATEN._index_put_impl_}
# Losses that ask, and must: their work depends on how many positives, identities or ties there are
ASKING = {"triplet", "improved_triplet", "thresholded_triplet", "quadruplet", "support_neighbor", "center", "range"}


def who_asked(stack: Iterable[traceback.FrameSummary]) -> traceback.FrameSummary | None:
    """The innermost line of the package itself."""
    own = [frame for frame in stack if frame.filename.startswith(_PACKAGE)]
    return own[-1] if own else None


def test_only_the_package_asks_whatever_its_checkout_is_called() -> None:
    checkout = "/clones/passerby/"
    own = traceback.FrameSummary(f"{_PACKAGE}losses/anything.py", 1, "check_ids")
    others = [
        traceback.FrameSummary(f"{checkout}tests/end_to_end/test_no_waiting.py", 2, "__torch_dispatch__"),
        traceback.FrameSummary(f"{checkout}.venv/lib/python3.12/site-packages/torch/_tensor.py", 3, "item"),
    ]
    assert who_asked([*others, own, *others]) is own
    assert who_asked(others) is None


class Questions(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not type it
    """Counts operations that need a value from the device, by the line that asked."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked: Counter[str] = Counter()

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        packet = operation.overloadpacket
        masks = packet in _INDEXES and any(i is not None and i.dtype == torch.bool for i in arguments[1])
        if packet in _ASKS or masks:
            asker = who_asked(traceback.extract_stack())
            if asker is None or asker.name != "check_ids":  # on an accelerator it does not ask
                self.asked[str(packet) if asker is None else f"{packet} {asker.filename}:{asker.lineno}"] += 1
        return operation(*arguments, **(keywords or {}))


@pytest.mark.parametrize("name", LOSSES)
def test_which_losses_ask(name: str) -> None:
    torch.manual_seed(0)
    objective = Objective({name: TermConfig()}, num_ids=4, dim=8)
    feature, embedding = torch.randn(2, 16, 8).requires_grad_()

    class Vectors:
        pass

    output: Any = Vectors()
    output.feature, output.embedding = feature, embedding
    with Questions() as questions:
        objective(output, torch.arange(16) // 4)["total"].backward()
    assert bool(questions.asked) == (name in ASKING), questions.asked


@contextmanager
def counting_between_steps(monkeypatch: pytest.MonkeyPatch, steps: int) -> Iterator[Questions]:
    """Counts from the end of the first step's `record` to the last one's."""
    questions, record = Questions(), EpochLosses.record
    mode: Any = questions

    def counted(self: EpochLosses, terms: dict[str, torch.Tensor]) -> None:
        self._check_every = 20  # as on an accelerator
        record(self, terms)
        if self.steps == 1:
            mode.__enter__()
        if self.steps == steps:
            mode.__exit__(None, None, None)

    monkeypatch.setattr(EpochLosses, "record", counted)
    yield questions


@pytest.mark.slow
@pytest.mark.parametrize("micro_batch", [0, 8])
def test_the_loop_does_not_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, micro_batch: int) -> None:
    root = draw_dataset(tmp_path / "people", identities=20, train_identities=16, cameras=2, images_per_camera=2)
    content = {
        "data": {"name": "synthetic", "root": str(root)},
        "input": {"height": 32, "width": 16},
        "sampler": {"identities": 4},
        "model": {"backbone": "tiny:resnet18", "fc_dims": [16], "dropout": 0.1},
        "objective": {"softmax": {}, "batch_hard_triplet": {}, "lin": {}},
        "optimizer": {"ema_decay": 0.9, "clip_norm": 1.0},
        "schedule": {"epochs": 1, "warmup_epochs": 0, "milestones": []},
        "run": {"threads": 1, "device": "cpu", "micro_batch": micro_batch},
    }
    with counting_between_steps(monkeypatch, steps=4) as questions:
        run = train(parse_config(content, where="test"), out=tmp_path / "run")
    assert len(run.metrics) == 1
    assert not questions.asked
