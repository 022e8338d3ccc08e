import pytest
import torch

from passerby.errors import TrainingError
from passerby.training.epoch_losses import EpochLosses

CPU = torch.device("cpu")


def row(total: float, lin: float) -> dict[str, torch.Tensor]:
    return {"total": torch.tensor(total), "lin": torch.tensor(lin)}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_names_the_term_the_epoch_and_the_step(bad: float) -> None:
    seen = EpochLosses(("total", "lin"), 5, CPU, epoch=2, start=1)
    seen.record(row(1.0, 0.5))
    with pytest.raises(TrainingError, match=r"'lin'.*epoch 3, step 3.*checkpoint is kept"):
        seen.record(row(bad, bad))


def test_late_checks_find_the_first_bad_step() -> None:
    seen = EpochLosses(("total", "lin"), 5, CPU, epoch=0)
    seen._check_every = 100
    for value in (1.0, float("nan"), float("nan")):
        seen.record(row(value, value))
    with pytest.raises(TrainingError, match="epoch 1, step 2"):
        seen.check()


def test_means_survive_an_interruption() -> None:
    whole = EpochLosses(("total", "lin"), 4, CPU, epoch=0)
    for i in range(4):
        whole.record(row(i, 2.0 * i))
    first = EpochLosses(("total", "lin"), 4, CPU, epoch=0)
    for i in range(2):
        first.record(row(i, 2.0 * i))
    second = EpochLosses(("total", "lin"), 4, CPU, epoch=0, start=2)
    second.load_state_dict(first.state_dict())
    for i in range(2, 4):
        second.record(row(i, 2.0 * i))
    assert second.means() == whole.means() == {"total": 1.5, "lin": 3.0}
