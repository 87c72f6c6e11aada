"""Consent over the devices of a logged-in reader: one choice an account, each device's own untouched, doubt never grants (R36–R39)."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from playwright.sync_api import expect

from tests.enforce.making import CATALOG, HOST, NOTICE, SITE, TODAY
from tests.web.making import KEYS, SAME, Clock, Down, Visitor, away, cookies_of, gateway, header, request
from tests.web.wsgi_server import serving
from volens.accounts import Accounts, Row
from volens.choice import Choice
from volens.config import parse
from volens.errors import ConfigError
from volens.ledger.record import Record
from volens.ledger.sqlite import SqliteStore
from volens.ledger.store import Event
from volens.notice import Notice
from volens.web.asgi import AsgiFace
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply
from volens.web.proxy import start
from volens.web.wsgi import WsgiFace

ACCOUNT, ACCOUNT_NO = "__Host-volens-account", "__Host-volens-account-no"
EVERYTHING = set(NOTICE.askable)
HTML = (b"content-type", b"text/html; charset=utf-8")
PAGE = b"<!DOCTYPE html><html lang=fr><head></head><body><p>a</p></body></html>"
LINE = "Le choix de votre compte s’applique maintenant sur cet appareil."
CONFLICT = "Cet appareil et votre compte ont des choix différents"
FOLLOWS = "votre réponse vaut pour votre compte"


class Listening(SqliteStore):
    """A ledger that says what it was given."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.events: list[str] = []

    def append(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Record]:
        self.events.append(record.event)
        return super().append(record, notice, event)

    def withdraw(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Record]:
        self.events.append(record.event)
        return super().withdraw(record, notice, event)


def events(made: Gateway) -> list[str]:
    assert isinstance(made.store, Listening)
    return made.store.events


def text(reply: Reply) -> str:
    return unescape(reply.body.decode())


def asked(reply: Reply) -> bool:
    """Whether the first layer stands in the page."""
    return bool(re.search(r"<volens-notice [^>]*data-ask", text(reply)))


class Device(Visitor):
    """A visitor's browser, before an application that knows the account."""

    account: str | None = None

    def see(self, *said: tuple[bytes, bytes], status: int = 200, pairs: Pairs | None = None, method: str = "GET") -> Reply:
        """A page of the application's, which says ``account`` where it is set."""
        visit = self.gateway.visit(request(method, "/a", [*self.cookie(), *(pairs or [])], **self.more))
        head = [HTML, *said, *([(b"Volens-Account", self.account.encode())] if self.account is not None else [])]
        reply = Reply(*visit.whole(status, head, PAGE))
        for name, value in cookies_of(reply).items():
            self.jar.pop(name, None)
            if value:
                self.jar[name] = value
        return reply

    def login(self, account: str) -> Device:
        self.account = account
        self.see()
        return self


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(folder: Path, clock: Clock, keys: tuple[bytes, ...] = KEYS, store: type[SqliteStore] = Listening, **site: Any) -> Gateway:
    accounts = Accounts(folder / "accounts.db", lambda: clock().date())
    return gateway(folder, store, replace(SITE, accounts=True, **site), keys, now=clock, accounts=accounts)


@pytest.fixture
def made(tmp_path: Path, clock: Clock) -> Gateway:
    return opened(tmp_path, clock)


def test_what_one_device_answers_holds_on_the_others_yes_no_and_withdrawal_alike(made: Gateway) -> None:
    first, second = Device(made).login("marie"), Device(made).login("marie")
    assert first.choose("answer=accept").status == 303
    assert first.granted() == second.granted() == EVERYTHING
    assert "volens" not in first.jar and "__Host-volens-record" not in first.jar, "the device's own answer stays as it is: none"
    second.choose("answer=switches&purposes=video&services=videotube")
    assert first.granted() == second.granted() == {"video"}
    first.choose("answer=withdraw")
    assert first.granted() == second.granted() == set()
    assert events(made) == ["given", "changed", "withdrawn"], "one chain of records, whichever device answers"


