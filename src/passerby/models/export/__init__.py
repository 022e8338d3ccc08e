"""Encoders for other runtimes: ONNX, OpenVINO, an exported program, eight bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.lazy import lazy_names

if TYPE_CHECKING:
    from passerby.models.export.check import TOLERANCE, Export
    from passerby.models.export.encoder_export import export
    from passerby.models.export.form import OPSET, ExportForm
    from passerby.models.export.graph import Portable
    from passerby.models.export.writers import FILES, Format, metadata_of

__all__ = ["FILES", "OPSET", "TOLERANCE", "Export", "ExportForm", "Format", "Portable", "export", "metadata_of"]

__getattr__ = lazy_names(
    __name__,
    {
        "Export": "passerby.models.export.check",
        "ExportForm": "passerby.models.export.form",
        "FILES": "passerby.models.export.writers",
        "Format": "passerby.models.export.writers",
        "OPSET": "passerby.models.export.form",
        "Portable": "passerby.models.export.graph",
        "TOLERANCE": "passerby.models.export.check",
        "export": "passerby.models.export.encoder_export",
        "metadata_of": "passerby.models.export.writers",
    },
)
