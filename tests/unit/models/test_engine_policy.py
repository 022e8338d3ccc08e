"""One engine policy: measured once, remembered for this encoder, machine and version, and never with other vectors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.unit.models.test_foreign import write_model

from passerby.config import InputConfig, ModelConfig
from passerby.config.encoder import EncoderSettings
from passerby.errors import ConfigError
from passerby.models.described_encoder import described_encoder
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.engines import choice as choosing
from passerby.models.engines import engine_cache
from passerby.models.engines.choice import TRIAL_FROM, on_engine, pick_encoder
from passerby.models.engines.engine_cache import EngineChoice, remember_choice, remembered_choice
from passerby.models.engines.graph_choice import exported_graph, graph_at_hand, open_remembered
from passerby.models.export.encoder_export import export
from passerby.models.graph_encoder import GraphEncoder
from passerby.models.model import build_model
from passerby.models.sources import EncoderSource


def make(folder: Path, seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    config = ModelConfig(backbone="tiny:resnet18")
    encoder = Encoder.from_model(build_model(config).eval(), InputConfig(height=64, width=32), config, {})
    encoder.save(folder)
    return encoder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PASSERBY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("run") / "e"
    make(folder)
    export(folder, "onnx")
    return folder


@pytest.fixture
def fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime with one thread is the fastest, without taking anybody's time."""
    monkeypatch.setattr(
        choosing, "measure", lambda ways: {n: 2.0 if n == "onnxruntime, 1 thread" else 1.0 for n in ways}
    )