def test_logging_out_brings_back_what_the_device_had(made: Gateway) -> None:
    first, second = Device(made), Device(made).login("marie")
    first.choose("answer=switches&purposes=video&services=videotube")
    own = dict(first.jar)
    first.login("marie")
    second.choose("answer=refuse")
    assert first.granted() == set()
    first.account = ""
    first.see()
    assert first.jar == own and first.granted() == {"video"}, "R39"
    assert second.granted() == set()


def test_without_a_choice_of_the_account_the_device_s_own_goes_on_and_nobody_is_asked_twice(made: Gateway) -> None:
    device = Device(made)
    device.choose("answer=refuse")
    device.login("marie")
    assert not asked(device.see())
    fresh = Device(made).login("paul")
    assert FOLLOWS in text(fresh.see()) and asked(fresh.see()), "R38: the first layer says it follows the account"
    assert FOLLOWS not in text(Device(made).see())


def test_an_answer_under_the_account_leaves_the_device_s_record_alone(made: Gateway) -> None:
    device = Device(made)
    device.choose("answer=accept")
    mine = dict(device.jar)
    device.login("marie").choose("answer=refuse")
    assert device.granted() == set() and events(made) == ["given"]
    del device.jar[ACCOUNT]
    assert device.jar == mine and device.granted() == EVERYTHING


def test_a_device_is_told_once_a_session_that_the_account_s_choice_holds_there(made: Gateway) -> None:
    Device(made).login("marie").choose("answer=accept")
    device = Device(made).login("marie")
    page = device.see()
    assert LINE in text(page) and not asked(page) and 'value="told"' in text(page)
    assert LINE not in text(device.see()), "once"
    assert LINE not in text(Device(made).see())
    again = Device(made).login("marie")
    again.see(pairs=[(b"sec-fetch-dest", b"iframe")])
    assert LINE in text(again.see()), "a frame of the page does not use it up"


def test_who_answered_is_not_told_of_it(made: Gateway) -> None:
    device = Device(made).login("marie")
    device.choose("answer=accept")
    assert LINE not in text(device.see())


def test_a_line_is_closed_without_script_and_with_it(made: Gateway) -> None:
    Device(made).login("marie").choose("answer=accept")
    device = Device(made)
    device.choose("answer=refuse")
    device.login("marie")
    assert CONFLICT in text(device.see()) and CONFLICT in text(device.see()), "until it is closed or answered"
    reply = device.choose("answer=told")
    assert reply.status == 303 and CONFLICT not in text(device.see()) and device.granted() == set(), "closed is not answered"
    other = Device(made).login("marie")
    told = other.choose(json.dumps({"answer": "told"}), kind=b"application/json")
    assert told.status == 200 and json.loads(told.body)["reload"] is False and LINE not in text(other.see())


@pytest.mark.parametrize(("mine", "theirs"), [("refuse", "accept"), ("accept", "refuse")])
def test_where_device_and_account_disagree_the_stricter_holds_until_an_answer(made: Gateway, mine: str, theirs: str) -> None:
    Device(made).login("marie").choose(f"answer={theirs}")
    device = Device(made)
    device.choose(f"answer={mine}")
    device.login("marie")
    assert device.granted() == set() and CONFLICT in text(device.see())
    device.choose("answer=switches&purposes=video&services=videotube")
    assert device.granted() == {"video"} and CONFLICT not in text(device.see()), "answered once"
    device.account = ""
    device.see()
    assert device.granted() == (EVERYTHING if mine == "accept" else set())
    device.login("marie")
    assert device.granted() == {"video"} and CONFLICT not in text(device.see()), "and not asked again at the next session"


def test_the_stricter_of_two_parts_is_what_both_allow(made: Gateway) -> None:
    Device(made).login("marie").choose("answer=switches&purposes=video&purposes=publicite&services=videotube&services=regie")
    device = Device(made)
    device.choose("answer=switches&purposes=video&purposes=reseaux&services=videotube")
    device.login("marie")
    assert device.granted() == {"video"} & EVERYTHING


