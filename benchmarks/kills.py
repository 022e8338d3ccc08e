"""Kills writers of a gallery in the middle of whatever it can do, and looks whether anything was lost or left over.

    python -m benchmarks.kills                  # 200 kills
    python -m benchmarks.kills --kills 20 --seed 7

A writer does operations drawn at random: enrol, observe, rename, merge, split, undo, forget, purge, settings,
calibrate, consolidate, compact, back up, restore, migrate, salvage. Before each it says what the gallery will hold
afterwards, and after it that the call has returned; then it is killed by SIGKILL. After each kill the gallery must
open, be sound, and hold what was acknowledged; what was under way must have happened wholly or not at all; and neither
the name nor the vector of anybody who was forgotten may be in any file of its folder. Ends with 1 where this is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from passerby.gallery.gallery import Gallery
from passerby.gallery.migrate import migrate

DIM = 16
EXPIRES = 2_000_000_000.0
State = dict[str, Any]
"""What a gallery holds: "people": {name: {"rows": tags, "seen": sightings, "expires": bool, "names": all it ever had}},
"far", "unknowns"."""


def vector(tag: int) -> np.ndarray:
    """The unit vector of an observation's tag, far from all others."""
    row = np.random.default_rng([5, tag]).standard_normal(DIM)
    return (row / np.linalg.norm(row)).astype(np.float32)


def empty() -> State:
    return {"people": {}, "far": 0.01, "unknowns": 0}


