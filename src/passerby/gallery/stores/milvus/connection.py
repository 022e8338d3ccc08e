"""The connection to a Milvus server or to milvus-lite, and its errors as those of a gallery."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from passerby.errors import GalleryError, MissingExtraError, StorageError

MAX_LIMIT = 16_384
"""Milvus' bound on the results of one search, and on `ef` for most versions."""
ROWS_AT_ONCE = 1_000
"""Rows of one request that writes, or ids of one that reads."""


class Connection:
    """A client and the names of a gallery's two collections; arguments and errors are those of `MilvusStore`."""

    def __init__(self, location: str, *, read_only: bool) -> None:
        self.location = _without_password(location)
        self.read_only = read_only
        self.embedded = not location.startswith("milvus://")
        self.client, self.observations_name = _connect(location, read_only=read_only)
        self.records_name = f"{self.observations_name}_records"
        self._lock = threading.RLock()

    @contextmanager
    def use(self) -> Iterator[None]:
        """One thread at a time; failures of Milvus are StorageErrors."""
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        with self._lock:
            try:
                yield
            except (MilvusException, RpcError) as error:
                raise StorageError(f"{self.location}: Milvus failed or cannot be reached ({error})") from error

    def query(self, collection: str, condition: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """All rows that match, however many."""
        asked = {"filter": condition, "output_fields": list(fields), "consistency_level": "Strong"}
        # one request where that is enough; milvus-lite has no bound, and no iterators
        limit = {} if self.embedded else {"limit": MAX_LIMIT}
        found = [dict(row) for row in self.client.query(collection, **asked, **limit)]
        if self.embedded or len(found) < MAX_LIMIT:
            return found
        iterator = self.client.query_iterator(collection, batch_size=1000, **asked)
        rows: list[dict[str, Any]] = []
        try:
            while batch := iterator.next():
                rows += batch
        finally:
            iterator.close()
        return rows

    def by_ids(
        self, collection: str, ids: Sequence[int] | Sequence[str], fields: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The rows that there are of at most `ROWS_AT_ONCE` ids."""
        rows = self.client.query(collection, ids=list(ids), output_fields=list(fields), consistency_level="Strong")
        return [dict(row) for row in rows]


def _connect(location: str, *, read_only: bool) -> tuple[Any, str]:
    try:
        import pymilvus
        from pymilvus.exceptions import MilvusException
    except ImportError:
        raise MissingExtraError("pymilvus", "milvus", "a gallery in Milvus") from None
    if not location.startswith("milvus://"):
        path = Path(location).expanduser()
        if read_only and not path.exists():
            raise GalleryError(f"{location}: no such gallery")
        if not path.parent.is_dir():
            raise GalleryError(f"{location}: the folder {path.parent} does not exist")
        if path.is_file():
            raise GalleryError(
                f"{location}: a file that milvus-lite cannot use; paths ending in .db are Milvus galleries"
            )
        uri, token, name = str(path), "", "gallery"
    else:
        parts = urlsplit(location)
        name = parts.path.strip("/")
        if not parts.hostname or not name.isidentifier():
            raise GalleryError(f"{location}: expected milvus://host:19530/NAME, NAME of letters, digits and _")
        uri = f"http://{parts.hostname}:{parts.port or 19530}"
        token = f"{parts.username}:{parts.password or ''}" if parts.username else ""
    try:
        return pymilvus.MilvusClient(uri, token=token), name
    except (MilvusException, ConnectionError) as error:
        raise StorageError(f"{_without_password(location)}: cannot be opened ({error})") from error


def _without_password(location: str) -> str:
    if not location.startswith("milvus://"):
        return location
    parts = urlsplit(location)
    return f"milvus://{parts.hostname}:{parts.port or 19530}{parts.path}"
