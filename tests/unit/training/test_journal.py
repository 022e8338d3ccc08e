from pathlib import Path

from passerby.training.journal import Journal


def test_rows_that_a_resumed_run_repeats_are_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    for epoch in range(3):
        journal.epoch(epoch, {"total": 1.0 - epoch}, lr=0.1)
    journal.evaluation(2, mAP=0.5, engine="torch")
    journal.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "epo')  # killed while writing
    resumed = Journal(tmp_path, 2)
    resumed.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text.count('"epoch": 1,') == 1
    assert text.count('"epoch": 2,') == 1
    assert '"epoch": 3,' not in text
    assert text.endswith("}\n")
