"""The service under load, on loopback: throughput against the encoder's own, latencies, overload, memory.

    python -m benchmarks.service [--backbone osnet_x1_0] [--seconds 6] [--rounds 3] [--memory-seconds 60]

The service runs in its own process; the load comes from this one, on the same cores, and what it uses is missing there:
the ratio of images per second is a lower bound. Encoder alone and service alternate, so that other programs slow both
alike; the ratio of processor time per image (encoder alone / whole service) does not depend on them at all, and is what
the throughput comes to where the service has all cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg
import torch

from passerby.config import InputConfig, ModelConfig
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.model import build_model

SERVE = """
import sys
from passerby.service import Limits, serve
serve(sys.argv[1], sys.argv[2], port=0, engine=sys.argv[3], limits=Limits(rate=0, encode_seconds=120))
"""
BOUNDARY = "passerbybenchmark"
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", default="osnet_x1_0")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument(
        "--engine", default="torch", help="torch, onnxruntime or openvino (the latter two are exported)"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the encoder, in both")
    parser.add_argument("--clients", type=int, default=48, help="connections at full load")
    parser.add_argument("--overload-clients", type=int, default=200, help="connections at overload")
    parser.add_argument("--images", type=int, default=1, help="images of one request")
    parser.add_argument("--seconds", type=float, default=6, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-seconds", type=float, default=60)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # of the service's process
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "encoder"
        make_encoder(options, folder)
        encoder = load_encoder(folder, options.engine)
        service = Service(Path(place) / "people.gallery", folder, options.engine)
        try:
            measure(options, encoder, service)
        finally:
            service.stop()


def make_encoder(options: argparse.Namespace, folder: Path) -> None:
    torch.manual_seed(0)
    config = ModelConfig(backbone=options.backbone)
    made = Encoder.from_model(build_model(config), InputConfig(height=options.height, width=options.width), config)
    made.save(folder)
    kind = {"onnxruntime": "onnx", "openvino": "openvino"}.get(options.engine)
    if kind:
        subprocess.run([sys.executable, "-m", "passerby", "export", str(folder), "--to", kind], check=True)


class Service:
    """A serving process and its key."""

    def __init__(self, gallery: Path, encoder: Path, engine: str) -> None:
        command = [sys.executable, "-c", SERVE, str(gallery), str(encoder), engine]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by `stop`
        self.process = subprocess.Popen(command, stderr=self.log)
        found = None
        while found is None:
            assert self.process.poll() is None, Path(f"/proc/self/fd/{self.log.fileno()}").read_text()
            time.sleep(0.05)
            text = os.pread(self.log.fileno(), 65536, 0).decode()
            found = re.search(r"http://([\d.]+):(\d+)/#key=(\S+)", text)
        self.host, self.port, self.key = found[1], int(found[2]), found[3]
        while "startup complete" not in os.pread(self.log.fileno(), 65536, 0).decode():
            time.sleep(0.05)

    def connect(self) -> http.client.HTTPConnection:
        """A connection to send through."""
        return http.client.HTTPConnection(self.host, self.port, timeout=120)

    def identify(self, connection: http.client.HTTPConnection, body: bytes) -> int:
        """Identify once; the status."""
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        connection.request("POST", "/v1/identify", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def enroll(self, dim: int, people: int) -> None:
        """Fill the gallery: ten observations for each person."""
        connection = self.connect()
        rng = np.random.default_rng(0)
        for first in range(people):
            vectors = rng.standard_normal((10, dim)).tolist()
            body = json.dumps({"identity": f"person {first}", "vectors": vectors})
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/enroll/vectors", body, headers)
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
            answer.read()
        connection.close()

    def memory(self) -> float:
        """Resident MiB of the service."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]

    def processor_seconds(self) -> float:
        """Processor time of the service so far, all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Let it finish."""
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def body_of(images: int, rng: np.random.Generator) -> bytes:
    """A form of JPEG crops of the usual size (128 x 64)."""
    parts = []
    for _ in range(images):
        coarse = rng.integers(0, 256, (16, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(coarse), quality=90)
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="x"\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def measure(options: argparse.Namespace, encoder: Encoder, service: Service) -> None:
    rng = np.random.default_rng(0)
    bodies = [body_of(options.images, rng) for _ in range(64)]
    service.enroll(encoder.dim, 100)
    name = f"{options.backbone} {options.height}x{options.width}, {encoder.engine.name}"
    print(f"{name}, flip averaged, {options.images} image(s) a request, {os.cpu_count()} cores, 1,000 observations")
    alone(encoder, 2)
    full_load(service, bodies, options.clients, 2)
    rounds = []
    for _ in range(options.rounds):
        own, own_cost = alone(encoder, options.seconds)
        before = service.processor_seconds()
        rate, statuses = full_load(service, bodies, options.clients, options.seconds)
        cost = (service.processor_seconds() - before) / (statuses[200] * options.images)
        rounds.append((own, rate * options.images, own_cost, cost))
        print(
            f"  encoder alone {own:6.1f} images/s, {own_cost * 1e3:5.1f} ms of processor each   "
            f"service {rounds[-1][1]:6.1f} images/s, {cost * 1e3:5.1f} ms   {dict(statuses)}"
        )
    rate = statistics.median(row[1] for row in rounds)
    print(f"throughput: service / encoder alone = {statistics.median(r[1] / r[0] for r in rounds):.2f}   (goal 0.85)")
    print(
        f"processor time: encoder alone / service = {statistics.median(r[2] / r[3] for r in rounds):.2f}   (goal 0.85)"
    )

    offered = 0.7 * rate / options.images
    latencies, statuses = open_load(service, bodies, offered, max(options.seconds, 200 / offered))
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
    print(
        f"70 % load ({offered:.1f} requests/s): p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
        f"p99 / p50 = {p99 / p50:.1f}   (goal below 5)   {dict(statuses)}"
    )

    overload(options, encoder, service, bodies, 3 * rate / options.images)
    memory(service, bodies, options)


def alone(encoder: Encoder, seconds: float) -> tuple[float, float]:
    """Images per second, and processor seconds per image, of the encoder on full batches with nothing around it."""
    size = encoder.preprocessing
    batch = torch.randint(0, 256, (BATCH, 3, size.height, size.width), dtype=torch.uint8)
    began, cost, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < seconds:
        encoder.encode_batch(batch, flip=True)
        done += BATCH
    return done / (time.perf_counter() - began), (time.process_time() - cost) / done


def full_load(service: Service, bodies: list[bytes], clients: int, seconds: float) -> tuple[float, Counter[int]]:
    """Answers (200) per second when every client sends again at once; and all statuses."""
    statuses: Counter[int] = Counter()
    lock = threading.Lock()
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection, own = service.connect(), Counter[int]()
        while time.perf_counter() < end:
            status = service.identify(connection, bodies[number % len(bodies)])
            own[status] += 1
            if status == 503:
                time.sleep(0.2)  # a polite client waits; Retry-After asks for a second
        connection.close()
        with lock:
            statuses.update(own)

    began = time.perf_counter()
    in_threads(clients, client)
    return statuses[200] / (time.perf_counter() - began), statuses


def open_load(
    service: Service, bodies: list[bytes], rate: float, seconds: float, clients: int = 64
) -> tuple[list[float], Counter[int]]:
    """Seconds from the moment a request was due, at random moments of a given mean rate, over so many connections."""
    moments = np.cumsum(np.random.default_rng(1).exponential(1 / rate, int(rate * seconds)))
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    lock = threading.Lock()
    left = iter(moments.tolist())
    began = time.perf_counter() + 0.2

    def client(number: int) -> None:
        connection = service.connect()
        while True:
            with lock:
                due = next(left, None)
            if due is None:
                break
            time.sleep(max(0.0, began + due - time.perf_counter()))
            status = service.identify(connection, bodies[number % len(bodies)])
            with lock:
                latencies.append(time.perf_counter() - began - due)
                statuses[status] += 1
        connection.close()

    in_threads(clients, client)
    return latencies, statuses


def overload(
    options: argparse.Namespace, encoder: Encoder, service: Service, bodies: list[bytes], offered: float
) -> None:
    """Three times as many requests a second as can be served, over many connections."""
    ratios, costs, offers, found = [], [], [], Counter[int]()
    open_load(service, bodies, offered, options.seconds, options.overload_clients)
    before = service.memory()
    for _ in range(options.rounds):
        own, own_cost = alone(encoder, options.seconds)
        used, began = service.processor_seconds(), time.perf_counter()
        _, statuses = open_load(service, bodies, offered, options.seconds, options.overload_clients)
        rate = statuses[200] / (time.perf_counter() - began)
        cost = (service.processor_seconds() - used) / (statuses[200] * options.images)
        ratios.append(rate * options.images / own)
        costs.append(own_cost / cost)
        offers.append(statuses.total() / statuses[200])
        found += statuses
    asked = statistics.median(offers)
    print(f"overload ({options.overload_clients} connections, {asked:.1f} times what was served):")
    ratio, cost = statistics.median(ratios), statistics.median(costs)
    print(f"  service / encoder alone = {ratio:.2f}, by processor time {cost:.2f}   (goal 0.85)")
    print(f"  {dict(found)}   (goal: nothing but 200 and 503)")
    time.sleep(2)
    print(f"  memory: {before:.0f} MiB before, {service.memory():.0f} MiB after")


def memory(service: Service, bodies: list[bytes], options: argparse.Namespace) -> None:
    steps = 6
    sizes = []
    for _ in range(steps):
        full_load(service, bodies, options.clients, options.memory_seconds / steps)
        sizes.append(service.memory())
    growth = sizes[-1] / sizes[0] - 1
    shown = ", ".join(f"{size:.0f}" for size in sizes)
    print(f"memory over {options.memory_seconds:.0f} s of full load: {shown} MiB ({growth:+.1%})")


def in_threads(count: int, task: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=task, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
