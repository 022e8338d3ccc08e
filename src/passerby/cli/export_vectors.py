"""`passerby export-vectors`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from passerby.cli.output import show
from passerby.cli.shared_parameters import Json
from passerby.cli.vector_flags import VectorFile, VectorFlags


def export_vectors(
    vectors: VectorFile,
    target: Annotated[Path, Parameter(help="The new file: .npy, or .faiss for a FAISS index.")],
    /,
    *,
    source: VectorFlags = VectorFlags(),
    json: Json = False,
) -> None:
    """Write vectors as an .npy file or a FAISS index, with a CSV file of their labels beside it."""
    from passerby.embedding.vector_files import export_vectors as run_export

    written = run_export(source.read(vectors), target)
    text = "\n".join(map(str, written))
    show({"files": [str(path) for path in written]}, as_json=json, text=text)
