"""Counters of a service in the text format that Prometheus reads."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_HELP = {
    "passerby_requests_total": ("counter", "requests answered"),
    "passerby_request_seconds": ("histogram", "time to answer, body included"),
    "passerby_verdicts_total": ("counter", "identifications by verdict"),
    "passerby_encode_batch_images": ("histogram", "images in one pass of the encoder"),
    "passerby_encode_seconds_total": ("counter", "time the encoder was busy"),
    "passerby_images_waiting": ("gauge", "images waiting for the encoder"),
    "passerby_requests_in_work": ("gauge", "requests being worked on"),
    "passerby_body_bytes_in_flight": ("gauge", "bytes of request bodies in memory"),
    "passerby_gallery_identities": ("gauge", "identities"),
    "passerby_gallery_observations": ("gauge", "stored observations"),
    "process_resident_memory_bytes": ("gauge", "memory of the process"),
}
Labels = tuple[tuple[str, str], ...]


class _Histogram:
    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Metrics:
    """Counts what happens; may be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[tuple[str, Labels], float] = {}
        self._histograms: dict[tuple[str, Labels], _Histogram] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer; `route` is the template of the path, never the path itself."""
        with self._lock:
            self._count("passerby_requests_total", 1, method=method, route=route, status=str(status))
            self._observe("passerby_request_seconds", seconds, _SECONDS, route=route)

    def batch(self, images: int, seconds: float) -> None:
        """Count one pass of the encoder."""
        with self._lock:
            self._count("passerby_encode_seconds_total", seconds)
            self._observe("passerby_encode_batch_images", images, _SIZES)

    def verdict(self, verdict: str) -> None:
        """Count one identification."""
        with self._lock:
            self._count("passerby_verdicts_total", 1, verdict=verdict)

    def _count(self, name: str, amount: float, **labels: str) -> None:
        key = (name, tuple(labels.items()))
        self._counters[key] = self._counters.get(key, 0) + amount

    def _observe(self, name: str, value: float, bounds: Sequence[float], **labels: str) -> None:
        self._histograms.setdefault((name, tuple(labels.items())), _Histogram(bounds)).add(value)

    def text(self, gauges: Mapping[str, float]) -> str:
        """Everything counted, and these gauges, in Prometheus' text format 0.0.4."""
        lines: dict[str, list[str]] = {}
        with self._lock:
            for (name, labels), value in sorted(self._counters.items()):
                lines.setdefault(name, []).append(f"{name}{_braces(labels)} {value:.10g}")
            for (name, labels), histogram in sorted(self._histograms.items(), key=lambda item: item[0]):
                lines.setdefault(name, []).extend(_histogram_lines(name, labels, histogram))
        for name, value in [*gauges.items(), ("process_resident_memory_bytes", resident_bytes())]:
            lines.setdefault(name, []).append(f"{name} {value:.15g}")
        out = []
        for name, rows in lines.items():
            kind, text = _HELP[name]
            out += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *rows]
        return "\n".join(out) + "\n"


def _histogram_lines(name: str, labels: Labels, histogram: _Histogram) -> list[str]:
    lines, running = [], 0
    for bound, count in zip([*(f"{b:g}" for b in histogram.bounds), "+Inf"], histogram.counts, strict=True):
        running += count
        lines.append(f"{name}_bucket{_braces((*labels, ('le', bound)))} {running}")
    return [*lines, f"{name}_sum{_braces(labels)} {histogram.total:.10g}", f"{name}_count{_braces(labels)} {running}"]


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = ((k, v.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for k, v in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"


def resident_bytes() -> float:
    """Memory this process holds; 0 where /proc does not tell."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return 0.0
