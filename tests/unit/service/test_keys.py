"""Keys: stored as hashes, found in constant work, bounded in rate."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from passerby.cli import run
from passerby.errors import ConfigError
from passerby.service import keys as keys_module
from passerby.service.errors import Refusal
from passerby.service.keys import ROLES, Key, KeyRing, add_key, digest_of, list_keys, remove_key


def test_only_the_hash_is_stored_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    tokens = {name: add_key(path, name, role=role) for name, role in zip("abc", ROLES, strict=True)}
    assert len(set(tokens.values())) == 3
    assert not [token for token in tokens.values() if token in path.read_text() or token[3:] in path.read_text()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ring = KeyRing(path)
    assert {name: ring.find(token).role for name, token in tokens.items()} == dict(zip("abc", ROLES, strict=True))


def test_roles_include_those_before_them() -> None:
    allowed = {role: [other for other in ROLES if Key("x", role, "0" * 64).may(other)] for role in ROLES}
    assert allowed == {"read": ["read"], "write": ["read", "write"], "admin": ["read", "write", "admin"]}


def test_every_stored_key_is_compared_whatever_is_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    first, *_ = [add_key(path, f"k{i}") for i in range(5)]
    ring = KeyRing(path)
    compared: list[str] = []
    real = keys_module.hmac.compare_digest

    def counting(a: str, b: str) -> bool:
        compared.append(a)
        return real(a, b)

    monkeypatch.setattr(keys_module.hmac, "compare_digest", counting)
    ring.find(first)
    with pytest.raises(Refusal) as refused:
        ring.find("pb_guess")
    assert refused.value.status == 401
    assert len(compared) == 10


def test_a_bucket_holds_two_seconds_and_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(keys_module.clock, "monotonic", lambda: now[0])
    slow, free = Key("slow", "read", digest_of("a"), 2.0), Key("free", "read", digest_of("b"), 0.0)
    ring = KeyRing(None, extra=[slow, free], rate=100)
    for _ in range(4):
        ring.spend(slow)
    with pytest.raises(Refusal) as refused:
        ring.spend(slow)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
    for _ in range(1000):
        ring.spend(free)
    now[0] += 0.5
    ring.spend(slow)
    with pytest.raises(Refusal):
        ring.spend(slow)
    now[0] += 1000
    for _ in range(4):
        ring.spend(slow)
    with pytest.raises(Refusal):
        ring.spend(slow)


BAD_FILES = {
    "not JSON": "{",
    "not ours": "[]",
    "no keys": '{"format": "passerby-keys-1"}',
    "a bad role": {"name": "a", "role": "root", "digest": "0" * 64},
    "a bad name": {"name": "a/b", "role": "read", "digest": "0" * 64},
    "no digest": {"name": "a", "role": "read", "digest": "secret"},
    "a bad rate": {"name": "a", "role": "read", "digest": "0" * 64, "rate": -1},
    "a surplus": {"name": "a", "role": "read", "digest": "0" * 64, "admin": True},
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_is_none_is_refused(what: str, tmp_path: Path) -> None:
    content = BAD_FILES[what]
    text = content if isinstance(content, str) else json.dumps({"format": "passerby-keys-1", "keys": [content]})
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ConfigError, match=r"keys\.json"):
        KeyRing(tmp_path / "keys.json")


def test_names_are_unique_and_plain(tmp_path: Path) -> None:
    add_key(tmp_path / "k", "desk")
    before = (tmp_path / "k").read_bytes()
    for name in ("desk", "", "../x", "a b", "x" * 65, "é"):
        with pytest.raises(ConfigError):
            add_key(tmp_path / "k", name)
    with pytest.raises(ConfigError, match="known are desk"):
        remove_key(tmp_path / "k", "dusk")
    assert (tmp_path / "k").read_bytes() == before


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = os.fspath(tmp_path / "keys.json")
    assert run(["keys", "add", path, "desk", "--role", "write", "--rate", "5"]) == 0
    token = capsys.readouterr().out.strip()
    assert KeyRing(path).find(token).name == "desk"
    assert run(["keys", "list", path]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["desk", "write", "5/s"]
    assert run(["keys", "remove", path, "desk"]) == 0
    assert list_keys(path) == []
    assert run(["keys", "remove", path, "desk"]) == 2
    assert "no key 'desk'" in capsys.readouterr().err
