"""A process that dies, fails or falls silent ends the others, soon and with one message; the run goes on afterwards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from tests.distributed.test_training_in_processes import settings
from tests.forked import Forked, command

from passerby.config import Config
from passerby.data.synthetic.dataset import draw_dataset

PATIENCE = 600  # seconds; the machine may be busy
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * PATIENCE)]


def endless(folder: Path, **run: float) -> Config:
    """Longer than the test, and saved at every step."""
    root = draw_dataset(folder / "people", identities=8, train_identities=6, cameras=2, images_per_camera=2)
    plain = settings(root, softmax={})
    return plain.model_copy(
        update={
            "input": plain.input.model_copy(update={"cache": "none"}),
            "schedule": plain.schedule.model_copy(update={"epochs": 5000}),
            "run": plain.run.model_copy(update={"checkpoint_minutes": 1e-9, **run}),
        }
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return endless(tmp_path)


def words(config: Config, folder: Path) -> list[str]:
    recipe = folder / "recipe.toml"
    recipe.write_text(config.to_toml())
    return ["train", str(recipe), "--out", str(folder / "run")]


def environment(**more: str) -> dict[str, str]:
    source = str(Path(__file__).parents[2] / "src")
    return {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **more}


def by_hand(world: int, arguments: list[str]) -> list[Forked]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        Forked(command, *arguments, environment={"RANK": str(rank), "LOCAL_RANK": str(rank), **shared})
        for rank in range(world)
    ]


def wait_for(checkpoint: Path, other_than: object = None) -> object:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if checkpoint.exists() and (now := checkpoint.stat().st_mtime_ns) != other_than:
            return now
        time.sleep(0.05)
    raise TimeoutError(checkpoint)


def one_is_gone(config: Config, folder: Path, number: signal.Signals) -> list[Forked]:
    """Two processes that train, of which the second gets a signal."""
    started = by_hand(2, words(config, folder))
    wait_for(folder / "run/checkpoint.pt")
    os.kill(started[1].pid, number)
    return started


def assert_the_other_ends(started: list[Forked], checkpoint: Path) -> None:
    try:
        stdout, stderr = started[0].communicate(timeout=PATIENCE)
        assert started[0].returncode == 1
        assert stdout == ""
        assert stderr.count("error: another process was lost") == 1
        assert "Traceback" not in stderr
    finally:
        for process in started:
            process.kill()
    assert started[1].communicate() == ("", "")  # the first one speaks for all
    assert torch.load(checkpoint, weights_only=True)["finished"] is False


@pytest.fixture(scope="module", autouse=True)
def silenced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Forked], Path]]:
    """Begins before the other tests: they run while the first process waits for the second."""
    folder = tmp_path_factory.mktemp("silent")
    # half a minute: longer than a busy machine takes for a step
    started = one_is_gone(endless(folder, timeout_minutes=0.5), folder, signal.SIGSTOP)
    yield started, folder / "run/checkpoint.pt"
    for process in started:
        process.close()


def test_others_end_when_a_process_is_killed(config: Config, tmp_path: Path) -> None:
    assert_the_other_ends(one_is_gone(config, tmp_path, signal.SIGKILL), tmp_path / "run/checkpoint.pt")


def test_an_image_that_one_process_cannot_read_ends_all(config: Config, tmp_path: Path) -> None:
    next(path for path in (tmp_path / "people").rglob("*train*/*.jpg")).write_bytes(b"no image")
    started = by_hand(2, words(config, tmp_path))
    try:
        said = [process.communicate(timeout=PATIENCE)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert all(process.returncode in (1, 2) for process in started), said
    assert "not a readable image" in said[0] + said[1], said
    assert "Traceback" not in said[0] + said[1]


def test_torchrun_ends_goes_on_and_saves(config: Config, tmp_path: Path) -> None:
    """kill -9 of a process; the same command goes on; SIGTERM saves."""
    checkpoint = tmp_path / "run/checkpoint.pt"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        arguments = [*launch, "-m", "passerby", *words(config, tmp_path)]
        started.append(subprocess.Popen(arguments, env=environment(), stderr=subprocess.PIPE, text=True))
        return started[-1]

    try:
        first = start()
        wait_for(checkpoint)
        workers = [p for p in psutil.Process(first.pid).children() if p.environ().get("RANK") == "1"]
        workers[0].kill()
        _, stderr = first.communicate(timeout=PATIENCE)
        assert first.returncode != 0
        assert "error: another process was lost" in stderr
        before = torch.load(checkpoint, weights_only=True)

        second = start()
        wait_for(checkpoint, other_than=checkpoint.stat().st_mtime_ns)
        second.send_signal(signal.SIGTERM)
        _, stderr = second.communicate(timeout=PATIENCE)
        assert "the same command goes on" in stderr
        after = torch.load(checkpoint, weights_only=True)
        assert (after["epoch"], after["step"]) > (before["epoch"], before["step"])
    finally:
        for process in started:
            process.terminate()  # torchrun ends its workers
            process.communicate()


def test_others_end_when_a_process_falls_silent(silenced: tuple[list[Forked], Path]) -> None:
    assert_the_other_ends(*silenced)
