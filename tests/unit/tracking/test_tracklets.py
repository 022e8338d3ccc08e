"""Cutting tracks, joining tracklets, the law of distances, and the figures of tracks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from passerby.config.tracking import TrackingSettings
from passerby.embedding.embeddings import Embeddings
from passerby.embedding.tracklet import Tracklet
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.tracks import TrackRows, compare_tracks
from passerby.tracking.camera_means import check_camera_statistics, join_people
from passerby.tracking.camera_tracks import CameraTracks, cut_tracks, overlap_with_others
from passerby.tracking.crop_selection import best_places
from passerby.tracking.result import fill_gaps, identity_rows
from passerby.tracking.stitching import _average_linkage, stitch
from passerby.tracking.tracklet_calibration import (
    DistanceLaw,
    TrackletCalibration,
    calibrate_tracklets,
    calibration_path,
    read_calibration,
)
from passerby.tracking.travel_times import check_cameras, read_travel_times

pytest.importorskip("trackeval")
LAW = TrackletCalibration.of_threshold(0.5)


def person(number: int, wobble: float = 0.0) -> np.ndarray:
    """A vector of a person: cosine distance 1 to everybody else."""
    vector = np.eye(8)[number] + wobble * np.eye(8)[7]
    unit: np.ndarray = vector / np.linalg.norm(vector)
    return unit


def tracklet(
    camera: str, first: int, last: int, vector: np.ndarray | None, track: int = -1, **more: object
) -> Tracklet:
    frames = np.arange(first, last + 1)
    n, k = len(frames), 0 if vector is None else 1
    return Tracklet(
        camera=camera,
        frames=frames,
        times=frames / 10,
        boxes=np.tile(np.array([0, 0, 10, 20], np.float32), (n, 1)),
        scores=np.ones(n, np.float32),
        vectors=np.zeros((0, 8), np.float32) if vector is None else vector[None].astype(np.float32),
        vector_frames=frames[:k],
        crop_quality=np.full(k, more.get("quality", 1.0), np.float32),
        track=track,
    )


def test_tracklets_of_one_person_are_joined_over_time_and_cameras() -> None:
    seen = [
        tracklet("hall", 1, 9, person(0), 1),
        tracklet("hall", 1, 9, person(1), 2),
        tracklet("hall", 30, 39, person(0, 0.3), 3),
        tracklet("door", 5, 20, person(1, 0.3), 1),
        tracklet("door", 30, 40, person(2), 2),
    ]
    assert stitch(seen, LAW).tolist() == [0, 1, 0, 1, 2]


def test_one_camera_never_shows_a_person_twice_at_a_time() -> None:
    alike = [tracklet("hall", 1, 10, person(0), 1), tracklet("hall", 9, 20, person(0), 2)]
    assert len(set(stitch(alike, LAW).tolist())) == 2
    overlapping_by_a_frame = [alike[0], tracklet("hall", 10, 20, person(0), 2)]
    assert len(set(stitch(overlapping_by_a_frame, LAW).tolist())) == 1
    other_camera = [alike[0], tracklet("door", 9, 20, person(0), 2)]
    assert len(set(stitch(other_camera, LAW).tolist())) == 1


def test_what_cannot_be_joined_directly_is_not_joined_through_a_third() -> None:
    seen = [
        tracklet("hall", 1, 10, person(0), 1),
        tracklet("hall", 5, 20, person(0, 0.1), 2),
        tracklet("door", 1, 20, person(0, 0.05), 1),
    ]
    labels = stitch(seen, LAW)
    assert labels[0] != labels[1]


def test_a_group_counts_by_its_crops_when_clusters_are_averaged() -> None:
    """Two wrong crops, first joined to a long track, do not outweigh it."""

    def turned(degrees: float) -> np.ndarray:
        return np.asarray(np.cos(np.deg2rad(degrees)) * np.eye(8)[0] + np.sin(np.deg2rad(degrees)) * np.eye(8)[1])

    long = [tracklet("hall", 20 * n, 20 * n + 9, turned(0), 1) for n in range(1, 7)]
    poor = tracklet("hall", 200, 209, turned(-35), 2)
    other = tracklet("door", 1, 9, turned(45), 1)
    # one group of six pieces and one of a single piece: 1 - cos is 0.18 between them, 0.29 and 0.83 to the other
    assert stitch([*long, poor, other], LAW).tolist() == [0] * 8


def test_groups_are_joined_in_the_order_of_their_costs() -> None:
    """Against the plain way: always the two nearest clusters, until the nearest are too far apart."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        count = int(rng.integers(1, 25))
        table = rng.normal(1, 2, (count, count))
        table = table + table.T
        table[rng.random((count, count)) < 0.1] = np.inf
        table = np.maximum(table, table.T)
        np.fill_diagonal(table, np.inf)
        weights = rng.integers(1, 9, count).astype(float)
        found = _average_linkage(table, weights, limit=0.0)
        plain = plain_average_linkage(table, weights, limit=0.0)
        assert sorted(sorted(np.flatnonzero(found == label)) for label in set(found.tolist())) == plain


