"""The connection to a Milvus server or to milvus-lite, and its errors as those of a gallery."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from passerby.errors import GalleryError, MissingExtraError, StorageError

MAX_LIMIT = 16_384
"""Milvus' bound on the results of one search, and on `ef` for most versions."""
ROWS_AT_ONCE = 1_000
"""Rows of one request that writes, or ids of one that reads."""


class Connection:
    """A client and the names of a gallery's collections; arguments and errors are those of `MilvusStore`."""

    def __init__(self, location: str, *, read_only: bool) -> None:
        address = parse_address(location)
        self.location = address.location
        self.read_only = read_only
        self.embedded = address.embedded
        self.client = _connect(address, read_only=read_only)
        self.observations_name = address.name
        self.records_name = f"{self.observations_name}_records"
        self.sightings_name = f"{self.observations_name}_sightings"
        self._there: set[str] = set()
        self._lock = threading.RLock()

    def has(self, collection: str) -> bool:
        """Whether there is this collection; once there is, it is not asked for again."""
        if collection not in self._there and self.client.has_collection(collection):
            self._there.add(collection)
        return collection in self._there

    @contextmanager
    def use(self) -> Iterator[None]:
        """One thread at a time; failures of Milvus are StorageErrors.

        Raises:
            StorageError: the server fails or cannot be reached.
        """
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        with self._lock:
            try:
                yield
            except (MilvusException, RpcError) as error:
                raise StorageError(f"{self.location}: Milvus failed or cannot be reached ({error})") from error

    def query(self, collection: str, condition: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """All rows that match, however many."""
        request = {"filter": condition, "output_fields": list(fields), "consistency_level": "Strong"}
        # one request where that is enough; milvus-lite has no bound, and no iterators
        limit = {} if self.embedded else {"limit": MAX_LIMIT}
        found = [dict(row) for row in self.client.query(collection, **request, **limit)]
        if self.embedded or len(found) < MAX_LIMIT:
            return found
        iterator = self.client.query_iterator(collection, batch_size=1000, **request)
        rows: list[dict[str, Any]] = []
        try:
            while batch := iterator.next():
                rows += batch
        finally:
            iterator.close()
        return rows

    def some(self, collection: str, condition: str, fields: Sequence[str], most: int) -> list[dict[str, Any]]:
        """At most so many of the rows that match, whichever."""
        rows = self.client.query(
            collection, filter=condition, output_fields=list(fields), limit=most, consistency_level="Strong"
        )
        return [dict(row) for row in rows]

    def count(self, collection: str, condition: str) -> int:
        """How many rows match."""
        rows = self.client.query(collection, filter=condition, output_fields=["count(*)"], consistency_level="Strong")
        return int(rows[0]["count(*)"])

    def by_ids(
        self, collection: str, ids: Sequence[int] | Sequence[str], fields: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The rows that there are of at most `ROWS_AT_ONCE` ids."""
        rows = self.client.query(collection, ids=list(ids), output_fields=list(fields), consistency_level="Strong")
        return [dict(row) for row in rows]


@dataclass(frozen=True)
class Address:
    """Where a gallery in Milvus is: what the client takes, and the location to show (which has no password)."""

    location: str
    uri: str
    token: str
    name: str
    embedded: bool


def parse_address(location: str) -> Address:
    """The address of a location: PATH.db, milvus:PATH.db, milvus://HOST:PORT/NAME or milvus:http[s]://HOST:PORT/NAME.

    Raises:
        GalleryError: not of one of these forms.
    """
    rest = location.removeprefix("milvus:")
    if "://" not in location:
        if not rest.endswith(".db"):
            raise GalleryError(f"{location}: expected a path that ends in .db, which milvus-lite asks for, or a server")
        return Address(location, str(Path(rest).expanduser()), "", "gallery", embedded=True)
    parts = urlsplit(location if rest.startswith("//") else rest)
    name = parts.path.strip("/")
    if parts.scheme not in ("milvus", "http", "https") or not parts.hostname or not name.isidentifier():
        raise GalleryError(f"{location}: expected milvus://host:19530/NAME, NAME of letters, digits and _")
    server = f"{parts.hostname}:{parts.port or 19530}"
    token = f"{parts.username}:{parts.password or ''}" if parts.username else ""
    if parts.scheme == "milvus":
        return Address(f"milvus://{server}{parts.path}", f"http://{server}", token, name, embedded=False)
    uri = f"{parts.scheme}://{server}"
    return Address(f"milvus:{uri}{parts.path}", uri, token, name, embedded=False)


def _connect(address: Address, *, read_only: bool) -> Any:
    try:
        import pymilvus
        from pymilvus.exceptions import MilvusException
    except ImportError:
        raise MissingExtraError("pymilvus", "milvus", "a gallery in Milvus") from None
    if address.embedded:
        _check_path(address, must_exist=read_only)
    try:
        return pymilvus.MilvusClient(address.uri, token=address.token)
    except (MilvusException, ConnectionError) as error:
        raise StorageError(f"{address.location}: cannot be opened ({error})") from error


def _check_path(address: Address, *, must_exist: bool) -> None:
    path = Path(address.uri)
    if must_exist and not path.exists():
        raise GalleryError(f"{address.location}: no such gallery")
    if not path.parent.is_dir():
        raise GalleryError(f"{address.location}: the folder {path.parent} does not exist")
    if path.is_file():
        raise GalleryError(
            f"{address.location}: a file, where milvus-lite expects its folder; without milvus: it is "
            "opened as a gallery file"
        )
