"""The keys file: hashes only, readable by its owner only, checked when it is read."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from passerby.errors import ConfigError
from passerby.service.api_keys import ROLES, Key, add_key, list_keys, remove_key
from passerby.service.authentication import Authenticator


def test_only_the_hash_is_stored_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    tokens = {name: add_key(path, name, role=role) for name, role in zip("abc", ROLES, strict=True)}
    assert len(set(tokens.values())) == 3
    assert not [token for token in tokens.values() if token in path.read_text() or token[3:] in path.read_text()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    accepted = Authenticator(path)
    assert {name: accepted.find(token).role for name, token in tokens.items()} == dict(zip("abc", ROLES, strict=True))


def test_roles_include_those_before_them() -> None:
    allowed = {role: [other for other in ROLES if Key("x", role, "0" * 64).may(other)] for role in ROLES}
    assert allowed == {"read": ["read"], "write": ["read", "write"], "admin": ["read", "write", "admin"]}


BAD_FILES = {
    "not JSON": "{",
    "not a keys file": "[]",
    "no keys": '{"format": "passerby-keys-1"}',
    "another table": '{"format": "passerby-keys-1", "keys": [], "revoked": ["a"]}',
    "a bad role": {"name": "a", "role": "root", "digest": "0" * 64},
    "a bad name": {"name": "a/b", "role": "read", "digest": "0" * 64},
    "no digest": {"name": "a", "role": "read", "digest": "secret"},
    "a bad rate": {"name": "a", "role": "read", "digest": "0" * 64, "rate": -1},
    "a rate of true": {"name": "a", "role": "read", "digest": "0" * 64, "rate": True},
    "an unknown field": {"name": "a", "role": "read", "digest": "0" * 64, "admin": True},
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_is_not_a_keys_file_is_an_error(what: str, tmp_path: Path) -> None:
    content = BAD_FILES[what]
    text = content if isinstance(content, str) else json.dumps({"format": "passerby-keys-1", "keys": [content]})
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ConfigError, match=r"keys\.json"):
        Authenticator(tmp_path / "keys.json")


def test_names_are_unique_and_plain(tmp_path: Path) -> None:
    add_key(tmp_path / "k", "desk")
    before = (tmp_path / "k").read_bytes()
    for name in ("desk", "", "../x", "a b", "x" * 65, "é"):
        with pytest.raises(ConfigError):
            add_key(tmp_path / "k", name)
    with pytest.raises(ConfigError, match="known are desk"):
        remove_key(tmp_path / "k", "dusk")
    assert (tmp_path / "k").read_bytes() == before


def test_keys_are_added_listed_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    token = add_key(path, "desk", role="write", rate=5.0)
    assert Authenticator(path).find(token).name == "desk"
    assert [(key.name, key.role, key.rate) for key in list_keys(path)] == [("desk", "write", 5.0)]
    remove_key(path, "desk")
    assert list_keys(path) == []
    with pytest.raises(ConfigError, match="no key 'desk'"):
        remove_key(path, "desk")
    with pytest.raises(ConfigError, match="cannot be read"):
        remove_key(tmp_path / "none" / "keys.json", "desk")
    assert not (tmp_path / "none").exists()


def test_a_name_is_that_of_one_key(tmp_path: Path) -> None:
    entries = [{"name": "a", "role": role, "digest": digit * 64} for role, digit in (("read", "0"), ("admin", "1"))]
    (tmp_path / "k").write_text(json.dumps({"format": "passerby-keys-1", "keys": entries}))
    with pytest.raises(ConfigError, match="'a' is that of several"):
        list_keys(tmp_path / "k")


def test_changes_by_several_processes_are_all_kept(tmp_path: Path) -> None:
    """Each had printed a key that nobody would accept, or a removed key would have come back."""
    path = tmp_path / "new" / "keys.json"
    code = (
        "import sys; from passerby.service.api_keys import add_key, remove_key; sys.stdin.read()\n"
        "for i in range(20): add_key(sys.argv[1], f'{sys.argv[2]}{i}')\n"
        "for i in range(10): remove_key(sys.argv[1], f'{sys.argv[2]}{i}')\n"
    )
    at_once = [subprocess.Popen([sys.executable, "-c", code, str(path), name], stdin=subprocess.PIPE) for name in "abc"]
    for process in at_once:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait() for process in at_once] == [0, 0, 0]
    assert sorted(key.name for key in list_keys(path)) == sorted(f"{n}{i}" for n in "abc" for i in range(10, 20))
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]
