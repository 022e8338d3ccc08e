"""What must hold of impostor laws whatever the numbers, and what happens where there is too little to say."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.errors import EmbeddingError
from passerby.evaluation.open_set.encoder_impostor_laws import HeldOutLaws, blend_with_encoder, fit_held_out_laws
from passerby.evaluation.open_set.impostor_distances import ImpostorDistances, impostor_distances, pseudo_tracklets
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law, threshold_interval
from passerby.evaluation.open_set.impostor_law import NO_LAW, ImpostorLaw
from passerby.evaluation.open_set.nearest_identities import LabelledVectors

FAR = 0.02


def people_of(
    seed: int, people: int, *, shots: int = 3, cameras: int = 3, dim: int = 24, noise: float = 0.5, first: int = 0
) -> LabelledVectors:
    """People as points on a sphere, and their images around them, camera after camera."""
    rng = np.random.default_rng(seed)
    identities = np.repeat(np.arange(first, first + people), shots * cameras)
    centers = rng.standard_normal((people, dim))
    vectors = centers[identities - first] + noise * rng.standard_normal((len(identities), dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return LabelledVectors(
        vectors.astype(np.float32), identities, np.tile(np.repeat(np.arange(cameras), shots), people)
    )


def law_of(rows: LabelledVectors, **options: Any) -> ImpostorLaw:
    return fit_impostor_law(impostor_distances(rows), **options)


def held_out_laws(rows: LabelledVectors) -> HeldOutLaws:
    laws = fit_held_out_laws(rows)
    assert laws is not None
    return laws


def rate_of(threshold: float, enrolled: LabelledVectors, others: LabelledVectors) -> float:
    keys = 2 - 2 * others.vectors.astype(np.float64) @ enrolled.vectors.astype(np.float64).T
    keys[others.cameras[:, None] == enrolled.cameras] = np.inf
    return float((np.sqrt(np.maximum(keys.min(axis=1), 0)) < threshold).mean())


laws = st.builds(
    lambda seed, people, guaranteed: law_of(people_of(seed, people), guaranteed=guaranteed),
    st.integers(0, 50),
    st.integers(2, 40),
    st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(laws, st.lists(st.floats(0, 2.5), min_size=2, max_size=20), st.floats(0.0005, 0.9), st.integers(2, 500))
def test_p_values_rise_and_agree_with_thresholds(
    law: ImpostorLaw, distances: list[float], far: float, size: int
) -> None:
    for kind in (law, law.carried(size)):
        ascending = np.sort(np.array([*distances, *kind.distances[:5]]))
        p = kind.p_value(ascending)
        assert (np.diff(p) >= 0).all()
        assert ((p > 0) & (p <= 1)).all()
        threshold = kind.threshold(far)
        np.testing.assert_array_equal(ascending < threshold, p <= far)
        if 0 < threshold < math.inf:
            assert kind.p_value(threshold) > far >= kind.p_value(math.nextafter(threshold, 0))
        assert kind.threshold(far / 2) <= threshold


def test_asked_and_obtained_agree_on_drawn_people() -> None:
    rates = []
    for seed in range(8):
        rows = people_of(seed, 160)
        enrolled, others = rows.select(rows.identities < 80), rows.select(rows.identities >= 80)
        rates.append(rate_of(law_of(enrolled).threshold(0.05), enrolled, others))
    assert 0.03 < np.mean(rates) < 0.07


def test_numbers_and_order_of_people_do_not_matter() -> None:
    rows = people_of(0, 40)
    names = np.random.default_rng(1).permutation(1000)[:40]
    order = np.random.default_rng(2).permutation(len(rows))
    other = LabelledVectors(rows.vectors, names[rows.identities], rows.cameras).select(order)
    assert law_of(other).threshold(FAR) == pytest.approx(law_of(rows).threshold(FAR), rel=1e-9)


def test_more_people_never_allow_a_larger_threshold_on_average() -> None:
    means = [np.mean([law_of(people_of(seed, n)).threshold(FAR) for seed in range(6)]) for n in (20, 60, 180)]
    assert means[0] > means[1] > means[2]
    law = law_of(people_of(0, 50))
    carried = [law.carried(n).threshold(FAR) for n in (10, 50, 200, 1000)]
    assert carried == sorted(carried, reverse=True)
    assert law.carried(law.identities) is law


def test_a_carried_rate_grows_in_proportion_while_it_is_small() -> None:
    law = law_of(people_of(0, 50))
    d = law.threshold(0.001)
    assert law.carried(500).p_value(d) == pytest.approx(0.01, rel=0.05)


def test_a_search_among_twice_the_observations_accepts_by_either_half() -> None:
    law = law_of(people_of(0, 50))
    twice, d = law.among_more(2.0), law.distances[len(law.distances) // 2]
    p = law.p_value(d)
    assert twice.p_value(d) == pytest.approx(1 - (1 - p) ** 2, rel=1e-9)
    assert (twice.identities, twice.people) == (law.identities, law.people)
    assert law.among_more(1.0) is law
    assert law.among_more(1.5).threshold(FAR) > twice.threshold(FAR)


def test_many_images_of_one_person_count_as_one_person() -> None:
    rows = people_of(0, 30)
    own = np.flatnonzero(rows.identities == 3)
    repeated = rows.select(np.concatenate([np.arange(len(rows)), *[own] * 20]))
    assert law_of(repeated).threshold(FAR) == pytest.approx(law_of(rows).threshold(FAR), rel=1e-6)
    assert law_of(repeated).people == 30


def test_everybody_from_one_camera_is_said_to_be_conservative() -> None:
    rows = people_of(0, 40)
    one = replace(rows, cameras=np.zeros_like(rows.cameras))
    found = impostor_distances(one)
    assert np.isfinite(found.distances).all()
    assert found.conservative == pytest.approx(1.0)
    assert fit_impostor_law(found).conservative == pytest.approx(1.0)
    np.testing.assert_array_equal(found.distances, impostor_distances(one, exclude_camera=False).distances)
    # one person from another camera changes nothing for the others, who would be compared with that person alone
    cameras = np.where(rows.identities == 7, 1, 0)
    mixed = impostor_distances(replace(rows, cameras=cameras))
    assert mixed.conservative == pytest.approx(39 / 40)
    assert impostor_distances(rows).conservative == 0


def test_a_search_among_all_cameras_is_calibrated_apart() -> None:
    rows = people_of(0, 40)
    narrow, wide = (impostor_distances(rows, exclude_camera=kind) for kind in (True, False))
    assert (wide.distances <= narrow.distances + 1e-9).all()
    assert fit_impostor_law(wide).threshold(FAR) < fit_impostor_law(narrow).threshold(FAR)


def test_a_person_enrolled_twice_counts_as_one_only_where_somebody_said_so() -> None:
    rows = people_of(0, 60)
    twice = rows.select(rows.identities == 5)
    rng = np.random.default_rng(0)
    near = twice.vectors + 0.05 * rng.standard_normal(twice.vectors.shape).astype(np.float32)
    both = LabelledVectors(
        np.concatenate([rows.vectors, near]),
        np.concatenate([rows.identities, np.full(len(near), 900)]),
        np.concatenate([rows.cameras, twice.cameras]),
    )
    unsaid, said = impostor_distances(both), impostor_distances(both, one_person=[(900, 5)])
    assert np.median(unsaid.distances[both.identities == 900]) < said.distances.min()
    assert (unsaid.people, said.people, unsaid.searched, said.searched) == (61, 60, 60, 59)
    assert fit_impostor_law(said).threshold(FAR) == pytest.approx(law_of(rows).threshold(FAR), rel=0.02)
    assert fit_impostor_law(unsaid).threshold(FAR) < fit_impostor_law(said).threshold(FAR)


def test_tracklets_are_calibrated_by_tracklets() -> None:
    rows = people_of(0, 60)
    images = impostor_distances(rows)
    tracklets = impostor_distances(pseudo_tracklets(rows), rows)
    assert tracklets.searched == images.searched
    assert len(tracklets) == 60 * 3
    assert fit_impostor_law(tracklets).threshold(FAR) != fit_impostor_law(images).threshold(FAR)
    assert len(pseudo_tracklets(rows, frames=4)) == 0
    assert fit_impostor_law(impostor_distances(pseudo_tracklets(rows, frames=4), rows)).source == "none"


@pytest.mark.parametrize(("people", "source", "form"), [(0, "none", "fitted"), (1, "none", "fitted"),
                                                        (2, "gallery", "empirical"), (4, "gallery", "empirical"),
                                                        (5, "gallery", "fitted")])  # fmt: skip
def test_few_people(people: int, source: str, form: str) -> None:
    rows = people_of(0, people) if people else people_of(0, 1).select(np.zeros(9, dtype=bool))
    law = law_of(rows)
    assert (law.source, law.form, law.people) == (source, form, people)
    assert law.finest_far == (
        math.inf if source == "none" else 0.0 if form == "fitted" else pytest.approx(1 / (people + 1))
    )
    assert law.extrapolated(0.01) == (form == "fitted" and source != "none")
    if source == "none":
        with pytest.raises(EmbeddingError, match="enrol at least 2 people"):
            law.p_value(0.5)
        with pytest.raises(EmbeddingError, match="enrol at least 2 people"):
            law.threshold(0.01)


def test_guaranteed_accepts_nobody_while_people_are_too_few() -> None:
    assert law_of(people_of(0, 49), guaranteed=True).finest_far == pytest.approx(1 / 50)
    assert law_of(people_of(0, 48), guaranteed=True).threshold(FAR) == 0.0
    assert law_of(people_of(0, 49), guaranteed=True).threshold(FAR) > 0.0
    assert not law_of(people_of(0, 49), guaranteed=True).extrapolated(0.001)


def test_distances_that_fit_no_tail_have_the_rate_observed() -> None:
    same = ImpostorDistances(np.full(90, 0.7), np.repeat(np.arange(30), 3), 29)
    law = fit_impostor_law(same)
    assert law.form == "empirical"
    assert law.threshold(0.05) == 0.7
    apart = np.where(np.arange(400) < 60, 0.1, 1 + 0.01 * np.random.default_rng(0).standard_normal(400))
    assert fit_impostor_law(ImpostorDistances(apart, np.arange(400), 399)).form == "empirical"
    nothing = ImpostorDistances(np.full(10, np.inf), np.arange(10), 9)
    assert fit_impostor_law(nothing).source == "none"
    zero = ImpostorDistances(np.zeros(10), np.arange(10), 9)
    assert fit_impostor_law(zero).threshold(0.5) == 0.0


def test_the_interval_is_of_people_and_narrows() -> None:
    few, many = (impostor_distances(people_of(0, n)) for n in (30, 200))
    intervals = [threshold_interval(found, FAR) for found in (few, many)]
    for (low, high), found in zip(intervals, (few, many), strict=True):
        assert low <= fit_impostor_law(found).threshold(FAR) <= high
    assert intervals[1][1] - intervals[1][0] < intervals[0][1] - intervals[0][0]
    assert threshold_interval(few, FAR, seed=3) == threshold_interval(few, FAR, seed=3)
    with pytest.raises(EmbeddingError, match="at least 5 people, found 3"):
        threshold_interval(impostor_distances(people_of(0, 3)), FAR)


def test_an_encoders_laws_help_small_galleries() -> None:
    """Of 12 people, the gallery alone is far more uncertain than with laws from 80 others of the same kind."""
    encoder = held_out_laws(people_of(100, 80))
    alone, helped = [], []
    for seed in range(12):
        found = impostor_distances(people_of(seed, 12))
        law = fit_impostor_law(found)
        blend = blend_with_encoder(law, found, encoder)
        assert (blend.source, blend.identities) == ("blend", 12)
        assert blend.people > 12
        alone.append(law.threshold(FAR))
        helped.append(blend.threshold(FAR))
    assert np.std(helped) < 0.7 * np.std(alone)


def test_an_encoders_law_counts_as_its_people_where_the_gallery_agrees() -> None:
    """The share of the gallery's own law in log p, by the number of people of the encoder's law."""

    def share_of_own(encoder: HeldOutLaws, seed: int) -> float:
        found = impostor_distances(people_of(seed, 20))
        law = fit_impostor_law(found)
        blend, foreign = blend_with_encoder(law, found, encoder), encoder.at(20)
        at = np.linspace(blend.threshold(0.005), blend.threshold(0.3), 40)
        own, theirs, mixed = (np.log(one.p_value(at)) for one in (law, foreign, blend))
        apart = np.abs(own - theirs) > 0.2
        return float(np.median(((mixed - theirs) / (own - theirs))[apart])) if apart.any() else math.nan

    few, many = held_out_laws(people_of(100, 50)), held_out_laws(people_of(100, 200))
    of_few, of_many = np.array([(share_of_own(few, seed), share_of_own(many, seed)) for seed in range(8)]).T
    assert np.nanmedian(of_few) == pytest.approx(20 / (20 + 50 * 0.9), abs=0.05)
    assert np.nanmin(of_many) == pytest.approx(20 / (20 + 200 * 0.9), abs=0.05)
    assert np.nanmedian(of_many) < np.nanmedian(of_few)


def test_an_encoders_laws_give_way_to_another_place_and_to_many_people() -> None:
    encoder = held_out_laws(people_of(100, 80))
    found = impostor_distances(people_of(0, 60, dim=12))  # everybody nearer to everybody
    law = fit_impostor_law(found)
    blend = blend_with_encoder(law, found, encoder)
    own, foreign = law.threshold(FAR), encoder.at(60).threshold(FAR)
    assert foreign - own > 0.1
    assert abs(blend.threshold(FAR) - own) < 0.35 * (foreign - own)
    many = impostor_distances(people_of(0, 200, shots=1))
    assert blend_with_encoder(fit_impostor_law(many), many, encoder).source == "gallery"


def test_without_people_the_encoders_law_stands_alone() -> None:
    encoder = held_out_laws(people_of(100, 80))
    nobody = impostor_distances(people_of(0, 1))
    law = blend_with_encoder(fit_impostor_law(nobody), nobody, encoder)
    assert (law.source, law.identities) == ("encoder", 1)
    assert law.threshold(FAR) > encoder.at(50).threshold(FAR)
    assert fit_held_out_laws(people_of(0, 2)) is None
    with pytest.raises(EmbeddingError, match="calibrate the encoder with the gallery's metric"):
        blend_with_encoder(replace(NO_LAW, metric="cosine"), nobody, encoder)


def test_laws_survive_json() -> None:
    encoder = held_out_laws(people_of(100, 30))
    again = HeldOutLaws.from_list(json.loads(json.dumps(encoder.to_list())))
    assert again == encoder
    law = law_of(people_of(0, 30))
    assert ImpostorLaw.from_dict(json.loads(json.dumps(law.to_dict()))) == law
    assert ImpostorLaw.from_dict(NO_LAW.to_dict()) == NO_LAW


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "missing or unknown: \\['extra'\\]"),
        ({"distances": [0.3, 0.2]}, "as many distances as p-values"),
        ({"distances": [0.3, 0.2, 0.4]}, "rising"),
        ({"p_values": [0.1, 0.2, 1.5]}, "p-values above 0 up to 1"),
        ({"p_values": ["a", 0.2, 0.3]}, "not numbers"),
        ({"source": "oracle"}, "unknown source 'oracle'"),
        ({"source": "none"}, "none with source 'none'"),
    ],
)
def test_a_damaged_law_is_refused(change: dict[str, Any], message: str) -> None:
    good = ImpostorLaw((0.1, 0.2, 0.3), (0.01, 0.1, 1.0), 9, 9, 20, "gallery").to_dict()
    with pytest.raises(EmbeddingError, match=message):
        ImpostorLaw.from_dict(good | change)


def test_wrong_questions_are_refused() -> None:
    law = law_of(people_of(0, 20))
    with pytest.raises(EmbeddingError, match="between 0 and 1"):
        law.threshold(1.5)
    with pytest.raises(EmbeddingError, match="found NaN"):
        law.p_value(math.nan)
    with pytest.raises(EmbeddingError, match="1 or more"):
        law.carried(0)
    with pytest.raises(EmbeddingError, match=r"1 or more, found 0\.5"):
        law.among_more(0.5)
    with pytest.raises(EmbeddingError, match="0 or more, found -2"):
        LabelledVectors(np.ones((1, 2), np.float32), np.array([-2]), np.array([0]))
    with pytest.raises(EmbeddingError, match="1 identity or more"):
        impostor_distances(people_of(0, 3), most=0)
    assert law.p_value(math.inf) == 1.0
    assert law.threshold(1.0) == math.inf


def test_at_most_so_many_people_calibrate_and_all_are_searched() -> None:
    rows = people_of(0, 60)
    found = impostor_distances(rows, most=25)
    assert (found.people, found.searched) == (25, 59)
    whole = impostor_distances(rows)
    chosen = np.isin(rows.identities, found.identities)
    np.testing.assert_array_equal(found.distances, whole.distances[chosen])
