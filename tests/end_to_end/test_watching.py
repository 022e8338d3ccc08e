"""`passerby watch` and `passerby evaluate-tracks` on drawn films: events, interruptions, cameras that go away."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import passerby as pb
from passerby.cli import run
from passerby.data.synthetic.film import DrawnFilm, draw_films
from passerby.errors import ConfigError, DataError, GalleryError
from passerby.models.encoder import Encoder
from passerby.tracking.films import Frame, read_frames
from passerby.tracking.watch import WatchCounts
from passerby.tracking.watching import incoming_frames
from passerby.tracking.watching.incoming_frames import CameraEvent, IncomingFrames

av = pytest.importorskip("av")
pytest.importorskip("trackers")
pytest.importorskip("trackeval")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnFilm:
    return draw_films(tmp_path_factory.mktemp("film"), people=2, cameras=1, seconds=6, rate=10, seed=1)[0]


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from passerby.config import InputConfig, ModelConfig
    from passerby.models.model import build_model

    torch.manual_seed(0)
    architecture = ModelConfig(backbone="osnet_x0_25")
    made = Encoder.from_model(build_model(architecture), InputConfig(height=64, width=32), architecture)
    folder = tmp_path_factory.mktemp("made") / "encoder"
    made.save(folder)
    return folder


@pytest.fixture
def words(drawn: DrawnFilm, encoder_folder: Path, tmp_path: Path) -> list[str]:
    return [
        *("watch", str(drawn.film), "--gallery", str(tmp_path / "people.gallery"), "--encoder", str(encoder_folder)),
        *("--camera", "hall", "--boxes", str(drawn.truth), "--threshold", "0.2", "--tracking.every", "2"),
    ]


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_command_prints_events_that_are_evaluated(
    words: list[str], drawn: DrawnFilm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--with-boxes"]) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    lines = events(printed)
    assert [lines[0]["event"], lines[-1]["event"]] == ["begin", "end"]
    seen = [line for line in lines if line["event"] == "sighting"]
    assert len(seen) == lines[-1]["sightings"] >= 2
    assert lines[-1]["frames"] == 60
    assert lines[-1]["looked"] == 30
    assert all(line["decided"] >= line["end"] >= line["start"] for line in seen)
    assert all(len(line["frames"]) == len(line["xyxy"]) == line["boxes"] for line in seen)
    (tmp_path / "hall.jsonl").write_text(printed)
    assert run(["evaluate-tracks", str(tmp_path / "hall.jsonl"), "--truth", str(drawn.truth), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0 < report["idf1"] <= 1
    assert report["online"]["sightings"] == len(seen)
    assert report["online"]["undecided"] == pytest.approx(sum(line["identity"] is None for line in seen) / len(seen))
    assert report["true_boxes"] < len(drawn.truth.read_text().splitlines()), "every other frame was looked at"
    assert "in frames that were not looked at" in report["notes"][0]
    assert run(["evaluate-tracks", str(tmp_path / "hall.jsonl"), "--truth", str(drawn.truth)]) == 0
    assert "time to a verdict" in capsys.readouterr().out


def test_without_boxes_nothing_can_be_measured(
    words: list[str], drawn: DrawnFilm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 0
    (tmp_path / "hall.jsonl").write_text(capsys.readouterr().out)
    assert run(["evaluate-tracks", str(tmp_path / "hall.jsonl"), "--truth", str(drawn.truth)]) == 2
    assert "--with-boxes" in capsys.readouterr().err


def test_a_film_goes_on_where_it_was_left(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C gives the verdicts on everybody in sight, and the next watch begins with the frame after it."""

    def interrupted(source: Path, **options: object) -> Iterator[Frame]:
        for frame in read_frames(source, **options):  # type: ignore[arg-type]
            if frame.index == 31:
                signal.raise_signal(signal.SIGINT)
            yield frame

    resume = ["--resume", str(tmp_path / "hall.json"), "--with-boxes"]
    with monkeypatch.context() as patch:
        patch.setattr(incoming_frames, "read_frames", interrupted)
        assert run([*words, *resume]) == 0
    first = events(capsys.readouterr().out)
    assert first[-1]["frames"] == 30
    assert first[-1]["sightings"] >= 1
    assert json.loads((tmp_path / "hall.json").read_text())["frame"] == 30
    assert run([*words, *resume]) == 0
    second = events(capsys.readouterr().out)
    assert second[-1]["frames"] == 60
    frames = [frame for line in second if line["event"] == "sighting" for frame in line["frames"]]
    assert min(frames) > 30
    skipped = second[-1]["skipped"]
    assert isinstance(skipped, dict)
    assert set(skipped) == {
        "boxes in frames that were watched before",
        "boxes in frames that were not looked at (every 2)",
    }
    assert run([*words[:-4], "--camera", "door", *words[-4:], *resume]) == 2
    assert "name another file" in capsys.readouterr().err