def plain_average_linkage(table: np.ndarray, weights: np.ndarray, *, limit: float) -> list[list[int]]:
    members = [[n] for n in range(len(table))]

    def mean(a: list[int], b: list[int]) -> float:
        return float(np.average(table[np.ix_(a, b)], weights=np.outer(weights[a], weights[b])))

    while len(members) > 1:
        cost, a, b = min((mean(x, y), n, m) for m, y in enumerate(members) for n, x in enumerate(members[:m]))
        if cost > limit:
            break
        members[a] += members.pop(b)
    return sorted(sorted(one) for one in members)


def test_two_cameras_are_not_joined_faster_than_the_way(tmp_path: Path) -> None:
    """Frames are tenths of a second: one second lies between the first and the second, four before the third."""
    seen = [
        tracklet("hall", 1, 10, person(0), 1),
        tracklet("door", 20, 30, person(0), 1),
        tracklet("yard", 70, 80, person(0), 1),
    ]
    (tmp_path / "way.csv").write_text("from,to,seconds\nhall, door, 3\ndoor,yard,3\n")
    times = read_travel_times(tmp_path / "way.csv")
    assert stitch(seen, LAW).tolist() == [0, 0, 0]
    labels = stitch(seen, LAW, travel_times=times).tolist()
    assert labels[0] != labels[1]
    assert stitch([seen[0], seen[2]], LAW, travel_times=times).tolist() == [0, 0]
    together = [tracklet("hall", 1, 30, person(0), 1), tracklet("door", 5, 20, person(0), 1)]
    assert stitch(together, LAW, travel_times=times).tolist() == [0, 1]
    assert stitch(together, LAW, travel_times={("hall", "door"): 0.0}).tolist() == [0, 0]
    (tmp_path / "way.toml").write_text('[[travel]]\nfrom = "hall"\nto = "door"\nseconds = 0.5\n')
    assert stitch(seen[:2], LAW, travel_times=read_travel_times(tmp_path / "way.toml")).tolist() == [0, 0]


