"""Settings, identities and log entries as JSON bodies in one collection, and the uniqueness of names in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from passerby.errors import GalleryRequestError
from passerby.gallery.stores.milvus.connection import ROWS_AT_ONCE, Connection
from passerby.gallery.stores.milvus.filters import name_keys, text_key
from passerby.gallery.stores.milvus.newest import Rows
from passerby.plain_names import plain_key


class Records:
    """The collection of records. What is written waits until `flush`, which each reading does first.

    Args:
        connection: of the gallery.
        reversals: receives for each write what takes it back.
    """

    def __init__(self, connection: Connection, reversals: list[Callable[[], object]]) -> None:
        self._connection = connection
        self._client = connection.client
        self._name = connection.records_name
        self._reversals = reversals
        self._pending: dict[str, dict[str, Any]] = {}
        self._named: dict[int, str] = {}

    def bodies(self, condition: str) -> list[tuple[int, dict[str, Any]]]:
        """(number, body) of the records that match, by number."""
        self.flush()
        rows = self._connection.query(self._name, condition, ["number", "body"])
        return [(row["number"], json.loads(row["body"])) for row in sorted(rows, key=lambda row: int(row["number"]))]

    def newest(self, condition: str, count: int) -> list[tuple[int, dict[str, Any]]]:
        """`bodies` of the records with the largest numbers, so many of them."""
        self.flush()
        rows = Rows(self._connection, self._name, condition, "number").first(count, ["number", "body"])
        numbered = sorted(rows, key=lambda row: int(row["number"]))[max(0, len(rows) - count) :]
        return [(row["number"], json.loads(row["body"])) for row in numbered]

    def bodies_where_in(
        self, condition: str, fields: Sequence[str], values: Sequence[int]
    ) -> list[tuple[int, dict[str, Any]]]:
        """`bodies` of the records that match and one of whose fields is one of these values, however many."""
        found: list[tuple[int, dict[str, Any]]] = []
        for start in range(0, len(values), ROWS_AT_ONCE):
            part = list(values[start : start + ROWS_AT_ONCE])
            one_of = " or ".join(f"{field} in {part}" for field in fields)
            found += self.bodies(f"{condition} and ({one_of})")
        return found

    def write(
        self,
        kind: str,
        number: int,
        body: Mapping[str, Any],
        *,
        identity: int | None = None,
        other: int | None = None,
        name: str | None = None,
        new: bool = False,
    ) -> None:
        """Write one record; `name` of an identity must belong to no other when the transaction ends."""
        key = f"{kind}:{number}"
        row = {
            "key": key,
            "kind": kind,
            "number": number,
            "identity": identity or 0,
            "other": other or 0,
            "name_key": 0 if name is None else text_key(plain_key(name)),
            "body": json.dumps(body, ensure_ascii=False),
            "unused": [0.0, 0.0],
        }
        known = self._pending.get(key)
        if new:
            self._reversals.append(partial(self._client.delete, self._name, ids=[key]))
        elif key not in self._pending:
            before = self._connection.by_ids(self._name, [key], ["*"])
            old = [{**found, "unused": [0.0, 0.0]} for found in before]
            known = old[0] if old else None
            self._reversals.append(
                partial(self._client.upsert, self._name, old)
                if old
                else partial(self._client.delete, self._name, ids=[key])
            )
        if name is not None and (known is None or json.loads(known["body"])["name"] != name):
            self._named[number] = name
        self._pending[key] = row

    def flush(self) -> None:
        """Send the records that wait: together, since each round trip costs some milliseconds."""
        rows = list(self._pending.values())
        self._pending.clear()
        for start in range(0, len(rows), ROWS_AT_ONCE):
            self._client.upsert(self._name, rows[start : start + ROWS_AT_ONCE])

    def delete(self, key: str) -> None:
        """Delete one record."""
        self._client.delete(self._name, ids=[key])

    def check_names(self) -> None:
        """No other identity has a name that was given in this transaction; asked after it was written.

        Raises:
            GalleryRequestError: the name belongs to another identity.
        """
        owners = {plain_key(name): identity for identity, name in self._named.items()}
        for identity, body in self.bodies_where_in(
            'kind == "identity"', ("name_key",), name_keys(self._named.values())
        ):
            name = body["name"]
            if owners.get(plain_key(name), identity) != identity:
                raise GalleryRequestError(
                    f"{self._connection.location}: there is an identity {name!r} already (or one that was merged into "
                    "another), perhaps made by another process just now; a name belongs to one identity"
                )

    def end_transaction(self) -> None:
        """Names given from now on belong to the next transaction."""
        self._named.clear()

    def discard(self) -> None:
        """Drop what was not sent yet."""
        self._pending.clear()
