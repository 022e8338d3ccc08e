"""Encoder: a model, its preprocessing and its provenance in one object and one folder."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from safetensors.torch import save as serialize
from torch import Tensor

from passerby.config import InputConfig, ModelConfig
from passerby.config.encoder import EncoderSettings
from passerby.config.engine import PrecisionName
from passerby.config.keywords import keywords_of, takes_keywords
from passerby.errors import ConfigError, ImageError, WeightsError, unknown_name
from passerby.files import replace_file, replace_folder
from passerby.models.calibrated_threshold import THRESHOLD_FILE, check_threshold, read_calibration, threshold_path
from passerby.models.description import DESCRIPTION_FILE, description_path, read_description, read_json
from passerby.models.engines.engine import ENGINES, Engine
from passerby.models.engines.graph_engine import GraphEngine
from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.engines.threads import check_threads
from passerby.models.engines.torch_engine import TorchEngine
from passerby.models.fingerprint import architecture_of, fingerprint_of_weights
from passerby.models.graph_loading import described_file, find_graph
from passerby.models.hub import find_in_hub, recognise_file
from passerby.models.image_batches import prepared_batches
from passerby.models.image_inputs import Images, as_list, crop_box, pixels_of
from passerby.models.loading import load_checkpoint
from passerby.models.model import ReIDModel, build_model
from passerby.models.sources import EncoderSource, encoder_source, is_hub_name, kind_of
from passerby.models.weights.checkpoints import read_checkpoint

log = logging.getLogger("passerby")

FORMAT = 1
WEIGHTS_FILE = "weights.safetensors"
EXPORTED = {"onnxruntime": "encoder.onnx", "openvino": "encoder.xml"}


class Encoder:
    """Images in, unit vectors out; two encoders with the same `fingerprint` give comparable vectors.

    Make one with `Encoder.from_model` or `load_encoder`.

    Attributes:
        preprocessing: input size and normalisation.
        provenance: where it comes from: configuration, data fingerprint, versions, licence note.
        calibration: what `passerby calibrate` found, {} before.
        precision: arithmetic of the network: "float32", or what `lower_precision` made of it.
        exact: the encoder in float32 that `lower_precision` was given; None: this one is exact.
    """

    def __init__(
        self,
        engine: Engine,
        preprocessing: Preprocessing,
        *,
        fingerprint: str,
        model_config: Mapping[str, Any],
        provenance: Mapping[str, Any],
        calibration: Mapping[str, Any] | None = None,
        precision: PrecisionName = "float32",
        exact: Encoder | None = None,
    ) -> None:
        self.engine = engine
        self.preprocessing = preprocessing
        self._fingerprint = fingerprint
        self._fingerprinted = self._weights_version()
        self.model_config = dict(model_config)
        self.provenance = dict(provenance)
        self.calibration = dict(calibration or {})
        self.precision: PrecisionName = precision
        self.exact = exact

    @classmethod
    def from_model(
        cls,
        model: ReIDModel,
        input: InputConfig,  # noqa: A002
        model_config: ModelConfig,
        provenance: Mapping[str, Any] | None = None,
    ) -> Encoder:
        """An encoder around a model; it shares the weights, so make a new one when they have changed.

        Args:
            model: what `build_model(model_config)` made.
            input: its input size and normalisation.
            model_config: how it was built; `weights` is left out of what is stored.
            provenance: anything JSON can hold.
        """
        preprocessing = Preprocessing(
            height=input.height, width=input.width, mean=input.mean, std=input.std, bits=input.bits
        )
        architecture = architecture_of(model_config)
        return cls(
            TorchEngine(model, preprocessing),
            preprocessing,
            fingerprint=fingerprint_of_weights(model.state_dict(), preprocessing, architecture),
            model_config=architecture,
            provenance=provenance or {},
        )

    @property
    def fingerprint(self) -> str:
        """Hash of weights and preprocessing; another one once the weights of a torch model have changed."""
        version = self._weights_version()
        if version != self._fingerprinted and self.exact is None:
            state = self.model.state_dict()
            self._fingerprint = fingerprint_of_weights(state, self.preprocessing, self.model_config)
            self._fingerprinted = version
        return self._fingerprint

    def _weights_version(self) -> object:
        return self.engine.weights_version() if isinstance(self.engine, TorchEngine) else None

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.engine.dim

    @property
    def threshold(self) -> float | None:
        """Distance above which two vectors count as different people; None before calibration."""
        value = self.calibration.get("value")
        return None if value is None else float(value)

    @property
    def model(self) -> ReIDModel:
        """The torch model.

        Raises:
            WeightsError: another engine runs this encoder.
        """
        if not isinstance(self.engine, TorchEngine):
            raise WeightsError(f"an encoder on engine {self.engine.name!r} has no torch model; load it with torch")
        return self.engine.model

    def to(self, device: str | torch.device) -> Encoder:
        """Move the weights to a device; returns the encoder itself."""
        self.model.to(device)
        return self

    def encode(self, images: Images, *, batch_size: int = 128, flip: bool = True) -> npt.NDArray[np.float32]:
        """Vectors of images, in their order.

        Args:
            images: a path, a list of paths, a PIL image, an RGB uint8 array [H, W, 3] or a list (or array [n, H, W, 3])
                of them, or a uint8 tensor [n, 3, H, W]; any size, resized as in training.
            batch_size: images per pass.
            flip: average the vectors of each image and of its mirror image.

        Returns:
            float32 [n, dim], rows of unit length; [0, dim] for no images.

        Raises:
            ImageError: an image cannot be read, or is no RGB uint8 picture.
        """
        rows = list(self.encode_batches(images, batch_size=batch_size, flip=flip))
        return np.concatenate(rows) if rows else np.zeros((0, self.dim), np.float32)

    def encode_batches(
        self, images: Images, *, batch_size: int = 128, flip: bool = True
    ) -> Iterator[npt.NDArray[np.float32]]:
        """As `encode`, batch by batch: float32 [at most batch_size, dim], while later images are being decoded.

        Raises:
            ImageError: as for `encode`.
        """
        if batch_size < 1:
            raise ImageError(f"batch_size: expected at least 1, found {batch_size}")
        size = self.preprocessing
        for batch in prepared_batches(as_list(images), size.height, size.width, batch_size, bits=size.bits):
            yield self.encode_batch(batch, flip=flip).cpu().numpy()

    def encode_boxes(
        self, frame: npt.NDArray[np.uint8], xyxy: npt.ArrayLike, *, batch_size: int = 128, flip: bool = False
    ) -> npt.NDArray[np.float32]:
        """Vectors of people in one picture, for a tracker of one's own.

        Args:
            frame: RGB uint8 [H, W, 3].
            xyxy: boxes [n, 4], left, top, right, bottom in pixels; what lies outside the picture is cut off.
            batch_size: images per pass.
            flip: as for `encode`; off, as frames are many.

        Returns:
            float32 [n, dim], rows of unit length, in the order of the boxes.

        Raises:
            ImageError: no such picture, or a box without a pixel in it (the message names it).
        """
        picture = pixels_of(frame, bits=self.preprocessing.bits)
        boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
        crops = [crop_box(picture, box, row) for row, box in enumerate(boxes)]
        return self.encode(crops, batch_size=batch_size, flip=flip) if crops else np.zeros((0, self.dim), np.float32)

    def encode_batch(self, images: Tensor, *, flip: bool = False) -> Tensor:
        """Unit vectors [n, dim] of a uint8 tensor [n, 3, height, width] that has the input size already.

        Raises:
            ImageError: another type or size.
        """
        expected = (3, self.preprocessing.height, self.preprocessing.width)
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ImageError(f"expected a uint8 tensor [n, {expected}], found {images.dtype} {tuple(images.shape)}")
        if images.shape[0] == 0:
            return torch.zeros((0, self.dim))
        vectors = self.engine(images)
        # Each view is a unit vector first, so that every engine averages the same things
        return F.normalize(vectors + self.engine(images.flip(3))) if flip else vectors

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write weights.safetensors and encoder.json (and threshold.json) into `folder`: a new one, or an encoder's.

        Raises:
            StorageError: writing failed; what was there before is intact.
            WeightsError: another engine than torch runs this encoder, or the folder holds something else.
        """
        _refuse_other_folder(Path(folder))
        # safetensors refuses shared or strided memory
        state = {k: v.detach().cpu().contiguous().clone() for k, v in self.model.state_dict().items()}
        fingerprint = fingerprint_of_weights(state, self.preprocessing, self.model_config)
        description = {
            "format": FORMAT,
            "fingerprint": fingerprint,
            "dim": self.dim,
            "model": self.model_config,
            "input": self.preprocessing.model_dump(mode="json"),
            "provenance": self.provenance,
        }
        with replace_folder(folder) as temporary:
            # not save_file, whose files nobody but their owner may read
            (temporary / WEIGHTS_FILE).write_bytes(serialize(state))
            _write_json(temporary / DESCRIPTION_FILE, description)
            if self.calibration:
                _write_json(temporary / THRESHOLD_FILE, self.calibration)

    def __repr__(self) -> str:
        size = f"{self.preprocessing.height}x{self.preprocessing.width}"
        name = self.model_config.get("backbone", "encoder")
        return f"Encoder({name}, {size}, {self.dim}-d, {self.engine.name}, fingerprint {self.fingerprint})"


