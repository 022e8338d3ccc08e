"""`--labels` and `--columns`: reading anyone's vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from passerby.errors import UsageError

if TYPE_CHECKING:
    from passerby.embedding.embeddings import Embeddings

VectorFile: TypeAlias = Annotated[
    Path, Parameter(help="Vectors: .parquet (of `passerby embed`, or not), .npy, .npz, .mat or .csv.")
]
QueryFile: TypeAlias = Annotated[Path, Parameter(help="Vectors of the queries: .parquet, .npy, .npz, .mat or .csv.")]
GalleryFile: TypeAlias = Annotated[Path, Parameter(help="Vectors of the gallery, by the same encoder.")]
_SIDES = ("query", "gallery")


@Parameter(name="*")
@dataclass(frozen=True)
class VectorFlags:
    """Where labels stand, and what columns are called."""

    labels: Annotated[tuple[Path, ...], Parameter(metavar="FILE")] = ()
    """Files with pid and camid of each row, where the vectors' own file has none: one for each file of vectors."""
    columns: Annotated[tuple[str, ...], Parameter(metavar="COLUMN=NAME")] = ()
    """What vector, pid, camid, path, time and tracklet are called: vector=feature pid=person ...; in one file only:
    query.vector=query_f gallery.vector=gallery_f."""

    def read(self, file: Path) -> Embeddings:
        """Vectors of one file.

        Raises:
            UsageError: flags that do not fit one file.
            EmbeddingError: the file is not what it should be.
        """
        return self._read([file], ("",))[0]

    def read_pair(self, query: Path, gallery: Path) -> tuple[Embeddings, Embeddings]:
        """Vectors of queries and gallery.

        Raises:
            UsageError: flags that do not fit two files.
            EmbeddingError: a file is not what it should be.
        """
        first, second = self._read([query, gallery], _SIDES)
        return first, second

    def _read(self, files: Sequence[Path], sides: Sequence[str]) -> list[Embeddings]:
        from passerby.embedding.vector_files import read_together

        if self.labels and len(self.labels) != len(files):
            raise UsageError(f"--labels: expected {len(files)}, one for each file of vectors, found {len(self.labels)}")
        labels = self.labels or [None] * len(files)
        return read_together(files, labels=labels, columns=[self._names(side, sides) for side in sides])

    def _names(self, side: str, sides: Sequence[str]) -> dict[str, str]:
        names: dict[str, str] = {}
        for pair in self.columns:
            column, separator, name = pair.partition("=")
            where, dot, plain = column.partition(".")
            if not separator or not name or (dot and where not in sides):
                raise UsageError(f"--columns: expected COLUMN=NAME such as vector=feature, found {pair!r}")
            if not dot:
                names.setdefault(column, name)
            elif where == side:
                names[plain] = name
        return names
