"""From vectors of probes to answers: search, names, and the verdict of the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from passerby.array_types import Float32
from passerby.errors import GalleryRequestError
from passerby.gallery.result_types import Identification, Match
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import Ranking, Where
from passerby.search.score import Score


def identify(
    store: Store, probes: Float32, wheres: Sequence[Where], *, threshold: float | None, top: int, score: Score
) -> list[Identification]:
    """The `top` nearest identities of each probe [q, D], each with its own filter [q].

    Raises:
        GalleryError: `top` is less than 1.
    """
    if top < 1:
        raise GalleryRequestError(f"top: expected at least 1, found {top}")
    rankings = store.search(probes, wheres, top=top, score=score)
    names = store.names({i for ranking in rankings for i in ranking.identities.tolist()})
    return [_answer(ranking, names, threshold) for ranking in rankings]


def _answer(ranking: Ranking, names: Mapping[int, str], threshold: float | None) -> Identification:
    columns = zip(
        ranking.identities.tolist(),
        ranking.distances.tolist(),
        ranking.cameras,
        ranking.times.tolist(),
        ranking.observations.tolist(),
        strict=True,
    )
    matches = tuple(
        Match(names[identity], distance, camera, None if moment != moment else moment, observation)
        for identity, distance, camera, moment, observation in columns
        if identity in names  # else another process has forgotten it since the search
    )
    return Identification(matches, threshold, ranking.considered, ranking.stored - ranking.considered)
