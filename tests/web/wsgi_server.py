"""A WSGI application behind a real server of this machine, as a browser meets it; and two hosts of one domain, over TLS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from volens.web.gateway import Gateway
from volens.web.wsgi import WsgiFace

DOMAIN = "site.localhost"


class Server(ThreadingMixIn, WSGIServer):
    """A browser keeps spare connections open: one thread would wait on them."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(app: Callable[..., Any], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port on which ``app`` answers until the block ends."""
    with make_server("127.0.0.1", 0, app, server_class=Server, handler_class=Quiet) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's, for every host below ``DOMAIN``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    (folder / "certificate").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


@contextmanager
def domain(folder: Path, made: Gateway, site: Callable[..., Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """``site`` behind Volens at ``www.`` below what is yielded, any other host beside it; what the others' page sets is the list."""
    tosses: list[tuple[str, str]] = []
    face = WsgiFace(site, lambda: made)

    def either(environ: Any, start_response: Any) -> Any:
        environ["wsgi.url_scheme"] = "https"
        if environ["HTTP_HOST"].startswith("www."):
            return face(environ, start_response)
        start_response("200 OK", [("Content-Type", "text/html"), *tosses])
        return [b"<!doctype html><title>beside</title>"]

    with serving(either, certificate(folder)) as port:
        yield f"{DOMAIN}:{port}", tosses
