"""One rule for names, moments and pictures, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.contracts.galleries import people, picture
from tests.contracts.test_gallery_names import write_names_to_file

from passerby.errors import GalleryRequestError, PasserbyError
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import thumbnail
from passerby.gallery.migrate import migrate

PEOPLE = people(8, 3)


def names(gallery: Gallery) -> list[str]:
    return [identity.name for identity in gallery.identities()]


@pytest.mark.parametrize("moment", [1e300, -1e300, float("inf"), float("nan"), 10**400])
def test_moments_that_no_calendar_has(tmp_path: Path, moment: float) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        for arguments in ({"time": moment}, {"expires": moment}):
            with pytest.raises(GalleryRequestError, match="year 10000"):
                gallery.enroll("Ada", vectors=PEOPLE[0], **arguments)  # type: ignore[arg-type]


# -- what is imported --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    with Gallery.open(folder / "people.gallery") as gallery:
        gallery.enroll_many(
            ["Ada", "Bob"], PEOPLE[:2, 0], cameras="hall", times=5, thumbnails=[thumbnail(picture(1)), None]
        )
        gallery.export_parquet(folder / "people.parquet")
    return folder / "people.parquet"


def with_value(column: str, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index(column)
        values = [value, *table.column(column).to_pylist()[1:]]
        return table.set_column(index, table.schema.field(column), pa.array(values, table.schema.field(column).type))

    return change


def as_text(table: pa.Table) -> pa.Table:
    index = table.schema.get_field_index("time")
    return table.set_column(index, "time", pa.array(["yesterday"] * len(table)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_value("identity", None), "name of 1 to 200"),
        (with_value("identity", " "), "name of 1 to 200"),
        (with_value("identity", "a\nb"), "name of 1 to 200"),
        (with_value("identity", "x" * 5000), "name of 1 to 200"),
        (with_value("time", float("inf")), "year 10000"),
        (with_value("expires", 1e300), "year 10000"),
        (with_value("created", None), "created"),
        (with_value("camera", ""), "camera"),
        (with_value("camera", "c" * 5000), "camera"),
        (with_value("thumbnail", b"<script>alert(1)</script>"), "JPEG"),
        (with_value("thumbnail", b"x" * 5000), "JPEG"),
        (with_value("vector", [float("nan")] * 16), "NaN"),
        (with_value("vector", None), "vector"),
        (as_text, "'time': expected double"),
        (lambda table: table.drop_columns(["notes"]), "no column 'notes'"),
    ],
)
def test_an_import_is_checked_like_an_enrolment(
    tmp_path: Path, exported: Path, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    pq.write_table(change(pq.read_table(exported)), tmp_path / "bad.parquet")
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        with pytest.raises(PasserbyError, match=message):
            gallery.import_parquet(tmp_path / "bad.parquet")
        assert not len(gallery)
        assert gallery.import_parquet(exported) == 2
        gallery.identify(PEOPLE[0, 0])
        gallery.export_parquet(tmp_path / "again.parquet")


def test_an_import_joins_names_in_any_writing(tmp_path: Path, exported: Path) -> None:
    pq.write_table(with_value("identity", " Bob")(pq.read_table(exported)), tmp_path / "one.parquet")
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.import_parquet(tmp_path / "one.parquet")
        assert names(gallery) == ["Bob"]


def test_a_migration_is_checked_like_an_enrolment(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("x", vectors=PEOPLE[0])
    write_names_to_file(path, "a\nb")
    with pytest.raises(GalleryRequestError, match="identity 1 cannot be copied"):
        migrate(path, tmp_path / "copy.gallery")
    write_names_to_file(path, " A\u200bda ")
    migrate(path, tmp_path / "copy2.gallery")
    with Gallery.open(tmp_path / "copy2.gallery") as gallery:
        assert names(gallery) == ["Ada"]


@pytest.mark.parametrize("bad", [b"<script>", b"\xff\xd8\xff\xe0no picture", b"x" * 4001, "text"])
def test_a_picture_of_a_caller_is_a_jpeg(tmp_path: Path, bad: Any) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        with pytest.raises(GalleryRequestError, match="thumbnail"):
            gallery.enroll_many(["Ada"], PEOPLE[0, :1], thumbnails=[bad])
        with pytest.raises(GalleryRequestError, match="thumbnail"):
            gallery.observe(PEOPLE[0, 0], threshold=0.5, thumbnail=bad)
        assert gallery.observations() == []
