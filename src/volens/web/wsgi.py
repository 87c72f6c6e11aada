"""The WSGI face: an application behind Volens. Only translates between PEP 3333 and a Visit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from volens.enforce.exchange import WHOLE
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply, Request, Waiting
from volens.web.visit import Visit

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def _pairs(environ: Environ) -> Pairs:
    pairs: Pairs = []
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            pairs.append((key[5:].replace("_", "-").lower().encode("latin-1"), str(value).encode("latin-1", "replace")))
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            pairs.append((key.replace("_", "-").lower().encode(), str(value).encode("latin-1", "replace")))
    return pairs


def request_of(environ: Environ) -> Request:
    """The request of an environ. The raw path is the server's where it tells (REQUEST_URI, RAW_URI), else made again."""
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")) or "/"
    if not raw or (raw.startswith("/") and unquote_to_bytes(raw.partition("?")[0]) != path.encode("latin-1", "replace")):
        # What the application reads is what is judged, where a server has rewritten the path.
        raw = quote(path.encode("latin-1"), safe="/%:;,+@!$&'()*~=-._")
        if environ.get("QUERY_STRING"):
            raw += "?" + environ["QUERY_STRING"]
    scheme = environ.get("wsgi.url_scheme", "http")
    host = environ.get("HTTP_HOST") or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
    return Request(
        environ.get("REQUEST_METHOD", "GET"),
        raw.encode("latin-1", "replace"),
        _pairs(environ),
        scheme,
        host.lower(),
        environ.get("REMOTE_ADDR", ""),
    )


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"{code} Status"


def _headers(pairs: Pairs) -> list[tuple[str, str]]:
    return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in pairs]


def inner_of(environ: Environ, visit: Visit) -> Environ:
    """The environ as the application has it: the visitor's choice, and of their address what that permits."""
    inner = {key: value for key, value in environ.items() if not key.startswith("HTTP_")}
    for key, value in visit.forward:
        name = "HTTP_" + key.decode("latin-1").upper().replace("-", "_")
        if name in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
            continue
        text = value.decode("latin-1")
        inner[name] = f"{inner[name]}{'; ' if name == 'HTTP_COOKIE' else ', '}{text}" if name in inner else text
    inner["consent"] = visit.grant
    if not visit.whole_address:
        for name in ("REMOTE_PORT", "REMOTE_HOST"):
            inner.pop(name, None)
        if "REMOTE_ADDR" in inner:
            inner["REMOTE_ADDR"] = visit.client(inner["REMOTE_ADDR"])
    if not visit.placed:  # what Apache's GeoIP modules add is no header
        inner = {key: value for key, value in inner.items() if not key.startswith(("GEOIP_", "MM_"))}
    return inner


def settled(answer: Reply | Waiting) -> Reply:
    """An answer of ours, waited for in this thread."""
    if isinstance(answer, Reply):
        return answer
    try:
        result: Any = answer.future.result()
    except Exception as error:
        result = error
    return answer.then(result)


class WsgiFace:
    """``app`` behind ``gateway``; ``consent`` in the environ is the visitor's Grant."""

    def __init__(self, app: Application, gateway: Callable[[], Gateway]) -> None:
        self._app, self._gateway = app, gateway

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """One request."""
        visit = self._gateway().visit(request_of(environ))
        if visit.own:
            return self._own(visit, environ, start_response)
        inner = inner_of(environ, visit)
        inner.pop("wsgi.file_wrapper", None)
        visit.account_of = lambda: inner.get("volens.account")
        return _answer(self._app, inner, start_response, visit)

    def _own(self, visit: Visit, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            length = int(environ.get("CONTENT_LENGTH") or 0)
        except ValueError:
            length = 0
        if length > visit.body_limit or length < 0:
            reply = visit.too_large()
        else:
            reply = settled(visit.answer(environ["wsgi.input"].read(length) if length else b""))
        start_response(_status(reply.status), [*_headers(reply.pairs), ("content-length", str(len(reply.body)))])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [reply.body]


def _answer(app: Application, environ: Environ, start_response: StartResponse, visit: Visit) -> Iterable[bytes]:
    started: list[Any] = []
    written: list[bytes] = []
    sent: list[bool] = []

    def start(status: str, head: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info and sent:  # headers are out: PEP 3333 asks to raise again
            raise exc_info[1].with_traceback(exc_info[2])
        started[:] = [status, head, exc_info]
        return written.append

    made = app(environ, start)
    parts = iter(made)

    def send(pairs: Pairs, code: int, status: str) -> None:
        sent.append(True)
        line = status if status[:3] == str(code) else _status(code)
        start_response(line, _headers(pairs), *([started[2]] if started[2] else []))

    def body() -> Iterator[bytes]:
        try:
            first = next((part for part in parts if part), b"")
            if not started:
                raise AssertionError("the application sent a body without calling start_response (PEP 3333).")
            status, head, _ = started
            code = int(status[:3])
            pairs: Pairs = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in head]
            data = b"".join(written) + first
            written.clear()
            length = next((v for k, v in pairs if k.lower() == b"content-length"), None)
            ended = length == b"%d" % len(data) or (isinstance(made, (list, tuple)) and len(made) <= 1)
            if isinstance(made, (list, tuple)) and not ended and sum(map(len, made)) <= WHOLE:
                data, ended = data + b"".join(parts), True
            if (ended or environ.get("REQUEST_METHOD") == "HEAD" or not first) and len(data) <= WHOLE:
                code, pairs, data = visit.whole(code, pairs, data)
                send(pairs, code, status)
                yield data
                return
            code, pairs = visit.head(code, pairs)
            send(pairs, code, status)
            yield visit.feed(data)
            for part in parts:
                if fed := visit.feed(b"".join(written) + part):
                    yield fed
                written.clear()
            yield visit.finish()
        finally:
            close = getattr(made, "close", None)
            if close is not None:
                close()

    # The head must be out before the server asks for the first part, and the application's own order kept.
    steps = body()
    first = next(steps, b"")
    return _Rest(first, steps)


class _Rest:
    """The first part, then the others; ``close`` reaches the application whatever happened."""

    def __init__(self, first: bytes, rest: Iterator[bytes]) -> None:
        self._first, self._rest = first, rest

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        yield from self._rest

    def close(self) -> None:
        """PEP 3333: called by the server at the end."""
        close = getattr(self._rest, "close", None)
        if close is not None:
            close()