class Writer:
    """Does operations one after the other; says of each what will be and that it was.

    Args:
        path: of the gallery.
        state: what it holds.
        seed: of the choices.
        out: a pipe's end.
    """

    def __init__(self, path: Path, state: State, seed: int, out: int) -> None:
        self.path, self.state, self.out = path, state, out
        self.draw = random.Random(seed)
        self.next_tag = 1_000_000 * (seed + 1)
        self.gallery = Gallery.open(path)

    def run(self) -> None:
        """For ever."""
        while True:
            operation = self.draw.choice(OPERATIONS)
            getattr(self, f"_{operation}")()

    def _say(self, **line: Any) -> None:
        os.write(self.out, json.dumps(line).encode() + b"\n")

    def begin(self, operation: str, after: State | None = None, *, forgotten: list[str] | None = None) -> None:
        """Before a call: what there will be after it; None: the same."""
        after = self.state if after is None else after
        self._say(begin=operation, after=after, forgotten=[self.state["people"][name] for name in forgotten or ()])
        self.after = after

    def done(self) -> None:
        """After it."""
        self.state = self.after
        self._say(done=True)

    def _copy(self) -> State:
        return json.loads(json.dumps(self.state))

    def _tags(self, count: int) -> list[int]:
        self.next_tag += count
        return list(range(self.next_tag - count, self.next_tag))

    def _names(self, least: int = 1) -> list[str]:
        return [name for name, held in self.state["people"].items() if len(held["rows"]) >= least]

    # -- operations --------------------------------------------------------------------------------------------------

    def _enroll(self) -> None:
        tags, after = self._tags(self.draw.randint(1, 4)), self._copy()
        name = f"somebody-{tags[0]:012}"
        expires = self.draw.random() < 0.2
        after["people"][name] = {"rows": tags, "seen": 0, "expires": expires, "names": [name]}
        self.begin("enroll", after)
        rows = np.stack([vector(tag) for tag in tags])
        self.gallery.enroll(
            name, vectors=rows, camera="door", notes=f"notes on {name}", expires=EXPIRES if expires else None
        )
        self.done()

    def _enroll_again(self) -> None:
        if names := self._names():
            name, tags, after = self.draw.choice(names), self._tags(2), self._copy()
            after["people"][name]["rows"] += tags
            self.begin("enroll again", after)
            self.gallery.enroll(name, vectors=np.stack([vector(tag) for tag in tags]), camera="hall")
            self.done()

    def _observe(self) -> None:
        (tag,), after = self._tags(1), self._copy()
        after["unknowns"] += 1
        name = f"unknown-{after['unknowns']}"
        after["people"][name] = {"rows": [tag], "seen": 1, "expires": False, "names": [f"film-{tag:012}.mp4"]}
        self.begin("observe somebody new", after)
        self.gallery.observe(vector(tag), camera="yard", time=float(tag), threshold=0.01, source=f"film-{tag:012}.mp4")
        self.done()

    def _see_again(self) -> None:
        if names := self._names():
            name, after = self.draw.choice(names), self._copy()
            after["people"][name]["seen"] += 1
            self.begin("observe somebody known", after)
            tag = self.state["people"][name]["rows"][0]
            (moment,) = self._tags(1)
            self.gallery.observe(vector(tag), camera="gate", time=float(moment), threshold=0.01)
            self.done()

    def _rename(self) -> None:
        if names := self._names():
            name, (tag,), after = self.draw.choice(names), self._tags(1), self._copy()
            new = f"renamed-{tag:012}"
            after["people"][new] = after["people"].pop(name)
            after["people"][new]["names"].append(new)
            self.begin("rename", after)
            self.gallery.rename(name, new)
            self.done()

    def _merge(self) -> None:
        names = [name for name in self._names() if not self.state["people"][name]["expires"]]
        if len(names) > 1:
            (into, other), after = self.draw.sample(names, 2), self._copy()
            gone = self._join(after, into, other)
            self.begin("merge", after)
            self.gallery.merge(into, other)
            self.done()
            if self.draw.random() < 0.5:
                before = self._copy()
                back = before["people"][into]
                back["rows"] = [tag for tag in back["rows"] if tag not in gone["rows"]]
                back["seen"] -= gone["seen"]
                back["names"] = [name for name in back["names"] if name not in gone["names"]]
                before["people"][other] = gone
                self.begin("undo", before)
                self.gallery.undo()
                self.done()

    def _join(self, state: State, into: str, other: str) -> dict[str, Any]:
        """Give `into` what `other` has; what that was."""
        gone = state["people"].pop(other)
        for part in ("rows", "seen", "names"):
            state["people"][into][part] = state["people"][into][part] + gone[part]
        return dict(gone)

    def _split(self) -> None:
        names = [n for n in self._names(2) if not self.state["people"][n]["seen"]]
        if names:
            name, (tag,), after = self.draw.choice(names), self._tags(1), self._copy()
            moved = after["people"][name]["rows"].pop()
            new, expires = f"apart-{tag:012}", after["people"][name]["expires"]
            after["people"][new] = {"rows": [moved], "seen": 0, "expires": expires, "names": [new]}
            self.begin("split", after)
            (number,) = [o.id for o in self.gallery.observations(name) if same(self.gallery.vectors([o.id])[0], moved)]
            self.gallery.split(name, [number], name=new)
            self.done()

    def _forget(self) -> None:
        if names := self._names():
            name, after = self.draw.choice(names), self._copy()
            del after["people"][name]
            self.begin("forget", after, forgotten=[name])
            self.gallery.forget(name)
            self.done()

    def _purge(self) -> None:
        gone, after = [n for n in self._names() if self.state["people"][n]["expires"]], self._copy()
        for name in gone:
            del after["people"][name]
        self.begin("purge", after, forgotten=gone)
        self.gallery.purge(EXPIRES + 1)
        self.done()

    def _settings(self) -> None:
        after = self._copy()
        after["far"] = round(self.draw.uniform(0.01, 0.1), 4)
        self.begin("set a false accept rate", after)
        self.gallery.set_far(after["far"])
        self.done()

    def _keep_vectors(self) -> None:
        self.begin("keep sightings' vectors")
        self.gallery.set_sightings(keep_vectors=self.draw.random() < 0.5)
        self.done()

    def _calibrate(self) -> None:
        self.begin("calibrate")
        self.gallery.calibration()
        self.gallery.calibration("observe")
        self.done()

    def _consolidate(self) -> None:
        """Where it would only merge; what it moves is not foretold here."""
        planned, after = self.gallery.consolidate(), self._copy()
        if planned.moved or any(one.unknown and one.observations > 1 for one in self.gallery.identities()):
            return
        for pair in planned.joined:
            self._join(after, pair.into, pair.other)
        self.begin("consolidate", after)
        self.gallery.consolidate(apply=True)
        self.done()

    def _compact(self) -> None:
        self.begin("compact")
        self.gallery.compact()
        self.done()

    def _restore(self) -> None:
        """A backup comes back, and what was enrolled after it is gone."""
        backup = self.path.with_name("backup.gallery")
        self.begin("backup")
        backup.unlink(missing_ok=True)
        self.gallery.backup(backup)
        self.done()
        before = self._copy()
        self._enroll()
        self.begin("restore", before)
        self.gallery.close()
        Gallery.restore(backup, self.path, replace=True)
        self.done()
        backup.unlink()
        self.gallery = Gallery.open(self.path)

    def _migrate(self) -> None:
        """Into another file and away again; the source stays."""
        target = self.path.with_name("other.gallery")
        self.begin("migrate")
        remove(target)
        migrate(self.path, target)
        self.done()
        check_holds(target, self.state, "the migrated gallery")
        remove(target)

    def _salvage(self) -> None:
        target = self.path.with_name("saved.gallery")
        self.begin("salvage")
        remove(target)
        saved = Gallery.salvage(self.path, target)
        self.done()
        if saved.observations != sum(len(held["rows"]) for held in self.state["people"].values()):
            raise SystemExit(f"salvage: {saved}")
        remove(target)