@takes_keywords(keywords_of(EncoderSettings))
def load_encoder(
    folder: str | os.PathLike[str], engine: str | None = None, *, threads: int | None = None, **given: Any
) -> Encoder:
    """Read anybody's encoder: a trained run, a described model, a bare graph, a public checkpoint, a hub's name.

    Args:
        folder: an encoder's folder, or that of the training run that made it; the description file (.toml, .json) of a
            foreign model (see `models.description`), or a folder that holds it as encoder.toml or encoder.json; an
            ONNX or OpenVINO graph (.onnx, .xml); a checkpoint (.pth, .pt, .safetensors, ...); "hub:NAME" of a known
            public encoder (`passerby hub list`); or "hf:USER/MODEL" of the Hugging Face hub.
        engine: "torch", "onnxruntime" or "openvino". The latter two run what `passerby export` put into the folder
            (encoder.onnx, encoder.xml). "auto": the fastest of all here, as measured once and remembered. None: torch;
            for graphs the one that their file needs.
        threads: of the engine; None: the fastest number where it was measured ("auto"), else all that this process
            may use.
        **given: what a model file does not say itself, by the names of `EncoderSettings`: `height`, `width`,
            `colors`, `scale`, `mean`, `std` and `output` of a graph; `backbone`, `last_stride` and `map_pooling` of a
            checkpoint, and its preprocessing where it is not the usual one (256 x 128, ImageNet's mean and std).

    Raises:
        WeightsError: no encoder there, a damaged one, weights that are not the ones described, something missing that
            a file does not say, or something given that would do nothing.
        ConfigError: an unknown engine or setting, or less than one thread.
        MissingExtraError: the engine is not installed.
    """
    check_threads(threads)
    if engine == "auto":
        from passerby.models.engines.choice import pick_encoder  # it stands above encoders

        return pick_encoder(encoder_source(folder, given), engine, threads=threads)[0]
    if engine is not None and engine not in ENGINES:
        raise ConfigError(unknown_name("engine", engine, ENGINES))
    source = encoder_source(folder, given)
    graph = find_graph(source, engine, threads or 0)
    if graph is not None:
        return Encoder(**vars(graph))
    if is_hub_name(source):
        found = find_in_hub(source.place)
        encoder = load_encoder(found.source, engine, threads=threads, **source.settings.given())
        encoder.provenance |= found.provenance
        encoder.calibration = {**found.calibration, **encoder.calibration}
        return encoder
    if kind_of(source) == "checkpoint":
        return _load_bare_checkpoint(source, engine, threads or 0)
    described = described_file(source)
    if described is not None:
        return _load_described_checkpoint(*described, engine, threads or 0)
    path = description_path(source)
    return _load_own(path, read_json(path), engine, threads or 0)


