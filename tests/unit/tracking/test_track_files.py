"""Reading back what `passerby track` wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

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
