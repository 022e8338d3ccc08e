"""Run a function in several gloo processes, as torchrun would, and bring back what each returned."""

from __future__ import annotations

import pickle
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from tests.forked import context


def run_in_processes(world: int, function: Callable[..., Any], *arguments: Any, timeout: float = 120) -> list[Any]:
    """Call function(*arguments) in each of `world` processes with a process group; their results by rank.

    `function` stands at the top level of a module. The first exception of any process is raised here with its
    traceback.
    """
    with tempfile.TemporaryDirectory() as folder:
        pipes, processes = [], []
        for rank in range(world):
            receiver, sender = context().Pipe(duplex=False)
            call = (sender, rank, world, Path(folder) / "rendezvous", function, arguments)
            process = context().Process(target=_work, args=call, daemon=True)
            process.start()
            sender.close()
            pipes.append(receiver)
            processes.append(process)
        try:
            return _collect(pipes, timeout)
        finally:
            for process in processes:
                process.kill()
                process.join()


def _collect(pipes: list[Connection], timeout: float) -> list[Any]:
    results: dict[int, Any] = {}
    while len(results) < len(pipes):
        ready = wait([pipe for rank, pipe in enumerate(pipes) if rank not in results], timeout)
        if not ready:
            raise TimeoutError(f"no answer in {timeout} s; done: ranks {sorted(results)}")
        for pipe in (one for one in pipes if one in ready):
            failed, result = pickle.loads(pipe.recv_bytes())
            if failed:
                raise RuntimeError(result)
            results[pipes.index(pipe)] = result
    return [results[rank] for rank in range(len(pipes))]


def _work(
    pipe: Connection, rank: int, world: int, rendezvous: Path, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    try:
        dist.init_process_group("gloo", init_method=rendezvous.as_uri(), rank=rank, world_size=world)
        answer = False, function(*arguments)
    except BaseException:
        answer = True, f"rank {rank}:\n{traceback.format_exc()}"
    pipe.send_bytes(pickle.dumps(answer))
    if dist.is_initialized():
        dist.destroy_process_group()
