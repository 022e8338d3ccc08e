"""One thread for everybody: tiny tensors gain nothing from more, and lose much where cores are shared."""

import os
import shutil
import tempfile
from pathlib import Path

# before torch, OpenBLAS and numba are imported; processes that tests start inherit it
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# where a test asks for more threads, those that wait leave the processor to others
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# what one test finds out about an engine must not decide another, nor reach the user's cache
os.environ["PASSERBY_CACHE"] = tempfile.mkdtemp(prefix="passerby-test-cache-")

import pytest  # noqa: E402  (the environment comes first)
from hypothesis import HealthCheck, settings  # noqa: E402

# no test depends on how loaded the machine is
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

CACHE = os.environ["PASSERBY_CACHE"]
HERE = Path(__file__).parent
LONG = ("distributed", "end_to_end", "contracts", "oracles")
"""Folders of the files that take longest, in this order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: of two processes that share the files, none is left with a long one at the end."""

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""
        return LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=place)


def pytest_unconfigure() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)
