"""Galleries of milvus-lite do not outlive their test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _release_milvus_lite(tmp_path: Path) -> Iterator[None]:
    """Stop the servers of galleries in the test's own folder.

    The client leaves each running until the process ends: its threads and rows would add up over all tests.
    """
    yield
    milvus_lite = sys.modules.get("milvus_lite.server_manager")
    if milvus_lite is not None:
        for path in tmp_path.rglob("*.db"):
            milvus_lite.server_manager_instance.release_server(str(path))