OPERATIONS = (
    *("enroll",) * 4, "enroll_again", *("observe",) * 2, *("see_again",) * 2, "rename", "merge", "split",
    *("forget",) * 3, "purge", "settings", "keep_vectors", "calibrate", "consolidate", *("compact",) * 2, "restore",
    "migrate", "salvage",
)  # fmt: skip


def remove(path: Path) -> None:
    """A gallery's file and those beside it."""
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def same(row: np.ndarray, tag: int) -> bool:
    return bool(np.allclose(row, vector(tag), atol=1e-6))


def found(path: Path) -> State:
    """What a gallery holds, after a check of all that is in it."""
    with Gallery.open(path) as gallery:
        gallery.check()
        state = {"people": {}, "far": gallery.far, "unknowns": 0}
        for identity in gallery.identities():
            rows = [gallery.vectors([o.id])[0].tobytes() for o in gallery.observations(identity.name)]
            seen = len(gallery.sightings(identity.name))
            state["people"][identity.name] = {"rows": rows, "seen": seen}
    return state


def holds(state: State, expected: State) -> bool:
    """Whether a gallery holds what it should."""
    if set(state["people"]) != set(expected["people"]) or state["far"] != expected["far"]:
        return False
    for name, held in expected["people"].items():
        there = state["people"][name]
        rows = [np.frombuffer(row, np.float32) for row in there["rows"]]
        if there["seen"] != held["seen"] or len(rows) != len(held["rows"]):
            return False
        if not all(any(same(row, tag) for row in rows) for tag in held["rows"]):
            return False
    return True


def difference(state: State, expected: State) -> str:
    """In words; "" for none but in the vectors."""
    sizes = [
        {name: (len(held["rows"]), held["seen"]) for name, held in one["people"].items()} for one in (state, expected)
    ]
    names = sorted(name for name in sizes[0].keys() | sizes[1].keys() if sizes[0].get(name) != sizes[1].get(name))
    parts = [f"{name} has {sizes[0].get(name)}, expected {sizes[1].get(name)}" for name in names]
    if state["far"] != expected["far"]:
        parts.append(f"the rate is {state['far']}, expected {expected['far']}")
    return "; ".join(parts)


def check_holds(path: Path, expected: State, what: str) -> None:
    there = found(path)
    if not holds(there, expected):
        raise SystemExit(f"{what} does not hold what it should: {difference(there, expected) or 'other vectors'}")


