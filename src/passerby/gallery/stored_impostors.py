"""What impostors met, as bytes that a gallery's file keeps, and the key that says of whom it was computed."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from passerby.evaluation.open_set.encoder_impostor_laws import Kind, Probes
from passerby.evaluation.open_set.impostor_distances import ImpostorDistances
from passerby.gallery.stores.enrolled_rows import EnrolledRows

LEAST_ROWS = 2_000
"""From so many enrolled observations on it is kept; below, computing takes less than a second."""
_FORMAT = 2  # raise it when the same rows give other distances


def key_of(rows: EnrolledRows, kind: Kind, probes: Probes, means: int, cohort: bool) -> str:
    """A hash of everything that it follows from; vectors of an observation never change."""
    content = hashlib.sha256(f"{_FORMAT} {kind} {probes} {means} {cohort}".encode())
    for column in (rows.ids, rows.identities, rows.cameras):
        content.update(column.astype("<i8").tobytes())
    return content.hexdigest()


def to_bytes(impostors: ImpostorDistances) -> bytes:
    """Identities become numbers from 0 on: which observations are of one person is all that is needed."""
    header = {"rows": len(impostors), "searched": impostors.searched, "conservative": impostors.conservative}
    person = np.unique(impostors.identities, return_inverse=True)[1]
    return b"\n".join(
        [json.dumps(header).encode(), impostors.distances.astype("<f8").tobytes() + person.astype("<i4").tobytes()]
    )


def from_bytes(data: bytes) -> ImpostorDistances:
    """What `to_bytes` gave."""
    text, _, numbers = data.partition(b"\n")
    header = json.loads(text)
    rows = int(header["rows"])
    return ImpostorDistances(
        np.frombuffer(numbers, "<f8", rows).astype(np.float64),
        np.frombuffer(numbers, "<i4", rows, 8 * rows).astype(np.int64),
        int(header["searched"]),
        float(header["conservative"]),
    )
