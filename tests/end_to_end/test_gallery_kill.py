"""Fifty times a writer is killed in the middle of its work: nothing acknowledged is lost, the file opens."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from passerby.gallery.gallery import Gallery

ROUNDS = 50

# The driver forks writers (one interpreter start instead of fifty) and kills each with SIGKILL after a while. A writer
# reports every change after the call has returned, through a pipe, and so do the lines below.
DRIVER = """
    import os, random, signal, sys, time
    import numpy as np
    from passerby.gallery.gallery import Gallery

    def write(path, round_, out):
        draw = np.random.default_rng(round_)
        with Gallery.open(path) as gallery:
            known = []
            for step in range(100_000):
                name = f"r{round_}s{step}"
                vectors = draw.standard_normal((1 + step % 3, 16))
                ids = gallery.enroll(name, vectors=vectors, camera="c", time=float(step))
                known.append(name)
                os.write(out, f"enrolled {name} {len(ids)}\\n".encode())
                if step % 5 == 4:
                    victim = known.pop(int(draw.integers(len(known))))
                    os.write(out, f"forgetting {victim}\\n".encode())
                    gallery.forget(victim)
                    os.write(out, f"forgot {victim}\\n".encode())

    for round_ in range(int(sys.argv[2])):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            write(sys.argv[1], round_, writing)
        os.close(writing)
        draw = random.Random(round_)
        lines, enough = b"", draw.randint(1, 20)
        while lines.count(b"\\n") < enough:  # by what was done, not by the clock: machines differ
            lines += os.read(reading, 65536)
        time.sleep(draw.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while part := os.read(reading, 65536):
            lines += part
        os.close(reading)
        sys.stdout.write(lines.decode())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    environment["OPENBLAS_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DRIVER), str(path), str(ROUNDS)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    expected: dict[str, int] = {}
    uncertain: set[str] = set()
    forgotten: set[str] = set()
    for line in done.stdout.splitlines():
        verb, name, *count = line.split()
        if verb == "enrolled":
            expected[name] = int(count[0])
        elif verb == "forgetting":
            uncertain.add(name)
        else:
            forgotten.add(name)
            del expected[name]
    uncertain -= forgotten
    assert len(expected) > ROUNDS
    assert forgotten
    assert len({name.split("s")[0] for name in expected}) == ROUNDS  # every round came to acknowledge something
    with Gallery.open(path) as gallery:
        gallery.check()
        stored = {identity.name: identity.observations for identity in gallery.identities()}
        for name, observations in expected.items():
            if name not in uncertain:
                assert stored[name] == observations
        assert not forgotten & set(stored)
        # what was being written when the process died is there whole or not at all
        for name in set(stored) - set(expected):
            assert stored[name] == 1 + int(name.split("s")[1]) % 3
        _equals_a_rebuild(gallery)


def _equals_a_rebuild(gallery: Gallery) -> None:
    observations = gallery.observations()
    vectors = gallery.vectors([o.id for o in observations]).astype(np.float64)
    names = np.array([o.identity for o in observations])
    for probe in np.random.default_rng(1).standard_normal((20, 16)):
        distances = np.linalg.norm(vectors - probe / np.linalg.norm(probe), axis=1)
        nearest: dict[str, float] = {}
        for row in np.argsort(distances, kind="stable"):
            nearest.setdefault(str(names[row]), float(distances[row]))
        answer = gallery.identify(probe, top=5)
        assert [m.identity for m in answer] == list(nearest)[:5]
        assert [m.distance for m in answer] == pytest.approx(list(nearest.values())[:5], abs=1e-6)