@pytest.mark.slow
@pytest.mark.usefixtures("fastest")
def test_the_fastest_is_tried_once_and_remembered(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, _ = pick_encoder(exported, "torch")
    assert few.engine.name == "torch"
    first, speeds = pick_encoder(exported, images=TRIAL_FROM)
    assert (first.engine.name, first.fingerprint) == ("onnxruntime", few.fingerprint)
    assert "torch" in speeds
    monkeypatch.setattr(choosing, "measure", lambda _: pytest.fail("measured again"))
    again, measured = pick_encoder(exported, images=1)
    assert (again.engine.name, measured) == ("onnxruntime", {})
    assert load_encoder(exported, "auto").engine.name == "onnxruntime"
    assert load_encoder(exported).engine.name == "torch"
    crops = np.random.default_rng(0).integers(0, 256, (5, 70, 40, 3), dtype=np.uint8)
    np.testing.assert_allclose(again.encode(crops), few.encode(crops), atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("fastest")
def test_a_graph_is_written_into_the_cache_where_the_folder_has_none(
    exported: Path, cache: Path, tmp_path: Path
) -> None:
    encoder = make(tmp_path / "e", seed=5)
    chosen, _ = pick_encoder(tmp_path / "e", images=TRIAL_FROM)
    assert chosen.engine.name == "onnxruntime"
    remembered = remembered_choice(encoder.fingerprint)
    assert remembered is not None
    assert Path(remembered.graph).is_absolute()
    assert list(cache.glob(f"{encoder.fingerprint}/*/encoder.onnx"))
    assert not list((tmp_path / "e").glob("*.onnx"))


@pytest.mark.slow
@pytest.mark.usefixtures("fastest")
def test_an_engine_with_other_vectors_is_not_used(
    exported: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choosing, "_difference", lambda e, _: 0.0 if e.engine.name == "torch" else 1e-3)
    chosen, _ = pick_encoder(exported, images=TRIAL_FROM)
    assert chosen.engine.name == "torch"
    assert "differ from torch's by 1.0e-03" in caplog.text


@pytest.mark.slow
def test_a_graph_of_other_weights_or_another_version_is_never_used(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "other", seed=1)
    (tmp_path / "other" / "encoder.onnx").write_bytes((exported / "encoder.onnx").read_bytes())
    described = described_encoder(tmp_path / "other")
    assert described is not None
    assert exported_graph(described) is None
    stale = EngineChoice("onnxruntime", 1, str(tmp_path / "other" / "encoder.onnx"))
    remember_choice(described.fingerprint, stale)
    assert pick_encoder(tmp_path / "other")[0].engine.name == "torch"
    monkeypatch.setattr(engine_cache, "__version__", "99.0")
    assert remembered_choice(described.fingerprint) is None


def test_a_choice_that_another_machine_or_nobody_wrote_is_none(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_choice("abc", EngineChoice("torch"))
    assert remembered_choice("abc") is not None
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert remembered_choice("abc") is None
    (cache / "abc" / "choice.json").write_text('{"engine": 3, "colour": "red"}')
    assert remembered_choice("abc") is None


def test_the_cache_is_bounded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cache, "MOST_ENCODERS", 2)
    for number in range(4):
        remember_choice(f"encoder-{number}", EngineChoice("torch"))
    assert len(list(cache.iterdir())) == 2
    assert engine_cache.cache_size()[0] == 2


@pytest.mark.slow
def test_openvino_reads_what_an_onnx_file_says_about_itself(exported: Path) -> None:
    pytest.importorskip("openvino")
    described = described_encoder(exported)
    assert described is not None
    choice = EngineChoice("openvino", 1, str(exported / "encoder.onnx"))
    engine = open_remembered(described.fingerprint, described.preprocessing, choice)
    assert engine is not None
    assert engine.preprocessing is None


@pytest.mark.slow
def test_one_picture_needs_no_torch(exported: Path, tmp_path: Path) -> None:
    described = described_encoder(exported)
    assert described is not None
    engine = graph_at_hand(described)
    assert engine is not None
    crops = list(np.random.default_rng(0).integers(0, 256, (3, 90, 41, 3), dtype=np.uint8))
    for flip in (True, False):
        ours = GraphEncoder(engine, described).encode(crops, flip=flip, batch_size=2)
        np.testing.assert_allclose(ours, load_encoder(exported).encode(crops, flip=flip), atol=1e-5)


SLOW_TO_LOAD = {"torch", "numba", "pyarrow", "scipy", "passerby.config.recipe", "passerby.models.hub_download"}


QUICKLY = """
import contextlib, io, json, sys
from passerby.cli import run
commands, slow = json.loads(sys.argv[1])
said = []
for words in commands:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = run(words)
    loaded = set(slow) & set(sys.modules)
    if code or loaded:
        sys.exit(f"{words}: exit code {code}, loaded {loaded}")
    said.append(out.getvalue())
print(json.dumps(said))
"""


def started_quickly(*commands: list[str], slow: set[str] = SLOW_TO_LOAD) -> list[str]:
    """What commands print in a process of their own, in which none may have imported what takes long to load."""
    program = [sys.executable, "-c", QUICKLY, json.dumps([commands, sorted(slow)])]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["export", "cache", "description", "bare graph", "verify"])
def test_commands_on_one_picture_load_nothing_slow(kind: str, exported: Path, tmp_path: Path) -> None:
    if kind == "verify":
        rows = np.eye(4, dtype=np.float32)
        np.savez(tmp_path / "v.npz", vector=rows, pid=np.array([1, 1, 2, 2]), camid=np.array([0, 1, 0, 1]))
        files = str(tmp_path / "v.npz")
        started_quickly(["verify", files, files, "--fpr", "0.5"], slow={"torch", "numba"})
        return
    encoder: list[str] = [str(exported)]
    if kind == "cache":
        make(tmp_path / "e")  # the same weights, and so the same fingerprint, without an export in its folder
        described = described_encoder(tmp_path / "e")
        assert described is not None
        target = engine_cache.cached_graph(described.fingerprint)
        target.parent.mkdir(parents=True)
        target.write_bytes((exported / "encoder.onnx").read_bytes())
        encoder = [str(tmp_path / "e")]
    elif kind in ("description", "bare graph"):
        write_model(tmp_path)
        (tmp_path / "m.toml").write_text('file = "model.onnx"\nheight = 8\nwidth = 4\nscale = 1.0\ncolors = "BGR"\n')
        bare = [str(tmp_path / "model.onnx"), "--height", "8", "--width", "4", "--scale", "1", "--colors", "BGR"]
        encoder = [str(tmp_path / "m.toml")] if kind == "description" else bare
    picture, gallery = tmp_path / "a.png", tmp_path / "g.gallery"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 41, 3), dtype=np.uint8)).save(picture)
    _, identified, *_ = started_quickly(
        ["enroll", str(gallery), "ann", str(picture), "--encoder", *encoder],
        ["identify", str(gallery), str(picture), "--encoder", *encoder, "--json"],
        ["gallery", "list", str(gallery)],
        ["gallery", "observations", str(gallery), "ann"],
        ["gallery", "calibration", str(gallery)],
    )
    assert json.loads(identified)[0]["matches"][0]["distance"] < 1e-4


