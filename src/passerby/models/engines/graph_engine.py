"""A graph in a file, run by ONNX Runtime or OpenVINO.

Graphs that passerby exported hold their preprocessing; other people's graphs get it applied in front of them, in the
element type and the order of axes that they declare. Nothing here imports torch.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from passerby.array_types import Float32, UInt8
from passerby.errors import ConfigError, WeightsError, unknown_name
from passerby.models.engines.graph_input import FLOATS, GraphInput, possible_inputs
from passerby.models.engines.graph_output import as_rows, unit_rows
from passerby.models.engines.graph_probe import DependentError, probe
from passerby.models.engines.onnxruntime_graph import open_onnxruntime
from passerby.models.engines.opened_graph import METADATA as METADATA
from passerby.models.engines.openvino_graph import open_openvino
from passerby.models.engines.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("passerby")


class GraphEngine:
    """A graph in a file, run by ONNX Runtime or OpenVINO.

    Args:
        path: .onnx, or OpenVINO's .xml (with its .bin beside it).
        engine: "onnxruntime" or "openvino" (which reads both kinds).
        preprocessing: of the encoder; applied here unless the graph holds it, as its metadata says.
        output: name of the output to read, where a graph has several.
        threads: of one run; 0: as many as this process may use.

    Attributes:
        metadata: what `passerby export` wrote into the file; {} in other people's files.
        dim: length of a vector.

    Raises:
        MissingExtraError: the engine is not installed.
        WeightsError: missing, damaged, not a graph from one image batch to vectors, or one whose vectors depend on the
            other images of a batch.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        engine: str,
        preprocessing: Preprocessing,
        *,
        output: str | None = None,
        threads: int = 0,
    ) -> None:
        self.name = engine
        self.threads = threads
        self._output = output
        self._described = preprocessing
        self.path = Path(path)
        if not self.path.is_file():
            raise WeightsError(f"{self.path}: no such model file")
        if engine not in ("onnxruntime", "openvino"):
            raise ConfigError(unknown_name("engine", engine, ("onnxruntime", "openvino")))
        if engine == "onnxruntime" and self.path.suffix != ".onnx":
            raise WeightsError(f"{self.path}: ONNX Runtime reads .onnx files; use the engine 'openvino'")
        if engine == "onnxruntime":
            self._graph = open_onnxruntime(self.path, output, threads=threads)
        else:
            size = (preprocessing.height, preprocessing.width)
            self._graph = open_openvino(self.path, output, threads=threads, size=size)
        self.metadata = self._graph.metadata
        self.preprocessing = _outside(self.metadata, preprocessing)
        self._input, self.dim = self._first_that_works(preprocessing)
        self._say_what_is_not_applied()

    def with_threads(self, threads: int) -> GraphEngine:
        """The same graph, opened again with another number of threads (0: as many as this process may use)."""
        return GraphEngine(self.path, self.name, self._described, output=self._output, threads=threads)

    def __call__(self, images: Tensor) -> Tensor:
        """See `Engine`."""
        import torch

        return torch.from_numpy(self.vectors(images.cpu().numpy()))

    def vectors(self, images: UInt8) -> Float32:
        """RGB uint8 [n, 3, height, width] -> float32 [n, dim] with rows of unit length.

        Raises:
            WeightsError: the engine fails, or gives something else than one finite vector an image.
        """
        return unit_rows(self.rows(images), self.path)

    def rows(self, images: UInt8) -> Float32:
        """As `vectors`, but as the graph gives them, of any length."""
        return self._rows(images, self._input)

    def _rows(self, images: UInt8, form: GraphInput) -> Float32:
        batch = form.prepared(images, self.preprocessing)
        rows: list[Float32] = []
        for piece, count in form.pieces(batch):
            rows.append(as_rows(self._graph.run(piece), len(piece), self.path)[:count])
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def _unit_rows(self, images: UInt8, form: GraphInput) -> Float32:
        return unit_rows(self._rows(images, form), self.path)

    def _first_that_works(self, preprocessing: Preprocessing) -> tuple[GraphInput, int]:
        """How to feed the graph, and the length of its vectors; the error of the likeliest way where none works."""
        failures: list[WeightsError] = []
        for form in possible_inputs(self._graph, preprocessing, any_size=self.preprocessing is None):
            try:
                dim = probe(partial(self._unit_rows, form=form), preprocessing.height, preprocessing.width, self.path)
            except DependentError:
                raise
            except WeightsError as error:
                failures.append(error)
            else:
                return form, dim
        raise failures[0]

    def _say_what_is_not_applied(self) -> None:
        given = self.preprocessing
        if given is None or self._input.element in FLOATS:
            return
        if any(given.mean) or any(value != 1 for value in given.std):
            log.warning(
                "%s: takes whole numbers (%s), hence pixels 0..255; mean and std of the description are not applied",
                self.path,
                self._input.element,
            )


def _outside(metadata: dict[str, str], preprocessing: Preprocessing) -> Preprocessing | None:
    """What is still to be done before a graph; None: nothing, it takes pixels."""
    if not metadata:
        return preprocessing
    if metadata.get("input_type", "uint8") == "uint8":
        return None
    if metadata.get("normalization") == "outside":
        return preprocessing
    return preprocessing.model_copy(update={"mean": (0.0,) * 3, "std": (1.0,) * 3, "scale": 255.0, "colors": "RGB"})
