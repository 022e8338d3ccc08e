"""Known public encoders: entries, downloads from a local server, checksums, local files, and no network."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.unit.models.test_foreign import write_model

from passerby.cli import run
from passerby.errors import EmbeddingError, MissingExtraError, NetworkError, WeightsError
from passerby.evaluation.open_set.calibration import describe_calibration
from passerby.evaluation.open_set.encoder_impostor_laws import stored_laws
from passerby.models import hub
from passerby.models.backbones.table import BACKBONES
from passerby.models.encoder import load_encoder
from passerby.models.hub_files import HubFile
from passerby.tracking.tracklet_calibration import find_calibration

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


class Server:
    """Serves one content; may break off, ignore ranges, or answer that there is nothing."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.break_after: int | None = None
        self.always_break_after: int | None = None
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                outer.asked.append((self.path, wanted))
                if self.path.endswith("absent.onnx"):
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and outer.ranges else 0
                body = outer.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                stop, outer.break_after = outer.break_after, None
                stop = outer.always_break_after if stop is None else stop
                self.wfile.write(body if stop is None else body[:stop])
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    write_model(tmp_path)
    return (tmp_path / "model.onnx").read_bytes()


@pytest.fixture
def server(content: bytes) -> Iterator[Server]:
    served = Server(content)
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def entry_of(content: bytes, **file: Any) -> hub.HubEncoder:
    known = {"name": "net.onnx", "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), **file}
    return hub.HubEncoder.model_validate(
        {"name": "net", "summary": "a net", "licence": "MIT", "source": "here", "files": [known],
         "settings": {"colors": "BGR", "scale": 1.0}, "laws": "retail-0277"}
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PASSERBY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PASSERBY_HUB_URL", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache" / "hub" / "net"


def know(monkeypatch: pytest.MonkeyPatch, entry: hub.HubEncoder) -> None:
    monkeypatch.setattr(hub, "_entries", lambda: {"net": entry})


def test_an_encoder_is_fetched_and_read_by_its_name(
    content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, entry_of(content, address=f"{server.address}/files/net.onnx"))
    encoder = load_encoder("hub:net")
    assert (place / "net.onnx").read_bytes() == content
    assert encoder.preprocessing.colors == "BGR"
    assert encoder.provenance["licence"] == "MIT"
    laws = stored_laws(encoder.calibration, "identify")
    assert laws is not None
    assert laws.at(30).p_value(laws.at(30).threshold(0.01)) == pytest.approx(0.01, rel=0.02)
    assert "impostor laws" in describe_calibration(encoder.calibration)
    load_encoder("hub:net")
    assert len(server.asked) == 1, "what is here is not fetched again"


def test_a_download_goes_on_where_it_broke(
    content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, entry_of(content, address=f"{server.address}/net.onnx"))
    server.break_after = 50
    hub.hub_get("net", progress=False)
    assert (place / "net.onnx").read_bytes() == content
    assert [wanted for _, wanted in server.asked] == [None, "bytes=50-"]


def test_an_earlier_part_is_gone_on_with_or_replaced(
    content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, entry_of(content, address=f"{server.address}/net.onnx"))
    for server.ranges in (True, False):
        place.mkdir(parents=True, exist_ok=True)
        (place / "net.onnx").unlink(missing_ok=True)
        (place / "net.onnx.part").write_bytes(content[:20])
        hub.hub_get("net", progress=False)
        assert (place / "net.onnx").read_bytes() == content
        assert not (place / "net.onnx.part").exists()


def test_another_content_is_refused_and_not_kept(
    content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, entry_of(content, address=f"{server.address}/net.onnx", sha256="0" * 64))
    with pytest.raises(NetworkError, match="what came is not the published file: expected the sha256 000"):
        hub.hub_get("net", progress=False)
    assert list(place.iterdir()) == []


def test_a_mirror_is_asked_instead(
    content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, entry_of(content, page="https://example.org/by-hand"))
    with pytest.raises(NetworkError, match=r"fetch net\.onnx from https://example\.org/by-hand, and run .*net"):
        hub.hub_get("net", progress=False)
    monkeypatch.setenv("PASSERBY_HUB_URL", f"{server.address}/mirror/")
    hub.hub_get("net", progress=False)
    assert server.asked == [("/mirror/net/net.onnx", None)]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/net.onnx", "{}/absent.onnx", "nonsense"])
def test_without_a_connection_it_says_what_to_fetch_and_where_to_put_it(
    address: str, content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    know(monkeypatch, entry_of(content, address=address.format(server.address)))
    assert run(["hub", "get", "net"]) == 1
    err = capsys.readouterr().err
    assert "cannot be fetched" in err
    assert err.count(address.format(server.address)) == 1 or address == "nonsense", "an address may be long"
    assert str(place) in err
    assert "--from FILE" in err


def test_a_local_file_is_taken_if_it_is_the_published_one(
    content: bytes, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, entry_of(content))
    (tmp_path / "other").write_bytes(content[:-1] + b"x")
    assert run(["hub", "get", "net", "--from", str(tmp_path / "other")]) == 2
    assert "not the published net.onnx: expected the sha256" in capsys.readouterr().err
    assert run(["hub", "get", "net", "--from", str(tmp_path / "absent")]) == 2
    assert run(["hub", "get", "net", "--from", str(tmp_path / "model.onnx")]) == 0
    assert load_encoder("hub:net").dim == 3
    with pytest.raises(WeightsError, match=r"scale \(--scale\) would do nothing"):
        load_encoder("hub:net", scale=2.0)


def test_weights_to_train_from_are_named_by_file_or_by_hub(
    content: bytes, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, entry_of(content))
    hub.hub_get("net", files=[tmp_path / "model.onnx"])
    assert hub.file_of_model("hub:net") == place / "net.onnx"
    assert hub.file_of_model(tmp_path / "absent.pth") == tmp_path / "absent.pth"


def test_a_file_beside_the_local_one_is_taken_too(
    content: bytes, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [{"name": "net.xml", "size": 3}, {"name": "net.bin", "size": 4}]
    entry = entry_of(content).model_copy(update={"files": tuple(map(HubFile.model_validate, files))})
    know(monkeypatch, entry)
    (tmp_path / "net.xml").write_bytes(b"xml")
    assert run(["hub", "get", "net", "--from", str(tmp_path / "net.xml")]) == 2
    assert "net.bin: neither among" in capsys.readouterr().err
    (tmp_path / "net.bin").write_bytes(b"bins")
    assert run(["hub", "get", "net", "--from", str(tmp_path / "net.xml")]) == 0
    assert (place / "net.bin").read_bytes() == b"bins"
    (place / "net.bin").unlink()
    assert run(["hub", "get", "net"]) == 1
    assert "--from FILE.xml FILE.bin" in capsys.readouterr().err


def test_a_known_file_needs_no_flags_whatever_its_name(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(tmp_path / "model.onnx")
    with pytest.raises(WeightsError, match="missing colors, scale"):
        load_encoder(model)
    know(monkeypatch, entry_of(content))
    encoder = load_encoder(model)
    assert encoder.preprocessing.colors == "BGR"
    assert encoder.provenance["hub"] == "net"
    assert encoder.provenance["file"] == "model.onnx"
    assert stored_laws(encoder.calibration, "identify") is not None
    know(monkeypatch, entry_of(content, sha256="0" * 64))
    with pytest.raises(WeightsError, match="missing colors, scale"):
        load_encoder(model)


def test_other_settings_than_the_known_ones_are_warned_of(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    know(monkeypatch, entry_of(content))
    encoder = load_encoder(tmp_path / "model.onnx", colors="RGB")
    assert "this file is hub:net, which reads colors BGR; given is colors RGB" in caplog.text
    assert encoder.preprocessing.colors == "RGB"
    assert not encoder.calibration, "the laws are of vectors of other pixels"
    caplog.clear()
    load_encoder(tmp_path / "model.onnx", colors="BGR", scale=1.0)
    assert not caplog.text


def test_every_entry_can_be_read() -> None:
    for entry in hub.hub_encoders():
        assert entry.files[0].name.endswith((".xml", ".pth", ".onnx")), entry.name
        graph = entry.files[0].name.endswith((".xml", ".onnx"))
        given = entry.settings.given()
        assert {"colors", "scale"} <= set(given) if graph else given["backbone"] in BACKBONES
        assert entry.published or entry.measured
        assert entry.licence in str(entry)
        assert entry.source.startswith("https://")
        for file in entry.files:
            assert not file.address or file.address.startswith("https://")
            assert file.address or file.page or entry.note, f"{entry.name}: nothing says where to get it"
        for kind in ("identify", "observe") if entry.laws else ():
            laws = stored_laws(entry.calibration, kind)
            assert laws is not None
            assert laws.laws[-1].people == 750
            assert laws.at(50).threshold(0.01) > laws.at(500).threshold(0.01)


def test_get_prints_the_name_and_the_folder(
    content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, entry_of(content, address=f"{server.address}/net.onnx"))
    for _ in range(2):  # fetched, and there already
        assert run(["hub", "get", "hub:net"]) == 0
        out, err = capsys.readouterr()
        assert out == f"hub:net: {place}\n"
        assert "error" not in err
    assert len(server.asked) == 1
    assert run(["hub", "get", "net", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "net", "folder": str(place)}
    assert run(["hub", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["net", "MIT", "yes", "yes"]
    assert run(["hub", "get", "nett"]) == 2
    assert "did you mean 'net'" in capsys.readouterr().err


def test_a_download_that_always_breaks_is_kept_for_the_next_time(
    content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, entry_of(content, address=f"{server.address}/net.onnx"))
    server.always_break_after = 30
    assert run(["hub", "get", "net"]) == 1
    assert "run it again to go on" in capsys.readouterr().err
    assert (place / "net.onnx.part").read_bytes() == content[:90], "three tries of 30 bytes each"
    server.always_break_after = None
    assert run(["hub", "get", "net"]) == 0
    assert server.asked[-1] == ("/net.onnx", "bytes=90-")
    assert (place / "net.onnx").read_bytes() == content


def test_the_wrong_size_is_refused_without_a_checksum(
    content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, entry_of(content, address=f"{server.address}/net.onnx", sha256="", size=len(content) + 1))
    with pytest.raises(NetworkError, match=f"expected {len(content) + 1:,} bytes, found {len(content):,}"):
        hub.hub_get("net", progress=False)
    assert list(place.iterdir()) == []


def test_a_mirror_that_has_not_the_file_names_itself(
    content: bytes, server: Server, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, entry_of(content, name="absent.onnx", address="https://example.org/absent.onnx"))
    monkeypatch.setenv("PASSERBY_HUB_URL", server.address)
    assert run(["hub", "get", "net"]) == 1
    assert f"{server.address}/net/absent.onnx: cannot be fetched" in capsys.readouterr().err


def test_tracklets_of_a_known_encoder_need_no_calibration(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.onnx"
    with pytest.raises(EmbeddingError, match=r"--calibration FILE\.parquet.*--threshold"):
        find_calibration(load_encoder(model, colors="BGR", scale=1.0), model)
    know(monkeypatch, entry_of(content))
    encoder = load_encoder(model)
    law = find_calibration(encoder, model)
    assert str(law).endswith("(fitted to 750 people of Market-1501, its test)")
    assert law.fingerprint == encoder.fingerprint
    assert 0 < law.same_camera.even < law.other_camera.even < 1
    own = replace(law, people=3, source="fitted to 3 people")
    own.save(model)
    assert find_calibration(encoder, model).people == 3


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(WeightsError, match="did you mean 'retail-0277'"):
        load_encoder("hub:retail-277")
    with pytest.raises(WeightsError, match="known") as caught:
        load_encoder("hub:retail-0278")
    assert len(str(caught.value)) < 200, "fifty names would hide the nearest ones"


def test_hugging_face_by_its_client(
    content: bytes, tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "a.onnx").write_bytes(content)
    asked: list[Any] = []

    def snapshot_download(repository: str, allow_patterns: list[str]) -> str:
        asked.append((repository, allow_patterns))
        return str(folder)

    client, errors = types.ModuleType("huggingface_hub"), types.ModuleType("huggingface_hub.errors")
    client.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    client.errors = errors  # type: ignore[attr-defined]
    for name in ("EntryNotFoundError", "HFValidationError", "HfHubHTTPError", "LocalEntryNotFoundError",
                 "RepositoryNotFoundError"):  # fmt: skip
        setattr(errors, name, type(name, (Exception,), {}))
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    assert load_encoder("hf:ann/net", colors="RGB", scale=255).dim == 3
    assert load_encoder("hf:ann/net/a.onnx", colors="RGB", scale=255).dim == 3
    assert asked[1] == ("ann/net", ["a.onnx"])
    (folder / "b.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"found a\.onnx, b\.onnx; name one: hf:ann/net/FILE"):
        load_encoder("hf:ann/net")
    with pytest.raises(WeightsError, match="expected hf:USER/MODEL"):
        load_encoder("hf:net")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match="hub"):
        load_encoder("hf:ann/net")