def _load_bare_checkpoint(source: EncoderSource, engine: str | None, threads: int) -> Encoder:
    """What a known public one does not say itself stands in the hub's entry."""
    known = recognise_file(source)
    loaded = load_checkpoint(source if known is None else known.source, engine, threads=threads)
    encoder = Encoder(**{**vars(loaded), "calibration": read_calibration(Path(source), loaded.fingerprint)})
    if known is not None:
        encoder.provenance |= known.provenance
        encoder.calibration = {**known.calibration, **encoder.calibration}
    return encoder


def _load_own(path: Path, description: Mapping[str, Any], engine: str | None, threads: int) -> Encoder:
    if description.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: expected format {FORMAT}, found {description.get('format')!r}: "
            "this encoder was written by another version of passerby"
        )
    try:
        config = ModelConfig.model_validate(description["model"])
        preprocessing = Preprocessing.model_validate(description["input"])
        fingerprint = str(description["fingerprint"])
    except (KeyError, ValidationError) as error:
        raise WeightsError(f"{path}: not an encoder's description ({error})") from error
    if engine in (None, "torch"):
        loaded: Engine = _load_torch(path, config, preprocessing, description, threads)
    else:
        loaded = _load_exported(path.parent, str(engine), preprocessing, fingerprint, threads)
    return Encoder(
        loaded,
        preprocessing,
        fingerprint=fingerprint,
        model_config=description["model"],
        provenance=description.get("provenance", {}),
        calibration=read_calibration(path),
    )


