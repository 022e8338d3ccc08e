"""The collections of a gallery: NAME (observations), NAME_sightings, and NAME_records (JSON bodies of the rest)."""

from __future__ import annotations

from typing import Any

from passerby.errors import GalleryError
from passerby.gallery.stores.milvus.connection import Connection

_LINKS, _BUILD_EFFORT = 16, 200  # HNSW's M and efConstruction


def open_records(connection: Connection) -> bool:
    """See that the collection of records is one, or make it; whether it was made.

    Raises:
        GalleryError: it is a collection of something else, or missing where nothing may be changed.
    """
    client = connection.client
    if client.has_collection(connection.records_name):
        fields = {f["name"] for f in client.describe_collection(connection.records_name)["fields"]}
        if "name_key" not in fields:
            raise GalleryError(f"{connection.location}: the collection {connection.records_name!r} is not a gallery's")
        return False
    if connection.read_only:
        raise GalleryError(f"{connection.location}: no such gallery")
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("kind", DataType.VARCHAR, max_length=16)
    schema.add_field("number", DataType.INT64)
    schema.add_field("identity", DataType.INT64)
    schema.add_field("other", DataType.INT64)
    schema.add_field("name_key", DataType.INT64)
    schema.add_field("body", DataType.VARCHAR, max_length=65_535)
    schema.add_field("unused", DataType.FLOAT_VECTOR, dim=2)  # Milvus wants a vector in every collection
    index = client.prepare_index_params()
    index.add_index("unused", index_type="FLAT", metric_type="L2")
    _create(connection, connection.records_name, schema, index)
    return True


def make_observations(connection: Connection, dim: int) -> None:
    """Make the collection of observations, for vectors of `dim` numbers."""
    client = connection.client
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("identity", DataType.INT64)
    schema.add_field("camera", DataType.VARCHAR, max_length=1024)
    schema.add_field("camera_key", DataType.INT64)
    schema.add_field("time", DataType.DOUBLE)
    schema.add_field("encoder", DataType.VARCHAR, max_length=512)
    schema.add_field("thumbnail", DataType.VARCHAR, max_length=8192)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    index = client.prepare_index_params()
    # squared L2 is computed from differences, so equal vectors are at distance 0
    index.add_index(
        "vector", index_type="HNSW", metric_type="L2", params={"M": _LINKS, "efConstruction": _BUILD_EFFORT}
    )
    old = str(client.get_server_version()).startswith("v2.3") if not connection.embedded else False
    for field in ("identity", "camera_key", "time"):
        index.add_index(field, index_type="STL_SORT" if old else "INVERTED")
    _create(connection, connection.observations_name, schema, index)


def make_sightings(connection: Connection, dim: int) -> None:
    """Make the collection of sightings, for vectors of `dim` numbers."""
    client = connection.client
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    for field in ("identity", "camera_key", "has_vector"):
        schema.add_field(field, DataType.INT64)
    for field in ("start", "end", "stored"):
        schema.add_field(field, DataType.DOUBLE)
    schema.add_field("body", DataType.VARCHAR, max_length=16_384)
    schema.add_field("thumbnail", DataType.VARCHAR, max_length=8192)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    old = str(client.get_server_version()).startswith("v2.3") if not connection.embedded else False
    for field in ("identity", "camera_key", "start"):
        index.add_index(field, index_type="STL_SORT" if old else "INVERTED")
    _create(connection, connection.sightings_name, schema, index)


def _create(connection: Connection, name: str, schema: Any, indexes: Any) -> None:
    """Make a collection and load it.

    The client would sleep half a second for each index before it first asks whether it is built, and there is nothing
    to build: no collection has rows here.
    """
    connection.client.create_collection(name, schema=schema, consistency_level="Strong")
    connection.client.create_index(name, indexes, sync=False)
    connection.client.load_collection(name)
