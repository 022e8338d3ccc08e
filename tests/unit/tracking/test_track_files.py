"""Reading back what `passerby track` wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

import passerby as pb
from passerby.cli import run


@pytest.mark.parametrize(
    ("content", "words"), [(None, "which is not there"), ("{}", "which is not of that form ('films')")]
)
def test_a_folder_that_is_no_result(
    content: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    assert run(["evaluate-tracks", str(tmp_path), "--truth", str(tmp_path)]) == 2
    expected = f"error: {tmp_path}: expected a folder that `passerby track` wrote, with result.json, {words}\n"
    assert capsys.readouterr().err == expected


def test_what_a_file_marks_is_not_counted_and_told(tmp_path: Path) -> None:
    pytest.importorskip("trackeval")
    boxes = [(frame, track) for frame in range(1, 21) for track in (1, 2, 3)]
    result = tmp_path / "hall.txt"
    result.write_text("".join(f"{k},{t},{100 * t},8,16,48,0.9,{int(t == 3)},-1\n" for k, t in boxes))
    truth = tmp_path / "hall.csv"
    rows = "".join(f"{k},{t},{100 * t},8,16,48,{int(t == 3)}\n" for k, t in boxes)
    truth.write_text(f"frame,id,x,y,w,h,ignored\n{rows}")
    report = pb.evaluate_tracks(result, truth)
    assert (report.idf1, report.mota, report.true_boxes, report.boxes) == (1, 1, 40, 40)
    assert f"{truth}: 20 true boxes marked as not to be counted" in report.notes
    assert f"{result}: 20 boxes class 1, not a person (0)" in report.notes
