"""Counters in Prometheus' text format, re-read line by line."""

from __future__ import annotations

import re

from passerby.service.metrics import Metrics

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)')


def test_text_format() -> None:
    metrics = Metrics()
    for seconds in (0.001, 0.03, 0.03, 99.0):
        metrics.count_request("GET", "/health", 200, seconds)
    metrics.count_request("POST", 'a"b\\c\n', 500, 0.1)
    metrics.count_batch(3, 0.5)
    metrics.count_batch(200, 0.25)
    lines = metrics.text({"passerby_images_waiting": 7}).splitlines()
    values: dict[str, float] = {}
    described: set[str] = set()
    for line in lines:
        if line.startswith("# TYPE"):
            described.add(line.split()[2])
        elif not line.startswith("#"):
            found = LINE.fullmatch(line)
            assert found, line
            assert re.sub("_(bucket|sum|count)$", "", found[1]) in described or found[1] in described
            values[line.rsplit(" ", 1)[0]] = float(found[3])
    assert values['passerby_requests_total{method="GET",route="/health",status="200"}'] == 4
    assert values['passerby_requests_total{method="POST",route="a\\"b\\\\c\\n",status="500"}'] == 1
    own = {k: v for k, v in values.items() if "_bucket{" in k and 'route="/health"' in k}
    buckets = {re.findall('le="([^"]*)"', k)[0]: v for k, v in own.items()}
    assert (buckets["0.005"], buckets["0.025"], buckets["0.05"], buckets["30"], buckets["+Inf"]) == (1, 1, 3, 3, 4)
    assert list(buckets.values()) == sorted(buckets.values())
    assert values['passerby_request_seconds_count{route="/health"}'] == 4
    assert values["passerby_encode_batch_images_sum"] == 203
    assert values["passerby_encode_seconds_total"] == 0.75
    assert values["passerby_images_waiting"] == 7
    assert values["process_resident_memory_bytes"] > 1e6


def test_each_service_has_its_own_registry() -> None:
    first, second = Metrics(), Metrics()
    first.count_verdict("known")
    assert 'passerby_verdicts_total{verdict="known"} 1' in first.text({})
    assert "verdict=" not in second.text({})


def test_there_are_no_series_of_creation_times() -> None:
    metrics = Metrics()
    metrics.count_request("GET", "/health", 200, 0.1)
    assert "_created" not in metrics.text({})
