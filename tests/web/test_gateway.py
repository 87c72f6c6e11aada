"""The gateway: who asks, what is permitted, and what happens when we fail."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.enforce.making import HOST, NOTICE, SITE, TODAY
from tests.oracle import would_load
from tests.web.making import Visitor, forged, gateway, request, send
from volens.choice import Choice
from volens.enforce import exchange
from volens.enforce.headers import get_all
from volens.notice import StorageKey
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply
from volens.web.recent import Recent

GA = "https://www.google-analytics.com"
PAGE = f"<html><head><link rel=preconnect href={GA}></head><body><p>Bonjour</p><script src={GA}/x></script></body></html>".encode()
HTML: Pairs = [(b"content-type", b"text/html; charset=utf-8"), (b"set-cookie", b"_ga=1"), (b"location", b"/x")]


def test_an_error_of_ours_serves_the_text_with_third_parties_withheld_never_the_raw_page(
    made: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("injected")

    monkeypatch.setattr(exchange.Rewriter, "feed", broken)
    visit = made.visit(request("GET", "/a"))
    status, pairs, body = visit.whole(404, HTML, PAGE)
    assert status == 404 and b"Bonjour" in body
    assert [load for load in would_load(body.decode(), HOST) if load.kind != "image"] == []
    assert any(key == b"content-security-policy" and b"script-src 'none'" in value for key, value in pairs)
    assert not any(key == b"set-cookie" for key, _ in pairs)
    assert made.visit(request("GET", "/a")).whole(200, [(b"content-type", b"image/png")], b"<script")[2] == b"<script"
    visit = made.visit(request("GET", "/a"))
    visit.head(200, HTML)
    streamed = visit.feed(PAGE[:50]) + visit.feed(PAGE[50:]) + visit.finish()
    assert b"Bonjour" in streamed and [load for load in would_load(streamed.decode(), HOST) if load.kind != "image"] == []


def test_a_bypass_lets_the_page_pass_and_keeps_our_cookies_to_ourselves(tmp_path: Path) -> None:
    made = gateway(tmp_path, bypass=lambda: True)
    sent = [(b"cookie", b"volens=1; _ga=2; volens-record=3"), (b"Volens_Consent", b"video"), (b"x-forwarded-for", b"203.0.113.77")]
    visit = made.visit(request("GET", "/a", sent))
    assert visit.whole(200, HTML, PAGE) == (200, HTML, PAGE)
    assert get_all(visit.forward, b"cookie") == [b"_ga=2"]
    assert get_all(visit.forward, b"x-forwarded-for") == [b"203.0.113.77"]
    told = [value for name, value in visit.forward if name.lower().replace(b"_", b"-") == b"volens-consent"]
    assert len(told) == 1 and b"video=?0" in told[0], "a client cannot grant itself anything, whoever switched what off"
    assert not made.visit(request("POST", "/comments")).own
    made.store.close()


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("/baseline/x", True),
        ("/baseline/x/?q", True),
        ("/exact", True),
        ("/exact/", True),
        ("/baseline/../a", False),
        ("/baseline/..%2fa", False),
        ("/baseline/%2e%2e/a", False),
        ("/baseline/..;/a", False),
        ("//baseline/x", False),
        ("/Baseline/x", False),
        ("/a", False),
        ("/a?/baseline/", False),
    ],
)
def test_a_path_is_left_alone_only_where_every_reading_of_it_is(tmp_path: Path, target: str, left: bool) -> None:
    made = gateway(tmp_path, site=replace(SITE, leave=("/baseline/*", "/exact")))
    assert made.visit(request("GET", target)).left is left
    made.store.close()


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("/wp-admin/", True),
        ("/wp-admin/post.php?x=admin-ajax.php", True),
        ("/wp-admin/admin-ajax.php", False),
        ("/wp-admin/admin-ajax.php/more", False),
        ("/wp-admin/Admin-Ajax.php?action=x", False),
        ("/wp-admin/css/../admin-ajax.php", False),
        ("/wp-admin/admin%2dajax.php", False),
    ],
)
def test_what_is_taken_out_again_is_enforced_in_any_reading(tmp_path: Path, target: str, left: bool) -> None:
    made = gateway(tmp_path, site=replace(SITE, leave=("/wp-admin/*", "!/wp-admin/admin-ajax.php*")))
    assert made.visit(request("GET", target)).left is left
    made.store.close()


def test_a_gate_holds_where_a_path_is_left_alone(tmp_path: Path) -> None:
    made = gateway(tmp_path, site=replace(SITE, leave=("/*",)))
    assert made.visit(request("POST", "/comments")).own
    assert not made.visit(request("GET", "/comments")).own
    made.store.close()


@pytest.mark.parametrize(
    "host", ["", "a b", "évil", "a/b", "x" * 300, "*", "a;b", "[::1]:80", "[zz]", "evil.example:99999", ":80", "127.0.0.1:8000"]
)
def test_odd_hosts_write_nothing_odd(tmp_path: Path, host: str) -> None:
    made = gateway(tmp_path, site=None)
    visit = made.visit(request("GET", "/a", host=host.encode("utf-8").decode("latin-1")))
    _, pairs, body = visit.whole(200, HTML, PAGE)
    policy = next(value for key, value in pairs if key == b"content-security-policy")
    assert b"*;" not in policy and b" * " not in policy and b";b" not in policy and policy.isascii()
    assert [load for load in would_load(body.decode(), HOST) if "google" in load.url] == []
    made.store.close()


def test_ways_of_writing_the_host_are_one_site(tmp_path: Path) -> None:
    made = gateway(tmp_path, site=None)
    assert made.visit(request("GET", "/", host="a.example:8000")).site is made.visit(request("GET", "/", host="a.example")).site
    assert made.visit(request("GET", "/", host="b.example")).site.name == "b.example"
    made.store.close()


def test_what_is_collected_on_the_site_s_own_paths_is_refused(made: Gateway) -> None:
    for target in ("/g/collect?v=2&tid=G-1", "/collect?v=1&tid=UA-1"):
        reply = send(made, "POST", target, [(b"sec-fetch-dest", b"empty")])
        assert (reply.status, reply.body) == (204, b"")
    assert not made.visit(request("GET", "/collection/summer", [(b"sec-fetch-dest", b"empty")])).own


def test_a_visitor_s_page_is_never_another_s(made: Gateway) -> None:
    yes = forged(Choice.accept_all(NOTICE, TODAY))
    bodies = set()
    for pairs in ([], yes, [(b"cookie", f"volens={Choice.refuse_all(NOTICE, TODAY).text()}".encode())], [(b"sec-gpc", b"1")]):
        bodies.add(made.visit(request("GET", "/a", pairs)).whole(200, HTML, PAGE)[2])
    assert len(bodies) == 4
    again = made.visit(request("GET", "/a", yes)).whole(200, HTML, PAGE)[2]
    assert again in bodies and len(bodies | {again}) == 4


def test_equal_choices_make_equal_pages(made: Gateway) -> None:
    one, other = Visitor(made), Visitor(made)
    for visitor in (one, other):
        visitor.choose("answer=switches&purposes=video&services=videotube")
    assert one.jar["volens"] == other.jar["volens"] and one.jar["__Host-volens-record"] != other.jar["__Host-volens-record"]
    pages = [made.visit(request("GET", "/a", v.cookie())).whole(200, HTML, PAGE) for v in (one, other)]
    assert pages[0] == pages[1]
    assert one.jar["__Host-volens-record"].split(".")[1].encode() not in pages[0][2], "no id of a person in a page"


def test_a_bounded_memory_forgets_the_oldest_and_is_safe_between_threads() -> None:
    held: Recent[int] = Recent(10)

    def fill(start: int) -> None:
        for index in range(2000):
            assert held.get((start + index) % 30, lambda i=(start + index) % 30: i) == (start + index) % 30  # type: ignore[misc]

    threads = [threading.Thread(target=fill, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made: list[int] = []
    for index in range(10, 30):
        held.get(index, lambda: made.append(1) or 0)  # type: ignore[func-returns-value]
    made.clear()
    held.get(29, lambda: made.append(1) or 0)  # type: ignore[func-returns-value]
    held.get(0, lambda: made.append(1) or 0)  # type: ignore[func-returns-value]
    assert made == [1]


@given(
    st.sampled_from(["GET", "POST", "HEAD", "WEIRD", ""]),
    st.binary(max_size=60),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"cookie",
                    b"host",
                    b"origin",
                    b"referer",
                    b"accept-language",
                    b"accept",
                    b"sec-fetch-dest",
                    b"sec-gpc",
                    b"range",
                    b"if-none-match",
                ]
            ),
            st.binary(max_size=40),
        ),
        max_size=6,
    ),
)
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_however_odd_raises(made: Gateway, method: str, target: bytes, pairs: Pairs) -> None:
    visit = made.visit(request(method, target, pairs))
    if visit.own:
        visit.answer(b"x=1")
    else:
        status, out, _ = visit.whole(200, [(b"content-type", b"text/html")], PAGE)
        assert status == 200 and not any(b"\r" in value or b"\n" in value for _, value in out)
    visit.failed("down")
    for prefix in (b"/_volens/panel?", b"/_volens/embed/frame?u=", b"/_volens/out?u=", b"/_volens/choice?surface=gate&"):
        made.visit(request("POST" if b"choice" in prefix else "GET", prefix + target, pairs)).answer(b"")


@pytest.mark.parametrize("shared", [False, True])
def test_only_the_page_of_those_who_said_nothing_is_left_to_caches_in_front_and_only_where_the_site_says_so(
    tmp_path: Path, shared: bool
) -> None:
    made = gateway(tmp_path, site=replace(SITE, shared=shared))
    said: Pairs = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"public, max-age=600"),
        (b"cdn-cache-control", b"max-age=9"),
    ]

    def kept(method: str, *sent: tuple[bytes, bytes], status: int = 200, streamed: bool = False) -> bool:
        visit = made.visit(request(method, "/a", [(b"accept", b"text/html"), *sent]))
        pairs = visit.head(status, said)[1] if streamed else visit.whole(status, said, PAGE if status == 200 else b"")[1]
        told = get_all(pairs, b"cache-control")
        assert told in ([b"public, max-age=600"], [b"private, max-age=600"]) and len(told) == 1
        assert (get_all(pairs, b"cdn-cache-control") == []) is (told == [b"private, max-age=600"])
        return told == [b"public, max-age=600"]

    for sent in ((), ((b"sec-fetch-dest", b"document"),), ((b"cookie", b"session=1"),), ((b"accept-language", b"en"),)):
        assert kept("GET", *sent) is kept("GET", *sent, streamed=True) is kept("GET", *sent, status=304) is kept("HEAD", *sent) is shared, (
            sent
        )
    accepted, refused = forged(Choice.accept_all(NOTICE, TODAY)), forged(Choice.refuse_all(NOTICE, TODAY))
    for sent in (*accepted, *refused, (b"cookie", b"volens=damaged"), (b"sec-gpc", b"1"), (b"cookie", b"volens-audience=0")):
        assert not kept("GET", sent) and not kept("GET", sent, streamed=True) and not kept("GET", sent, status=304), sent
    assert not kept("GET", (b"sec-fetch-dest", b"iframe")) and not kept("GET", (b"sec-fetch-dest", b"empty")) and not kept("POST")
    made.store.close()


def test_an_answer_that_expires_somebodys_cookies_is_nobody_elses(tmp_path: Path) -> None:
    made = gateway(tmp_path, site=replace(SITE, shared=True))
    (name, held), *_ = forged(Choice.refuse_all(NOTICE, TODAY))
    said: Pairs = [(b"content-type", b"image/png"), (b"cache-control", b"public, max-age=600")]
    for more, kept in ((b"", b"public, max-age=600"), (b"; _ga=GA1.1", b"private, max-age=600")):
        pairs = made.visit(request("GET", "/logo.png", [(name, held + more), (b"sec-fetch-dest", b"image")])).whole(200, said, b"x")[1]
        assert get_all(pairs, b"cache-control") == [kept] and bool(get_all(pairs, b"set-cookie")) is bool(more)
    made.store.close()


def test_where_no_service_worker_may_be_a_browser_that_looks_for_a_newer_one_finds_its_end(made: Gateway, tmp_path: Path) -> None:
    """Only where none is declared, and never for what else is asked under that address."""
    asks: Pairs = [(b"sec-fetch-dest", b"serviceworker"), (b"service-worker", b"script")]
    visit = made.visit(request("GET", "/sw.js", asks))
    assert visit.own
    reply = visit.answer(b"")
    assert isinstance(reply, Reply) and b"registration.unregister()" in reply.body and (b"cache-control", b"no-store") in reply.pairs
    assert not made.visit(request("GET", "/sw.js", [(b"sec-fetch-dest", b"script")])).own
    declared = replace(SITE, storage=(*SITE.storage, StorageKey("/sw.js", medium="serviceworker")))
    other = gateway(tmp_path, site=declared)
    assert not other.visit(request("GET", "/sw.js", asks)).own
    other.close()
