"""Every protocol of the table can be shown as a report."""

import re
from pathlib import Path

import numpy as np
import pytest

from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.closed_set.protocols import PROTOCOLS, evaluate_embeddings
from passerby.report.report import write_report


def people(rows: int, camera_of_row: int, seed: int) -> Embeddings:
    generator = np.random.default_rng(seed)
    pids = np.arange(rows) % 6 + 1
    vectors = np.eye(8)[pids] + generator.normal(0, 0.3, (rows, 8))
    camids = np.full(rows, camera_of_row) + np.arange(rows) // 6 % 2
    return Embeddings(vectors.astype(np.float32), pids, camids, tracklets=pids * 10 + camids)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "rerank"), [*((name, None) for name in PROTOCOLS), ("market1501", "k_reciprocal")]
)
def test_report_of_a_protocol(protocol: str, rerank: str | None, tmp_path: Path) -> None:
    query, gallery = people(24, 0, 0), people(48, 2, 1)
    report = evaluate_embeddings(
        query.vectors,
        gallery.vectors,
        query.pids,
        gallery.pids,
        query.camids,
        gallery.camids,
        protocol=protocol,
        rerank=rerank,
        query_tracklets=query.tracklets if protocol == "video" else None,
        gallery_tracklets=gallery.tracklets if protocol == "video" else None,
    )
    path = write_report(tmp_path / "report.html", reports={protocol: report}, query=query, gallery=gallery)
    text = path.read_text("utf-8")
    assert f"<td>{protocol}</td>" in text
    assert re.search(r"\bnan\b", re.sub(r"data:[^\"]*", "", text), re.IGNORECASE) is None
