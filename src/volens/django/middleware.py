"""The middleware: translates between Django's request and response and a Visit, in either way of serving.

It must stand before whatever makes or keeps pages, since it is what their visitors see (``checks`` says where it stands wrong).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from http.cookies import Morsel
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_vary_headers

from volens.django.configuration import opened
from volens.enforce.exchange import WHOLE
from volens.notice import Service, StorageKey
from volens.policy import Decision, Grant
from volens.web import asgi, wsgi
from volens.web.messages import Pairs, Reply, Request
from volens.web.visit import Visit


class RequestConsent:
    """``request.consent``: the visitor's Grant. An answer whose making has asked it is not kept by Django's own cache, which would
    hand it to visitors who chose otherwise, and says ``Vary: Cookie, Sec-GPC``."""

    def __init__(self, request: HttpRequest, grant: Grant, prefix: str) -> None:
        self._request, self._grant, self.asked = request, grant, False
        self.prefix = prefix
        """The reserved path: ``/_volens/``."""

    @property
    def grant(self) -> Grant:
        """The grant itself; asking for it counts as reading it."""
        self.asked = True
        self._request._cache_update_cache = False  # what Django's cache middleware looks at before it keeps
        return self._grant

    def allows(self, id: str) -> bool:
        """Whether the purpose, or else the service, of that id is exempt or granted; False for one the notice doesn't know."""
        return self.grant.allows(id)

    def decide(self, x: str | Service | StorageKey) -> Decision:
        """The decision with its reason, as ``Grant.decide``."""
        return self.grant.decide(x)

    @property
    def key(self) -> str:
        """What is granted, as short text: equal keys mean equal pages. For the key of a cached fragment."""
        return self.grant.key


class Middleware:
    """Volens around the rest of MIDDLEWARE. Where ``volens.Consent`` stands around the whole application already, this only gives
    ``request.consent``."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Reads the configuration at once: raises ConfigError with every mistake."""
        self.get_response = get_response
        opened()
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """One request."""
        if self._async:
            return self._later(request)
        asked = _asked(request)
        visit = opened()().visit(asked) if asked is not None else None
        if visit is None:
            return _read(request, self.get_response(request))
        if visit.own:
            body = _body(request, visit)
            return _own(wsgi.settled(visit.answer(body)) if body is not None else _TOO_LARGE)
        _enter(request, visit)
        return _leave(visit, request, self.get_response(request))

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        asked = _asked(request)
        visit = await asgi.visited(opened()(), asked) if asked is not None else None
        if visit is None:
            return _read(request, await self.get_response(request))
        if visit.own:
            body = _body(request, visit)
            return _own(await asgi.settled(visit.answer(body)) if body is not None else _TOO_LARGE)
        _enter(request, visit)
        return _leave(visit, request, await self.get_response(request))


_TOO_LARGE = Reply(413, [(b"content-type", b"text/plain")], b"Too large.\n")


def _asked(request: HttpRequest) -> Request | None:
    """What is asked; None where a face around the application has answered that already."""
    scope = getattr(request, "scope", None)
    around = (request.META if scope is None else scope).get("consent")
    if isinstance(around, Grant):
        request.consent = RequestConsent(request, around, opened().loaded.site.prefix)
        return None
    asked: Request = wsgi.request_of(request.META) if scope is None else asgi.request_of(scope)
    try:
        host = request.get_host().lower()  # as Django's settings about fronts have it, and the scheme too
    except DisallowedHost:
        host = asked.host  # refused by Django, in its own way
    return replace(asked, host=host, scheme=request.scheme or asked.scheme)


def _body(request: HttpRequest, visit: Visit) -> bytes | None:
    """What was sent, for our own end points and a closed gate; None: too much."""
    body: bytes = request.read(visit.body_limit + 1)
    return body if len(body) <= visit.body_limit else None


