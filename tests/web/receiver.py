"""A site's end point for ``on_change``: verifies each signature with code of its own (Standard Webhooks 1.0), and notes what came.

``python receiver.py PORT SECRET`` prints each event that verifies, one JSON line each, and refuses the others.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WrongSignature(Exception):
    """Not from Volens, or not now."""


def verified(headers: Any, body: bytes, secret: str, now: float | None = None) -> dict[str, Any]:
    """The event, if one of the signatures is right and the request is at most five minutes old."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))
    expected = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest())
    given = [part[3:].encode() for part in headers["webhook-signature"].split(" ") if part.startswith("v1,")]
    if not any(hmac.compare_digest(expected, one) for one in given):
        raise WrongSignature
    if abs((time.time() if now is None else now) - int(headers["webhook-timestamp"])) > 300:
        raise WrongSignature
    return dict(json.loads(body))


class Receiver:
    """Answers what ``status`` says of each event; ``events`` are those answered 2xx, ``tries`` all that verified."""

    def __init__(self, secret: str, status: Callable[[dict[str, Any]], int] = lambda event: 204, port: int = 0) -> None:
        self.tries: list[tuple[str, int, dict[str, Any]]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.forged = self.busy = self.most = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with outer._lock:
                    outer.busy += 1
                    outer.most = max(outer.most, outer.busy)
                    outer.headers.append({k.lower(): v for k, v in self.headers.items()})
                try:
                    event = verified(self.headers, body, secret)
                except (WrongSignature, KeyError, TypeError):
                    outer.forged += 1
                    answer = 403
                else:
                    answer = status(event)
                    with outer._lock:
                        outer.tries.append((self.headers["webhook-id"], int(self.headers["webhook-timestamp"]), event))
                        if 200 <= answer < 300:
                            outer.events.append((self.headers["webhook-id"], event))
                with outer._lock:
                    outer.busy -= 1
                self.send_response(answer)
                if 300 <= answer < 400:
                    self.send_header("location", "/elsewhere")
                if answer == 429:
                    self.send_header("retry-after", "1")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/volens"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


if __name__ == "__main__":

    def told(event: dict[str, Any]) -> int:
        print(json.dumps(event), flush=True)
        return 204

    Receiver(sys.argv[2], told, int(sys.argv[1]))
    threading.Event().wait()
