"""Galleries of milvus-lite do not outlive their test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _stop_milvus_lite(tmp_path: Path) -> Iterator[None]:
    """Stop the servers of galleries in the test's own folder.

    milvus-lite keeps each until the process ends, with its threads and its rows, and only then writes these to a folder
    that nobody reads any more.
    """
    yield
    module = sys.modules.get("milvus_lite.server_manager")
    if module is None:
        return
    servers = module.server_manager_instance._servers
    for path in [path for path in servers if Path(path).is_relative_to(tmp_path)]:
        server, database, _ = servers.pop(path)
        server.stop(grace=None).wait()
        database._release_lock()