def test_an_account_s_choice_ends_with_the_notice_s_months(made: Gateway, clock: Clock) -> None:
    device = Device(made).login("marie")
    device.choose("answer=accept")
    clock.forward(days=31 * NOTICE.months + 5)
    later = Device(made).login("marie")
    assert later.granted() == set() and asked(later.see())
    made.accounts.prune(HOST, NOTICE.months)  # type: ignore[union-attr]
    Device(made).login("paul").choose("answer=refuse")
    made.accounts.close()  # type: ignore[union-attr]
    assert rows(made) == 1


def rows(made: Gateway) -> int:
    assert made.accounts is not None
    with sqlite3.connect(made.accounts.path) as connection:
        return int(connection.execute("SELECT count(*) FROM account WHERE moved = ''").fetchone()[0])


def test_keys_change_and_the_choice_stays(made: Gateway, clock: Clock, tmp_path: Path) -> None:
    first, second = Device(made).login("marie"), Device(made).login("marie")
    first.choose("answer=accept")
    rotated = opened(tmp_path, clock, (b"n" * 32, *KEYS))
    first.gateway = second.gateway = rotated
    assert first.granted() == second.granted() == EVERYTHING, "the cookie of before still proves the account"
    first.see()
    rotated.accounts.close()  # type: ignore[union-attr]
    assert first.jar[ACCOUNT] != second.jar[ACCOUNT]
    second.choose("answer=refuse")
    assert first.granted() == second.granted() == set(), "the hash of before leads to the account's row"
    assert rows(rotated) == 1


def test_a_key_that_is_gone_proves_nothing(made: Gateway, clock: Clock, tmp_path: Path) -> None:
    device = Device(made).login("marie")
    device.choose("answer=accept")
    device.gateway = opened(tmp_path, clock, (b"x" * 32,))
    assert device.granted() == set()


def test_no_cookie_can_be_forged_and_nobody_names_another_s_account(made: Gateway) -> None:
    Device(made).login("marie").choose("answer=accept")
    victim, thief = Device(made).login("marie"), Device(made).login("paul")
    hash = victim.jar[ACCOUNT].split(".")[1]
    _, _, told, tag = thief.jar[ACCOUNT].split(".")
    for value in (f"1.{hash}.{told}.{tag}", f"1.{hash}.-.{'0' * 32}", f"1.{hash}", "", "x" * 5000, f"1.{hash}.{told}.{tag[:31]}"):
        thief.jar[ACCOUNT] = value
        assert thief.granted() == set(), value
    both = [(b"cookie", f"{ACCOUNT}={victim.jar[ACCOUNT]}; {ACCOUNT}={thief.jar[ACCOUNT]}".encode())]
    assert made.visit(request("GET", "/a", both)).grant.purposes == frozenset(), "two are none"
    sent = [(b"volens-account", b"marie")]
    assert made.visit(request("GET", "/a", sent)).grant.account == "", "a visitor's word is nobody's"


def test_a_row_without_a_proven_record_grants_nothing(made: Gateway) -> None:
    device = Device(made).login("marie")
    hash = device.jar[ACCOUNT].split(".")[1]
    assert made.accounts is not None
    for tag in ("", f"1.{'0' * 26}.{'A' * 22}"):
        made.accounts.put(HOST, hash, Row(Choice.accept_all(NOTICE, TODAY), tag)).result(10)
        assert device.granted() == set()


def break_file(made: Gateway) -> Path:
    """As a disk that is gone: what lies there is no file of ours."""
    assert made.accounts is not None
    path = Path(made.accounts.path)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    path.mkdir()
    return aside


def mend(made: Gateway, aside: Path) -> None:
    assert made.accounts is not None
    Path(made.accounts.path).rmdir()
    aside.rename(made.accounts.path)


