"""A processor that only emulates bfloat16 is named before hours are spent on it."""

from __future__ import annotations

import logging

import pytest
import torch

from passerby.training.devices import choose_precision


@pytest.mark.parametrize(("capability", "warned"), [("AVX2", True), ("AVX512", False)])
def test_emulated_bfloat16_is_announced(
    capability: str, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    with caplog.at_level(logging.WARNING, "passerby"):
        assert choose_precision("bfloat16", torch.device("cpu")) == torch.bfloat16
        assert choose_precision("float32", torch.device("cpu")) == torch.float32
    assert ("emulates it" in caplog.text) == warned
