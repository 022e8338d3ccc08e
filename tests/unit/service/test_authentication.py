"""Tokens are compared with every stored key, in constant work."""

from __future__ import annotations

import hmac
from pathlib import Path

import pytest

from passerby.service.api_keys import add_key
from passerby.service.authentication import Authenticator
from passerby.service.errors import ServiceError


def test_every_stored_key_is_compared_whatever_is_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    first, *_ = [add_key(path, f"k{i}") for i in range(5)]
    accepted = Authenticator(path)
    compared: list[str] = []
    real = hmac.compare_digest

    def counting(a: str, b: str) -> bool:
        compared.append(a)
        return real(a, b)

    monkeypatch.setattr("passerby.service.authentication.hmac.compare_digest", counting)
    accepted.find(first)
    with pytest.raises(ServiceError) as caught:
        accepted.find("pb_guess")
    assert caught.value.status == 401
    assert len(compared) == 10
