"""Boxes of a frame, detectors that run a graph, trackers of the package `trackers`."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from passerby.errors import ConfigError, DataError, WeightsError
from passerby.tracking.detections import Detections, box_overlap, suppress_duplicates
from passerby.tracking.detectors.decoding import DECODINGS
from passerby.tracking.detectors.description import DetectorDescription
from passerby.tracking.detectors.detector import load_detector
from passerby.tracking.detectors.input_tensor import InputFormat, to_input
from passerby.tracking.motion import TRACKERS, make_tracker

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("trackers")


def test_overlap_and_suppression() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10], [1, 0, 11, 10]], np.float32)
    assert np.allclose(box_overlap(boxes[:1], boxes), [[1, 0.5, 0, 9 / 11]])
    kept = suppress_duplicates(Detections.of(boxes, [0.5, 0.9, 0.3, 0.6]), 0.5)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.3, 0.6])
    assert len(suppress_duplicates(Detections.of([]), 0.5)) == 0


def test_anything_with_boxes_can_be_detections() -> None:
    like = SimpleNamespace(xyxy=[[0, 0, 4, 8]], confidence=[0.5], tracker_id=None)
    found = Detections.from_supervision(like)
    assert found.tracks.tolist() == [-1]
    again = Detections.from_supervision(found.to_supervision())
    assert again.xyxy.tolist() == [[0, 0, 4, 8]]
    assert again.scores.tolist() == [0.5]
    classes = SimpleNamespace(xyxy=[[0, 0, 4, 8], [1, 1, 5, 9]], class_id=np.array([2, 0]))
    assert Detections.from_supervision(classes, label=0).xyxy.tolist() == [[1, 1, 5, 9]]
    with pytest.raises(DataError, match=r"no class_id \[1\]"):
        Detections.from_supervision(like, label=0)
    with pytest.raises(DataError, match="an object with xyxy"):
        Detections.from_supervision([[0, 0, 4, 8]])
    with pytest.raises(DataError, match=r"expected \[n, 4\]"):
        Detections.of([[1, 2, 3]])
    with pytest.raises(DataError, match="one for each"):
        Detections.of([[0, 0, 1, 1]], scores=[1, 2])
    with pytest.raises(DataError, match="NaN"):
        Detections.of([[0, 0, 1, np.nan]])
    for wrong, what in (
        ([[1, 2], [1, 2, 3]], "rows of different lengths"),
        ("abc", "str without numbers"),
        (object(), "object without numbers"),
    ):
        with pytest.raises(DataError, match=rf"boxes: expected \[n, 4\] .* found {what}"):
            Detections.of(wrong)
    with pytest.raises(DataError, match=r"scores: expected \[n\] numbers, found str"):
        Detections.of([[0, 0, 1, 1]], scores="x")
    with pytest.raises(DataError, match=r"tracks: expected \[n\] numbers, found list"):
        Detections.of([[0, 0, 1, 1]], tracks=["x"])


def constant_graph(path: Path, rows: np.ndarray | list[np.ndarray], size: tuple[int, int]) -> Path:
    """An ONNX graph that gives the same outputs for every picture."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    outputs = rows if isinstance(rows, list) else [rows]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        *(helper.make_node("Add", [f"rows{n}", "nothing"], [f"out{n}"]) for n in range(len(outputs))),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, *size])],
        [
            helper.make_tensor_value_info(f"out{n}", onnx.TensorProto.FLOAT, list(array.shape))
            for n, array in enumerate(outputs)
        ],
        [
            *(numpy_helper.from_array(array.astype(np.float32), f"rows{n}") for n, array in enumerate(outputs)),
            numpy_helper.from_array(np.zeros((), np.float32), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def ssd_rows() -> np.ndarray:
    rows = np.zeros((1, 1, 5, 7), np.float32)
    rows[0, 0, 0] = (0, 0, 0.9, 0.25, 0.5, 0.5, 1.0)
    rows[0, 0, 1] = (0, 0, 0.8, 0.26, 0.5, 0.5, 1.0)  # the same person once more
    rows[0, 0, 2] = (0, 1, 0.9, 0.0, 0.0, 0.1, 0.1)  # another class
    rows[0, 0, 3] = (-1, 0, 0.9, 0.5, 0.5, 0.9, 0.9)  # behind the end
    return rows


def test_ssd_boxes_are_shares_of_the_picture(tmp_path: Path) -> None:
    detector = load_detector(constant_graph(tmp_path / "person-detection-0200.onnx", ssd_rows(), (32, 64)))
    found = detector(np.zeros((100, 200, 3), np.uint8))
    assert found.xyxy.tolist() == [[50, 50, 100, 100]]
    assert found.scores.tolist() == pytest.approx([0.9])
    assert (
        len(load_detector(tmp_path / "person-detection-0200.onnx", threshold=0.95)(np.zeros((9, 9, 3), np.uint8))) == 0
    )


def test_the_label_of_a_person_must_be_known(tmp_path: Path) -> None:
    constant_graph(tmp_path / "mine.onnx", ssd_rows(), (32, 64))
    with pytest.raises(WeightsError, match=r"label of a person is not known; .*label = 0"):
        load_detector(tmp_path / "mine.onnx")
    (tmp_path / "mine.toml").write_text('file = "mine.onnx"\nlabel = 1\nthreshold = 0.5\n')
    found = load_detector(tmp_path / "mine.toml")(np.zeros((100, 200, 3), np.uint8))
    assert found.xyxy[0] == pytest.approx([0, 0, 20, 10], abs=1e-4)
    (tmp_path / "mine.toml").write_text('file = "mine.onnx"\nlabels = 1\n')
    with pytest.raises(WeightsError, match=r"labels: .*keys are file"):
        load_detector(tmp_path / "mine.toml")


def test_yolox_cells_are_decoded_and_the_letterbox_taken_back(tmp_path: Path) -> None:
    height, width = 32, 64
    cells = sum((height // s) * (width // s) for s in (8, 16, 32))
    rows = np.zeros((1, cells, 7), np.float32)
    rows[0, 10] = (0.5, 0.25, np.log(2), np.log(3), 1.0, 0.8, 0.0)  # stride 8: row 1, column 2
    rows[0, 11] = (0, 0, 0, 0, 1.0, 0.1, 0.9)  # another class
    detector = load_detector(constant_graph(tmp_path / "yolox.onnx", rows, (height, width)))
    found = detector(np.zeros((64, 64, 3), np.uint8))  # half as large in the input
    assert found.xyxy[0] == pytest.approx([2 * (20 - 8), 2 * (10 - 12), 2 * (20 + 8), 2 * (10 + 12)], abs=1e-3)
    assert found.scores.tolist() == pytest.approx([0.8])


PICTURE = np.zeros((100, 200, 3), np.uint8)


def yolov8_rows(cells: int = 189, classes: int = 80) -> np.ndarray:
    rows = np.zeros((1, 4 + classes, cells), np.float32)
    rows[0, :4, 3] = (48, 48, 24, 24)  # centre and size
    rows[0, 4, 3] = 0.9
    rows[0, :4, 4] = (49, 48, 24, 24)  # the same person once more
    rows[0, 4, 4] = 0.5
    rows[0, :4, 5] = (10, 32, 8, 8)
    rows[0, 6 if classes > 2 else 3, 5] = 0.9  # another class
    return rows


@pytest.mark.parametrize("form", ["channels", "rows", "one class", "masks", "keypoints"])
def test_yolov8_in_both_orders(form: str, tmp_path: Path) -> None:
    forms: dict[str, np.ndarray | list[np.ndarray]] = {
        "channels": yolov8_rows(),
        "rows": yolov8_rows().transpose(0, 2, 1),
        "one class": yolov8_rows(classes=1),
        "masks": [np.concatenate([yolov8_rows(), np.ones((1, 32, 189))], axis=1), np.ones((1, 32, 16, 16))],
        "keypoints": np.concatenate([yolov8_rows(classes=1), np.full((1, 51, 189), 7.0)], axis=1),
    }
    found = load_detector(constant_graph(tmp_path / "yolov8n.onnx", forms[form], (96, 96)))(PICTURE)
    assert found.scores.tolist() == pytest.approx([0.9])
    assert found.xyxy[0] == pytest.approx([75, 25, 125, 75], abs=1e-3)  # the picture lies 24 rows below the edge


def test_detr_with_and_without_a_class_for_no_object(tmp_path: Path) -> None:
    boxes = np.full((1, 5, 4), 0.1, np.float32)
    boxes[0, 2] = (0.5, 0.5, 0.25, 0.5)
    logits = np.zeros((1, 5, 92), np.float32)
    logits[:, :, 91] = 10  # no object
    logits[0, 2, 1], logits[0, 2, 91] = 12, 8
    score = np.exp(12) / (np.exp(12) + np.exp(8) + 90)
    for name, outputs in {"a": [logits, boxes], "b": [boxes, logits]}.items():
        found = load_detector(constant_graph(tmp_path / f"{name}.onnx", outputs, (64, 64)))(PICTURE)
        assert found.scores.tolist() == pytest.approx([score], rel=1e-5)
        assert found.xyxy[0] == pytest.approx([75, 25, 125, 75], abs=1e-3)
    later = np.full((1, 5, 80), -5, np.float32)
    later[0, 2, 0] = 2
    found = load_detector(constant_graph(tmp_path / "later.onnx", [later, boxes], (64, 64)))(PICTURE)
    assert found.scores.tolist() == pytest.approx([1 / (1 + np.exp(-2))])
    constant_graph(tmp_path / "own.onnx", [logits[:, :, :7], boxes], (64, 64))
    with pytest.raises(WeightsError, match="label of a person is not known"):
        load_detector(tmp_path / "own.onnx")
    (tmp_path / "own.toml").write_text('file = "own.onnx"\nlabel = 1\n')
    with pytest.raises(WeightsError, match=r"logits of 7 classes, .* activation ="):
        load_detector(tmp_path / "own.toml")
    (tmp_path / "own.toml").write_text('file = "own.onnx"\nlabel = 1\nactivation = "sigmoid"\n')
    assert len(load_detector(tmp_path / "own.toml")(PICTURE)) == 1


@pytest.mark.parametrize("form", ["[n, 6]", "[1, n, 6]", "[n, 7]", "[1, n, 7]"])
def test_graphs_that_have_sorted_their_boxes_out(form: str, tmp_path: Path) -> None:
    rows = np.zeros((3, 6), np.float32)
    rows[0] = (24, 24, 40, 40, 0.9, 0)
    rows[1] = (0, 24, 8, 40, 0.9, 2)  # another class; the last row only fills up
    if "7" in form:
        rows = np.concatenate([np.zeros((3, 1)), rows[:, :4], rows[:, 5:], rows[:, 4:5]], axis=1)
    rows = rows[None] if form.startswith("[1") else rows
    detector = load_detector(constant_graph(tmp_path / "sorted.onnx", rows, (64, 64)))
    found = detector(PICTURE)
    assert found.scores.tolist() == pytest.approx([0.9])
    assert found.xyxy[0] == pytest.approx([75, 25, 125, 75], abs=1e-3)
    shares = rows.copy()
    shares[..., 1 : 5 if "7" in form else 4] /= 64
    if "7" not in form:
        shares[..., 0] /= 64
    constant_graph(tmp_path / "shares.onnx", shares, (64, 64))
    (tmp_path / "shares.toml").write_text('file = "shares.onnx"\nnormalized = true\nthreshold = 0.5\n')
    assert load_detector(tmp_path / "shares.toml")(PICTURE).xyxy[0] == pytest.approx([75, 25, 125, 75], abs=1e-3)


def test_the_input_is_what_the_description_says() -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, :, 0] = 255
    wanted = InputFormat(4, 4, "center", "RGB", 255.0, (0.5, 0.0, 0.0), (0.5, 1.0, 1.0))
    pixels, placement = to_input(image, wanted)
    assert pixels.shape == (1, 3, 4, 4)
    assert pixels[0, 0].tolist() == [[pytest.approx((114 / 255 - 0.5) / 0.5)] * 4, [1] * 4, [1] * 4, pytest.approx(
        [(114 / 255 - 0.5) / 0.5] * 4)]  # fmt: skip
    assert placement.offset == (0, 1)
    corner = to_input(image, InputFormat(4, 4, "corner", "BGR", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))[0]
    assert corner[0, 2, :, 0].tolist() == [255, 255, 114, 114]


def test_other_graphs_are_refused(tmp_path: Path) -> None:
    constant_graph(tmp_path / "other.onnx", np.zeros((1, 10, 9), np.float32), (32, 64))
    with pytest.raises(WeightsError, match=r"output shapes \[1, 10, 9\]; expected one of ssd: \[1, 1, n, 7\]"):
        load_detector(tmp_path / "other.onnx")
    (tmp_path / "other.toml").write_text('file = "other.onnx"\ndecoding = "ssd"\nlabel = 0\n')
    with pytest.raises(WeightsError, match=r"output shapes \[1, 10, 9\]; ssd has \[1, 1, n, 7\]"):
        load_detector(tmp_path / "other.toml")
    with pytest.raises(WeightsError, match="no such model file"):
        load_detector(tmp_path / "absent.onnx")
    (tmp_path / "damaged.onnx").write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="not a readable ONNX model"):
        load_detector(tmp_path / "damaged.onnx")
    with pytest.raises(WeightsError, match="expected a detector as"):
        load_detector(tmp_path / "weights.pt")


def brightness_graph(path: Path, element: int, shape: tuple[int | str, ...] = (1, 3, 64, 64)) -> Path:
    """An ONNX graph that gives one box, whose score is the greatest number of its input divided by 255."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    constants = {"k": np.array(1 / 255, np.float32), "one": np.array([1, 1, 1], np.int64)}
    constants |= {"box": np.array([[[10, 20, 30, 60]]], np.float32), "label": np.zeros((1, 1, 1), np.float32)}
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["real"], ["greatest"], keepdims=0),
        helper.make_node("Mul", ["greatest", "k"], ["share"]),
        helper.make_node("Reshape", ["share", "one"], ["score"]),
        helper.make_node("Concat", ["box", "score", "label"], ["out"], axis=2),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("image", element, shape)],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, (1, 1, 6))],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("element", ["FLOAT", "FLOAT16", "DOUBLE", "UINT8", "INT32", "INT64"])
def test_graphs_take_numbers_of_their_own_type(element: str, engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    path = brightness_graph(tmp_path / "bright.onnx", getattr(onnx.TensorProto, element))
    size = "height = 64\nwidth = 64\n" if engine == "openvino" else ""
    scale = "" if "INT" in element else "scale = 1\n"  # whole numbers are the pixels themselves
    (tmp_path / "bright.toml").write_text(f'file = "{path.name}"\nthreshold = 0.0\n{size}{scale}')
    detector = load_detector(tmp_path / "bright.toml")
    for level in (255, 200, 120):
        found = detector(np.full((64, 64, 3), level, np.uint8))
        assert found.scores.tolist() == pytest.approx([level / 255], abs=1e-6)
    assert found.xyxy.tolist() == [[10, 20, 30, 60]]


def test_scaling_is_not_applied_to_whole_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    brightness_graph(tmp_path / "bright.onnx", onnx.TensorProto.UINT8)
    (tmp_path / "bright.toml").write_text('file = "bright.onnx"\nthreshold = 0.0\nscale = 255\nstd = [2, 2, 2]\n')
    found = load_detector(tmp_path / "bright.toml")(np.full((64, 64, 3), 200, np.uint8))
    assert found.scores.tolist() == pytest.approx([200 / 255])
    assert "whole numbers (uint8), hence pixels 0..255; scale, std of the description not applied" in caplog.text


def one_line_of(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_detector(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_graphs_that_do_not_run_are_refused_in_one_line(tmp_path: Path) -> None:
    brightness_graph(tmp_path / "four.onnx", onnx.TensorProto.FLOAT, (4, 3, 64, 64))
    assert "takes 4 images at once; expected one" in one_line_of(tmp_path / "four.onnx")
    brightness_graph(tmp_path / "signs.onnx", onnx.TensorProto.INT8)
    assert "takes int8 numbers; expected one of float32, float16" in one_line_of(tmp_path / "signs.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    assert "not a readable ONNX model" in one_line_of(tmp_path / "empty.onnx")


def test_a_graph_that_fails_on_a_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    """The graph takes any size, and holds a constant of another one."""
    pytest.importorskip("openvino")
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Add", ["image", "c"], ["out"])],
        "fixed",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.zeros((1, 3, 64, 64), np.float32), "c")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "fixed.onnx"
    )
    (tmp_path / "fixed.toml").write_text('file = "fixed.onnx"\nheight = 32\nwidth = 32\n')
    assert "OpenVINO" in one_line_of(tmp_path / "fixed.toml")


@pytest.mark.parametrize(
    ("rows", "description"),
    [
        (yolov8_rows(84, classes=1), "label = 3"),
        (np.zeros((1, 84, 7), np.float32), "label = 2"),
        (np.zeros((1, 2, 6), np.float32), 'decoding = "yolox"'),
        (np.zeros((1, 2, 6), np.float32), 'decoding = "yolov8"'),
        (np.zeros((1, 1, 5, 6), np.float32), 'decoding = "ssd"\nlabel = 0'),
        (np.zeros((5, 4), np.float32), 'decoding = "nms_in_graph"'),
        ([np.zeros((1, 5, 80), np.float32), np.zeros((1, 5, 4), np.float32)], "label = 80"),
    ],
)
def test_labels_and_decodings_that_the_outputs_do_not_have(
    rows: np.ndarray | list[np.ndarray], description: str, tmp_path: Path
) -> None:
    constant_graph(tmp_path / "mine.onnx", rows, (64, 64))
    (tmp_path / "mine.toml").write_text(f'file = "mine.onnx"\n{description}\n')
    assert "say another decoding or label in a description file" in one_line_of(tmp_path / "mine.toml")


@pytest.mark.parametrize("name", TRACKERS)
def test_trackers_follow_two_people(name: str) -> None:
    tracker = make_tracker(name, rate=10)
    seen = []
    for k in range(12):
        boxes = [(100 - 2 * k, 10, 120 - 2 * k, 60), (10 + 2 * k, 10, 30 + 2 * k, 60)]
        seen.append(tracker.update(Detections.of(boxes, [0.9, 0.8])).tolist())
        assert len(tracker.update(Detections.of([]))) == 0 if k == 11 else True
    assert len({tuple(pair) for pair in seen[5:]}) == 1
    assert len(set(seen[-1])) == 2
    assert min(seen[-1]) >= 0


def test_an_unknown_tracker_is_named() -> None:
    with pytest.raises(ConfigError, match="deepsort"):
        make_tracker("deepsort", rate=10)


def test_a_description_may_name_every_decoding() -> None:
    for name in DECODINGS:
        assert DetectorDescription(file="x.onnx", decoding=name).decoding == name