def test_travel_times_hold_for_all_writings_of_a_camera(tmp_path: Path) -> None:
    (tmp_path / "way.csv").write_text("from,to,seconds\n01,2.0,30\n")
    times = read_travel_times(tmp_path / "way.csv")
    check_cameras(times, ["1", "2"])
    seen = [tracklet("1", 1, 10, person(0), 1), tracklet("02", 20, 30, person(0), 1)]
    assert stitch(seen, LAW).tolist() == [0, 0]
    assert stitch(seen, LAW, travel_times=times).tolist() == [0, 1]
    (tmp_path / "way.csv").write_text("from,to,seconds\n1,2,30\n01,2.0,40\n")
    with pytest.raises(ConfigError, match="every pair once"):
        read_travel_times(tmp_path / "way.csv")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "from,to\nhall,door\n", "row 1: expected the header from,to,seconds"),
        ("a.csv", "from,to,seconds\nhall,door\n", "row 2: expected 3 columns"),
        ("a.csv", "from,to,seconds\nhall,door,-1\n", "row 2: seconds '-1'; expected a number from 0"),
        ("a.csv", "from,to,seconds\nhall,hall,1\n", "row 2: .*expected two cameras"),
        ("a.csv", "from,to,seconds\n", "no travel time"),
        ("a.toml", "x = 1\n", r"expected \[\[travel\]\]"),
        ("a.toml", '[[travel]]\nfrom = "a"\n', "table 1: expected the keys from, to, seconds"),
        ("a.toml", "[", "not TOML"),
    ],
)
def test_travel_times_that_are_none(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_travel_times(tmp_path / name)


def test_a_cut_track_goes_on_unless_it_shows_somebody_else() -> None:
    unseen = tracklet("hall", 11, 12, None, 1)
    seen = [tracklet("hall", 1, 10, person(0), 1), unseen, tracklet("hall", 13, 20, person(0), 1)]
    assert stitch(seen, LAW).tolist() == [0, 0, 0]
    swapped = [*seen[:2], tracklet("hall", 13, 20, person(1), 1)]
    assert stitch(swapped, LAW).tolist() == [0, 0, 1]
    assert stitch([unseen], LAW).tolist() == [0]
    assert stitch([], LAW).tolist() == []


def test_poor_tracklets_decide_nothing() -> None:
    seen = [tracklet("hall", 1, 10, person(0), 1), tracklet("door", 1, 10, person(0), 2, quality=0.05)]
    assert stitch(seen, LAW, least_quality=0.1).tolist() == [0, 1]
    assert stitch(seen, LAW).tolist() == [0, 0]


def walk(boxes: list[tuple[int, int, float]]) -> CameraTracks:
    """(frame, track, left) -> boxes of 10 x 20 pixels."""
    frames = np.array([frame for frame, _, _ in boxes])
    left = np.array([x for _, _, x in boxes], np.float32)
    corners = np.stack([left, 0 * left, left + 10, 0 * left + 20], axis=1)
    return CameraTracks(
        frames, frames / 10, corners, np.ones(len(boxes), np.float32), np.array([t for _, t, _ in boxes])
    )


def test_tracks_are_cut_where_boxes_overlap_most_and_at_gaps() -> None:
    crossing = walk([(k, t, 3 * k if t == 0 else 30 - 3 * k) for k in range(11) for t in (0, 1)])
    largest = overlap_with_others(crossing)
    assert largest[0] == 0
    assert largest[10] == 1  # frame 5: both at 15
    pieces = cut_tracks(crossing, overlap=0.3, gap=1.0)
    assert [pieces[crossing.tracks == 0].tolist(), pieces[crossing.tracks == 1].tolist()] == [
        [0] * 5 + [2] * 6,
        [1] * 5 + [3] * 6,
    ]
    assert cut_tracks(crossing, overlap=1.0, gap=1.0).max() == 1
    gap = walk([(k, 0, 0) for k in (1, 2, 3, 9, 10)])
    assert cut_tracks(gap, overlap=0.3, gap=0.5).tolist() == [0, 0, 0, 1, 1]
    assert cut_tracks(gap, overlap=0.3, gap=0.7).tolist() == [0] * 5


def test_the_best_crops_are_spread_over_time() -> None:
    assert best_places([1, 2, 3, 50, 99, 100], [0.1, 0.9, 0.2, 0.3, 0.4, 0.8], 3) == [1, 3, 5]
    assert best_places([5, 1], [0.1, 0.2], 3) == [1, 0]
    assert best_places([], [], 3) == []


def test_quality_falls_where_crops_disagree() -> None:
    mixed = Tracklet(
        "hall", np.array([1, 2]), np.array([0.1, 0.2]), np.zeros((2, 4), np.float32), np.ones(2, np.float32),
        np.stack([person(0), person(1)]).astype(np.float32), np.array([1, 2]), np.ones(2, np.float32),
    )  # fmt: skip
    assert mixed.agreement == pytest.approx(np.sqrt(0.5))
    assert mixed.quality == pytest.approx(np.sqrt(0.5))
    assert tracklet("hall", 1, 3, None).quality == 0
    assert tracklet("hall", 1, 3, None).vector is None
    with pytest.raises(EmbeddingError, match="ascending"):
        Tracklet(
            "hall", np.array([2, 1]), np.zeros(2), np.zeros((2, 4), np.float32), np.ones(2, np.float32),
            np.zeros((0, 8), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32),
        )  # fmt: skip


def labelled(seed: int = 0, spread: float = 0.05) -> Embeddings:
    rng = np.random.default_rng(seed)
    rows = [(p, c, t) for p in range(1, 13) for c in (0, 1) for t in range(4)]
    centers = rng.normal(size=(13, 16))
    vectors = np.array([centers[p] + spread * (1 + 4 * c) * rng.normal(size=16) for p, c, _ in rows], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pids, camids, times = (np.array(column) for column in zip(*rows, strict=True))
    return Embeddings(vectors, pids, camids, times=times.astype(float), fingerprint="abc")


def test_the_law_of_distances_comes_from_labelled_people(tmp_path: Path) -> None:
    law = calibrate_tracklets(labelled())
    assert law.people == 12
    assert law.same_camera.same == 24
    assert law.other_camera.same == 48
    assert law.same_camera.slope < 0 > law.other_camera.slope
    assert 0 < law.same_camera.even < 1
    assert "one person below" in str(law)
    (tmp_path / "mine.toml").write_text("")
    assert (
        law.save(tmp_path / "mine.toml") == tmp_path / "mine.tracklets.json" == calibration_path(tmp_path / "mine.toml")
    )
    assert TrackletCalibration.load(tmp_path / "mine.tracklets.json") == law
    labelled().to_parquet(tmp_path / "people.parquet")
    assert read_calibration(tmp_path / "people.parquet") == law


def test_people_whom_nothing_tells_apart_are_no_calibration(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match="0 pairs of one person"):
        calibrate_tracklets(labelled().select(np.arange(0, 96, 8)))
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(EmbeddingError, match="not a calibration of tracklets"):
        read_calibration(tmp_path / "x.json")
    with pytest.raises(EmbeddingError, match="between 0 and 2"):
        TrackletCalibration.of_threshold(0)


def rows(*boxes: tuple[int, int, float]) -> TrackRows:
    """(frame, identity, left) -> boxes of 10 x 20 pixels."""
    return TrackRows(
        np.array([f for f, _, _ in boxes]), np.array([i for _, i, _ in boxes]),
        np.array([(x, 0, 10, 20) for _, _, x in boxes], float).reshape(-1, 4),
    )  # fmt: skip


def test_the_figures_of_a_small_example() -> None:
    """Ten true boxes of one person; the result has eight of them, three under another identity, and one false box."""
    truth = rows(*((k, 7, k) for k in range(1, 11)))
    found = rows(*((k, 1 if k < 6 else 2, k) for k in range(1, 9)), (1, 3, 500))
    report = compare_tracks({"a": found}, {"a": truth})
    # identity 1 is the person: 5 right; 4 of the result and 5 of the truth remain
    assert report.idf1 == pytest.approx(2 * 5 / (10 + 9))
    assert report.idp == pytest.approx(5 / 9)
    assert report.idr == pytest.approx(5 / 10)
    assert report.switches == 1
    assert report.mota == pytest.approx(1 - (2 + 1 + 1) / 10)
    assert (report.identities, report.true_identities, report.boxes, report.true_boxes) == (3, 1, 9, 10)
    assert "IDF1 52.6" in str(report)
    assert report.to_dict()["switches"] == 1


def test_identities_count_over_films() -> None:
    truth = {"a": rows(*((k, 1, k) for k in range(1, 6))), "b": rows(*((k, 1, k) for k in range(1, 6)))}
    apart = {"a": truth["a"], "b": rows(*((k, 2, k) for k in range(1, 6)))}
    assert compare_tracks(truth, truth).idf1 == 1
    report = compare_tracks(apart, truth)
    assert report.idf1 == pytest.approx(0.5)
    assert [film["idf1"] for film in report.films.values()] == [1, 1]
    assert [film["hota"] for film in report.films.values()] == [1, 1]
    assert report.switches == 0
    assert compare_tracks({"a": rows(), "b": rows()}, truth).idf1 == 0
    with pytest.raises(EmbeddingError, match="the same films"):
        compare_tracks({"a": truth["a"]}, truth)
    with pytest.raises(EmbeddingError, match="identity 1 has two boxes in frame 1"):
        compare_tracks({"a": rows((1, 1, 0), (1, 1, 5))}, {"a": truth["a"]})


def test_gaps_are_filled_and_identities_are_once_in_a_frame() -> None:
    frames = np.array([1, 1, 3, 11])
    boxes = np.array([[0, 0, 10, 20], [1, 0, 11, 20], [4, 0, 14, 20], [9, 0, 19, 20]], np.float32)
    found = identity_rows(
        frames, frames / 10, boxes, np.array([0.5, 0.9, 0.7, 0.7], np.float32), np.array([0, 1, 0, 0]), np.array([5, 5])
    )
    assert found.boxes[:, 0].tolist() == [1, 4, 9]
    filled = fill_gaps(found, seconds=0.5, step=1)
    assert filled.frames.tolist() == [1, 2, 3, 11]
    assert filled.boxes[1].tolist() == [2.5, 0, 12.5, 20]
    assert filled.filled.tolist() == [False, True, False, False]
    assert filled.tracklets.tolist() == [1, -1, 0, 0]
    assert filled.times[1] == pytest.approx(0.2)


def far_cameras(people: int, angle: float) -> list[Tracklet]:
    """One tracklet a person and camera; what a camera adds is as long as a person."""
    seen = []
    for number in range(people):
        own = np.zeros(16)
        own[2 + number] = 1.0
        for place, camera in enumerate(("hall", "door")):
            vector = own.copy()
            vector[place] = angle
            vector[15] = 0.05 * number
            first = 1 + 20 * number
            seen.append(replace(tracklet(camera, first, first + 9, np.ones(8)), vectors=unit(vector)[None]))
    return seen


def unit(vector: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vector / np.linalg.norm(vector)
    return unit.astype(np.float32)


def test_camera_means_are_subtracted_where_enough_people_were_seen() -> None:
    """A person is as far from itself under the other camera as from others under the same one."""
    seen = far_cameras(8, angle=1.0)
    law = DistanceLaw(12.5, -25.0, 1, 1)
    calibration = replace(TrackletCalibration.of_threshold(0.4), centered_same_camera=law, centered_other_camera=law)
    plain, notes = join_people(seen, calibration, TrackingSettings())
    assert len(set(plain.tolist())) == 16
    assert notes == [f"joined by {calibration}"]
    joined, notes = join_people(seen, calibration, TrackingSettings(camera_statistics=True, camera_minimum=8))
    assert joined.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    assert "2 of 2 cameras have their mean subtracted" in notes[1]
    few, notes = join_people(seen, calibration, TrackingSettings(camera_statistics=True))
    assert few.tolist() == plain.tolist()
    assert "off, 2 of 2 cameras saw fewer than 50 people" in notes[1]
    poor = [replace(t, crop_quality=np.zeros(1, np.float32)) for t in seen]
    assert (
        "no tracklet is good enough" in join_people(poor, calibration, TrackingSettings(camera_statistics=True))[1][1]
    )


def test_camera_statistics_that_could_not_be_used_are_refused() -> None:
    settings = TrackingSettings(camera_statistics=True)
    check_camera_statistics(TrackingSettings(), ["hall"], LAW)
    with pytest.raises(ConfigError, match=r"does nothing for a single camera \(hall\)"):
        check_camera_statistics(settings, ["hall", "hall"], LAW)
    with pytest.raises(EmbeddingError, match="no law for them; calibrate_tracklets fits one"):
        check_camera_statistics(settings, ["hall", "door"], LAW)
    with pytest.raises(ValueError, match="camera_minimum does nothing without camera_statistics"):
        TrackingSettings(camera_minimum=5)


def test_a_calibration_of_many_people_also_reads_vectors_without_camera_means(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    people, cameras = np.repeat(np.arange(1, 61), 8), np.tile(np.repeat([0, 1], 4), 60)
    centers = rng.normal(size=(61, 8))[people] + 2 * np.eye(8)[cameras]
    vectors = centers + 0.2 * rng.normal(size=centers.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = calibrate_tracklets(Embeddings(vectors, people, cameras))
    centered = found.of_centered_vectors()
    assert centered.other_camera != found.other_camera
    assert abs(centered.other_camera.slope) > abs(found.other_camera.slope)  # cameras no longer blur people
    few = calibrate_tracklets(Embeddings(vectors[:320], people[:320], cameras[:320]))
    assert few.centered_same_camera is None
    place = tmp_path / "encoder.toml"
    place.write_text('file = "a.onnx"\n')
    assert TrackletCalibration.load(found.save(place)) == found
    assert TrackletCalibration.load(few.save(place)) == few
