"""How an exchange between processes says that another one is gone."""

import pytest
from torch._C._distributed_c10d import HashStore

from passerby.distributed import _one_speaks
from passerby.errors import TrainingError


@pytest.mark.parametrize(
    "words",
    [
        "Application timeout caused pair closure",
        "[../third_party/gloo/gloo/transport/tcp/pair.cc:537] Connection closed by peer [127.0.0.1]:30216",
        "Timed out waiting 30000ms for send operation to complete",
        "Socket closed [127.0.0.1]:30216",
    ],
)
def test_every_way_in_which_an_exchange_ends_is_one_error(words: str) -> None:
    """Gloo names itself in some exchanges (of gradients) and not in others (of a module's buffers)."""
    with (
        pytest.raises(TrainingError, match="another process was lost: it was killed, or gave no sign of life"),
        _one_speaks(HashStore(), 0, 2),
    ):
        raise RuntimeError(words)


def test_another_error_is_not_taken_for_a_lost_process() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), _one_speaks(HashStore(), 0, 2):
        raise RuntimeError("shapes differ")
