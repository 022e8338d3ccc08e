"""From drawn films to identities: followed, cut, joined over cameras, written, evaluated and watched."""

import csv
import itertools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from tests.stripe_colors import StripeColors

import passerby as pb
from passerby import progress
from passerby.cli import run
from passerby.data.synthetic.film import DrawnFilm, draw_films
from passerby.embedding.tracklet import Tracklet
from passerby.errors import ConfigError, DataError, EmbeddingError, ImageError
from passerby.images.decode import decode_image
from passerby.models.encoder import Encoder
from passerby.models.engines.preprocessing import Preprocessing
from passerby.tracking.films import film_info, read_frames
from passerby.tracking.result import IdentityRows, TrackedFilm, TrackingResult
from passerby.tracking.writers import folder as folder_writer
from passerby.tracking.writers.annotated_film import write_annotated_film
from passerby.tracking.writers.tables import write_stays

av = pytest.importorskip("av")
pytest.importorskip("trackers")
pytest.importorskip("trackeval")
RATE = 10


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    size = Preprocessing(height=64, width=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return Encoder(StripeColors(), size, fingerprint="stripes", model_config={}, provenance={})


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[DrawnFilm]:
    return draw_films(tmp_path_factory.mktemp("films"), people=3, cameras=2, seconds=9, rate=RATE, seed=0)


def without_tracks(film: DrawnFilm, folder: Path) -> Path:
    """A detector's boxes: the true ones, a little off, without identities."""
    rng = np.random.default_rng(0)
    lines = []
    for line in film.truth.read_text().splitlines():
        frame, _, *box = line.split(",")[:6]
        moved = [float(v) + rng.normal(0, 1) for v in box]
        lines.append(",".join([frame, "-1", *(f"{v:.2f}" for v in moved), "0.9"]))
    path = folder / f"{film.camera}.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def boxes(films: list[DrawnFilm], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("boxes")
    return [without_tracks(film, folder) for film in films]


@pytest.fixture(scope="module")
def result(
    films: list[DrawnFilm], boxes: list[Path], encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> pb.TrackingResult:
    out = tmp_path_factory.mktemp("tracked") / "result"
    return pb.track(
        [film.film for film in films],
        encoder=encoder,
        boxes=boxes,
        threshold=0.5,
        out=out,
        progress=False,
    )


def test_drawn_films_have_truth(films: list[DrawnFilm]) -> None:
    for drawn in films:
        assert film_info(drawn.film).rate == RATE
        frames = list(read_frames(drawn.film))
        assert len(frames) == 9 * RATE
        people = {line.split(",")[1] for line in drawn.truth.read_text().splitlines()}
        assert people == {"1", "2", "3"}


def brightest(tracklets: Sequence[Tracklet]) -> int:
    """Greatest value of the tracklets' pictures."""
    pictures = [decode_image(t.thumbnail, name="thumbnail") for t in tracklets if isinstance(t.thumbnail, bytes)]
    return max(int(picture.max()) for picture in pictures)


def test_frames_of_a_thermal_camera_are_read_with_the_encoders_bits(
    films: list[DrawnFilm], boxes: list[Path], encoder: Encoder, tmp_path: Path
) -> None:
    cv2 = pytest.importorskip("cv2")
    folder = tmp_path / "camera0"
    folder.mkdir()
    for frame in read_frames(films[0].film, last=2 * RATE):
        assert frame.image is not None
        cv2.imwrite(str(folder / f"{frame.index:06d}.png"), frame.image[:, :, ::-1].astype(np.uint16) << 4)
    thermal = Encoder(
        StripeColors(),
        encoder.preprocessing.model_copy(update={"bits": 12}),
        fingerprint="s",
        model_config={},
        provenance={},
    )
    found = pb.track(
        [folder], encoder=thermal, boxes=[boxes[0]], threshold=0.5, rate=RATE, out=tmp_path / "out", progress=False
    )
    assert brightest(found.tracklets) > 100
    drawn = next(iter(read_frames(tmp_path / "out/camera0.annotated.mp4"))).image
    original = next(iter(read_frames(films[0].film))).image
    assert drawn is not None
    assert original is not None
    assert abs(float(drawn.mean()) - float(original.mean())) < 10
    with pb.Gallery.open(tmp_path / "people.gallery", thermal) as gallery:
        seen = list(pb.watch(folder, gallery, camera="hall", boxes=boxes[0], threshold=0.5, rate=RATE))
    assert brightest([watched.tracklet for watched in seen]) > 100


def test_everybody_has_one_identity_in_both_films(result: pb.TrackingResult, films: list[DrawnFilm]) -> None:
    report = result.evaluate({film.camera: film.truth for film in films})
    alone = pb.evaluate_tracks(
        {film.name: film.rows.as_track_rows() for film in result.films},
        {film.name: film.rows.as_track_rows() for film in result.films},
    )
    assert alone.idf1 == 1
    assert report.idf1 > 0.9, str(report)
    assert report.true_identities == 3
    assert result.people <= 4
    assert set(report.films) == {"camera0", "camera1"}
    with pytest.raises(DataError, match="the result has camera0, camera1"):
        result.evaluate({"hall": films[0].truth})


def test_what_is_written_agrees(result: pb.TrackingResult, tmp_path: Path) -> None:
    assert result.folder is not None
    mot = {film.name: (result.folder / f"{film.name}.txt").read_text().splitlines() for film in result.films}
    with (result.folder / "tracks.csv").open() as file:
        table = list(csv.DictReader(file))
    columns = pq.read_table(result.folder / "tracks.parquet").to_pylist()
    assert len(table) == len(columns) == sum(map(len, mot.values())) == sum(len(film.rows) for film in result.films)
    for name, rows in mot.items():
        own = [row for row in table if row["film"] == name]
        assert [line.split(",")[:2] for line in rows] == [[row["frame"], row["identity"]] for row in own]
    assert [str(row["identity"]) for row in columns] == [row["identity"] for row in table]
    vectors = pb.Embeddings.from_parquet(result.folder / "tracklets.parquet")
    assert vectors.fingerprint == "stripes"
    assert set(vectors.pids.tolist()) <= set(result.identities.tolist())
    lines = [json.loads(line) for line in (result.folder / "tracks.jsonl").read_text().splitlines()]
    alone = tmp_path / "camera1.jsonl"
    alone.write_text("\n".join(json.dumps(line) for line in lines if line["film"] == "camera1") + "\n")
    again = pb.read_boxes(alone).boxes
    assert [(box.frame, box.track) for box in again] == [
        (int(row["frame"]), int(row["identity"])) for row in table if row["film"] == "camera1"
    ]
    page = (result.folder / "report.html").read_text()
    assert "Timeline" in page
    assert page.count("data:image/jpeg") >= result.people
    drawn = list(read_frames(result.folder / "camera0.annotated.mp4"))
    assert len(drawn) == 9 * RATE
    assert drawn[0].image is not None
    assert drawn[0].image.shape == (180, 320, 3)
    assert json.dumps(result.to_dict())
    both = result.people_seen_by(2)
    assert both == 3
    assert result.people_seen_by(1) == result.people
    assert f"{result.people} people in 2 film(s), 3 of them seen by both cameras: " in str(result)
    assert result.to_dict()["people_seen_by_all_cameras"] == both
    assert result.to_dict()["cameras"] == ["camera0", "camera1"]
    assert "under 2 camera(s); 3 seen by both" in page


def test_without_a_terminal_lines_say_how_far_a_film_is(
    films: list[DrawnFilm],
    boxes: list[Path],
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(progress, "_FIRST_LINE", 0.0)
    monkeypatch.setattr(progress, "_LAST_LINE", 0.0)  # a line a frame
    with caplog.at_level(logging.INFO, "passerby"):
        pb.track([film.film for film in films], encoder=encoder, boxes=boxes, threshold=0.5)
    lines = [record.getMessage() for record in caplog.records]
    assert any(
        line.startswith("tracking camera1.mp4, film 2/2: 100 of 180 (56%), ") and line.endswith(" (at 1 s of 9 s)")
        for line in lines
    ), lines


def test_ctrl_c_while_films_are_drawn_keeps_the_result(
    result: pb.TrackingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = write_annotated_film

    def interrupted(path: Path, film: TrackedFilm, **options: object) -> None:
        if film.name == "camera1":
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        drawn(path, film)

    monkeypatch.setattr(folder_writer, "write_annotated_film", interrupted)
    kept = folder_writer.write_result(result, tmp_path / "kept")
    assert "interrupted: no film with boxes from camera1 on" in kept.notes
    assert {path.name for path in (tmp_path / "kept").glob("*.mp4")} == {"camera0.annotated.mp4"}
    assert "from camera1 on" in (tmp_path / "kept/report.html").read_text()


def test_an_address_is_not_read_again_to_draw_boxes(result: pb.TrackingResult, tmp_path: Path) -> None:
    camera = replace(result, films=tuple(replace(film, source="rtsp://hall/1") for film in result.films))
    written = folder_writer.write_result(camera, tmp_path / "written")
    assert "no film with boxes of rtsp://hall/1: an address cannot be read again" in written.notes
    assert not list((tmp_path / "written").glob("*.mp4"))
    folder_writer.write_result(result, tmp_path / "none", films=False)
    assert (tmp_path / "none/report.html").is_file()
    assert not list((tmp_path / "none").glob("*.mp4"))


def test_what_is_written_is_evaluated_as_in_memory(
    result: pb.TrackingResult, films: list[DrawnFilm], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = {film.camera: film.truth for film in films}
    expected = result.evaluate(truth)
    folder = result.folder
    assert folder is not None
    found = pb.evaluate_tracks(folder, truth)
    assert found.idf1 == pytest.approx(expected.idf1, abs=1e-3)
    assert pb.evaluate_tracks(folder, [film.truth for film in films]).switches == expected.switches
    files = {name: folder / f"{name}.txt" for name in truth}
    assert pb.evaluate_tracks(files, truth).idf1 == found.idf1
    only = pb.evaluate_tracks(folder, films[1].truth if len(truth) == 1 else [films[1].truth])
    assert list(only.films) == ["camera1"]
    assert only.notes == ("camera0: no truth given, not counted",)
    given = [f"{name}={file}" for name, file in truth.items()]
    assert run(["evaluate-tracks", str(folder), "--truth", *given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["idf1"] == found.idf1
    assert run(["evaluate-tracks", str(folder), "--truth", *given]) == 0
    assert "over 2 films with common identities (MTMC)" in capsys.readouterr().out
    others = [tmp_path / "first_gt.txt", tmp_path / "second_gt.txt"]
    for film, other in zip(films, others, strict=True):
        other.write_bytes(film.truth.read_bytes())
    assert result.evaluate(others) == expected, "called like no film: in the order of the films"
    assert run(["evaluate-tracks", str(folder), "--truth", *map(str, others), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["idf1"] == found.idf1
    with pytest.raises(
        DataError, match=r"truth: 1 file\(s\) for 2 film\(s\) \(camera0, camera1\), none of them called"
    ):
        result.evaluate(others[:1])
    with pytest.raises(DataError, match="truth of hall: the result has camera0, camera1"):
        pb.evaluate_tracks(folder, {"hall": films[0].truth})
    with pytest.raises(DataError, match="a folder that `passerby track` wrote"):
        pb.evaluate_tracks(tmp_path, truth)


def test_no_identity_is_twice_in_a_frame_and_boxes_are_counted(result: pb.TrackingResult, boxes: list[Path]) -> None:
    for film, file in zip(result.films, boxes, strict=True):
        pairs = list(zip(film.rows.frames.tolist(), film.rows.identities.tolist(), strict=True))
        assert len(pairs) == len(set(pairs))
        given = len(file.read_text().splitlines())
        assert int((~film.rows.filled).sum()) + sum(film.skipped.values()) == given


def test_a_files_own_tracks_are_followed(films: list[DrawnFilm], encoder: Encoder) -> None:
    film, truth = films[0].film, films[0].truth
    found = pb.track(film, encoder=encoder, boxes=truth, threshold=0.5, fill_seconds=0, progress=False)
    assert found.evaluate({"camera0": films[0].truth}).mota > 0.99
    assert found.folder is None


def test_two_films_of_one_camera_keep_their_clock(
    films: list[DrawnFilm], boxes: list[Path], encoder: Encoder, tmp_path: Path
) -> None:
    sources = [film.film for film in films]
    options: dict[str, Any] = {"encoder": encoder, "threshold": 0.5, "cameras": ["hall", "hall"], "progress": False}
    given = {"camera0": boxes[0], "camera1": boxes[1]}
    with pytest.raises(ConfigError, match="two films of the camera hall begin at one moment"):
        pb.track(sources, boxes=given, **options)
    with pytest.raises(ConfigError, match=r"two films of the camera 07 begin at one moment"):
        pb.track(sources, boxes=given, **{**options, "cameras": ["07", "7.0"]})
    found = pb.track(sources, boxes=given, starts=[100, 200], **options)
    assert [film.rows.times.min() // 100 for film in found.films] == [1, 2]
    assert {t.camera for t in found.tracklets} == {"hall"}
    assert found.people < 6
    late = pb.track(sources, boxes=given, starts=[100, 104], **options)
    assert any("overlap in time; are their starts right?" in note for note in late.notes)
    with pytest.raises(DataError, match="one file for each of camera0, camera1"):
        pb.track(sources, boxes={"hall": boxes[0]}, starts=[100, 200], **options)


def test_travel_times_are_a_setting(
    films: list[DrawnFilm], boxes: list[Path], encoder: Encoder, tmp_path: Path
) -> None:
    sources = [film.film for film in films]
    way = tmp_path / "way.csv"
    way.write_text("from,to,seconds\ncamera0,camera1,1000\n")
    found = pb.track(sources, encoder=encoder, boxes=boxes, threshold=0.5, travel_times=way, progress=False)
    seen = [set(film.rows.identities.tolist()) for film in found.films]
    assert not seen[0] & seen[1]
    way.write_text("from,to,seconds\nhall,door,1000\n")
    with pytest.raises(ConfigError, match="travel times between door, hall; the films' cameras are camera0, camera1"):
        pb.track(sources, encoder=encoder, boxes=boxes, threshold=0.5, travel_times=way, progress=False)


def test_every_other_frame(films: list[DrawnFilm], boxes: list[Path], encoder: Encoder) -> None:
    found = pb.track(films[0].film, encoder=encoder, boxes=boxes[0], threshold=0.5, every=2, progress=False)
    assert set((found.films[0].rows.frames % 2).tolist()) == {1}
    assert found.films[0].rate == RATE / 2
    assert found.evaluate({"camera0": films[0].truth}).idf1 > 0.6


def test_a_folder_of_frames_is_a_film(
    films: list[DrawnFilm], boxes: list[Path], encoder: Encoder, tmp_path: Path
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for frame in read_frames(films[0].film, last=30):
        assert frame.image is not None
        Image.fromarray(frame.image).save(folder / f"f{frame.index}.jpg", quality=95)
    found = pb.track(folder, encoder=encoder, boxes=boxes[0], threshold=0.5, rate=RATE, cameras="hall", progress=False)
    assert found.films[0].frames == 30
    assert found.films[0].camera == "hall"
    assert found.films[0].rows.times.max() == pytest.approx(2.9)
    assert found.films[0].skipped["boxes after the last frame of the film"] > 0


def folder_of(film: Path, place: Path, numbers: range) -> Path:
    """Frames of a film as image files."""
    place.mkdir()
    for frame in read_frames(film):
        if frame.index in numbers:
            Image.fromarray(frame.image).save(place / f"{frame.index:06d}.jpg", quality=95)  # type: ignore[arg-type]
    return place


@pytest.mark.parametrize("every", [1, 2])
def test_a_folder_of_every_third_frame_is_tracked_at_its_own_rate(
    films: list[DrawnFilm], encoder: Encoder, tmp_path: Path, every: int
) -> None:
    folder = folder_of(films[0].film, tmp_path / "part", range(11, 91, 3))
    out = tmp_path / "out"
    options: dict[str, Any] = {"boxes": films[0].truth, "threshold": 0.5, "rate": RATE, "every": every, "cut_gap": 1}
    found = pb.track(folder, encoder=encoder, out=out, film_out=True, progress=False, **options)
    [film] = found.films
    assert (film.first, film.step) == (11, 3 * every)
    assert film.rate == pytest.approx(RATE / 3 / every)
    assert set(film.rows.frames.tolist()) <= set(range(11, 91, 3 * every))
    given = [int(line.split(",")[0]) for line in films[0].truth.read_text().splitlines()]
    lacking = sum(frame < 89 and frame not in range(11, 91, 3) for frame in given)
    assert film.skipped["boxes in frames that the folder does not hold"] == lacking
    truth = {"part": films[0].truth}
    assert found.evaluate(truth).mota > 0.97
    assert pb.evaluate_tracks(out, truth).mota == pytest.approx(found.evaluate(truth).mota)
    assert any("before frame 11" in note for note in found.evaluate(truth).notes)


def test_a_broken_frame_of_a_folder_is_counted(films: list[DrawnFilm], encoder: Encoder, tmp_path: Path) -> None:
    folder = folder_of(films[0].film, tmp_path / "part", range(1, 61))
    (folder / "000030.jpg").write_bytes((folder / "000030.jpg").read_bytes()[:500])
    (folder / "notes.txt").write_text("")
    found = pb.track(folder, encoder=encoder, boxes=films[0].truth, threshold=0.5, rate=RATE, progress=False)
    assert found.films[0].frames == 60
    assert any("1 frame(s) are broken" in note for note in found.films[0].notes)
    assert any("not read: 1 file(s) by extension (.txt: 1)" in note for note in found.films[0].notes)
    assert found.films[0].skipped["boxes in broken frames"] > 0


def test_a_detector_may_be_a_function(films: list[DrawnFilm], encoder: Encoder) -> None:
    truth = pb.read_boxes(films[0].truth).boxes
    seen = iter(range(1, 1000))

    def detect(image: np.ndarray) -> pb.Detections:
        assert image.shape == (180, 320, 3)
        frame = next(seen)
        return pb.Detections.of([(b.x, b.y, b.x + b.width, b.y + b.height) for b in truth if b.frame == frame])

    found = pb.track(films[0].film, encoder=encoder, detector=detect, threshold=0.5, progress=False)
    assert found.evaluate({"camera0": films[0].truth}).idf1 > 0.8


def test_camera_means_are_said_in_the_notes(films: list[DrawnFilm], boxes: list[Path], encoder: Encoder) -> None:
    sources = [film.film for film in films]
    law = pb.TrackletCalibration.of_threshold(0.5)
    both = replace(law, centered_same_camera=law.same_camera, centered_other_camera=law.other_camera)
    found = pb.track(sources, encoder=encoder, boxes=boxes, calibration=both, camera_statistics=True, progress=False)
    assert "off, 2 of 2 cameras saw fewer than 50 people" in found.notes[1]
    options: dict[str, Any] = {"camera_statistics": True, "camera_minimum": 2, "progress": False}
    found = pb.track(sources, encoder=encoder, boxes=boxes, calibration=both, **options)
    assert "camera statistics, version 1" in found.notes[1]
    assert "saw fewer" not in found.notes[1]
    with pytest.raises(EmbeddingError, match="no law for them"):
        pb.track(sources, encoder=encoder, boxes=boxes, threshold=0.5, **options)
    with pytest.raises(ConfigError, match="single camera"):
        pb.track(sources[0], encoder=encoder, boxes=boxes[0], calibration=both, **options)


def test_boxes_outside_the_picture_are_nobody(films: list[DrawnFilm], encoder: Encoder, tmp_path: Path) -> None:
    own = films[0].truth.read_text()
    file = tmp_path / "boxes.txt"
    file.write_text(f"{own}5,99,-60,10,50,90,1\n6,99,320,10,50,90,1\n7,98,10,-90,50,90,1\n8,97,10,180,50,90,1\n")
    found = pb.track(films[0].film, encoder=encoder, boxes=file, threshold=0.5, progress=False)
    assert found.films[0].skipped == {"boxes outside the picture": 4}
    file.write_text("5,99,-60,10,50,90,1\n")
    with pytest.raises(DataError, match=r"nobody was tracked \(1 boxes outside the picture\)"):
        pb.track(films[0].film, encoder=encoder, boxes=file, threshold=0.5, progress=False)


def test_boxes_of_every_second_frame_name_the_flag(films: list[DrawnFilm], encoder: Encoder, tmp_path: Path) -> None:
    lines = without_tracks(films[0], tmp_path).read_text().splitlines()
    file = tmp_path / "second.txt"
    file.write_text("\n".join(line for line in lines if int(line.split(",")[0]) % 2))
    with pytest.raises(DataError, match=r"nobody was tracked .*one frame of 2 only, .*--tracking.every 2"):
        pb.track(films[0].film, encoder=encoder, boxes=file, threshold=0.5, progress=False)
    found = pb.track(films[0].film, encoder=encoder, boxes=file, threshold=0.5, every=2, progress=False)
    assert found.people
    assert not found.films[0].notes


def test_uncertain_boxes_of_a_file_are_named_and_left_out(
    films: list[DrawnFilm], encoder: Encoder, tmp_path: Path
) -> None:
    lines = without_tracks(films[0], tmp_path).read_text().splitlines()
    file = tmp_path / "uncertain.txt"
    low = [line.removesuffix("0.9") + "0.15" for line in lines[: len(lines) // 4]]
    file.write_text("\n".join(lines[len(low) :] + low))
    options: dict[str, Any] = {"boxes": file, "threshold": 0.5, "progress": False}
    found = pb.track(films[0].film, encoder=encoder, **options)
    assert f"{len(low):,} of {len(lines):,} boxes have a score below 0.3" in str(found)
    assert "--tracking.least-score 0.3" in str(found)
    found = pb.track(films[0].film, encoder=encoder, **options, least_score=0.3)
    assert found.films[0].skipped["boxes with a score below 0.3"] == len(low)
    assert "--tracking.least-score" not in str(found)


def test_a_detectors_uncertain_boxes_are_left_out(films: list[DrawnFilm], encoder: Encoder) -> None:
    boxes = pb.Detections.of([(10, 10, 60, 150), (100, 10, 150, 150)], [0.9, 0.2])
    options: dict[str, Any] = {"detector": lambda image: boxes, "threshold": 0.5, "progress": False}
    found = pb.track(films[0].film, encoder=encoder, **options, least_score=0.3)
    assert found.films[0].skipped["boxes with a score below 0.3"] == found.films[0].frames


def with_scores(file: Path, change: Callable[[int], float]) -> Path:
    """The boxes of a file in MOT's format with other scores, by line."""
    rows = [line.split(",") for line in file.read_text().splitlines()]
    lines = [",".join([*row[:6], str(change(place))]) for place, row in enumerate(rows)]
    changed = file.with_name(f"changed-{file.name}")
    changed.write_text("\n".join(lines))
    return changed


@pytest.mark.parametrize("tracker", ["sort", "bytetrack", "ocsort"])
@pytest.mark.parametrize("tracked", [True, False])
def test_scores_of_another_scale_lose_nobody(
    films: list[DrawnFilm], encoder: Encoder, tmp_path: Path, *, tracked: bool, tracker: str
) -> None:
    file = without_tracks(films[0], tmp_path)
    if tracked:
        file.write_text(films[0].truth.read_text())
    options: dict[str, Any] = {"threshold": 0.5, "tracker": tracker, "progress": False}
    usual, *others = [
        pb.track(films[0].film, encoder=encoder, boxes=with_scores(file, change), **options)
        for change in (lambda place: 0.9, lambda place: -0.7, lambda place: 1.2 if place % 2 else -0.7)
    ]
    for other in others:
        assert np.array_equal(other.films[0].rows.identities, usual.films[0].rows.identities)
        assert np.array_equal(other.films[0].rows.boxes, usual.films[0].rows.boxes)
        assert other.decided.tolist() == usual.decided.tolist()
        assert other.films[0].skipped == usual.films[0].skipped
        assert "not from 0 to 1" in str(other)
    assert "not from 0 to 1" not in str(usual)
    assert others[0].films[0].rows.scores.tolist() == pytest.approx([-0.7] * len(others[0].films[0].rows))


def test_least_and_start_scores_are_on_the_scale_of_the_boxes(
    films: list[DrawnFilm], encoder: Encoder, tmp_path: Path
) -> None:
    file = with_scores(without_tracks(films[0], tmp_path), lambda place: -0.7 if place % 5 == 0 else 2.5)
    lines = len(file.read_text().splitlines())
    options: dict[str, Any] = {"boxes": file, "threshold": 0.5, "progress": False}
    found = pb.track(films[0].film, encoder=encoder, **options, least_score=0.0)
    assert found.films[0].skipped["boxes with a score below 0"] == -(-lines // 5)
    found = pb.track(films[0].film, encoder=encoder, **options, least_score=-1.5, start_score=-0.9)
    assert "boxes with a score below -1.5" not in found.films[0].skipped
    with pytest.raises(DataError, match=r"nobody was tracked .*boxes that no track took"):
        pb.track(films[0].film, encoder=encoder, **options, start_score=3.0)
    with pytest.raises(ConfigError, match="least_score"):
        pb.track(films[0].film, encoder=encoder, **options, least_score=float("nan"))


def test_a_detectors_scores_may_be_logits(films: list[DrawnFilm], encoder: Encoder) -> None:
    truth = pb.read_boxes(films[0].truth).boxes
    people = {}
    for score in (0.9, -0.7):
        seen = iter(range(1, 1000))

        def detect(image: np.ndarray, score: float = score, seen: Any = seen) -> pb.Detections:
            frame = next(seen)
            corners = [(b.x, b.y, b.x + b.width, b.y + b.height) for b in truth if b.frame == frame]
            return pb.Detections.of(corners, [score] * len(corners))

        found = pb.track(films[0].film, encoder=encoder, detector=detect, threshold=0.5, progress=False)
        people[score] = found.people
        assert sum("not from 0 to 1" in note for note in found.films[0].notes) == (score < 0)
    assert people[-0.7] == people[0.9] > 0


def test_stays_say_who_was_when_before_which_camera(tmp_path: Path) -> None:
    times = np.array([0.0, 1.0, 2.0, 9.0, 9.5, 0.5])
    rows = IdentityRows(
        np.arange(6, dtype=np.int64),
        times,
        np.array([2, 2, 2, 2, 2, 1], np.int64),
        np.zeros((6, 4), np.float32),
        np.ones(6, np.float32),
        np.zeros(6, np.int64),
        np.array([False, True, False, False, False, False]),
    )
    film = TrackedFilm("hall.mp4", "hall", "door", 10, 1.0, 1, (64, 48), rows, {}, ())
    write_stays(tmp_path / "stays.csv", TrackingResult((film,), (), np.zeros(0, np.int64), np.zeros(0, bool), "x"))
    assert (tmp_path / "stays.csv").read_text().splitlines() == [
        "identity,camera,film,start,end,boxes",
        "1,door,hall,0.500,0.500,1",
        "2,door,hall,0.000,2.000,2",
        "2,door,hall,9.000,9.500,2",
    ]


def test_refusals(films: list[DrawnFilm], boxes: list[Path], encoder: Encoder, tmp_path: Path) -> None:
    film = films[0].film
    with pytest.raises(ConfigError, match="one of the two"):
        pb.track(film, encoder=encoder, threshold=0.5)
    with pytest.raises(ConfigError, match="unknown setting 'cut_overlaps'"):
        pb.track(film, encoder=encoder, boxes=boxes[0], threshold=0.5, cut_overlaps=0.3)
    with pytest.raises(EmbeddingError, match="or a cosine distance"):
        pb.track(film, encoder=encoder, boxes=boxes[0])
    with pytest.raises(DataError, match="2 files of boxes for 1 films"):
        pb.track(film, encoder=encoder, boxes=boxes, threshold=0.5)
    with pytest.raises(DataError, match="same name"):
        pb.track([film, film], encoder=encoder, boxes=boxes, threshold=0.5)
    with pytest.raises(DataError, match="no such film"):
        pb.track(tmp_path / "absent.mp4", encoder=encoder, boxes=boxes[0], threshold=0.5)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x").touch()
    with pytest.raises(DataError, match="not an empty folder"):
        pb.track(film, encoder=encoder, boxes=boxes[0], threshold=0.5, out=tmp_path / "out")
    (tmp_path / "late.txt").write_text("9999,1,10,10,20,50,1\n")
    with pytest.raises(DataError, match=r"nobody was tracked .*1 boxes after the last frame"):
        pb.track(film, encoder=encoder, boxes=tmp_path / "late.txt", threshold=0.5, progress=False)


def test_interruption_keeps_what_is_finished(
    films: list[DrawnFilm], boxes: list[Path], encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import passerby.tracking.film_tracks as film_tracks

    def interrupted(source: Path, **options: object) -> object:
        for frame in read_frames(source, **options):  # type: ignore[arg-type]
            if frame.index == 40:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(film_tracks, "read_frames", interrupted)
    sources = [film.film for film in films]
    found = pb.track(sources, encoder=encoder, boxes=boxes, threshold=0.5, progress=False)
    assert [film.frames for film in found.films] == [39]
    assert "interrupted: 1 film(s) were not begun" in found.notes
    assert "interrupted after frame 39" in found.films[0].notes


def test_watching_gives_sightings(films: list[DrawnFilm], boxes: list[Path], encoder: Encoder, tmp_path: Path) -> None:
    with pb.Gallery.open(tmp_path / "people.gallery", encoder) as gallery:
        seen = list(pb.watch(films[0].film, gallery, camera="hall", boxes=boxes[0], threshold=0.6, start=100.0))
        again = list(pb.watch(films[0].film, gallery, camera="hall", boxes=boxes[0], threshold=0.6, start=500.0))
        known = len(gallery)
        stored = gallery.sightings()
    decided = [s.sighting for s in seen if s.sighting is not None]
    assert decided
    assert any(s.new for s in decided)
    assert all(100 <= s.start <= s.end <= 109.1 for s in seen)
    assert not any(s.sighting.new for s in again if s.sighting is not None)
    assert 1 <= known <= len(decided)
    assert "hall" in str(seen[0])
    assert sorted(s.id for s in stored) == sorted(s.sighting.id for s in seen + again if s.sighting is not None)
    assert all(s.has_thumbnail and s.camera == "hall" and s.source.endswith(films[0].film.name) for s in stored)
    for one in stored:
        assert one.first_frame is not None
        assert one.last_frame is not None
        assert one.first_frame <= one.last_frame
    for one, other in itertools.combinations(stored, 2):  # nobody is twice in the picture
        times = [(s.start, s.end) for s in (one, other)]
        (start, end), (other_start, other_end) = [(a, b) for a, b in times if a is not None and b is not None]
        assert one.identity != other.identity or end < other_start or other_end < start


def test_encode_boxes_is_encode_of_the_crops(films: list[DrawnFilm], encoder: Encoder) -> None:
    frame = next(iter(read_frames(films[0].film))).image
    assert frame is not None
    vectors = encoder.encode_boxes(frame, [[10, 20, 42, 84], [-5, -5, 20, 40]])
    expected = encoder.encode([frame[20:84, 10:42], frame[0:40, 0:20]], flip=False)
    assert np.allclose(vectors, expected)
    assert encoder.encode_boxes(frame, []).shape == (0, 24)
    with pytest.raises(ImageError, match=r"box 1, .* no pixel"):
        encoder.encode_boxes(frame, [[0, 0, 9, 9], [400, 0, 420, 50]])


def test_the_command(
    films: list[DrawnFilm], boxes: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from passerby.config import InputConfig, ModelConfig
    from passerby.models.model import build_model

    torch.manual_seed(0)
    architecture = ModelConfig(backbone="osnet_x0_25")
    made = Encoder.from_model(build_model(architecture), InputConfig(height=64, width=32), architecture)
    made.save(tmp_path / "encoder")
    arguments = ["track", str(films[0].film), "--encoder", str(tmp_path / "encoder"), "--out", str(tmp_path / "out")]
    given = ["--boxes", f"camera0={boxes[0]}", "--threshold", "0.1", "--truth", str(films[0].truth)]
    assert run([*arguments, *given, "--tracking.every", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["films"][0]["frames"] == 9 * RATE
    assert 0 < printed["truth"]["idf1"] <= 1
    assert (tmp_path / "out/camera0.txt").is_file()
    assert run([*arguments, *given]) == 2
    assert "not an empty folder" in capsys.readouterr().err
