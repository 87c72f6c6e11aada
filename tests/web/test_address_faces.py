"""The three faces tell an application the same of the visitor's address and place: by grant, in every field."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.enforce.making import CATALOG, HOST, NOTICE, SITE, TODAY
from tests.web.making import KEYS, Clock, away, environ_behind_wsgi, forged, scope_behind_asgi
from volens.choice import Choice
from volens.ledger.sqlite import SqliteStore
from volens.site import Address
from volens.web import proxy
from volens.web.asgi import AsgiFace
from volens.web.gateway import Gateway

FOUR, SIX = "203.0.113.77", "2001:db8:1234:5678::1"
SENT = {
    "X-Forwarded-For": f"{SIX}, {FOUR}",
    "Forwarded": f'for="[{SIX}]:4711";proto=https, for={FOUR}',
    "X-Real-IP": FOUR,
    "CF-Connecting-IP": FOUR,
    "True-Client-IP": f"{FOUR}:1234",
    "X-Client-IP": "unknown",
    "X-Somebody": FOUR,
    "CF-IPCity": "Montvière",
    "X-AppEngine-City": "montviere",
    "CloudFront-Viewer-Latitude": "44.1",
    "X-Notre-Ville": "Montvière",
    "X-Requested-With": "fetch",
}
PLACES = {"cf-ipcity", "x-appengine-city", "cloudfront-viewer-latitude", "x-notre-ville"}
Told = dict[str, str]
CHOICES = {
    "none": None,
    "refused": frozenset(),
    "another": frozenset({"video", "personnalisation"}),
    "granted": frozenset({"geolocalisation"}),
}
RULES = {
    "default": Address(places=("x-notre-ville",)),
    "nothing": Address(granted="truncated", refused="none", places=("x-notre-ville",)),
    "security": Address(security={"fr": "bloquer les attaques"}, places=("x-notre-ville",)),
}


def sent(choice: str) -> dict[str, str]:
    purposes = CHOICES[choice]
    if purposes is None:
        return SENT
    return {**SENT, "Cookie": forged(Choice(NOTICE.short, TODAY, purposes))[0][1].decode()}


def by_asgi(made: Gateway, headers: dict[str, str]) -> Told:
    seen = scope_behind_asgi(made, [(k.lower().encode(), v.encode()) for k, v in headers.items()], (FOUR, 50713))
    return {**{k.decode(): v.decode() for k, v in seen["headers"]}, "client": f"{seen['client'][0]} {seen['client'][1] and 'port'}"}


def by_wsgi(made: Gateway, headers: dict[str, str]) -> Told:
    environ = {"REMOTE_ADDR": FOUR, "REMOTE_PORT": "50713", "REMOTE_HOST": "line-77.provider.example", "GEOIP_CITY": "Montviere"}
    environ |= {"HTTP_" + k.upper().replace("-", "_"): v.encode().decode("latin-1") for k, v in headers.items()}
    seen = environ_behind_wsgi(made, environ)
    assert ("GEOIP_CITY" in seen) == ("HTTP_CF_IPCITY" in seen)
    assert ("REMOTE_PORT" in seen) == ("REMOTE_HOST" in seen) == (seen["REMOTE_ADDR"] == FOUR)
    told = {k[5:].replace("_", "-").lower(): v.encode("latin-1").decode() for k, v in seen.items() if k.startswith("HTTP_")}
    return {**told, "client": f"{seen['REMOTE_ADDR']} {'port' if 'REMOTE_PORT' in seen else 0}"}


def by_proxy(made: Gateway, headers: dict[str, str]) -> Told:
    """Over real sockets: the proxy believes loopback, so the test is a front."""

    async def run() -> Told:
        seen: Told = {}

        async def app(request: web.Request) -> web.Response:
            seen.update({k.lower(): v.encode("utf-8", "surrogateescape").decode() for k, v in request.headers.items()})
            return web.Response(status=204)

        site = web.Application()
        site.router.add_get("/a", app)
        behind = web.AppRunner(site)
        await behind.setup()
        await web.TCPSite(behind, "127.0.0.1", 0).start()
        front, port = await proxy.start(made, f"http://127.0.0.1:{behind.addresses[0][1]}")
        try:
            await asyncio.to_thread(get, port, headers)
        finally:
            await front.cleanup()
            await behind.cleanup()
        return seen

    return away(run())


def get(port: int, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    front = {"Host": HOST, "X-Forwarded-Proto": "https"}
    connection.request("GET", "/a", headers={**front, **{k: v.encode().decode("latin-1") for k, v in headers.items()}})
    assert connection.getresponse().status == 204
    connection.close()


FACES: dict[str, Callable[[Gateway, dict[str, str]], Told]] = {"asgi": by_asgi, "wsgi": by_wsgi, "proxy": by_proxy}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gateway]]:
    folder = tmp_path_factory.mktemp("address")
    made = {
        name: Gateway(replace(SITE, address=rule), CATALOG, SqliteStore(folder / f"{name}.db"), KEYS, now=Clock())
        for name, rule in RULES.items()
    }
    yield made
    for gateway in made.values():
        gateway.store.close()


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("rule", RULES)
def test_the_three_faces_agree_and_tell_what_the_grant_permits(stores: dict[str, Gateway], rule: str, choice: str) -> None:
    headers = sent(choice)
    told = {face: by(stores[rule], headers) for face, by in FACES.items()}
    level = RULES[rule].level(stores[rule].visit(request_with(headers)).grant)
    four = {"full": FOUR, "truncated": "203.0.113.0", "none": "0.0.0.0"}[level]
    six = {"full": SIX, "truncated": "2001:db8:1234::", "none": "0.0.0.0"}[level]
    assert (
        level
        == {
            "default": "full" if choice == "granted" else "truncated",
            "nothing": "truncated" if choice == "granted" else "none",
            "security": "full",
        }[rule]
    )
    for face, fields in told.items():
        assert fields["x-real-ip"] == fields["cf-connecting-ip"] == fields["x-somebody"] == four, face
        # the proxy adds the front it heard this from, as every proxy does
        assert fields["x-forwarded-for"] == f"{six}, {four}" + (", 127.0.0.1" if face == "proxy" else ""), face
        assert (six in fields["forwarded"]) and (four in fields["forwarded"]), face
        assert PLACES.intersection(fields) == (PLACES if choice == "granted" else set()), face
        assert fields["x-requested-with"] == "fetch"
        if level != "full":
            assert FOUR not in json.dumps(fields) and SIX not in json.dumps(fields), face
            assert fields["true-client-ip"] == four and fields["x-client-ip"] == "0.0.0.0"
    assert told["asgi"]["client"] == told["wsgi"]["client"] == f"{four} {'port' if level == 'full' else 0}"
    same = [{k: v for k, v in fields.items() if k in {name.lower() for name in SENT}} for fields in told.values()]
    same[2]["x-forwarded-for"] = same[2]["x-forwarded-for"].removesuffix(", 127.0.0.1")
    same[2]["forwarded"] = same[2]["forwarded"].partition(", for=127.0.0.1")[0]
    assert same[0] == same[1] == same[2]


def request_with(headers: dict[str, str]) -> Any:
    from tests.web.making import request

    return request("GET", "/a", [(k.lower().encode(), v.encode()) for k, v in headers.items()])


def test_a_websocket_s_scope_is_cut_too(stores: dict[str, Gateway]) -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    pairs = [(b"host", HOST.encode()), (b"x-real-ip", FOUR.encode())]
    scope = {"type": "websocket", "path": "/a", "raw_path": b"/a", "scheme": "wss", "headers": pairs, "client": (FOUR, 1)}
    away(AsgiFace(app, lambda: stores["default"])(scope, None, None))  # type: ignore[arg-type]
    assert seen["client"] == ("203.0.113.0", 0) and (b"x-real-ip", b"203.0.113.0") in seen["headers"]


def test_a_server_without_an_address_stays_without_one(stores: dict[str, Gateway]) -> None:
    """A Unix socket: there is no peer's address."""
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    scope = {"type": "websocket", "path": "/a", "raw_path": b"/a", "scheme": "ws", "headers": [(b"host", HOST.encode())], "client": None}
    away(AsgiFace(app, lambda: stores["default"])(scope, None, None))  # type: ignore[arg-type]
    assert seen["client"] is None


