"""``mode = "observe"``: nothing of a page or a cookie changes, and what would be withheld is noted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.enforce.making import HOST, NOW, SITE
from tests.web.making import Clock, gateway, header, request, send
from volens.enforce.headers import get, get_all
from volens.findings import PAGE, SCRIPT, SENT, SET, Findings, storage_name
from volens.web import observe
from volens.web.gateway import Gateway
from volens.web.messages import Pairs

GA = "https://www.google-analytics.com"
WATCHED = replace(SITE, mode="observe", report_sample=1.0)
BODY = (
    f"<!DOCTYPE html><html lang=fr><head><title>é</title><script src={GA}/analytics.js></script>"
    "<script>localStorage.setItem('suivi_1', 1); document.cookie = 'autre=1; path=/'</script>"
    "<link rel=stylesheet href=https://cdn.jsdelivr.net/x.css></head>"
    "<body><img src=https://images.inconnu.example/a.png><iframe src=https://video.example/v></iframe>"
    "<script src=https://inconnu.example/x.js></script><p>Bonjour</p></body></html>"
).encode()
HTML: Pairs = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"set-cookie", b"_ga=1; Path=/"),
    (b"set-cookie", b"panier=1"),
    (b"etag", b'"a"'),
]
SENT_COOKIES = (b"cookie", b"_gid=2; panier=1; volens=1; volens-record=3")


def findings(folder: Path, clock: Clock) -> Findings:
    return Findings(folder / "hosts.db", lambda: clock().date())


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def made(tmp_path: Path, clock: Clock) -> Iterator[Gateway]:
    made = gateway(tmp_path, site=WATCHED, now=clock, findings=findings(tmp_path, clock))
    yield made
    made.retire()
    made.close()


def found(made: Gateway) -> dict[tuple[str, str], Any]:
    assert made.findings is not None and made.observer.settle()
    return {(one.kind, one.name): one for one in made.findings.read(HOST, made.now().date() - timedelta(days=30))}


def get_page(
    made: Gateway, target: str = "/a/page?secret=1", *, pairs: Pairs | None = None, body: bytes = BODY, cut: int = 0
) -> tuple[int, Pairs, bytes]:
    visit = made.visit(request("GET", target, [SENT_COOKIES]))
    assert not visit.own
    if not cut:
        return visit.whole(200, HTML if pairs is None else pairs, body)
    status, head = visit.head(200, HTML if pairs is None else pairs)
    assert not visit.streams
    return status, head, b"".join([visit.feed(body[i : i + cut]) for i in range(0, len(body), cut)]) + visit.finish()


@pytest.mark.parametrize("cut", [0, 100])
def test_no_byte_of_a_page_and_no_cookie_changes(made: Gateway, cut: int) -> None:
    status, pairs, body = get_page(made, cut=cut)
    assert (status, body) == (200, BODY)
    assert [p for p in pairs if p[0] not in (b"content-security-policy-report-only", b"reporting-endpoints")] == HTML
    visit = made.visit(
        request(
            "GET", "/a", [SENT_COOKIES, (b"Volens_Consent", b"publicite"), (b"x-forwarded-for", b"203.0.113.7"), (b"range", b"bytes=0-3")]
        )
    )
    assert get_all(visit.forward, b"cookie") == [b"_gid=2; panier=1"], "ours are nobody else's"
    assert [k for k, _ in visit.forward] == [b"host", b"x-forwarded-for", b"range", b"cookie"], "and the word that only we say is not said"
    assert visit.client("203.0.113.7") == "203.0.113.7" and visit.placed and visit.early([(b"link", b"<https://x.example>; rel=preload")])


def test_nothing_is_asked_and_no_gate_is_closed_but_both_are_noted(made: Gateway) -> None:
    assert not made.visit(request("POST", "/comments")).own
    assert not made.visit(request("GET", "/g/collect?v=2&tid=G-ABCDEF1234", [(b"sec-fetch-dest", b"empty")])).own
    noted = found(made)
    assert noted["gate", "/comments"].count == 1 and noted["gate", "/comments"].ways == (SENT,)
    assert ("collection", "/g/collect") in noted and ("script", "www.google-analytics.com") not in noted


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("cut", [0, 100])
def test_what_would_be_withheld_is_noted_by_host_with_the_page_and_without_the_visitor(
    made: Gateway, tmp_path: Path, cut: int, coding: str
) -> None:
    body = gzip.compress(BODY) if coding == "gzip" else BODY
    pairs = [*HTML, (b"content-encoding", coding.encode())] if coding == "gzip" else HTML
    assert get_page(made, pairs=pairs, body=body, cut=cut)[2] == body
    noted = found(made)
    for key in (
        ("script", "www.google-analytics.com"),
        ("script", "inconnu.example"),
        ("frame", "video.example"),
        ("image", "images.inconnu.example"),
    ):
        assert noted[key].ways == (PAGE,) and noted[key].examples == ("/a/page",) and (noted[key].pages, noted[key].count) == (1, 1), key
        assert noted[key].first == noted[key].last == NOW.date()
    assert noted["cookie", "_ga"].ways == (SET,) and noted["cookie", "_gid"].ways == (SENT,) and noted["cookie", "autre"].ways == (SCRIPT,)
    assert noted["local", "suivi_1"].ways == (SCRIPT,) and ("cookie", "panier") not in noted
    assert made.findings is not None
    made.findings.flush()
    raw = (tmp_path / "hosts.db").read_bytes()
    for never in (b"secret", b"192.0.2.1", b"volens-record"):
        assert never not in raw


def test_a_page_is_looked_at_once_a_minute_and_a_full_queue_drops_what_comes(made: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        get_page(made)
    assert found(made)["script", "inconnu.example"].count == 1
    monkeypatch.setattr(Gateway, "judges", lambda *_: (_ for _ in ()).throw(RuntimeError("injected")))
    assert get_page(made, "/b")[2] == BODY, "what breaks beside it does not touch the page"
    monkeypatch.undo()
    monkeypatch.setattr(observe, "AGAIN", 0.0)
    monkeypatch.setattr(observe.Observer, "_note", lambda self, job: __import__("time").sleep(0.05))
    for number in range(60):
        assert get_page(made, f"/{number}")[2] == BODY
    assert made.observer._queue.qsize() <= observe.WAITING


def test_browsers_are_asked_to_report_beside_what_the_site_asks_itself(made: Gateway) -> None:
    own: Pairs = [(b"content-security-policy-report-only", b"default-src 'self'; report-uri /csp"), (b"reporting-endpoints", b'main="/r"')]
    _, pairs, _ = get_page(made, pairs=[*HTML, *own])
    asked = get_all(pairs, b"content-security-policy-report-only")
    assert asked[0] == own[0][1] and asked[1].endswith(b"; report-uri /_volens/report; report-to volens")
    assert get_all(pairs, b"reporting-endpoints") == [b'main="/r"', b'volens="/_volens/report"']
    assert b"www.site.example" in asked[1] or b"'self'" in asked[1]
    _, pairs, _ = get_page(made, pairs=[*HTML, (b"report-to", b'{"group":"a"}')])
    assert b"report-to" not in (get(pairs, b"content-security-policy-report-only") or b"") and get(pairs, b"reporting-endpoints") is None
    _, pairs, _ = get_page(made, pairs=[*HTML, (b"reporting-endpoints", b'a="/x", volens="/y"')])
    assert b"report-to" not in (get(pairs, b"content-security-policy-report-only") or b"")
    for other in ([(b"content-type", b"image/png")], [(b"content-type", b"text/javascript")]):
        assert get_page(made, pairs=other)[1] == other
    visit = made.visit(request("GET", "/a", scheme="http"))
    policy = get(visit.whole(200, HTML, BODY)[1], b"content-security-policy-report-only") or b""
    assert policy.endswith(b"; report-uri /_volens/report"), "report-to is for https alone"


def test_a_sample_asks_one_page_in_so_many(tmp_path: Path, clock: Clock) -> None:
    made = gateway(tmp_path, site=replace(SITE, report_sample=0.1), now=clock, findings=findings(tmp_path, clock))
    asking = 0
    for _ in range(40):
        _, pairs, body = made.visit(request("GET", "/a")).whole(200, HTML, BODY)
        policies = get_all(pairs, b"content-security-policy")
        asking += any(b"report-uri /_volens/report; report-to volens" in policy for policy in policies)
        assert all(len(policy) <= 4096 for policy in policies) and b"report" not in body
    assert asking == 4
    made.close()


REPORT = {
    "document-uri": f"https://{HOST}/a?secret=2",
    "effective-directive": "script-src-elem",
    "blocked-uri": "https://evil.example/x.js?id=3",
}


def old(**changed: Any) -> bytes:
    return json.dumps({"csp-report": {**REPORT, **changed}}).encode()


def post(made: Gateway, body: bytes, kind: str = "application/csp-report", *more: tuple[bytes, bytes]) -> int:
    reply = send(made, "POST", "/_volens/report", [(b"content-type", kind.encode()), *more], body)
    assert reply.body == b"" and not header(reply, "set-cookie")
    return reply.status


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_a_browsers_report_is_noted_by_host_and_use_alone(tmp_path: Path, clock: Clock, mode: str) -> None:
    made = gateway(tmp_path, site=replace(SITE, mode=mode), now=clock, findings=findings(tmp_path, clock))
    assert post(made, old()) == 204
    new = {
        "type": "csp-violation",
        "url": "x",
        "body": {"documentURL": f"https://{HOST}/b", "effectiveDirective": "img-src", "blockedURL": "https://pixel.example/1"},
    }
    assert post(made, json.dumps([new, {**new, "type": "deprecation"}]).encode(), "application/reports+json") == 204
    noted = found(made)
    assert set(noted) == {("script", "evil.example"), ("image", "pixel.example")} and noted["script", "evil.example"].ways == ("report",)
    raw = (tmp_path / "hosts.db").read_bytes()
    assert b"secret" not in raw and b"id=3" not in raw and b"192.0.2" not in raw
    made.close()


def test_hostile_reports_are_answered_alike_and_leave_nothing(made: Gateway) -> None:
    hostile: list[tuple[bytes, str]] = [
        (b"", "application/csp-report"),
        (b"{", "application/csp-report"),
        (b"[" * 50_000, "application/reports+json"),
        (b"[]", "application/csp-report"),
        (b"null", "application/reports+json"),
        (b'[1,null,{"type":"csp-violation"},{"type":"csp-violation","body":7}]', "application/reports+json"),
        (old(), "text/plain"),
        (old() + b" " * 70_000, "application/csp-report"),
        (old(**{"document-uri": "https://elsewhere.example/"}), "application/csp-report"),
        (old(**{"document-uri": 7}), "application/csp-report"),
        (old(**{"blocked-uri": "inline"}), "application/csp-report"),
        (old(**{"blocked-uri": f"https://{HOST}/x"}), "application/csp-report"),
        (old(**{"blocked-uri": "https://a\u0000b.example/"}), "application/csp-report"),
        (old(**{"blocked-uri": "https://<script>/"}), "application/csp-report"),
        (old(**{"blocked-uri": "https://[::1/"}), "application/csp-report"),
        (old(**{"blocked-uri": "https://" + "a." * 200 + "example/"}), "application/csp-report"),
        (old(**{"effective-directive": "'; drop table found"}), "application/csp-report"),
        (old(**{"effective-directive": {"a": 1}}), "application/csp-report"),
    ]
    for body, kind in hostile:
        assert post(made, body, kind) == 204, (body[:60], kind)
    assert post(made, old(), "application/csp-report", (b"sec-fetch-site", b"cross-site")) == 204
    assert found(made) == {}
    assert send(made, "GET", "/_volens/report").status == 405


def test_a_flood_of_reports_is_bounded_and_pushes_out_nothing_that_was_seen(made: Gateway) -> None:
    for number in range(3000):
        assert post(made, old(**{"blocked-uri": f"https://n{number}.example/"})) == 204
    assert len(found(made)) <= 500
    get_page(made)
    assert found(made)[("script", "inconnu.example")].ways == (PAGE,)


def test_findings_go_after_ninety_days_and_a_name_holds_no_visitor(tmp_path: Path, clock: Clock) -> None:
    one = findings(tmp_path, clock)
    one.add(HOST, PAGE, {("script", "old.example")}, b"/compte/jean@exemple.fr/2c5bc4a9bfec2c5bc4a9?x=1")
    found_ = one.read(HOST, NOW.date())
    assert found_[0].examples == ("/compte/*/*",)
    clock.forward(days=91)
    one.add(HOST, PAGE, {("script", "new.example")}, b"/a")
    assert [f.name for f in one.read(HOST, NOW.date())] == ["new.example"]
    assert storage_name("wordpress_logged_in_5d41402abc4b2a76b9719d911017c592") == "wordpress_logged_in_*"
    assert storage_name("_ga_1234567890") == "_ga_*" and storage_name("a b") == "" and len(storage_name("a" * 400)) <= 120
    one.close()


def test_pages_are_counted_and_a_few_are_named(tmp_path: Path, clock: Clock) -> None:
    one = findings(tmp_path, clock)
    for number in range(40):
        one.add(HOST, PAGE, {("script", "a.example")}, f"/page-{number}".encode())
        one.add(HOST, PAGE, {("script", "a.example")}, f"/page-{number}".encode())
    (row,) = one.read(HOST, NOW.date())
    assert (row.pages, row.count, len(row.examples)) == (40, 80, 3)
    one.close()


def test_two_processes_add_to_the_same_rows(tmp_path: Path, clock: Clock) -> None:
    ways: list[Callable[[], Findings]] = [lambda: findings(tmp_path, clock)] * 2
    first, second = (way() for way in ways)
    first.add(HOST, PAGE, {("script", "a.example")}, b"/a")
    second.add(HOST, PAGE, {("script", "a.example")}, b"/b")
    second.flush()
    (row,) = first.read(HOST, NOW.date())
    assert (row.pages, row.count) == (2, 2)
    first.close()
    second.close()


def test_where_nothing_can_be_written_pages_go_on(tmp_path: Path, clock: Clock) -> None:
    made = gateway(tmp_path, site=WATCHED, now=clock, findings=Findings(tmp_path / "missing" / "hosts.db", lambda: clock().date()))
    assert get_page(made)[2] == BODY
    made.retire()
    made.close()


def test_a_bypass_notes_nothing(tmp_path: Path, clock: Clock) -> None:
    made = gateway(tmp_path, site=WATCHED, now=clock, bypass=lambda: True, findings=findings(tmp_path, clock))
    assert get_page(made)[1:] == (HTML, BODY) and found(made) == {}
    made.close()


def test_what_is_said_of_an_age_sets_no_cookie_while_observing(made: Gateway) -> None:
    _, pairs, body = get_page(made, pairs=[*HTML, (b"volens-age", b"minor")])
    assert body == BODY and get_all(pairs, b"set-cookie") == get_all(HTML, b"set-cookie") and get(pairs, b"volens-age") is None
