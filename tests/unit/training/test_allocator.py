"""Memory that a training frees stays with the process while it lasts, and goes back afterwards."""

import json
import platform
import subprocess
import sys

import pytest

from passerby.training.allocator import freed_memory_kept

MIB = 2**20
PROGRAM = """
import json
from pathlib import Path
import numpy as np
from passerby.training.allocator import freed_memory_kept

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def use():
    np.ones(2**23)  # 64 MiB, and free again

sizes = {"start": resident()}
use()
sizes["before"] = resident()
with freed_memory_kept() as kept:
    use()
    sizes["inside"] = resident()
sizes["after"] = resident()
use()
sizes["again"] = resident()
print(json.dumps({"kept": kept, **{name: size - sizes["start"] for name, size in sizes.items()}}))
"""


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps or returns memory its own way")
def test_freed_memory_is_kept_and_returned_at_the_end(plain_environment: pytest.MonkeyPatch) -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    sizes = json.loads(run.stdout)
    assert sizes["kept"]
    assert sizes["before"] < 16 * MIB
    assert sizes["inside"] >= 56 * MIB
    assert sizes["after"] < 16 * MIB
    assert sizes["again"] < 16 * MIB


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_thresholds_of_the_environment_stay(plain_environment: pytest.MonkeyPatch, name: str) -> None:
    plain_environment.setenv(name, "1048576")
    with freed_memory_kept() as kept:
        assert not kept


def test_another_c_library_is_left_alone(plain_environment: pytest.MonkeyPatch) -> None:
    plain_environment.setattr(platform, "libc_ver", lambda: ("", ""))
    with freed_memory_kept() as kept:
        assert not kept