def test_everything_but_a_trained_folder_has_one_engine(tmp_path: Path) -> None:
    assert described_encoder(tmp_path) is None
    (tmp_path / "encoder.json").write_text("[]")
    assert described_encoder(tmp_path) is None
    (tmp_path / "encoder.json").write_text('{"format": 7}')
    assert described_encoder(tmp_path) is None


@pytest.mark.slow
@pytest.mark.usefixtures("fastest")
def test_weights_of_the_moment_leave_nothing_in_the_cache(exported: Path, cache: Path) -> None:
    encoder = load_encoder(exported)
    placed = on_engine(encoder, images=TRIAL_FROM, keep=False)
    assert (placed.engine.name, placed.fingerprint) == ("onnxruntime", encoder.fingerprint)
    assert not cache.exists()
    assert on_engine(encoder, images=1) is encoder
    described = described_encoder(exported)
    assert described is not None
    remember_choice(encoder.fingerprint, EngineChoice("onnxruntime", 1, str(exported / "encoder.onnx")))
    assert on_engine(encoder, images=1).engine.name == "onnxruntime", "what was found once counts everywhere"


@pytest.mark.slow
def test_the_number_of_threads_that_was_asked_for(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def every(ways: Iterable[str]) -> dict[str, float]:
        tried.extend(ways)
        return {name: float(len(name)) for name in ways}

    monkeypatch.setattr(choosing, "measure", every)
    chosen, _ = pick_encoder(exported, images=TRIAL_FROM, threads=3)
    assert set(tried) == {"torch", "onnxruntime, 3 threads", "openvino, 3 threads"}
    assert chosen.engine.threads == 3
    assert pick_encoder(exported, images=1, threads=3)[0].engine.threads == 3
    described = described_encoder(exported)
    assert described is not None
    assert remembered_choice(described.fingerprint) is None, "any number of threads is another question"
    at_hand = graph_at_hand(described, 2)
    assert at_hand is not None
    assert at_hand.threads == 2
    before = torch.get_num_threads()
    on_torch = load_encoder(exported, "torch", threads=2)
    assert on_torch.engine.threads == 2
    on_torch.encode(np.zeros((1, 64, 32, 3), np.uint8))
    assert torch.get_num_threads() == before
    with pytest.raises(ConfigError, match="expected at least 1, found 0"):
        load_encoder(exported, threads=0)
    with pytest.raises(ConfigError, match="expected at most 1,024, found 100,000"):
        load_encoder(exported, threads=100_000)


@pytest.mark.slow
@pytest.mark.usefixtures("fastest")
def test_a_checkpoint_is_put_on_the_fastest_engine_too(cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    model = build_model(ModelConfig(backbone="tiny:resnet18"))
    torch.save(model.state_dict(), tmp_path / "net.pth")
    given = EncoderSource(str(tmp_path / "net.pth"), EncoderSettings(backbone="tiny:resnet18", height=64, width=32))
    assert pick_encoder(given, images=1)[0].engine.name == "torch"
    assert pick_encoder(given, images=TRIAL_FROM)[0].engine.name == "onnxruntime"
    assert pick_encoder(given, images=1)[0].engine.name == "onnxruntime"