class Killing:
    """Kills writers one after the other and compares what is left.

    Args:
        folder: where the gallery is.
        seed: of all choices.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = folder / "people.gallery"
        self.seed = seed
        self.state = empty()
        self.forgotten: list[dict[str, Any]] = []
        self.done: Counter[str] = Counter()
        self.under_way: Counter[str] = Counter()
        self.happened = 0

    def kill(self, number: int) -> None:
        """One writer, from its start to the comparison after its end.

        Raises:
            SystemExit: something was lost or left over.
        """
        pending = None
        for text in self._lines_of_a_writer(self.seed * 10_000 + number):
            line = json.loads(text)
            if "begin" in line:
                pending = line
            elif pending is not None:
                self._accept(pending)
                self.done[pending["begin"]] += 1
                pending = None
        for name in ("backup", "other", "saved"):  # copies by the user's wish, whole or begun, are the user's
            remove(self.path.with_name(f"{name}.gallery"))
            for partial in self.path.parent.glob(f".{name}.gallery.*"):
                partial.unlink()
        self._compare(pending, number)
        self._look_for_the_forgotten(number)

    def _accept(self, line: dict[str, Any]) -> None:
        self.state = line["after"]
        self.forgotten += line["forgotten"]

    def _lines_of_a_writer(self, seed: int) -> list[bytes]:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reading)
                Writer(self.path, self.state, seed, writing).run()
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(1)
        os.close(writing)
        draw = random.Random(seed)
        text, enough = b"", draw.randint(0, 40)
        while text.count(b"\n") < enough:  # by what was done, not by the clock: machines differ
            part = os.read(reading, 65_536)
            if not part:
                break
            text += part
        time.sleep(draw.choice((0.0, 0.001, 0.01, 0.05)) * draw.random())
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        while part := os.read(reading, 65_536):
            text += part
        os.close(reading)
        if os.WIFEXITED(status):
            raise SystemExit(f"writer {seed} ended by itself after {text[-300:]!r}")
        return text.splitlines() if text.endswith(b"\n") else text.splitlines()[:-1]

    def _compare(self, pending: dict[str, Any] | None, number: int) -> None:
        if not self.path.exists():
            if self.state == empty():
                return
            raise SystemExit(f"kill {number}: the gallery is gone")
        there = found(self.path)
        if pending is not None:
            self.under_way[pending["begin"]] += 1
        if holds(there, self.state):
            return
        if pending is None or not holds(there, pending["after"]):
            what = "nothing" if pending is None else pending["begin"]
            expected = self.state if pending is None else pending["after"]
            raise SystemExit(
                f"kill {number}: while {what} was under way, the gallery lost or mixed something: "
                f"{difference(there, self.state)}; as it would be afterwards: {difference(there, expected)}"
            )
        self.happened += 1
        self._accept(pending)

    def _look_for_the_forgotten(self, number: int) -> None:
        content = b"".join(path.read_bytes() for path in sorted(self.path.parent.iterdir()))
        for held in self.forgotten:
            for what in (*(name.encode() for name in held["names"]), *(vector(t).tobytes() for t in held["rows"])):
                if what in content:
                    raise SystemExit(f"kill {number}: something of {held['names']} is left in a file")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        killing = Killing(Path(folder), arguments.seed)
        for number in range(arguments.kills):
            killing.kill(number)
            if sys.stderr.isatty():
                print(f"\r{number + 1} kills", end="", file=sys.stderr)
    print(f"{arguments.kills} kills in {time.monotonic() - began:.0f} s: nothing lost, nothing left over")
    print(
        f"acknowledged: {killing.done.total():,} ({', '.join(f'{n} {name}' for name, n in killing.done.most_common())})"
    )
    killed = ", ".join(f"{n} {name}" for name, n in killing.under_way.most_common())
    print(f"under way when killed: {killing.under_way.total()} ({killed}); {killing.happened} had happened")
    print(f"forgotten people looked for in all files: {len(killing.forgotten)}")


if __name__ == "__main__":
    main()
