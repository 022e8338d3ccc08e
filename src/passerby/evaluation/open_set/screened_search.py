"""The two nearest identities of many observations among many vectors, at about the cost of the bare matrix product.

Only a pair whose float32 score may be within an observation's second-nearest distance so far is looked at, by its exact
distance (`passerby.search.screening` has the bound on what a score may be off). After a few blocks hardly any pair is.
Observations and vectors are in the order of their cameras, so that what the own camera took is a rectangle of a block.
"""

from __future__ import annotations

import numpy as np

from passerby.array_types import Bool, Float32, Float64, Int64
from passerby.search.exact_keys import exact_keys
from passerby.search.screening import make_screen

_ROWS, _COLUMNS = 512, 2048  # of a block: its 4 MiB of scores stay in the processor's cache
_LOWEST = np.finfo(np.float32).min  # below any score that is looked at


def search_screened(
    vectors: tuple[Float32, Float32],
    identities: tuple[Int64, Int64],
    cameras: tuple[Int64, Int64] | None,
    within: Float64,
    *,
    cosine: bool,
    nearest: tuple[Float64, Int64],
) -> None:
    """Improve what is known of the nearest identities by all vectors.

    Args:
        vectors: of the observations [n, dim] and of those that they are compared with [m, dim].
        identities: theirs; an observation's own does not count.
        cameras: theirs, where what the observation's own camera took does not count (-1 is nobody's own).
        within: distances beyond which nothing needs to be found, [n].
        cosine: distances are 1 - cosine similarity, not Euclidean.
        nearest: distances and identities of the two nearest so far, [n, 2] each (infinity and -1: none); overwritten.
    """
    probes, enrolled = vectors
    screen = make_screen(probes, enrolled, cosine=cosine, centered=False)
    # by camera, where that counts
    probe_order = np.arange(len(probes)) if cameras is None else np.argsort(cameras[0], kind="stable")
    order = np.arange(len(enrolled)) if cameras is None else np.argsort(cameras[1], kind="stable")
    prepared, squared = screen.prepare(probes, probe_order)
    prepared *= np.float32(2.0)
    slack = 2.0 * screen.slack(squared, probes.shape[1]).astype(np.float64)
    buffer = np.empty(_ROWS * _COLUMNS, np.float32)
    for first in range(0, len(order), _COLUMNS):
        columns = order[first : first + _COLUMNS]
        block, lengths = screen.prepare(enrolled, columns)
        offsets = screen.offsets(lengths)
        least = offsets.min()
        for top in range(0, len(probe_order), _ROWS):
            part = slice(top, top + _ROWS)
            rows = probe_order[part]
            scores = buffer[: len(rows) * len(columns)].reshape(len(rows), len(columns))
            np.matmul(prepared[part], block.T, out=scores)
            if cameras is not None:
                _hide(scores, cameras[0][rows], cameras[1][columns])
            limit = np.minimum(within[rows], nearest[0][rows, 1])
            wanted = screen.score_of(limit if cosine else limit**2, squared[part]) - slack[part]
            needed = np.maximum(wanted, _LOWEST).astype(np.float32)
            near = np.flatnonzero(scores.max(axis=1) - least >= needed)
            if not len(near):
                continue
            row, column = np.nonzero(scores[near] - offsets >= needed[near, None])
            row, column = rows[near[row]], columns[column]
            other = identities[0][row] != identities[1][column]
            row, column = row[other], column[other]
            keys = exact_keys(probes, enrolled, row, column, cosine)
            _merge(*nearest, row, keys if cosine else np.sqrt(keys), identities[1][column])


def _hide(scores: Float32, own: Int64, cameras: Int64) -> None:
    """What the own camera took; both ascend."""
    for camera in np.intersect1d(own, cameras):
        if camera >= 0:
            rows = slice(*np.searchsorted(own, [camera, camera + 1]))
            scores[rows, slice(*np.searchsorted(cameras, [camera, camera + 1]))] = -np.inf


def _merge(distances: Float64, identities: Int64, row: Int64, found: Float64, label: Int64) -> None:
    """The two nearest of what is known [n, 2] and of more candidates; of one identity only its nearest counts."""
    touched = np.unique(row)
    row = np.concatenate([row, np.repeat(touched, 2)])
    found = np.concatenate([found, distances[touched].ravel()])
    label = np.concatenate([label, identities[touched].ravel()])
    order = np.lexsort((label, found, row))
    row, found, label = row[order], found[order], label[order]
    first = np.flatnonzero(_begins(row))
    counts = np.diff(np.append(first, len(row)))
    others = np.flatnonzero((label != np.repeat(label[first], counts)) & (label >= 0))
    second = others[_begins(row[others])]
    distances[touched, 0], identities[touched, 0] = found[first], label[first]
    distances[touched, 1], identities[touched, 1] = np.inf, -1
    distances[row[second], 1], identities[row[second], 1] = found[second], label[second]


def _begins(ascending: Int64) -> Bool:
    """Where another number begins, [n]."""
    return np.asarray(np.diff(ascending, prepend=-1) != 0)