def _enter(request: HttpRequest, visit: Visit) -> None:
    """The request as the rest has it. In place: others hold it already."""
    inner = wsgi.inner_of(request.META, visit)
    request.META.clear()
    request.META.update(inner)
    scope = getattr(request, "scope", None)
    if scope is not None:
        request.scope = asgi.inner_of(scope, visit)
    for read in ("headers", "COOKIES"):
        request.__dict__.pop(read, None)
    request.consent = RequestConsent(request, visit.grant, visit.site.prefix)


def _read(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The answer, saying what it depends on."""
    if request.consent.asked:
        patch_vary_headers(response, ["Cookie", "Sec-GPC"])
    return response


def _leave(visit: Visit, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The answer as the visitor has it."""
    _read(request, response)
    visit.account_of = lambda: request.META.get("volens.account")
    pairs: Pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    pairs += [(b"Set-Cookie", morsel.OutputString().encode("latin-1")) for morsel in response.cookies.values()]
    status = response.status_code
    if isinstance(response, HttpResponse) and len(response.content) <= WHOLE:
        status, pairs, body = visit.whole(status, pairs, response.content)
        if body != response.content:
            response.content = body
    else:
        status, pairs = visit.head(status, pairs)
        if visit.streams or visit.watches:
            if isinstance(response, HttpResponse):
                response.content = visit.feed(response.content) + visit.finish()
            elif isinstance(response, StreamingHttpResponse):
                made: Any = response.streaming_content
                response.streaming_content = _fed_later(visit, made) if response.is_async else _fed(visit, made)
    response.status_code = status
    _put(response, pairs)
    return response


def _fed(visit: Visit, parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        if fed := visit.feed(part):
            yield fed
    if rest := visit.finish():
        yield rest


async def _fed_later(visit: Visit, parts: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    async for part in parts:
        if fed := visit.feed(part):
            yield fed
    if rest := visit.finish():
        yield rest


def _own(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status)
    _put(response, [*reply.pairs, (b"Content-Length", b"%d" % len(reply.body))])
    return response


def _put(response: HttpResponseBase, pairs: Pairs) -> None:
    """Set just these fields. Django holds one of a name: repeated ones are joined, as RFC 9110 5.3 lets them be."""
    for name in [name for name, _ in response.items()]:
        del response.headers[name]
    kept = {morsel.OutputString(): key for key, morsel in response.cookies.items()}
    lines: list[str] = []
    for key, value in pairs:
        name, text = key.decode("latin-1"), value.decode("latin-1")
        if name.lower() == "set-cookie":
            lines.append(text)
        else:
            response.headers[name] = f"{response.headers[name]}, {text}" if name in response.headers else text
    for line in kept.keys() - set(lines):
        dict.__delitem__(response.cookies, kept[line])
    for line in lines:
        if line not in kept and line.isascii():  # Django sends cookies as ASCII; a name beyond it was never ours to set
            made = _Line(line)
            dict.__setitem__(response.cookies, made.key if made.key not in response.cookies else line, made)


class _Line(Morsel[str]):
    """A whole ``Set-Cookie`` line, sent as it is: Volens withdraws cookies by name, domain and path, of names that Python does not take."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self._line = line
        pair, _, attributes = line.partition(";")
        self._name, _, self._text = (part.strip() for part in pair.partition("="))
        if any(part.strip().lower() == "max-age=0" for part in attributes.split(";")):
            dict.__setitem__(self, "max-age", 0)

    @property
    def key(self) -> str:
        """The cookie's name."""
        return self._name

    @property
    def value(self) -> str:
        """Its value."""
        return self._text

    @property
    def coded_value(self) -> str:
        """Its value as it is sent."""
        return self._text

    def OutputString(self, attrs: Any = None) -> str:  # noqa: N802
        """The line."""
        return self._line

    def output(self, attrs: Any = None, header: str = "Set-Cookie:") -> str:
        """The line behind ``header``."""
        return f"{header} {self._line}".lstrip() if header else self._line
