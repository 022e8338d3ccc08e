"""Examples with other people's trackers and boxes run on a drawn film; an encoder as their source of vectors."""

import importlib.util
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import passerby as pb
from passerby.data.synthetic.film import DrawnFilm, draw_films
from passerby.errors import ConfigError, ImageError
from passerby.models.encoder import Encoder
from passerby.tracking.films import read_frames

pytest.importorskip("av")
pytest.importorskip("trackers")
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnFilm:
    return draw_films(tmp_path_factory.mktemp("film"), people=2, cameras=1, seconds=3, rate=10, seed=3)[0]


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from passerby.config import InputConfig, ModelConfig
    from passerby.models.model import build_model

    torch.manual_seed(0)
    architecture = ModelConfig(backbone="osnet_x0_25")
    made = Encoder.from_model(build_model(architecture), InputConfig(height=64, width=32), architecture)
    folder = tmp_path_factory.mktemp("made") / "encoder"
    made.save(folder)
    return folder


def example(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_encoder_gives_a_trackers_vectors(drawn: DrawnFilm, encoder_folder: Path) -> None:
    encoder = pb.load_encoder(encoder_folder)
    frame = next(iter(read_frames(drawn.film))).image
    assert frame is not None
    bgr = np.ascontiguousarray(frame[:, :, ::-1])
    boxes = [[10, 20, 42, 84], [100, 20, 140, 90]]
    expected = encoder.encode_boxes(frame, boxes)
    embedder = pb.CropEmbedder(encoder)
    crops = [bgr[y0:y1, x0:x1] for x0, y0, x1, y1 in boxes]
    assert np.allclose(embedder.predict(crops), expected, atol=1e-5)
    assert np.allclose(embedder.get_features(np.array(boxes), bgr), expected, atol=1e-5)
    assert np.allclose(pb.CropEmbedder(encoder, colors="RGB").get_features(boxes, frame), expected, atol=1e-5)
    assert len(embedder.predict([crops[0], bgr[:0]])) == 2
    assert embedder.predict([]) == []
    with pytest.raises(ImageError, match="no pixel"):
        embedder.get_features([[900, 0, 910, 5]], bgr)
    with pytest.raises(ConfigError, match="BGR or RGB"):
        pb.CropEmbedder(encoder, colors="GBR")  # type: ignore[arg-type]


def test_deep_sort_realtime(drawn: DrawnFilm, encoder_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("deep_sort_realtime")
    example("film_deep_sort_realtime").main(str(drawn.film), str(drawn.truth), str(encoder_folder))
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert len(rows) > 20
    assert 1 <= len({row[1] for row in rows}) <= 4


def test_supervision(
    drawn: DrawnFilm, encoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("supervision")
    example("film_supervision").main(str(drawn.film), str(drawn.truth), str(encoder_folder), str(tmp_path / "last.png"))
    assert "people in 1 film(s)" in capsys.readouterr().out
    assert (tmp_path / "last.png").stat().st_size > 1000