def test_paths_left_alone_are_left_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    made = Gateway(replace(SITE, leave=("/a",)), CATALOG, store, KEYS, now=Clock())
    assert by_asgi(made, SENT)["x-real-ip"] == FOUR
    store.close()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Address(), ["n’en reçoit que le début", "si vous autorisez « Géolocalisation »"]),
        (Address(refused="none"), ["ne la reçoit pas", "entière si vous autorisez « Géolocalisation »"]),
        (Address(granted="truncated", refused="none"), ["ne la reçoit pas", "le début si vous autorisez"]),
        (Address(granted="none", refused="none"), ["ne la reçoit pas"]),
        (Address(purposes=()), ["n’en reçoit que le début"]),
        (
            Address(security={"fr": "bloquer les attaques"}),
            ["entière, quel que soit votre choix, pour sa sécurité : bloquer les attaques."],
        ),
    ],
)
def test_the_policy_page_tells_the_visitor(rule: Address, said: list[str], tmp_path: Path) -> None:
    from tests.web.making import send

    store = SqliteStore(tmp_path / "ledger.db")
    made = Gateway(replace(SITE, address=rule), CATALOG, store, KEYS, now=Clock())
    text = re.sub(r"\s", " ", send(made, "GET", "/_volens/policy?language=fr").body.decode())  # French has spaces of its own
    for sentence in said:
        assert sentence in text
    opens = re.search(r"Il (?:la reçoit entière|en reçoit le début) si vous autorisez", text)
    assert bool(opens) == any("si vous" in sentence for sentence in said)
    store.close()