def test_while_the_file_is_down_nothing_is_granted_and_a_refusal_holds_and_is_written_later(made: Gateway) -> None:
    first, second = Device(made), Device(made).login("marie")
    first.choose("answer=accept")
    first.login("marie")
    second.choose("answer=accept")
    assert first.granted() == EVERYTHING
    aside = break_file(made)
    assert first.granted() == set(), "doubt is not granted, whatever the device's own says"
    assert first.choose("answer=accept").status == 503
    assert first.choose("answer=refuse").status == 303 and first.granted() == set()
    mend(made, aside)
    assert second.granted() == EVERYTHING, "nobody else has heard of it yet"
    assert first.granted() == second.granted() == set(), "it holds here, and its next request takes it everywhere"
    first.see()
    assert ACCOUNT_NO not in first.jar and first.granted() == second.granted() == set()
    assert events(made).count("withdrawn") == 1, "the grant that reached no account was withdrawn again"


def test_a_grant_that_cannot_be_recorded_is_not_the_account_s(tmp_path: Path, clock: Clock) -> None:
    made = opened(tmp_path, clock, store=Down)
    device = Device(made).login("marie")
    assert device.choose("answer=accept").status == 503 and device.granted() == set() and rows(made) == 0
    assert device.choose("answer=refuse").status == 303 and rows(made) == 1


def test_the_file_keeps_no_name(made: Gateway) -> None:
    Device(made).login("marie@example.org").choose("answer=refuse")
    assert made.accounts is not None
    data = Path(made.accounts.path).read_bytes()
    assert b"marie" not in data and Path(made.accounts.path).stat().st_mode & 0o077 == 0


def test_forget_me_takes_the_account_s_row_too(made: Gateway) -> None:
    device, other = Device(made), Device(made).login("marie")
    device.choose("answer=accept")
    device.login("marie")
    other.choose("answer=accept")
    reply = device.send("POST", "/_volens/forget", [(b"content-type", b"application/x-www-form-urlencoded"), *SAME], b"answer=forget")
    assert reply.status == 303 and rows(made) == 0
    assert "volens" not in device.jar and "__Host-volens-record" not in device.jar
    assert device.granted() == other.granted() == set()
    assert events(made).count("withdrawn") == 2
    held = [row.record for row in made.store.rows(HOST) if row.record is not None]
    assert [record for record in held if b'"event":"given"' in record] == [], "what either granted is erased"


def test_the_word_is_taken_out_and_no_cache_shares_the_page(made: Gateway) -> None:
    device = Device(made)
    device.account = "marie"
    reply = device.see((b"cache-control", b"public, max-age=60"))
    assert header(reply, "volens-account") == [] and "private" in header(reply, "cache-control")[0]
    (line,) = [line for line in header(reply, "set-cookie") if line.startswith(f"{ACCOUNT}=")]
    assert line.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure"), "for the session: no Max-Age"
    told = device.see((b"cache-control", b"public, max-age=60"), (b"etag", b'"1"'))
    assert "private" in header(told, "cache-control")[0] and header(told, "set-cookie") == []
    plain = Device(made).see((b"etag", b'"1"'))
    assert header(plain, "etag") != header(told, "etag"), "a page of another state is another page"


def test_shared_pages_are_not_those_of_who_is_logged_in(tmp_path: Path, clock: Clock) -> None:
    made = opened(tmp_path, clock, shared=True)
    public = (b"cache-control", b"public, max-age=60")
    assert "public" in header(Device(made).see(public), "cache-control")[0]
    device = Device(made)
    device.account = "marie"
    assert "private" in header(device.see(public), "cache-control")[0]
    assert "private" in header(device.see(public), "cache-control")[0]


@pytest.mark.parametrize("said", [(b"", b"marie"), (b"marie", b"paul")])
def test_two_names_are_nobody_s(made: Gateway, said: tuple[bytes, bytes]) -> None:
    device = Device(made).login("marie")
    device.account = None
    device.see(*((b"volens-account", name) for name in said))
    assert ACCOUNT not in device.jar


