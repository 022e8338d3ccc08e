"""Headers and body of an answer go to the socket in one piece, and nothing is held back or lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from passerby.service.gathered_writes import GatheredWrites

LARGE = b"x" * 70_000


class Recorded:
    """A transport that notes what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def write_eof(self) -> None:
        self.calls.append("eof")

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")

    def is_closing(self) -> bool:
        return "close" in self.calls or "abort" in self.calls

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> str:
        return name


def calls(use: Callable[[GatheredWrites], object]) -> list[Any]:
    """What a transport was asked for, by the end of the next turn of the loop."""

    async def turn() -> list[Any]:
        recorded = Recorded()
        use(GatheredWrites(recorded, asyncio.get_running_loop()))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        return recorded.calls

    return asyncio.run(turn())


def in_turn(*steps: tuple[str, bytes | None]) -> Callable[[GatheredWrites], None]:
    def use(transport: GatheredWrites) -> None:
        for name, data in steps:
            getattr(transport, name)(*(() if data is None else (data,)))

    return use


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("write", b"head"), ("write", b"body")], [b"headbody"]),
        ([("write", b"head"), ("write", LARGE), ("write", b"end")], [b"head" + LARGE, b"end"]),
        ([("write", LARGE), ("write", b"end")], [LARGE, b"end"]),
        ([("write", b"last"), ("close", None)], [b"last", "close"]),
        ([("write", b"last"), ("write_eof", None), ("close", None)], [b"last", "eof", "close"]),
        ([("write", b"lost"), ("abort", None)], ["abort"]),
        ([("close", None), ("write", b"late")], ["close"]),
    ],
)
def test_writes_of_one_turn(steps: list[tuple[str, bytes | None]], expected: list[Any]) -> None:
    assert calls(in_turn(*steps)) == expected


def test_what_waits_counts_as_written() -> None:
    def use(transport: GatheredWrites) -> None:
        transport.write(b"head")
        assert transport.get_write_buffer_size() == 4
        assert transport.get_extra_info("socket") == "socket"

    assert calls(use) == [b"head"]
