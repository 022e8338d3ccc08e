"""`passerby serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from passerby.cli.encoder_flags import EncoderFlags, Reading, source_of
from passerby.cli.input_files import check_there
from passerby.cli.shared_parameters import Engine, GalleryEncoder, GalleryLocation, Threads


def serve(
    gallery: GalleryLocation,
    /,
    *,
    encoder: GalleryEncoder,
    host: Annotated[str, Parameter(metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, Parameter(metavar="N")] = 8000,
    keys: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    read_only: Annotated[bool, Parameter(negative=())] = False,
    engine: Engine = "auto",
    threads: Threads = None,
    tls_certificate: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    tls_key: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    reading: Reading = EncoderFlags(),
    webhooks: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    audit_reads: Literal["nothing", "pictures", "everything"] = "pictures",
) -> None:
    """Serve a gallery over HTTP, with a page for the operator, until stopped.

    Args:
        gallery: see `GalleryLocation`.
        encoder: see `GalleryEncoder`.
        host: Address to listen on; the default can be reached from this machine only.
        port: Port to listen on; 0: any free one.
        keys: File of API keys (`passerby keys add`); without one, a key for this run is printed.
        read_only: Refuse every change.
        engine: see `Engine`.
        threads: see `Threads`.
        tls_certificate: PEM file; with --tls-key, the service uses HTTPS.
        tls_key: PEM file.
        reading: How to read a model file that does not describe itself.
        webhooks: JSON file that says where new sightings are sent.
        audit_reads: Which readings are written to the audit; everything: names and history, too.
    """
    source = source_of(encoder, reading)
    check_there("API keys (`passerby keys add` makes them)", keys)
    check_there("a certificate and its key, in PEM", tls_certificate, tls_key)
    check_there("webhooks", webhooks)
    from passerby.service import serve as run_serve

    run_serve(
        gallery,
        source,
        host=host,
        port=port,
        keys=keys,
        read_only=read_only,
        engine=engine,
        threads=threads,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        webhooks=webhooks,
        audit_reads=audit_reads,
    )
