"""The bar, its words, and the lines of a training."""

import io
import logging
import sys

import pytest
from rich.console import Console
from rich.progress import Progress

from passerby.cli.main import StandardError
from passerby.config import Config, parse_config
from passerby.progress import ProgressBar, _Times, duration, progress_bar
from passerby.training.display import Display, training_display, work_of


def test_lengths_of_time_in_words() -> None:
    assert [duration(s) for s in (0.4, 41, 60, 200, 3599.6, 7500)] == [
        "0 s", "41 s", "1 min 00 s", "3 min 20 s", "1 h 00 min", "2 h 05 min",
    ]  # fmt: skip


def test_elapsed_time_and_time_left_are_told_apart() -> None:
    now = [100.0]
    progress = Progress(_Times(), console=Console(file=io.StringIO()), get_time=lambda: now[0], auto_refresh=False)
    task = progress.add_task("x", total=10)
    words = [_Times().render(progress.tasks[0]).plain]
    for _ in range(4):
        now[0] += 1
        progress.update(task, advance=1)
    words.append(_Times().render(progress.tasks[0]).plain)
    progress.update(task, advance=6)
    words.append(_Times().render(progress.tasks[0]).plain)
    assert words[0] == "0 s so far, ... left"
    assert words[1].startswith("4 s so far, ")
    assert words[1].endswith(" s left")
    assert words[2] == "4 s so far"


def test_a_bar_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("work", 2) as bar:
        bar.advance()
        bar.rename("other work")
    assert capsys.readouterr() == ("", "")


def test_long_work_without_a_terminal_writes_lines_that_grow_apart(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr("passerby.progress.time.monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO, "passerby"), progress_bar("embed", 5000, done=1000) as bar:
        for _ in range(4000):
            now[0] += 0.5
            bar.advance(1, "half")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "embed: 1,060 of 5,000 (21%), 2.0/s, 30 s so far, about 32 min 50 s to go (half)"
    assert lines[1].startswith("embed: 1,120 of 5,000 (22%)")
    assert 20 < len(lines) < 40


def test_work_of_unknown_length_and_quiet_work_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr("passerby.progress.time.monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO, "passerby"):
        with progress_bar("camera", None) as bar:
            now[0] += 40
            bar.advance(1200)
        for silent in ({"quiet": True}, {"lines": False}):
            with progress_bar("other", 10, **silent) as bar:
                now[0] += 40
                bar.advance()
        with progress_bar("little", 0) as bar:
            now[0] += 40
            bar.advance()
    assert [record.getMessage() for record in caplog.records] == ["camera: 1,200, 30/s, 40 s so far"]


def test_log_lines_go_to_the_stderr_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar stands in for it while it is shown: a line that goes around it leaves a second bar behind."""
    handler = StandardError()
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "stopped at epoch 1", None, None))
    assert stream.getvalue() == "stopped at epoch 1\n"


def growing(**schedule: object) -> Config:
    content = {"epochs": 4, "small_until": 0.5, "warmup_epochs": 0, **schedule}
    return parse_config({"name": "r", "schedule": content}, where="test")


def test_a_small_step_is_a_quarter_of_the_work() -> None:
    assert work_of(growing(), [8, 8, 8, 8]) == 8 * (0.25 + 0.25 + 1 + 1)
    assert work_of(growing(), [8, 8, 8, 8], until=(1, 4)) == 8 * 0.25 + 4 * 0.25
    assert work_of(growing(), [8, 8, 8, 8], until=(4, 0)) == 20


def test_the_end_is_estimated_by_the_work_that_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr("passerby.training.display.time.monotonic", lambda: now[0])
    with (
        caplog.at_level(logging.INFO, "passerby"),
        training_display(growing(), [12, 12, 12, 12], epoch=0, step=0, quiet=True) as display,
    ):
        for epoch in range(4):
            display.epoch(epoch)
            for _ in range(12):
                now[0] += 1 if epoch < 2 else 4
                display.step(2.0)
            display.epoch_done({"total": 2.0, "softmax": 1.5, "lin": 0.5})
    first, *epochs = [record.getMessage() for record in caplog.records]
    # 10 small steps took 10 s; 14 small ones and 24 of four times the work are left
    assert first == "about 1 min 50 s to go (4 epochs)"
    assert epochs[0] == (
        "epoch 1/4 at 128x64: loss 2.000 (softmax 1.500, lin 0.500), 12 s, 64 images/s, about 1 min 48 s to go"
    )
    assert epochs[3] == "epoch 4/4 at 256x128: loss 2.000 (softmax 1.500, lin 0.500), 48 s, 16 images/s"


def test_the_bar_names_the_epoch() -> None:
    progress = Progress(console=Console(file=io.StringIO()))
    display = Display(ProgressBar(progress, progress.add_task("train")), growing(), [5, 5, 5, 5], 2, 0)
    display.epoch(2)
    assert progress.tasks[0].description == "train r, epoch 3/4"
