"""The page about batches: its code runs, and it names every kind and cache there is."""

import re
from pathlib import Path
from typing import get_args

import pytest

from passerby.config import InputConfig, SamplerConfig

PAGE = (Path(__file__).parents[2] / "docs" / "batches.md").read_text("utf-8")


def test_the_code_runs_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/batches.md", "exec"), {})
    (promised,) = re.findall(r"# (torch\.Size.*)", code)
    *batches, waited = capsys.readouterr().out.splitlines()
    assert batches
    assert set(batches) == {promised}
    assert re.fullmatch(r"waited \d+% of the time", waited)


@pytest.mark.parametrize(
    "value",
    [*get_args(SamplerConfig.model_fields["kind"].annotation), *get_args(InputConfig.model_fields["cache"].annotation)],
)
def test_every_choice_has_its_row(value: str) -> None:
    assert f"\n| `{value}` |" in PAGE
