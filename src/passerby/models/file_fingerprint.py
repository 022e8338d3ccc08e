"""The fingerprint of a model that is a file; nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from passerby.models.engines.preprocessing import Preprocessing
from passerby.models.graph_files import files_of_graph


def fingerprint_of_file(model: Path, preprocessing: Preprocessing) -> str:
    """SHA-256 (32 hex digits) of a foreign model's preprocessing and of every file that holds weights of it.

    Raises:
        WeightsError: a file is missing.
        MissingExtraError: as `files_of_graph`.
    """
    digest = hashlib.sha256(json.dumps(preprocessing.model_dump(mode="json"), sort_keys=True).encode())
    for file in files_of_graph(model):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]