def _load_torch(
    path: Path, config: ModelConfig, preprocessing: Preprocessing, description: Mapping[str, Any], threads: int
) -> TorchEngine:
    weights = path.parent / WEIGHTS_FILE
    state = read_checkpoint(weights)
    found = fingerprint_of_weights(state, preprocessing, description["model"])
    if found != description["fingerprint"]:
        raise WeightsError(
            f"{path.parent}: the weights' fingerprint is {found}, {path.name} says {description['fingerprint']}: "
            "the files do not belong together or are damaged"
        )
    try:
        model = build_model(config)
        model.load_state_dict(state)
    except (RuntimeError, ConfigError) as error:
        raise WeightsError(f"{weights}: not the weights of {config.backbone} ({error})") from error
    return TorchEngine(model.eval(), preprocessing, fuse=True, threads=threads)


def _load_exported(
    folder: Path, engine: str, preprocessing: Preprocessing, fingerprint: str, threads: int
) -> GraphEngine:
    graph = folder / EXPORTED[engine]
    if not graph.is_file():
        raise WeightsError(
            f"{folder}: holds no {graph.name} for the engine {engine!r}; make it with "
            f"`passerby export {folder} --to {'onnx' if engine == 'onnxruntime' else 'openvino'}`"
        )
    loaded = GraphEngine(graph, engine, preprocessing, threads=threads)
    found = loaded.metadata.get("fingerprint")
    if found != fingerprint:
        raise WeightsError(
            f"{graph}: exported from the encoder {found}, but this folder's is {fingerprint}: export it again"
        )
    return loaded


def _load_described_checkpoint(path: Path, model: EncoderSource, engine: str | None, threads: int) -> Encoder:
    foreign = read_description(path)
    loaded = load_checkpoint(model, engine, threads=threads)
    encoder = Encoder(**{**vars(loaded), "calibration": read_calibration(path)})
    encoder.model_config |= {"backbone": foreign.name} if foreign.name else {}
    encoder.provenance |= {"licence": foreign.licence, "source": foreign.source}
    return encoder


def save_threshold(folder: str | os.PathLike[str], calibration: Mapping[str, Any]) -> None:
    """Keep a calibrated threshold beside the weights; `calibration` needs a number called "value".

    Raises:
        WeightsError: no encoder in `folder`.
        ConfigError: no "value".
        StorageError: writing failed.
    """
    if not isinstance(calibration.get("value"), (int, float)):
        raise ConfigError(f"calibration: expected a number under 'value', found {calibration.get('value')!r}")
    check_threshold(calibration, "calibration")
    with replace_file(threshold_path(description_path(folder))) as temporary:
        _write_json(temporary, calibration)


def _refuse_other_folder(folder: Path) -> None:
    """All that a folder holds goes when an encoder takes its place."""
    other = folder.is_dir() and not (folder / DESCRIPTION_FILE).is_file() and any(folder.iterdir())
    if other or folder.is_file():
        raise WeightsError(
            f"{folder}: expected a new or empty folder, or an encoder's ({DESCRIPTION_FILE} in it), found "
            f"{'other files' if other else 'a file'}, which stay; save into another folder"
        )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