def test_off_by_default_the_word_is_taken_out_and_nothing_is_kept(tmp_path: Path) -> None:
    made = gateway(tmp_path)
    device = Device(made).login("marie")
    assert device.jar == {} and made.accounts is None


def test_not_while_observing_or_bypassed(tmp_path: Path, clock: Clock) -> None:
    observed = opened(tmp_path, clock, mode="observe")
    reply = Device(observed)
    reply.account = "marie"
    answer = reply.see()
    assert header(answer, "set-cookie") == [] and header(answer, "volens-account") == []


def test_a_minor_s_lock_holds_over_the_account_s_yes(tmp_path: Path, clock: Clock) -> None:
    made = opened(tmp_path, clock, minors=("publicite",), told_age=True)
    device = Device(made).login("marie")
    device.choose("answer=accept")
    assert "publicite" in device.granted()
    device.jar["volens-age"] = "minor"
    assert "publicite" not in device.granted() and "video" in device.granted()


def test_the_faces_say_the_same(made: Gateway) -> None:
    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        environ["volens.account"] = "marie"
        return [PAGE]

    heads: list[Any] = []
    sent = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "SCRIPT_NAME": "", "HTTP_HOST": HOST, "wsgi.url_scheme": "https"}
    b"".join(WsgiFace(wsgi, lambda: made)(sent, lambda status, head, *a: heads.append(head)))  # type: ignore[arg-type, func-returns-value]
    by_environ = dict(heads[0])["set-cookie"]

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        scope["volens.account"] = "marie"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": PAGE})

    got: list[Any] = []

    async def send(message: Any) -> None:
        got.append(message)

    scope = {"type": "http", "method": "GET", "path": "/a", "raw_path": b"/a", "query_string": b"", "scheme": "https"}
    away(AsgiFace(asgi, lambda: made)({**scope, "headers": [(b"host", HOST.encode())], "client": None}, None, send))  # type: ignore[arg-type]
    by_scope = dict(got[0]["headers"])[b"set-cookie"].decode()
    device = Device(made).login("marie")
    assert by_environ == by_scope and by_scope.partition(";")[0] == f"{ACCOUNT}={device.jar[ACCOUNT]}"


def test_the_proxy_says_the_same_whole_and_in_pieces(made: Gateway) -> None:
    async def asked(request: web.Request) -> web.StreamResponse:
        head = {"Content-Type": "text/html", "Volens-Account": "marie"}
        if request.path == "/a":
            return web.Response(body=PAGE, headers=head)
        pieces = web.StreamResponse(headers=head)
        await pieces.prepare(request)
        for _ in range(3):
            await pieces.write(b"<p>a</p>" * 100_000)
        return pieces

    async def both() -> list[tuple[str, bool]]:
        site = web.AppRunner(app := web.Application())
        app.router.add_get("/{path:.*}", asked)
        await site.setup()
        await web.TCPSite(site, "127.0.0.1", 0).start()
        proxy, port = await start(made, f"http://127.0.0.1:{site.addresses[0][1]}")
        try:
            async with aiohttp.ClientSession() as session:
                out = []
                for path in ("/a", "/b"):
                    async with session.get(f"http://127.0.0.1:{port}{path}", headers={"Host": HOST, "X-Forwarded-Proto": "https"}) as reply:
                        await reply.read()
                        out.append((reply.headers.get("Set-Cookie", "").partition(";")[0], "Volens-Account" in reply.headers))
                    session.cookie_jar.clear()
                return out
        finally:
            await proxy.cleanup()
            await site.cleanup()

    cookie = Device(made).login("marie").jar[ACCOUNT]
    assert away(both()) == [(f"{ACCOUNT}={cookie}", False)] * 2


