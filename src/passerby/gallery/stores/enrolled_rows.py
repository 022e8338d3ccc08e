"""What calibration reads of a store: whose the enrolled observations are and which camera took them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from passerby.array_types import Int64
from passerby.plain_names import plain_key
from passerby.search.camera_offsets import CameraOffsets


@dataclass(frozen=True)
class EnrolledRows:
    """Observations of enrolled identities; those of unknown ones, which `observe` made, are left out.

    Attributes:
        ids: int64 [n], in an order that changes stay near to.
        identities: int64 [n].
        cameras: int64 [n], -1 where it is not known; one camera has one number as long as the store is open.
        consolidated_unknowns: unknown identities that others were merged into: people, as somebody has looked at them.
        offsets: what is subtracted from the vectors of each camera before they are compared; None: nothing.
        camera_names: names of the cameras' numbers, and of others that the store knows.
    """

    ids: Int64
    identities: Int64
    cameras: Int64
    consolidated_unknowns: int = 0
    offsets: CameraOffsets | None = None
    camera_names: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def people(self) -> int:
        """Consolidated identities: enrolled ones, and unknown ones that others were merged into."""
        ascending = np.sort(self.identities, kind="stable")
        return int(np.count_nonzero(np.diff(ascending))) + (len(ascending) > 0) + self.consolidated_unknowns

    @cached_property
    def _cameras_with_rows(self) -> frozenset[int]:
        return frozenset((np.flatnonzero(np.bincount(self.cameras + 1)) - 1).tolist())

    def has_some_of(self, cameras: Collection[str]) -> bool:
        """Whether one of these cameras took an observation."""
        asked = {plain_key(camera) for camera in cameras}
        return any(
            plain_key(name) in asked for number, name in self.camera_names.items() if number in self._cameras_with_rows
        )

    def same_rows(self, other: EnrolledRows) -> bool:
        """Whether both have the same observations, of the same identities and cameras, compared in the same way."""
        return (
            self.offsets is other.offsets
            and np.array_equal(self.ids, other.ids)
            and np.array_equal(self.identities, other.identities)
            and np.array_equal(self.cameras, other.cameras)
        )

    def as_one(self, names: Mapping[int, int]) -> EnrolledRows:
        """With identities under the number of the one that they are the same person as."""
        if not names:
            return self
        identities = self.identities.copy()
        for identity, person in names.items():
            identities[self.identities == identity] = person
        return replace(self, identities=identities)


NO_ROWS = EnrolledRows(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def consolidated(unknown: Iterable[int], merged: Mapping[int, int]) -> int:
    """How many of the unknown identities others were merged into; `merged` says into which each was."""
    return len(set(unknown) & (set(merged.values()) - set(merged)))