def test_a_watch_that_cannot_begin_leaves_no_gallery(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = tmp_path / "boxes.txt"
    boxes.write_text("1,1,left,10,20,40,1,-1,-1,-1\n")
    words[words.index("--boxes") + 1] = str(boxes)
    assert run(words) == 2
    assert "boxes.txt" in capsys.readouterr().err
    assert not list(tmp_path.glob("people.gallery*"))


def test_settings_of_joining_do_nothing_here_and_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run([*words, "--tracking.camera-statistics", "--tracking.fill-seconds", "1"]) == 2
    assert "camera_statistics, fill_seconds would do nothing" in capsys.readouterr().err
    assert not (tmp_path / "people.gallery").exists()


def test_a_glimpse_gets_no_verdict(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "glimpse.txt").write_text("21,5,100,40,40,100,0.9\n23,5,100,40,40,100,0.9\n")
    own = [str(tmp_path / "glimpse.txt") if word.endswith("camera0.txt") else word for word in words]
    assert run(own) == 0
    [seen] = [line for line in events(capsys.readouterr().out) if line["event"] == "sighting"]
    assert (seen["boxes"], seen["crops"], seen["identity"]) == (2, 0, None)
    assert run([*own, "--least-boxes", "2"]) == 0
    [seen] = [line for line in events(capsys.readouterr().out) if line["event"] == "sighting"]
    assert seen["identity"] == "unknown-1"
    assert run([*own, "--least-boxes", "0"]) == 2
    assert "expected 1 or more" in capsys.readouterr().err


def test_a_folder_that_holds_a_part_of_a_film(
    words: list[str], drawn: DrawnFilm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every other frame from its first one on is looked at, which is an even one here."""
    folder = tmp_path / "part"
    folder.mkdir()
    for frame in read_frames(drawn.film):
        if frame.index >= 30:
            Image.fromarray(frame.image).save(folder / f"{frame.index:06d}.png")  # type: ignore[arg-type]
    (folder / "000040.png").write_bytes(b"")
    assert run([words[0], str(folder), *words[2:], "--with-boxes", "--tracking.rate", "10"]) == 0
    printed = capsys.readouterr().out
    lines = events(printed)
    assert (lines[-1]["frames"], lines[-1]["first"], lines[-1]["looked"]) == (60, 30, 15)
    assert lines[-1]["skipped"]["frames that are broken"] == 1
    numbers = {frame for line in lines if line["event"] == "sighting" for frame in line["frames"]}
    assert numbers <= set(range(30, 61, 2)) - {40}
    (tmp_path / "hall.jsonl").write_text(printed)
    assert run(["evaluate-tracks", str(tmp_path / "hall.jsonl"), "--truth", str(drawn.truth), "--json"]) == 0
    assert "before frame 30" in " ".join(json.loads(capsys.readouterr().out)["notes"])


def test_negative_scores_lose_nobody(
    words: list[str], drawn: DrawnFilm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = {}
    for score in ("0.9", "-0.7"):
        rows = [line.split(",")[:6] for line in drawn.truth.read_text().splitlines()]
        (tmp_path / "scored.txt").write_text("".join(",".join([*row, score]) + "\n" for row in rows))
        own = [str(tmp_path / "scored.txt") if word == str(drawn.truth) else word for word in words]
        own[own.index("--gallery") + 1] = str(tmp_path / f"people{score}.gallery")
        assert run(own) == 0
        seen[score] = events(capsys.readouterr().out)
    assert seen["-0.7"][-1]["sightings"] == seen["0.9"][-1]["sightings"] >= 2
    assert seen["-0.7"][-1]["undecided"] == seen["0.9"][-1]["undecided"]
    assert seen["-0.7"][-1]["skipped"] == seen["0.9"][-1]["skipped"]
    assert any("not from 0 to 1" in note for note in seen["-0.7"][-1]["notes"])


def test_boxes_of_frames_that_were_left_out_are_not_called_broken(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming_frames, "_LATE", -1e9)  # always behind the clock
    assert run([*words, "--speed", "1000"]) == 0
    skipped = events(capsys.readouterr().out)[-1]["skipped"]
    assert isinstance(skipped, dict)
    assert "boxes in frames that were left out or are broken" in skipped
    assert "boxes in broken frames" not in skipped


class FakeClock:
    """A clock that moves only where somebody waits or works."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_camera_that_goes_away_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    openings = iter([2, DataError("no route"), DataError("no route"), 3])
    clock, told = FakeClock(), list[CameraEvent]()

    def camera(source: str, **options: object) -> Iterator[Frame]:
        frames: Any = next(openings)
        if isinstance(frames, DataError):
            raise frames
        for index in range(1, frames + 1):
            clock.now += 0.1
            yield Frame(index, 77 + index / 10, np.zeros((4, 4, 3), np.uint8))

    monkeypatch.setattr(incoming_frames, "read_frames", camera)
    seen: list[Frame] = []
    for frame in IncomingFrames(
        "rtsp://hall", "hall", retry_seconds=2, report=told.append, stop=lambda: len(seen) == 5, clock=clock,
        sleep=clock.sleep,
    ):  # fmt: skip
        seen.append(frame)
    assert [frame.index for frame in seen] == [1, 2, 3, 4, 5]
    assert [event.event for event in told] == ["lost", "back"]
    assert "the stream ended; trying again in 2 s" in told[0].detail
    assert sum(clock.slept) == pytest.approx(2 + 4 + 8)
    times = [frame.time for frame in seen]
    assert times[0] == pytest.approx(1000)  # the clock's, not the container's
    assert times[2] - times[1] > 14


def test_a_camera_is_given_up_after_so_many_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()

    def camera(source: str, **options: object) -> Iterator[Frame]:
        if clock.slept:
            raise DataError("no route")
        yield Frame(1, 0.0, np.zeros((4, 4, 3), np.uint8))

    monkeypatch.setattr(incoming_frames, "read_frames", camera)
    frames = IncomingFrames("rtsp://hall", "hall", retries=2, clock=clock, sleep=clock.sleep)
    with pytest.raises(DataError, match=r"given up after 3 failure\(s\): no route"):
        list(frames)
    clock.slept.append(0)
    with pytest.raises(DataError, match="no route"):  # an address that never gave a picture is not tried again
        list(IncomingFrames("rtsp://wrong", "hall", clock=clock, sleep=clock.sleep))


def test_frames_are_left_out_where_work_is_slower_than_the_clock(drawn: DrawnFilm) -> None:
    clock = FakeClock()
    frames = IncomingFrames(drawn.film, "hall", speed=2.0, clock=clock, sleep=clock.sleep)
    looked = 0
    for frame in frames:
        if frame.image is not None and frame.image.size:
            looked += 1
            clock.now += 0.5  # the film gives a frame every 0.05 s at this speed
    assert looked + frames.late == 60
    assert frames.late > 40
    fast = IncomingFrames(drawn.film, "hall", speed=2.0, clock=(slow := FakeClock()), sleep=slow.sleep)
    assert sum(frame.image is not None and frame.image.size > 0 for frame in fast) == 60
    assert sum(slow.slept) == pytest.approx(5.9 / 2)


def test_refusals(drawn: DrawnFilm, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a camera has its own"):
        IncomingFrames("rtsp://hall", "hall", speed=1.0)
    with pytest.raises(ConfigError, match="cannot be gone on with"):
        IncomingFrames("rtsp://hall", "hall", after=3)
    with pytest.raises(ConfigError, match="above 0"):
        IncomingFrames(drawn.film, "hall", retry_seconds=0)
    with (
        pb.Gallery.open(tmp_path / "x.gallery", fingerprint="abc") as gallery,
        pytest.raises(GalleryError, match="without an encoder"),
    ):
        next(pb.watch(drawn.film, gallery, camera="hall", boxes=drawn.truth))


def test_a_film_that_breaks_off_gives_what_was_readable(drawn: DrawnFilm, tmp_path: Path, encoder_folder: Path) -> None:
    cut = tmp_path / "cut.avi"
    with av.open(str(drawn.film)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    cut.write_bytes(cut.read_bytes()[: int(0.6 * cut.stat().st_size)])
    counts = WatchCounts()
    with pb.Gallery.open(tmp_path / "x.gallery", pb.load_encoder(encoder_folder)) as gallery:
        seen = list(pb.watch(cut, gallery, camera="hall", boxes=drawn.truth, threshold=0.2, counts=counts))
    assert seen
    assert 10 < counts.frames < 60
    assert counts.skipped["boxes after the last frame of the film"] > 0