def test_it_is_told_in_panel_policy_and_storage_list(made: Gateway) -> None:
    device = Device(made).login("marie")
    device.choose("answer=refuse")
    assert FOLLOWS in text(device.send("GET", "/_volens/panel"))
    policy = device.send("GET", "/_volens/policy").body.decode()
    assert "sous une empreinte de votre compte" in policy and "volens-account" in policy
    assert "sous une empreinte" not in Visitor(gateway(Path(made.accounts.path).parent)).send("GET", "/_volens/policy").body.decode()  # type: ignore[union-attr]


BASE = 'names = ["www.example.org"]\n[controller]\nname = "Exemple"\ncontact = "dpo@example.org"\npolicy = "volens"\n'


def test_the_configuration() -> None:
    assert not parse(BASE, "volens.toml", CATALOG).site.accounts
    loaded = parse(BASE + '[accounts]\nenabled = true\nfile = "a.db"\n', "volens.toml", CATALOG, base=Path("/srv"))
    assert loaded.site.accounts and loaded.accounts == "/srv/a.db"
    theirs = 'notice = "theirs"\n' + BASE + '[theirs]\ntool = "tarteaucitron"\n[theirs.map]\n[accounts]\nenabled = true\n'
    with pytest.raises(ConfigError, match="accounts"):
        parse(theirs, "volens.toml", CATALOG)


def members(page: bytes) -> Any:
    """A site on which ``/in`` logs in and ``/out`` logs out."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        said = {"/in": [("Volens-Account", "marie")], "/out": [("Volens-Account", "")]}.get(environ["PATH_INFO"], [])
        if said:
            start_response("303 See Other", [("Location", "/a"), *said])
            return []
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [page]

    return app


@pytest.fixture
def url(tmp_path: Path, clock: Clock) -> Iterator[str]:
    """Such a site, in English."""
    made = opened(tmp_path, clock)
    with serving(WsgiFace(members(PAGE.replace(b"lang=fr", b"lang=en")), lambda: made)) as port:
        yield f"http://127.0.0.1:{port}"
    made.close()


def test_two_browsers_of_one_account(show: Any, url: str) -> None:
    first, second = show(f"{url}/in"), show(f"{url}/a")
    expect(first.get_by_text("your answer holds for your account")).to_be_visible()
    expect(second.get_by_text("your answer holds for your account")).to_have_count(0)
    second.get_by_role("button", name="Refuse all").click()
    expect(second.locator("volens-notice")).to_have_attribute("data-storage", "no")
    first.get_by_role("button", name="Accept all").click()
    expect(first.locator("volens-notice")).to_have_attribute("data-storage", "yes")
    first.wait_for_timeout(500)
    expect(first.locator("volens-notice")).to_have_attribute("data-storage", "yes")  # made again once, not for ever
    assert not [c for c in first.context.cookies() if c["name"] in ("volens", "__Host-volens-record")]

    second.goto(f"{url}/in")  # refused here, accepted there
    line = second.get_by_text("have different choices")
    expect(line).to_be_visible()
    assert second.evaluate("document.activeElement === document.body"), "it takes no focus"
    expect(second.locator("volens-notice")).to_have_attribute("data-storage", "no")
    second.get_by_role("button", name="OK").click()
    expect(line).to_be_hidden()
    second.goto(f"{url}/b")
    expect(line).to_have_count(0)
    second.locator("#volens-band").click()
    second.get_by_role("button", name="Accept all").click()
    expect(second.locator("volens-notice")).to_have_attribute("data-storage", "yes")

    second.locator("#volens-band").click()
    second.get_by_role("button", name="Refuse all").click()
    expect(second.locator("volens-notice")).to_have_attribute("data-storage", "no")
    first.goto(f"{url}/b")
    expect(first.locator("volens-notice")).to_have_attribute("data-storage", "no")  # withdrawn on the other device
    expect(first.get_by_text("Your account’s choice now applies")).to_be_visible()
    first.goto(f"{url}/out")
    expect(first.locator("volens-notice")).to_have_attribute("data-storage", "none")
    expect(first.get_by_role("button", name="Accept all")).to_be_visible()
