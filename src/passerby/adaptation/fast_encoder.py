"""The encoder of a folder on what runs it fast: a GPU, or OpenVINO, two to three times as fast as torch on a CPU."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from passerby.errors import MissingExtraError, WeightsError
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.export import export

log = logging.getLogger("passerby")


EXPORT_FROM = 2000
"""Crops from which an export saves more time than it takes."""


def fast_encoder(folder: Path, crops: int) -> Encoder:
    """The encoder of a folder (or a run's folder), exported there where that helps; torch where it cannot be.

    Args:
        folder: where it lies.
        crops: how many it has to embed.

    Raises:
        WeightsError: no encoder there.
    """
    encoder = load_encoder(folder)
    if torch.cuda.is_available():
        return encoder.to("cuda")
    if crops < EXPORT_FROM:
        return encoder
    try:
        export(folder, "openvino")
        return load_encoder(folder, "openvino")
    except (MissingExtraError, WeightsError) as error:
        log.info("crops are embedded by torch (%s)", error)
        return encoder
