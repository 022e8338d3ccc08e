"""From vectors of probes to answers: search, names, and the verdict of the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from passerby.array_types import Float32
from passerby.gallery.argument_checks import checked_count
from passerby.gallery.result_types import Identification, Match
from passerby.gallery.stores.protocol import Store
from passerby.gallery.stores.rows import Ranking, Where
from passerby.gallery.verdict_rule import VerdictRule
from passerby.search.score import Score


def identify(
    store: Store, probes: Float32, wheres: Sequence[Where], rules: Sequence[VerdictRule], *, top: int, score: Score
) -> list[Identification]:
    """The `top` nearest identities of each probe [q, D], each with its own filter [q] and its own rule [q].

    Raises:
        GalleryError: `top` is no whole number of 1 or more.
    """
    most = max([checked_count(top, "top"), *(rule.people for rule in rules)])
    rankings = store.search(probes, wheres, top=most, score=score)
    names = store.names({i for ranking in rankings for i in ranking.identities[:top].tolist()})
    return [_answer(ranking, names, rule, top) for ranking, rule in zip(rankings, rules, strict=True)]


def _answer(ranking: Ranking, names: Mapping[int, str], rule: VerdictRule, top: int) -> Identification:
    columns = zip(
        ranking.identities[:top].tolist(),
        ranking.distances[:top].tolist(),
        ranking.cameras[:top],
        ranking.times[:top].tolist(),
        ranking.observations[:top].tolist(),
        strict=True,
    )
    matches = tuple(
        Match(names[identity], distance, camera, None if moment != moment else moment, observation)
        for identity, distance, camera, moment, observation in columns
        if identity in names  # else another process has forgotten it since the search
    )
    threshold, p_value = rule.verdict(ranking.distances if matches else ranking.distances[:0])
    return Identification(
        matches,
        threshold,
        ranking.considered,
        ranking.stored - ranking.considered,
        p_value,
        rule.basis,
        rule.note,
    )
