"""A checkpoint that holds code is refused, in words that do not advise to run it."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from passerby.errors import WeightsError
from passerby.models.weights.checkpoints import read_checkpoint


class Code:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_code_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    path, trace = tmp_path / "x.pth", tmp_path / "it-ran"
    if form == "torch":
        torch.save({"state_dict": Code(trace)}, path)
    else:
        path.write_bytes(pickle.dumps({"state_dict": Code(trace)}))
    with pytest.raises(WeightsError, match=r"x\.pth: not a checkpoint of plain tensors") as error:
        read_checkpoint(path)
    assert "weights_only" not in str(error.value)
    assert not trace.exists()
