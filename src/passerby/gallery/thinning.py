"""Leaving few observations of each person and camera, unlike each other, of what is stored already.

Unlike forgetting it can be taken back: what goes is kept in the log's erasable part, where no search looks, until the
person is forgotten.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from passerby.array_types import Int64
from passerby.errors import GalleryRequestError
from passerby.gallery.changes import write_event
from passerby.gallery.events import Event
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import IdentityRecord
from passerby.gallery.templates import diverse_rows

_LONGEST_ENTRY = 40_000  # characters of one entry of the log; Milvus stores no longer texts than 65,535
_NO_BOUND = (
    "; the gallery has no bound of its own (set_sightings(templates_per_camera=N), `passerby gallery keep-sightings "
    "GALLERY --templates N`)"
)


@dataclass(frozen=True)
class ThinnedTemplates:
    """What `Gallery.thin_templates` found; printing it shows it.

    Attributes:
        surplus: observations beyond the bound.
        people: identities that have such.
        left: observations that stay, of all.
        applied: whether they were taken away.
    """

    surplus: int
    people: int
    left: int
    applied: bool

    def __str__(self) -> str:
        done = "taken away" if self.applied else "would be taken away"
        return f"{self.surplus:,} observations of {self.people:,} people {done}, {self.left:,} are left"


def thin_templates(
    store: Store, records: Sequence[IdentityRecord], most: int | None, *, apply: bool, actor: str
) -> ThinnedTemplates:
    """Find, or take away, what is beyond `most` observations of a person and camera. See `Gallery.thin_templates`.

    Raises:
        GalleryRequestError: `most` is no number of 1 or more, or None and the gallery has no bound.
    """
    bound = store.settings().templates_per_camera if most is None else most
    if bound is None or isinstance(bound, bool) or not isinstance(bound, int) or bound < 1:
        raise GalleryRequestError(
            f"most (--most N): expected a number of 1 or more, found {most!r}" + (_NO_BOUND if most is None else "")
        )
    surplus = {record.id: ids for record in records if len(ids := _surplus(store, record.id, bound))}
    total = sum(map(len, surplus.values()))
    left = len(store.observations([record.id for record in records])) - total
    if apply:
        batch = int(next(iter(surplus.values()))[0]) if surplus else 0
        for identity, ids in surplus.items():
            for part in _noted(store, identity, ids):
                detail = {"count": len(part), "batch": batch}
                write_event(store, "thin", identity, actor, detail=detail, private={"rows": part})
            store.erase_observations(ids)
    return ThinnedTemplates(total, len(surplus), left, apply)


def put_back(store: Store, event: Event) -> None:
    """Store again what a thinning took away, under the ids that it had."""
    rows = event.private["rows"]
    store.add_observations(
        np.full(len(rows), event.identity, np.int64),
        np.stack([np.frombuffer(base64.b64decode(row["vector"]), "<f4") for row in rows]),
        [row["camera"] for row in rows],
        np.array([math.nan if row["time"] is None else row["time"] for row in rows], np.float64),
        [None if row["thumbnail"] is None else base64.b64decode(row["thumbnail"]) for row in rows],
        ids=np.array([row["id"] for row in rows], np.int64),
    )


def _surplus(store: Store, identity: int, most: int) -> Int64:
    """Observations that are not among the most unlike ones of their camera."""
    columns = store.observations([identity])
    gone = []
    for camera in dict.fromkeys(columns.cameras):
        ids = columns.ids[[name == camera for name in columns.cameras]]
        if len(ids) > most:
            gone.append(np.delete(ids, diverse_rows(store.vectors(ids), most)))
    return np.sort(np.concatenate(gone)) if gone else np.zeros(0, np.int64)


def _noted(store: Store, identity: int, ids: Int64) -> Iterator[list[dict[str, object]]]:
    """The observations as entries of the log hold them, in parts that one entry can hold."""
    columns = store.observations([identity])
    places = np.searchsorted(columns.ids, ids)
    part: list[dict[str, object]] = []
    length = 0
    for place, vector, picture in zip(places.tolist(), store.vectors(ids), store.thumbnails(ids), strict=True):
        number, moment = int(columns.ids[place]), float(columns.times[place])
        row = {
            "id": number,
            "camera": columns.cameras[place],
            "time": None if moment != moment else moment,
            "vector": base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode(),
            "thumbnail": None if picture is None else base64.b64encode(picture).decode(),
        }
        size = sum(len(str(value)) for value in row.values()) + 100
        if part and length + size > _LONGEST_ENTRY:
            yield part
            part, length = [], 0
        part.append(row)
        length += size
    yield part
