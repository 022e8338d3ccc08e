"""Graphs of other people, read by what they declare: right vectors or one clear line, for every kind of graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passerby.cli import run
from passerby.errors import WeightsError
from passerby.models.encoder import load_encoder
from passerby.models.file_fingerprint import fingerprint_of_file

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

T, node = onnx.TensorProto, onnx.helper.make_node
HEIGHT, WIDTH, DIM = 64, 32, 16
NETWORK = (("Conv", ["x", "w"], ["c"]), ("Relu", ["c"], ["r"]), ("GlobalAveragePool", ["r"], ["g"]))


def write(
    folder: Path,
    *,
    before: Sequence[Any] = (),
    after: Sequence[Any] = (),
    element: int = T.FLOAT,
    shape: Sequence[Any] | None = ("n", 3, HEIGHT, WIDTH),
    kind: Any = np.float32,
    constants: dict[str, Any] | None = None,
    outputs: Sequence[str] = ("out",),
    output_type: int | None = None,
    more_inputs: Sequence[Any] = (),
    settings: str = "",
) -> Path:
    """A small network behind nodes from "input" to "x", and nodes from its "g" [n, 16, 1, 1] to "out"."""
    weights = (np.random.default_rng(0).standard_normal((DIM, 3, 8, 8)) * 0.1).astype(kind)
    first = before or (node("Identity", ["input"], ["x"]),)
    network = [node(op, i, o, **({"strides": [8, 8]} if op == "Conv" else {})) for op, i, o in NETWORK]
    last = after or (node("Flatten", ["g"], ["out"]),)
    arrays = [onnx.numpy_helper.from_array(weights, "w")]
    arrays += [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    found = output_type or (T.FLOAT16 if kind == np.float16 else T.FLOAT)
    graph = onnx.helper.make_graph(
        [*first, *network, *last],
        "g",
        [onnx.helper.make_tensor_value_info("input", element, shape), *more_inputs],
        [onnx.helper.make_tensor_value_info(name, found, None) for name in outputs],
        arrays,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save_model(model, str(folder / "model.onnx"))
    description = folder / "model.toml"
    description.write_text(f'file = "model.onnx"\nheight = {HEIGHT}\nwidth = {WIDTH}\n{settings}')
    return description


def cast(to: int) -> list[Any]:
    return [node("Cast", ["input"], ["x"], to=to)]


TO_NCHW = [node("Transpose", ["input"], ["x"], perm=[0, 3, 1, 2])]
FLAT = node("Flatten", ["g"], ["f"])
READ = {
    "float16": {"element": T.FLOAT16, "kind": np.float16},
    "double": {"element": T.DOUBLE, "before": cast(T.FLOAT)},
    "channels last": {"shape": ("n", HEIGHT, WIDTH, 3), "before": TO_NCHW},
    "channels last, any size": {"shape": ("a", "b", "c", "d"), "before": TO_NCHW},
    "any axes": {"shape": ("a", "b", "c", "d")},
    "no axes declared": {"shape": None},
    "squeezed": {"after": [node("Squeeze", ["g"], ["out"])]},
    "four axes": {"after": [node("Identity", ["g"], ["out"])]},
    "a leading axis": {"after": [FLAT, node("Unsqueeze", ["f", "zero"], ["out"])], "constants": {"zero": [0]}},
    "the batch flattened away": {"after": [node("Reshape", ["g", "s"], ["out"])], "constants": {"s": [1, -1]}},
    "vectors in columns": {"after": [FLAT, node("Transpose", ["f"], ["out"], perm=[1, 0])]},
    "fixed batch": {"shape": (4, 3, HEIGHT, WIDTH)},
    "fixed batch inside": {
        "shape": (4, 3, HEIGHT, WIDTH),
        "after": [node("Reshape", ["g", "s"], ["out"])],
        "constants": {"s": [4, DIM]},
    },
    "float16 vectors": {"after": [FLAT, node("Cast", ["f"], ["out"], to=T.FLOAT16)], "output_type": T.FLOAT16},
    "one of several outputs": {
        "after": [node("Flatten", ["g"], ["out"]), node("Relu", ["out"], ["logits"])],
        "outputs": ("out", "logits"),
        "settings": 'output = "out"\n',
    },
}
REFUSED = {
    "bfloat16": ({"element": T.BFLOAT16, "before": cast(T.FLOAT)}, "takes bfloat16 numbers"),
    "int8": ({"element": T.INT8, "before": cast(T.FLOAT)}, "takes int8 numbers"),
    "two inputs": (
        {
            "after": [FLAT, node("Add", ["f", "camera"], ["out"])],
            "more_inputs": [onnx.helper.make_tensor_value_info("camera", T.FLOAT, (1,))],
        },
        "expected one input .*found 2: input, camera",
    ),
    "several outputs": (
        {"after": [node("Flatten", ["g"], ["out"]), node("Relu", ["out"], ["logits"])], "outputs": ("out", "logits")},
        "say which output to read.*out, logits",
    ),
    "NaN": ({"after": [FLAT, node("Neg", ["f"], ["m"]), node("Sqrt", ["m"], ["out"])]}, "NaN or infinite"),
    "zeros": ({"after": [FLAT, node("Sub", ["f", "f"], ["out"])]}, "a vector of zeros"),
    "a map": ({"after": [node("Identity", ["r"], ["out"])]}, "a map, not a vector"),
    "another size": ({"shape": ("n", 3, 128, 64)}, "its height is 128 pixels"),
    "one channel": ({"shape": ("n", 1, HEIGHT, WIDTH)}, "3 channels|cannot run"),
    "three axes": (
        {"shape": (3, HEIGHT, WIDTH), "before": [node("Unsqueeze", ["input", "z"], ["x"])], "constants": {"z": [0]}},
        "expected an input of",
    ),
    "no images": ({"shape": (0, 3, HEIGHT, WIDTH)}, "four axes"),
    "an unknown operator": ({"after": [node("Mystery", ["g"], ["out"], domain="nobody")]}, "not a readable ONNX"),
    "truth values": (
        {
            "after": [FLAT, node("Greater", ["f", "z"], ["out"])],
            "constants": {"z": np.float32(0)},
            "output_type": T.BOOL,
        },
        "expected vectors of numbers, found bool",
    ),
    "vectors of whole numbers": (
        {"after": [FLAT, node("Cast", ["f"], ["out"], to=T.INT64)], "output_type": T.INT64},
        "expected vectors of floating-point numbers, found int64",
    ),
    "vectors of bytes": (
        {"after": [FLAT, node("Cast", ["f"], ["out"], to=T.UINT8)], "output_type": T.UINT8},
        "expected vectors of floating-point numbers, found uint8",
    ),
    "no single images": (
        {"after": [node("Reshape", ["g", "s"], ["out"])], "constants": {"s": [3, DIM]}},
        "cannot run it on",
    ),
    "the mean of the batch taken off": (
        {
            "after": [
                FLAT,
                node("ReduceMean", ["f"], ["m"], axes=[0], keepdims=1),
                node("Sub", ["f", "m"], ["d"]),
                node("Add", ["d", "little"], ["out"]),
            ],
            "constants": {"little": np.float32(0.01)},
        },
        "depends on the other images of its batch",
    ),
}


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (7, HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def expected(images: np.ndarray, tmp_path: Path) -> np.ndarray:
    """Vectors of the plain network: float32, [n, 3, height, width]."""
    (tmp_path / "plain").mkdir()
    return load_encoder(write(tmp_path / "plain")).encode(images)


@pytest.mark.parametrize("name", READ)
def test_a_graph_is_read_by_what_it_declares(
    name: str, images: np.ndarray, expected: np.ndarray, tmp_path: Path
) -> None:
    encoder = load_encoder(write(tmp_path, **READ[name]))
    for vectors in (encoder.encode(images, batch_size=6), encoder.encode(images, batch_size=1)):
        np.testing.assert_allclose(vectors, expected, atol=2e-3 if "16" in name else 1e-5)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "double", "channels last", "fixed batch", "four axes"])
def test_openvino_reads_them_too(name: str, images: np.ndarray, expected: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    made = READ.get(name) or REFUSED[name][0]
    encoder = load_encoder(write(tmp_path, **made), engine="openvino")
    np.testing.assert_allclose(encoder.encode(images, batch_size=6), expected, atol=2e-3)


@pytest.mark.parametrize("element", [T.UINT8, T.INT64])
def test_whole_numbers_are_pixels(
    element: int, images: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plain").mkdir()
    plain = load_encoder(write(tmp_path / "plain", settings="scale = 1.0\n"))
    made = write(tmp_path, element=element, before=cast(T.FLOAT), settings="mean = [0.5, 0.5, 0.5]\n")
    np.testing.assert_allclose(load_encoder(made).encode(images), plain.encode(images), atol=1e-6)
    assert "mean and std of the description are not applied" in caplog.text


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    made, message = REFUSED[name]
    with pytest.raises(WeightsError, match=message) as refusal:
        load_encoder(write(tmp_path, **made))
    assert "\n" not in str(refusal.value)


def test_openvino_refuses_vectors_of_whole_numbers_too(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(WeightsError, match="expected vectors of floating-point numbers, found int"):
        load_encoder(write(tmp_path, **REFUSED["vectors of whole numbers"][0]), engine="openvino")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("content", [b"", b"\x08\x01broken"])
def test_damaged_files_are_refused_in_one_line(content: bytes, engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    description = write(tmp_path)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match="not a readable") as refusal:
        load_encoder(description, engine)
    assert "\n" not in str(refusal.value)


def test_a_failure_at_running_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The graph takes up to three images; the probe passes, and a larger batch fails."""
    rows = [
        node("Shape", ["f"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Range", ["zero", "n", "one"], ["rows"]),
        node("Gather", ["table", "rows"], ["t"]),
        node("Add", ["f", "t"], ["out"]),
    ]
    numbers = {"zero": np.int64(0), "one": np.int64(1), "table": np.zeros((3, DIM), np.float32)}
    description = write(tmp_path, after=[FLAT, *rows], constants=numbers)
    encoder = load_encoder(description)
    with pytest.raises(WeightsError, match="cannot run it on 7x3x64x32") as refusal:
        encoder.encode(np.zeros((7, HEIGHT, WIDTH, 3), np.uint8))
    assert "\n" not in str(refusal.value)
    assert "onnxruntime:" not in capfd.readouterr().err  # its own log says everything twice


def test_every_byte_of_the_weights_counts(tmp_path: Path) -> None:
    description = write(tmp_path)
    model = onnx.load(str(tmp_path / "model.onnx"))
    inside = load_encoder(description)
    onnx.save_model(
        model, str(tmp_path / "model.onnx"), save_as_external_data=True, location="w.data", size_threshold=0
    )
    outside = load_encoder(description)
    with (tmp_path / "w.data").open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    changed = load_encoder(description)
    assert len({inside.fingerprint, outside.fingerprint, changed.fingerprint}) == 3
    (tmp_path / "w.data").unlink()
    with pytest.raises(WeightsError, match=r"w\.data|not a readable"):
        load_encoder(description)


def test_weights_beside_an_xml_count(tmp_path: Path) -> None:
    from passerby.models.engines.preprocessing import Preprocessing

    size = Preprocessing(height=2, width=1, mean=(0, 0, 0), std=(1, 1, 1))
    (tmp_path / "m.xml").write_text("<net/>")
    found = set()
    for weights in (b"a", b"b"):
        (tmp_path / "m.bin").write_bytes(weights)
        found.add(fingerprint_of_file(tmp_path / "m.xml", size))
    assert len(found) == 2


def test_the_command_line_refuses_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), (9, 90, 200)).save(tmp_path / "pictures" / "a.png")
    description = write(tmp_path, shape=("n", 3, 128, 64))
    words = ["embed", str(description), "--images", str(tmp_path / "pictures"), "--out", str(tmp_path / "out")]
    assert run(words) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
