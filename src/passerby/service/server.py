"""`serve`: the service on a port, until a signal stops it."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging.config
import os
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passerby.errors import ConfigError, MissingExtraError
from passerby.service import logs
from passerby.service.api_keys import new_token
from passerby.service.limits import Limits

if TYPE_CHECKING:
    from passerby.models.encoder import Encoder
    from passerby.service.context import AuditReads


def serve(
    gallery: str | os.PathLike[str],
    encoder: Encoder | str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    keys: str | os.PathLike[str] | None = None,
    read_only: bool = False,
    engine: str = "auto",
    threads: int | None = None,
    tls_certificate: str | os.PathLike[str] | None = None,
    tls_key: str | os.PathLike[str] | None = None,
    webhooks: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
    audit_reads: AuditReads = "pictures",
) -> None:
    """Serve a gallery over HTTP, with a page for the operator, until SIGTERM or SIGINT.

    Requests in flight finish before it returns; what was acknowledged is on the disk anyway.

    Args:
        gallery: a file or milvus:// address, as for `Gallery.open`; made where there is none.
        encoder: an encoder, or its folder (or that of the training run that made it).
        host: address to listen on. The default can be reached from this machine only.
        port: port to listen on; 0: any free one, which is printed.
        keys: file of API keys (see `add_key`). Without one, a key of the role "admin" is made for this run and printed
            on stderr as part of the page's address; it is gone when the service ends.
        read_only: refuse every change; the audit is then written to the log on stderr only.
        engine: where `encoder` is a folder: "torch", "onnxruntime" or "openvino"; "auto": the fastest here of torch and
            of those for which `passerby export` put a file into the folder, by a short measurement that is logged.
        threads: of the engine, where `encoder` is a folder; None: the fastest number.
        tls_certificate: PEM file; with `tls_key`, the service uses HTTPS.
        tls_key: PEM file.
        webhooks: JSON file of where new sightings are sent (see `passerby.service.webhooks.read_webhooks`).
        limits: sizes, rates and times; default `Limits()`.
        audit_reads: which readings are written to the audit: "nothing", "pictures", or "everything" (names and history,
            too).

    Raises:
        MissingExtraError: the extra `serve` is not installed.
        ConfigError: keys, webhooks or TLS files cannot be read, or the port is taken.
        GalleryError: the gallery cannot be opened with this encoder.
        WeightsError: no encoder in that folder, or none for this engine.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", "the service") from None
    from passerby.gallery.stores.opening import is_new_file
    from passerby.models.engines.choice import pick_encoder
    from passerby.service.app import create_app
    from passerby.service.http_protocol import BoundedProtocol
    from passerby.service.timeouts import run_server

    limits = limits or Limits()
    tls = _checked_files(keys, tls_certificate, tls_key)
    ready, speeds = (
        pick_encoder(encoder, engine, threads=threads) if isinstance(encoder, (str, os.PathLike)) else (encoder, {})
    )
    token = new_token() if keys is None else ""
    listener = listen(host, port)
    location = os.fspath(gallery)
    begun = " (there was none: it was made, and is empty)" if is_new_file(location) else ""
    with listener:
        app = create_app(
            gallery,
            ready,
            keys=keys or {token: "admin"},
            limits=limits,
            read_only=read_only,
            webhooks=webhooks or (),
            audit_reads=audit_reads,
        )
        logging.config.dictConfig(logs.configuration())
        if speeds:
            rounded = {name: round(speed, 1) for name, speed in speeds.items()}
            logs.write("engines measured", {"images_per_second": rounded, "chosen": ready.engine.name})
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=limits.shutdown_seconds,
            **tls,
        )
        if not tls and not _is_loopback(host):
            logs.write("no TLS: keys and pictures travel in the clear unless a proxy adds it", level=logging.WARNING)
        name = f"[{host}]" if ":" in host else host
        address = f"{'https' if tls else 'http'}://{name}:{listener.getsockname()[1]}/"
        page = address + (f"#key={token}" if token else "")
        print(
            f"serving {location}{begun}; encoder on {ready.engine.name}; the operator's page is {page}",
            file=sys.stderr,
            flush=True,
        )
        # objects made until now stay: garbage collection during requests need not traverse them
        gc.collect()
        gc.freeze()
        context = app.state.context
        asyncio.run(run_server(uvicorn.Server(config), listener, limits, on_stop=context.stop))


def _checked_files(keys: Any, certificate: Any, key: Any) -> dict[str, Any]:
    """TLS arguments of uvicorn, {} without TLS."""
    if (certificate is None) != (key is None):
        raise ConfigError("TLS needs both, a certificate (tls_certificate) and its key (tls_key)")
    for what, path in (("keys", keys), ("tls_certificate", certificate), ("tls_key", key)):
        if path is not None and not Path(path).is_file():
            raise ConfigError(f"{what}: no such file: {os.fspath(path)}")
    if certificate is None:
        return {}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"tls_certificate, tls_key: not a certificate with its key in PEM ({error})") from error
    return {"ssl_certfile": os.fspath(certificate), "ssl_keyfile": os.fspath(key)}


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, whose connections send at once what is written to them.

    Raises:
        ConfigError: the host is empty or not ours, or the port is taken or out of range.
    """
    if not host.strip():  # to the socket it would be all addresses
        raise ConfigError(f"host: expected an address, found {host!r}; 0.0.0.0 listens on all of this machine")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot listen on {host} port {port} ({error}); choose another host or port") from error
    # create_server leaves the socket's protocol at 0, accepted connections inherit it, and asyncio sets TCP_NODELAY
    # only where it is TCP. Without, a body waits until the client has acknowledged the headers: 40 ms on Linux.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
