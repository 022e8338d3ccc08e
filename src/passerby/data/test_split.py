"""Who of one's own people is in the test where the data do not say: nobody, or half of them where they are enough."""

from __future__ import annotations

from collections.abc import Sequence

from passerby.data.random_split import shuffled
from passerby.data.records import ReIDDataset, Sample
from passerby.errors import DataError

TEST_SHARE = 0.5
"""Share of the identities that become test identities by themselves, where there are `ENOUGH_TO_TEST`."""
ENOUGH_TO_TEST = 200
NO_SPLIT = "no split was given: "
"""How the note begins that says what became of people without parts."""
_DRAWN = NO_SPLIT + "{test} of {all} identities drawn as test identities (split {split})"
_ALL_TRAIN = (
    NO_SPLIT + "all {all} identities are to learn from, none to test on (test_share = 0.5 draws half of them; without "
    "it that happens from {enough} identities on)"
)


def draw_parts(samples: Sequence[Sample], split: int, test_share: float | None, notes: list[str]) -> list[str]:
    """The part of each sample, "train" or "test", by identity.

    Args:
        samples: images of all identities; what is nobody's (pid 0 and below) is "test".
        split: another number draws others.
        test_share: share of the identities that are drawn; None: `TEST_SHARE` where there are `ENOUGH_TO_TEST`, else 0.
        notes: gets a sentence on what was done.

    Raises:
        DataError: no share.
    """
    pids = sorted({s.pid for s in samples if s.pid > 0})
    if test_share is None:
        test_share = TEST_SHARE if len(pids) >= ENOUGH_TO_TEST else 0.0
    if not isinstance(test_share, (int, float)):
        raise DataError(f"test_share is {test_share!r}; expected float, as in test_share = {TEST_SHARE}")
    if not 0.0 <= test_share <= 1.0:
        raise DataError(f"test_share is {test_share}; expected a share between 0 and 1")
    test = set(shuffled(pids, "identities", split)[: round(test_share * len(pids))])
    text = _DRAWN if test else _ALL_TRAIN
    notes.append(text.format(test=len(test), all=len(pids), split=split, enough=ENOUGH_TO_TEST))
    return ["test" if s.pid in test or s.pid <= 0 else "train" for s in samples]


def drawn_share(data: ReIDDataset) -> float | None:
    """The `test_share` by which a dataset was divided, however it came to it; None where the data name their parts."""
    if not any(note.startswith(NO_SPLIT) for note in data.notes):
        return None
    learn = {s.pid for s in data.train}
    test = {s.pid for s in (*data.query, *data.gallery) if s.pid > 0}
    number = len(learn | test)
    usual = next((share for share in (0.0, TEST_SHARE) if round(share * number) == len(test)), None)
    return len(test) / number if usual is None else usual
