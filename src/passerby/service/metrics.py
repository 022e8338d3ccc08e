"""Counters of a service in the text format that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import Metric

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_GAUGES = {
    "passerby_images_waiting": "images waiting for the encoder",
    "passerby_requests_in_work": "requests being worked on",
    "passerby_body_bytes_in_flight": "bytes of request bodies in memory",
    "passerby_gallery_identities": "identities",
    "passerby_gallery_observations": "stored observations",
    "passerby_event_subscribers": "who listen to /v1/events",
}


class Metrics:
    """Counts what happens, in a registry of its own (several services may run in one process); for many threads."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "passerby_requests", "requests answered", ["method", "route", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "passerby_request_seconds",
            "time to answer, body included",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._verdicts = Counter("passerby_verdicts", "identifications by verdict", ["verdict"], registry=registry)
        self._webhooks = Counter("passerby_webhooks", "events for webhooks by outcome", ["outcome"], registry=registry)
        self._batch_images = Histogram(
            "passerby_encode_batch_images", "images in one pass of the encoder", buckets=_SIZES, registry=registry
        )
        self._encode_seconds = Counter("passerby_encode_seconds", "time the encoder was busy", registry=registry)
        self._gauges = {name: Gauge(name, text, registry=registry) for name, text in _GAUGES.items()}
        ProcessCollector(registry=registry)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer; `route` is the template of the path, never the path itself."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def count_batch(self, images: int, seconds: float) -> None:
        """Count one pass of the encoder."""
        self._encode_seconds.inc(seconds)
        self._batch_images.observe(images)

    def count_verdict(self, verdict: str) -> None:
        """Count one identification."""
        self._verdicts.labels(verdict).inc()

    def count_webhook(self, outcome: str) -> None:
        """Count one event for a webhook."""
        self._webhooks.labels(outcome).inc()

    def text(self, gauges: Mapping[str, float]) -> str:
        """Everything counted, and the present values of gauges by name, in Prometheus' text format 0.0.4."""
        for name, value in gauges.items():
            self._gauges[name].set(value)
        return generate_latest(_Published(self._registry)).decode()


class _Published(CollectorRegistry):
    """A registry without the `_created` series, which only OpenMetrics has a use for, and with bounds as 30, not 30.0.

    The library's own switch for `_created` is global; bounds keep the form in which earlier versions published them, so
    that series go on.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._source = registry

    def collect(self) -> Iterator[Metric]:
        """See `CollectorRegistry`."""
        for metric in self._source.collect():
            metric.samples = [
                sample._replace(labels=_plain_bound(sample.labels))
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ]
            yield metric


def _plain_bound(labels: Mapping[str, str]) -> dict[str, str]:
    """`le="30.0"` as `le="30"`."""
    return {name: value.removesuffix(".0") if name == "le" else value for name, value in labels.items()}
