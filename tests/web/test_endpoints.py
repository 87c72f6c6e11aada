"""``/_volens/``: who may choose, what a choice does, and what odd or hostile requests do not."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.enforce.making import HOST, NOTICE, SITE, TODAY
from tests.web.making import (
    FORM,
    KEYS,
    NAMED,
    ORIGIN,
    SAME,
    Clock,
    Down,
    Held,
    Visitor,
    cookies_of,
    forged,
    gateway,
    header,
    request,
    settle,
)
from volens.choice import Choice, RecordTag
from volens.ledger.aside import Aside
from volens.site import Gate
from volens.web.asked import Fields, local
from volens.web.choosing import CHOICE_BODY
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply, Waiting
from volens.web.rate import BURST

JSON = b"application/json"
ACCEPT = json.dumps({"notice": NAMED, "answer": "accept", "surface": "notice", "language": "fr"})


def total(made: Gateway) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in made.store.totals(HOST, TODAY, TODAY):
        found[row["event"]] = found.get(row["event"], 0) + row["count"]
    return found


# ---------------------------------------------------------------------------------------- what a choice does


def test_accepting_is_recorded_then_granted(made: Gateway, visitor: Visitor) -> None:
    assert visitor.granted() == set()
    reply = visitor.choose("answer=accept&surface=notice&language=fr")
    assert (reply.status, header(reply, "location")) == (303, ["/a"])
    assert visitor.granted() == set(NOTICE.askable)
    record = made.store.record(visitor.jar["__Host-volens-record"].split(".")[1])
    assert record is not None
    assert (record.event, record.method, record.surface, record.language, record.notice) == (
        "given",
        "accept-all",
        "notice",
        "fr",
        NOTICE.digest,
    )
    assert all(record.purposes.values()) and total(made) == {"given": 1}


def test_refusing_is_counted_and_leaves_no_id(made: Gateway, visitor: Visitor) -> None:
    reply = visitor.choose("answer=refuse&surface=notice")
    assert reply.status == 303 and set(visitor.jar) == {"volens"}
    assert visitor.jar["volens"] == f"1.{NOTICE.short}.20261122.-"
    assert visitor.granted() == set() and total(made) == {"refused": 1}


def test_switches_grant_just_what_they_show(visitor: Visitor) -> None:
    visitor.choose("answer=switches&purposes=video&services=videotube")
    assert visitor.granted() == {"video"}
    visitor.choose("answer=switches")
    assert visitor.granted() == set() and "__Host-volens-record" not in visitor.jar


def test_a_service_allowed_in_its_place_adds_to_what_was_granted(visitor: Visitor) -> None:
    visitor.choose("answer=switches&purposes=video&services=videotube")
    visitor.choose("answer=service&services=reseau&surface=embed")
    assert visitor.granted() == {"video"}
    grant = visitor.gateway.visit(request("GET", "/a", visitor.cookie())).grant
    assert {"videotube", "reseau"} <= grant.services and "regie" not in grant.services


def test_withdrawal_takes_effect_at_once_and_is_recorded(made: Gateway, visitor: Visitor) -> None:
    visitor.choose("answer=accept")
    first = visitor.jar["__Host-volens-record"].split(".")[1]
    visitor.jar["vt_a"] = visitor.jar["rien"] = "1"
    reply = visitor.choose("answer=withdraw&surface=panel")
    assert visitor.granted() == set() and "__Host-volens-record" not in visitor.jar
    assert {"vt_a", "rien"} <= cookies_of(reply).keys()
    assert header(reply, "clear-site-data") == ['"prefetchCache", "prerenderCache"']
    assert visitor.choose("answer=accept").status == 303  # the ledger keeps the order, so the withdrawal is written too
    assert total(made) == {"given": 2, "withdrawn": 1}
    assert made.store.record(first) is not None, "what was given stays on record"


def test_json_says_what_is_granted(visitor: Visitor) -> None:
    reply = visitor.choose(ACCEPT, kind=JSON)
    told = json.loads(reply.body)
    assert (reply.status, told["choice"], told["reload"]) == (201, visitor.jar["volens"], True)
    assert header(reply, "content-type") == ["application/json"]


@pytest.mark.parametrize("page", ["choice.json", "policy"])
def test_a_script_that_fetches_is_not_told_the_records_id(visitor: Visitor, page: str) -> None:
    visitor.choose("answer=accept")
    record = RecordTag.parse(visitor.jar["__Host-volens-record"]).record
    opened = visitor.send("GET", f"/_volens/{page}", [(b"sec-fetch-mode", b"navigate")])
    fetched = visitor.send("GET", f"/_volens/{page}", [(b"sec-fetch-mode", b"cors")])
    assert record.encode() in opened.body and record.encode() not in fetched.body


def test_the_cookies_attributes(made: Gateway, visitor: Visitor) -> None:
    lines = {line.partition("=")[0]: line for line in header(visitor.choose("answer=accept"), "set-cookie")}
    for name, hidden in (("volens", False), ("__Host-volens-record", True)):
        words = [word.strip() for word in lines[name].split(";")[1:]]
        assert {"Path=/", "SameSite=Lax", "Secure"} <= set(words)
        assert ("HttpOnly" in words) is hidden
        assert not any(word.startswith("Domain") for word in words), "a sub-domain must not see it"
        age = next(int(word[8:]) for word in words if word.startswith("Max-Age="))
        assert 180 * 86400 < age < 186 * 86400
    plain = Visitor(made, scheme="http")
    assert not any("Secure" in line for line in header(plain.choose("answer=accept"), "set-cookie"))


def test_yes_and_no_last_alike(made: Gateway, clock: Clock) -> None:
    yes, no = Visitor(made), Visitor(made)
    ages = [re.search(r"Max-Age=(\d+)", header(v.choose(f"answer={a}"), "set-cookie")[0]) for v, a in ((yes, "accept"), (no, "refuse"))]
    assert ages[0] is not None and ages[1] is not None and ages[0][1] == ages[1][1]
    clock.forward(days=200)
    for visitor in (yes, no):
        assert not made.visit(request("GET", "/a", visitor.cookie())).grant.answered


# ---------------------------------------------------------------------------------------- only from the site's own pages

FOREIGN: dict[str, Pairs] = {
    "cross-site": [(b"sec-fetch-site", b"cross-site")],
    "same-site": [(b"sec-fetch-site", b"same-site")],
    "typed": [(b"sec-fetch-site", b"none")],
    "cross-site with our origin": [(b"sec-fetch-site", b"cross-site"), (b"origin", ORIGIN.encode())],
    "twice, one foreign": [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")],
    "odd": [(b"sec-fetch-site", b"same-origin, cross-site")],
    "another origin": [(b"origin", b"https://evil.example")],
    "sub-domain": [(b"origin", b"https://user.site.example")],
    "parent": [(b"origin", b"https://site.example")],
    "other scheme": [(b"origin", f"http://{HOST}".encode())],
    "other port": [(b"origin", f"{ORIGIN}:8443".encode())],
    "prefix": [(b"origin", f"{ORIGIN}.evil.example".encode())],
    "credentials": [(b"origin", f"https://{HOST}@evil.example".encode())],
    "two origins": [(b"origin", ORIGIN.encode()), (b"origin", b"https://evil.example")],
    "list": [(b"origin", f"{ORIGIN} https://evil.example".encode())],
    "extension": [(b"origin", b"chrome-extension://abc")],
    "empty": [(b"origin", b"")],
}


@pytest.mark.parametrize("pairs", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("kind", [FORM, JSON])
def test_nobody_else_can_choose(made: Gateway, visitor: Visitor, pairs: Pairs, kind: bytes) -> None:
    for answer in ("accept", "refuse"):
        text = ACCEPT.replace("accept", answer) if kind == JSON else f"answer={answer}"
        reply = visitor.choose(text, pairs, kind=kind)
        assert reply.status == 403 and header(reply, "set-cookie") == []
        said = "own pages" if kind == JSON else "d’une page de ce site"
        assert said in reply.body.decode(), "to a person, in the visitor's language"
    assert total(made) == {}


@pytest.mark.parametrize(
    "pairs", [SAME, [(b"origin", ORIGIN.encode())], [(b"origin", ORIGIN.upper().encode())], [*SAME, (b"origin", b"null")]]
)
def test_the_site_s_own_pages_can(visitor: Visitor, pairs: Pairs) -> None:
    assert visitor.choose("answer=accept", pairs).status == 303
    assert visitor.granted()


UNSAID: list[Pairs] = [[], [(b"origin", b"null")]]


def test_where_the_browser_does_not_say_a_token_decides(made: Gateway, visitor: Visitor, clock: Clock) -> None:
    pairs: Pairs = []
    reply = visitor.choose("answer=accept&language=fr", pairs)
    assert reply.status == 200 and header(reply, "set-cookie") == []
    fields = dict(re.findall(r'name="([a-z]+)" value="([^"]*)"', reply.body.decode()))
    assert fields["answer"] == "accept" and len(fields["token"]) == 32
    for bad in ("", "0" * 32, fields["token"][:-1], fields["token"] + "0", fields["token"].upper() + "x", "é"):
        assert header(visitor.choose(f"answer=accept&token={quote(bad)}", pairs), "set-cookie") == []
    other = Visitor(made, host="user.site.example")
    assert header(other.choose(f"answer=accept&token={fields['token']}", pairs), "set-cookie") == []
    plain = Visitor(made, scheme="http")
    assert header(plain.choose(f"answer=accept&token={fields['token']}", pairs), "set-cookie") == []
    clock.forward(hours=1)
    assert visitor.choose(f"answer=accept&token={fields['token']}", pairs).status == 303
    clock.forward(hours=1)
    assert header(visitor.choose(f"answer=accept&token={fields['token']}", pairs), "set-cookie") == []
    assert visitor.choose(ACCEPT, pairs, kind=JSON).status == 403


def test_a_page_without_a_name_is_asked_again_by_one_that_says_its_own(visitor: Visitor) -> None:
    """``Origin: null`` is what any site's sandboxed frame sends, and its server can ask for a token as well as anybody."""
    null: Pairs = [(b"origin", b"null")]
    token = re.search(
        r'name="token" value="([0-9a-f]{32})"', Visitor(visitor.gateway, **visitor.more).choose("answer=accept", []).body.decode()
    )
    assert token is not None
    reply = visitor.choose(f"answer=accept&token={token[1]}", null)
    assert reply.status == 200 and header(reply, "set-cookie") == []
    assert header(reply, "referrer-policy") == ["same-origin"], "else its own form would come from null"
    fields = dict(re.findall(r'name="([a-z]+)" value="([^"]*)"', reply.body.decode()))
    assert visitor.choose(f"answer={fields['answer']}", [(b"origin", ORIGIN.encode())]).status == 303


def test_a_foreign_page_s_token_does_not_help_it(visitor: Visitor) -> None:
    theirs = Visitor(visitor.gateway, **visitor.more).choose("answer=accept", [])
    token = re.search(r'name="token" value="([0-9a-f]{32})"', theirs.body.decode())
    assert token is not None
    assert visitor.choose(f"answer=accept&token={token[1]}", FOREIGN["cross-site"]).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "post"])
def test_only_post_chooses(visitor: Visitor, method: str) -> None:
    reply = visitor.send(method, f"/_volens/choice?notice={NAMED}&answer=accept", SAME)
    assert reply.status == 405 and header(reply, "allow") == ["POST"] and header(reply, "set-cookie") == []


@pytest.mark.parametrize(
    "kind", [b"text/plain", b"text/plain;charset=application/json", b"", b"application/x-www-form-urlencoded2", b"text/html"]
)
def test_json_under_another_name_says_nothing(made: Gateway, visitor: Visitor, kind: bytes) -> None:
    reply = visitor.send("POST", "/_volens/choice", [(b"content-type", kind), *SAME], ACCEPT.encode())
    assert reply.status == 409 and header(reply, "set-cookie") == [] and total(made) == {}


def test_multipart_forms_are_read_too(visitor: Visitor) -> None:
    body = (
        "".join(f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in (("notice", NAMED), ("answer", "accept")))
        + "--x--\r\n"
    )
    assert (
        visitor.send("POST", "/_volens/choice", [(b"content-type", b"multipart/form-data; boundary=x"), *SAME], body.encode()).status == 303
    )


def test_parts_in_parts_are_not_followed() -> None:
    """Nobody's form has them, and the mail parser reads each line once for every level."""
    kind = "multipart/form-data; boundary=b0"
    nested = b"".join(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (i, i + 1) for i in range(200)) + b"\n" * 200_000
    start = time.process_time()
    assert Fields.read(kind, nested).pairs == []
    assert Fields.read(kind, b'--b0\r\ncontent-disposition: form-data; name="' + b";" * 200_000).pairs == []
    assert time.process_time() - start < 1
    typed = '--b0\r\nContent-Disposition: form-data; name="prénom"\r\n\r\nZoé\r\n\r\n--b\r\n'
    typed += '--b0\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n'
    read = Fields.read(kind, (typed + "Content-Type: image/png\r\n\r\nx\r\n--b0--\r\n").encode())
    assert read.pairs == [("prénom", "Zoé\r\n\r\n--b")] and read.files


# ---------------------------------------------------------------------------------------- limits and oddities


def test_a_flood_from_one_address_waits(made: Gateway) -> None:
    flood = Visitor(made, client="198.51.100.7")
    statuses = [flood.choose("answer=refuse").status for _ in range(BURST + 5)]
    assert statuses[:BURST] == [303] * BURST and 429 in statuses[BURST:]
    reply = flood.choose("answer=refuse")
    assert reply.status == 429 and int(header(reply, "retry-after")[0]) >= 1
    assert "Trop de réponses" in reply.body.decode() and "Too many" in flood.choose(ACCEPT, SAME, kind=JSON).body.decode()
    assert Visitor(made).choose("answer=refuse").status == 303


def test_a_choice_is_small(visitor: Visitor) -> None:
    assert visitor.choose("answer=refuse&x=" + "x" * CHOICE_BODY).status == 413
    assert visitor.choose("answer=refuse&" + "&".join(f"purposes={i}" for i in range(3000))).status in (303, 409), (
        "bounded fields, no error"
    )


def test_an_answer_to_another_notice_is_not_an_answer(made: Gateway, visitor: Visitor) -> None:
    for stale in ("0" * 16, "", "x" * 5000, NOTICE.short.upper()):
        reply = visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], f"notice={stale}&answer=accept".encode())
        assert reply.status == 409 and header(reply, "set-cookie") == []
        assert b'name="notice" value="' + NOTICE.short.encode() in reply.body
    told = json.loads(visitor.choose(ACCEPT.replace(NOTICE.short, "0" * 16), kind=JSON).body)
    assert told == {"error": "stale", "notice": NOTICE.short} and total(made) == {}


@pytest.mark.parametrize(
    "fields", ["answer=service&services=unknown", "answer=service", "answer=yes", "answer=", "", "answer=service&services=%00"]
)
def test_an_answer_that_is_none_is_refused_and_changes_nothing(made: Gateway, visitor: Visitor, fields: str) -> None:
    reply = visitor.choose(fields)
    assert reply.status == 400 and header(reply, "set-cookie") == [] and total(made) == {}


def test_unknown_switches_grant_nothing(visitor: Visitor) -> None:
    visitor.choose("answer=switches&purposes=everything&services=all&purposes=%2A")
    assert visitor.granted() == set()


BACKS = ["//evil.example", "/\\evil.example", "https://evil.example", "https:evil.example", "javascript:alert(1)", "\\\\evil", "", "evil"]
BACKS += [
    "/a\r\nSet-Cookie: x=1",
    "/a\nb",
    "/\t/evil.example",
    "/ /evil.example",
    "/\x00",
    "/" + "a" * 5000,
    "///evil.example",
    "%2F%2Fevil.example",
]


@pytest.mark.parametrize("back", BACKS)
def test_back_leads_nowhere_else(visitor: Visitor, back: str) -> None:
    fields = f"notice={NAMED}&answer=refuse&back={quote(back, safe='')}"
    reply = visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], fields.encode())
    assert header(reply, "location") == ["/"]
    body = json.dumps({"notice": "0" * 16, "answer": "refuse", "back": back})
    assert visitor.choose(body, kind=JSON).status == 409
    page = visitor.send("GET", f"/_volens/panel?back={quote(back, safe='')}").body
    assert b"evil.example" not in page


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_whatever_is_local_stays_on_the_site(path: str) -> None:
    made = local(path)
    assert made.startswith("/") and not re.match(r"/[/\\]", made) and not re.search(r"[\x00-\x20\\]", made)
    quote(made)  # can be written into a header


def test_a_back_with_letters_beyond_ascii_comes_out_encoded(visitor: Visitor) -> None:
    reply = visitor.send(
        "POST", "/_volens/choice", [(b"content-type", FORM), *SAME], f"notice={NAMED}&answer=refuse&back=/caf%C3%A9?a=%25".encode()
    )
    assert header(reply, "location") == ["/caf%C3%A9?a=%"]


@given(
    st.sampled_from(
        [
            FORM,
            JSON,
            b"multipart/form-data; boundary=x",
            b"multipart/form-data",
            b'multipart/form-data; boundary="',
            b"multipart/form-data; boundary*=x",
        ]
    ),
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                [
                    b"--x",
                    b"--x--",
                    b"\r\n",
                    b"\n",
                    b"Content-Disposition: form-data; name=",
                    b'"a"',
                    b"; filename=",
                    b"a=b",
                    b"&",
                    b"%",
                    b"%zz",
                    b"{",
                    b"}",
                    b'"notice":',
                    b"[",
                    b"\xff",
                    b"name*=utf-8''%ff",
                    b"Content-Transfer-Encoding: base64",
                    b"Content-Type: text/plain; charset=nonsense",
                    b"=?utf-8?b?/w==?=",
                    b"\\ud800",
                ]
            ),
            max_size=20,
        ).map(b"".join),
    ),
)
@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_no_form_however_odd_raises(kind: bytes, body: bytes) -> None:
    found = Fields.read(kind.decode(), body)
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in found.pairs)


# ---------------------------------------------------------------------------------------- the ledger


def test_a_grant_is_given_only_once_it_is_durable(tmp_path: Path) -> None:
    made = gateway(tmp_path, Held)
    visitor = Visitor(made)
    visit = made.visit(request("POST", "/_volens/choice", [(b"content-type", FORM), *SAME]))
    answer = visit.answer(f"notice={NAMED}&answer=accept".encode())
    assert isinstance(answer, Waiting) and not answer.future.done()
    future, record, _ = made.store.waiting[0]  # type: ignore[attr-defined]
    future.set_result(record)
    assert cookies_of(settle(answer))["__Host-volens-record"].split(".")[1] == record.id
    assert visitor.granted() == set()
    made.store.close()


@pytest.mark.parametrize("at_once", [False, True])
def test_with_the_ledger_down_a_grant_fails_and_a_refusal_does_not(tmp_path: Path, at_once: bool) -> None:
    made = gateway(tmp_path, Down)
    made.store.at_once = at_once  # type: ignore[attr-defined]
    visitor = Visitor(made)
    reply = visitor.choose("answer=accept")
    assert reply.status == 503 and header(reply, "set-cookie") == [] and b"<h1>" in reply.body
    reply = visitor.choose(ACCEPT, kind=JSON)
    assert reply.status == 503 and header(reply, "set-cookie") == [] and json.loads(reply.body)["error"] == "not recorded"
    assert visitor.choose("answer=refuse").status == 303 and visitor.jar["volens"].endswith(".-")
    visitor.jar.clear()
    pairs = forged(Choice.accept_all(NOTICE, TODAY))
    reply = visitor.choose("answer=withdraw", [*SAME, *pairs])
    assert reply.status == 303 and cookies_of(reply)["volens"].endswith(".-") and cookies_of(reply)["__Host-volens-record"] == ""
    made.store.close()


def test_what_is_taken_away_in_part_is_so_at_once_while_the_ledger_is_held(made: Gateway, visitor: Visitor) -> None:
    """Another process holds the file: less is answered at once and recorded later; less of one thing and more of another is a grant."""
    visitor.choose("answer=switches&purposes=video&purposes=publicite")
    assert visitor.granted() == {"video", "publicite"}
    path = Path(made.store.path)  # type: ignore[attr-defined]
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    reply = visitor.choose("answer=switches&purposes=video")
    assert reply.status == 303 and visitor.granted() == {"video"}
    record = visitor.jar["__Host-volens-record"].split(".")[1]
    lock.execute("ROLLBACK")
    lock.close()
    made.store.close()
    again = gateway(path.parent)
    kept = again.store.record(record)
    assert kept is not None and (kept.event, kept.purposes["video"], kept.purposes["publicite"]) == ("changed", True, False)
    again.store.close()


@pytest.mark.parametrize("at_once", [False, True])
def test_with_the_ledger_and_its_folder_gone_less_still_holds_and_other_is_no_less(
    tmp_path: Path, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Aside, "keep", full)
    made = gateway(tmp_path, Down)
    made.store.at_once = at_once  # type: ignore[attr-defined]
    visitor = Visitor(made)
    visitor.jar = dict(pair.split("=", 1) for pair in forged(Choice.accept_all(NOTICE, TODAY))[0][1].decode().split("; "))
    everything = visitor.granted()
    assert visitor.choose("answer=switches&purposes=video").status == 303 and visitor.granted() == {"video"} < everything
    assert visitor.choose("answer=switches&purposes=publicite").status == 503 and visitor.granted() == {"video"}
    made.store.close()


# ---------------------------------------------------------------------------------------- forged and replayed


def allowed(made: Gateway, pairs: Pairs, **more: str) -> bool:
    return bool(made.visit(request("GET", "/a", pairs, **more)).grant.purposes)


def test_only_our_own_record_of_this_very_choice_on_this_site_grants(made: Gateway) -> None:
    choice = Choice.accept_all(NOTICE, TODAY)
    small = Choice(NOTICE.short, TODAY, frozenset({"video"}))
    good = forged(choice)
    assert allowed(made, good)
    assert allowed(made, forged(choice, (KEYS[1],))), "an older key still verifies"
    line = good[0][1]
    volens, record = line.split(b"; ")
    bad: dict[str, Pairs] = {
        "no record": [(b"cookie", volens)],
        "another key": forged(choice, (b"x" * 32,)),
        "another site": forged(choice, site="other.example"),
        "record of a smaller choice": [(b"cookie", volens + b"; " + forged(small)[0][1].split(b"; ")[1])],
        "another record id": [(b"cookie", volens + b"; " + record.replace(b"0" * 26, b"1" * 26))],
        "tag cut": [(b"cookie", volens + b"; " + record[:-1])],
        "tag changed": [(b"cookie", volens + b"; " + record[:-1] + (b"A" if record[-1:] != b"A" else b"B"))],
        "two choices": [(b"cookie", line + b"; volens=" + small.text().encode())],
        "two choices in two lines": [*good, (b"cookie", b"volens=" + small.text().encode())],
        "another day": [(b"cookie", line.replace(b"20261122", b"20261121"))],
        "the future": forged(replace(choice, day=TODAY + timedelta(days=40))),
        "expired": forged(replace(choice, day=TODAY - timedelta(days=300))),
        "another notice": forged(replace(choice, notice="0" * 16)),
        "not canonical": [(b"cookie", line.replace(b"volens=1.", b"volens=01."))],
        "spaces": [(b"cookie", line.replace(b"volens=1.", b'volens="1."'))],
        "binary": [(b"cookie", b"volens=\x00\xff; volens-record=\xff")],
        "eight kilobytes": [(b"cookie", b"volens=" + b"1" * 8192 + b"; " + record)],
        "case": [(b"cookie", line.replace(b"volens=", b"Volens="))],
    }
    assert {name for name, pairs in bad.items() if allowed(made, pairs)} == set()


def test_many_records_do_not_hide_the_true_one_and_cost_nothing(made: Gateway) -> None:
    choice = Choice.accept_all(NOTICE, TODAY)
    line = forged(choice)[0][1] + b"".join(b"; __Host-volens-record=1.%026d.%s" % (i, b"A" * 22) for i in range(200))
    assert made.visit(request("GET", "/a", [(b"cookie", line)])).grant.answered in (True, False)


def test_a_choice_alone_can_refuse_and_never_reaches_the_application(made: Gateway) -> None:
    visit = made.visit(request("GET", "/a", [(b"cookie", f"volens={Choice.refuse_all(NOTICE, TODAY).text()}; panier=1".encode())]))
    assert visit.grant.answered and not visit.grant.purposes
    assert [value for key, value in visit.forward if key == b"cookie"] == [b"panier=1"]


def test_another_site_s_grant_is_not_ours(tmp_path: Path) -> None:
    other = gateway(tmp_path, site=replace(SITE, name="other.example"))
    assert not allowed(other, forged(Choice.accept_all(NOTICE, TODAY)))
    other.store.close()


# ---------------------------------------------------------------------------------------- what is expired


def test_what_a_refusal_expires_is_bounded_and_rightly_placed(visitor: Visitor) -> None:
    visitor.jar = {f"vt_{i}": "x" for i in range(200)} | {"panier": "1", "unknown": "2"}
    lines = [line for line in header(visitor.choose("answer=refuse"), "set-cookie") if not line.startswith("volens")]
    assert sum(len(line) + len("set-cookie: ") for line in lines) <= 2048 + 12
    assert lines and all(re.fullmatch(r"vt_\d+=; Max-Age=0; Path=/[a-z]*(; Domain=[a-z.]+)?", line) for line in lines)
    assert not any(line.startswith(("panier", "unknown")) for line in lines)
    page = visitor.gateway.visit(request("GET", "/b/c/d", [(b"cookie", visitor.cookie()[0][1] + b"; vt_z=1")]))
    _, pairs, _ = page.whole(200, [(b"content-type", b"text/html")], b"<p>x")
    assert any(b"vt_" in value and b"Max-Age=0" in value for key, value in pairs if key == b"set-cookie"), "the rest with the next answers"


# ---------------------------------------------------------------------------------------- embeds, out, files

VIDEO = "https://video.example/v?a=1"


def frame(visitor: Visitor, u: str, more: str = "", pairs: Pairs = SAME, kind: str = "frame") -> Reply:
    return visitor.send("GET", f"/_volens/embed/{kind}?u={quote(u, safe='')}{more}", pairs)


@pytest.mark.parametrize(
    "u",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "blob:https://x/y",
        "",
        "about:blank",
        "file:///etc/passwd",
        "ftp://x/",
        "https://",
        "//",
        "https://a b/",
    ],
)
@pytest.mark.parametrize("where", ["/_volens/embed/frame?u=", "/_volens/embed/script?u=", "/_volens/out?u="])
def test_what_is_no_web_address_is_nothing(visitor: Visitor, where: str, u: str) -> None:
    if u in ("", "//") and "out" not in where:
        assert visitor.send("GET", where + quote(u, safe="")).status in (404,)
    assert visitor.send("GET", where + quote(u, safe="")).status == 404


@pytest.mark.parametrize(
    "u",
    [
        "https://a;script-src/x",
        "https://a,b/",
        "https://*/",
        "https://'self'/",
        "https://x%0d%0ay/",
        "https://u:p@video.example/",
        "http://127.0.0.1:9/",
        "http://[::1]/",
        f"https://{HOST}/a",
        "https://é.example/",
    ],
)
def test_no_address_writes_into_headers_or_markup(visitor: Visitor, u: str) -> None:
    for reply in (
        frame(visitor, u),
        frame(visitor, u, "&once=1"),
        frame(visitor, u, kind="script"),
        visitor.send("GET", f"/_volens/out?u={quote(u, safe='')}"),
    ):
        for key, value in reply.pairs:
            assert not re.search(rb"[\r\n\0]", key + value)
        policy = " ".join(header(reply, "content-security-policy"))
        assert policy.count("script-src") <= 1 and ";script" not in policy and "," not in policy and " * " not in policy
        assert b"u:p@" not in reply.body


def test_markup_in_an_address_stays_text(visitor: Visitor) -> None:
    for kind in ("frame", "script"):
        body = frame(
            visitor, 'https://video.example/"><script>x</script>', "&title=%22%3E%3Cscript%3E&data-x=%22%3E%3Cscript%3E", kind=kind
        ).body
        assert b"<script>" not in body


def test_a_frame_shows_who_it_is_until_it_is_allowed(visitor: Visitor) -> None:
    assert b"<iframe" not in frame(visitor, VIDEO).body and "VidéoTube" in frame(visitor, VIDEO).body.decode()
    visitor.choose("answer=switches&purposes=video&services=videotube")
    reply = frame(visitor, VIDEO)
    assert b"<iframe" in reply.body and b'src="https://video.example/v?a=1"' in reply.body
    policy = header(reply, "content-security-policy")[0]
    assert "frame-src *.video.example https://video.example video.example" in policy and "frame-ancestors 'self'" in policy


def test_just_this_one_needs_the_placeholder_s_own_press(visitor: Visitor, clock: Clock) -> None:
    """A page's markup, another origin, another address or an old press must not do what the visitor's press does."""
    own = "/_volens/embed/frame?u=" + quote(VIDEO, safe="")
    reply = visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], f"answer=once&back={quote(own, safe='')}".encode())
    target = header(reply, "location")[0]
    assert reply.status == 303 and re.fullmatch(re.escape(own) + "&once=[0-9a-f]{32}", target) and not header(reply, "set-cookie")
    assert b"<iframe" in visitor.send("GET", target, SAME).body
    for back in ("/", "/_volens/panel", "//elsewhere.example/_volens/embed/frame?u=x", target):
        body = f"answer=once&back={quote(back, safe='')}".encode()
        assert visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], body).status == 400, back
    assert b"<iframe" not in frame(visitor, VIDEO, "&once=1").body
    assert b"<iframe" not in frame(visitor, VIDEO, "&once=" + "0" * 32).body
    assert b"<iframe" not in visitor.send("GET", target.replace("v%3Fa%3D1", "other"), SAME).body
    for pairs in FOREIGN.values():
        if pairs != FOREIGN["empty"]:
            assert b"<iframe" not in visitor.send("GET", target, pairs).body
    clock.forward(hours=3)
    assert b"<iframe" not in visitor.send("GET", target, SAME).body
    assert visitor.jar == {}, "and nothing is stored"


def test_a_tracker_can_be_shown_but_never_silently(visitor: Visitor) -> None:
    reply = frame(visitor, "https://www.google-analytics.com/x")
    assert reply.status == 200 and b"<iframe" not in reply.body


def test_out_says_where_it_leads_and_sends_only_by_a_press(visitor: Visitor) -> None:
    reply = visitor.send(
        "POST", "/_volens/out?u=https%3A%2F%2Fbank.example%3A8443%2Fpay", [(b"content-type", FORM)], b"a=%22%3E%3Cscript%3E&b=2"
    )
    page = reply.body.decode()
    assert reply.status == 200 and header(reply, "location") == []
    assert 'action="https://bank.example:8443/pay"' in page and "<script>" not in page and 'name="b" value="2"' in page
    assert "form-action 'self' https://bank.example:8443;" in header(reply, "content-security-policy")[0] + ";"


def test_every_page_of_ours_is_its_own_fortress(visitor: Visitor) -> None:
    for target in (
        "/_volens/panel",
        "/_volens/policy",
        "/_volens/embed/frame?u=" + quote(VIDEO, safe=""),
        "/_volens/out?u=https%3A%2F%2Fx.example",
    ):
        reply = visitor.send("GET", target)
        policy = header(reply, "content-security-policy")[0]
        assert policy.startswith("default-src 'none'") and "frame-ancestors 'self'" in policy and "base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert header(reply, "cache-control") == ["no-store"] and header(reply, "x-content-type-options") == ["nosniff"]


def test_files_are_kept_for_ever_under_their_hash_only(made: Gateway, visitor: Visitor) -> None:
    for stem, name in made.assets.names.items():
        assert header(visitor.send("GET", f"/_volens/{name}"), "cache-control") == ["public, max-age=31536000, immutable"]
        assert header(visitor.send("GET", f"/_volens/{stem}.js"), "cache-control") == ["no-cache"]


@pytest.mark.parametrize(
    "target",
    [
        "/_volens/",
        "/_volens",
        "/_volens/x",
        "/_volens/../etc/passwd",
        "/_volens/%2e%2e/x",
        "/_volens/embed/",
        "/_volens/guard.ts",
        "/_volens/panel/",
        "/_volens/\xff",
    ],
)
def test_elsewhere_there_is_nothing(visitor: Visitor, target: str) -> None:
    assert visitor.send("GET", target).status == 404


# ---------------------------------------------------------------------------------------- gates


def test_a_closed_gate_says_what_to_allow_and_gives_back_what_was_typed(visitor: Visitor) -> None:
    reply = visitor.send("POST", "/comments?article=1", [(b"content-type", FORM), *SAME], b"text=Bonjour+%3Cb%3E&name=Zo%C3%A9")
    page = reply.body.decode()
    assert reply.status == 403 and "Bonjour &lt;b&gt;" in page and "Zoé" in page
    address = re.search(r'formaction="(/_volens/choice\?[^"]*answer=switches[^"]*)"', page)
    assert address is not None
    again = visitor.send("POST", address[1].replace("&amp;", "&"), [(b"content-type", FORM), *SAME], b"text=Bonjour")
    assert again.status == 307 and header(again, "location") == ["/comments?article=1"], "the same body, now with the grant"
    assert visitor.granted() == {"reseaux-sociaux"}
    assert not visitor.gateway.visit(request("POST", "/comments?article=1", visitor.cookie())).own


def test_a_closed_gate_of_a_page_opens_by_an_ordinary_answer(tmp_path: Path, clock: Clock) -> None:
    """No 307: it would ask for the page by POST, and most answer 405."""
    site = replace(SITE, gates=(Gate("/weather*", "reseaux-sociaux", frozenset()),))
    visitor = Visitor(gateway(tmp_path, site=site, now=clock))
    reply = visitor.send("GET", "/weather?d=1", [(b"accept", b"text/html"), *SAME])
    for address in re.findall(r'form(?:action|)="(/_volens/choice\?[^"]*)"', reply.body.decode()):
        answered = visitor.send("POST", address.replace("&amp;", "&"), [(b"content-type", FORM), *SAME], b"")
        assert (answered.status, header(answered, "location")) == (303, ["/weather?d=1"])
    assert reply.status == 403 and visitor.granted() == set(NOTICE.askable)


def test_a_gate_that_names_its_fields_gives_back_those_under_their_names(tmp_path: Path, clock: Clock) -> None:
    fields = {"text": {"fr": "Votre commentaire"}}
    visitor = Visitor(gateway(tmp_path, site=replace(SITE, gates=(replace(SITE.gates[0], fields=fields),)), now=clock))
    page = visitor.send("POST", "/comments", [(b"content-type", FORM), *SAME], b"article=pont-vieux&text=Bonjour").body.decode()
    assert "<b>Votre commentaire</b></p><blockquote>Bonjour</blockquote>" in page and "<blockquote>pont-vieux" not in page
    assert 'name="article" value="pont-vieux"' in page, "sent all the same"


def test_what_another_site_wrote_is_not_given_back_to_be_sent(visitor: Visitor) -> None:
    """Pressed on our page it would come from the site itself, past whatever the application asks of a form's origin."""
    there: Pairs = [(b"content-type", FORM), (b"sec-fetch-site", b"cross-site"), (b"origin", b"https://evil.example")]
    page = visitor.send("POST", "/comments", there, b"text=Buy&_method=delete").body.decode()
    assert "Buy" not in page and "_method" not in page and "sends=1" not in page and "answer=switches" in page
    own = next(host for host in SITE.hosts if not host.startswith("*"))
    friend: Pairs = [(b"content-type", FORM), (b"sec-fetch-site", b"cross-site"), (b"origin", f"https://{own}".encode())]
    assert "Bonjour" in visitor.send("POST", "/comments", friend, b"text=Bonjour").body.decode()


def test_a_gate_s_choice_is_taken_from_the_site_s_own_pages_only(visitor: Visitor) -> None:
    target = f"/_volens/choice?notice={NAMED}&answer=accept&surface=gate&back=/comments"
    for pairs in (*FOREIGN.values(), *UNSAID):
        assert header(visitor.send("POST", target, [(b"content-type", FORM), *pairs], b"x=y"), "set-cookie") == []


def test_a_program_is_told_in_json(visitor: Visitor) -> None:
    reply = visitor.send("POST", "/comments", [(b"accept", b"application/json")], b"{}")
    assert reply.status == 403 and json.loads(reply.body)["purpose"] == "reseaux-sociaux"


@pytest.mark.parametrize(
    "referrer",
    ["http://[", "//evil.example/x", f"https://{HOST}@evil.example/", "https://evil.example/", "\xff", f"https://{HOST}//evil.example"],
)
def test_a_hostile_referrer_is_no_way_back(visitor: Visitor, referrer: str) -> None:
    page = visitor.send("POST", "/comments", [(b"referer", referrer.encode("latin-1"))], b"").body
    assert b"evil.example" not in page


def test_the_addresses_of_one_subscriber_share_a_rate(made: Gateway) -> None:
    statuses = [Visitor(made, client=f"2001:db8:1:2::{n:x}").choose("answer=refuse").status for n in range(BURST + 1)]
    assert statuses[:BURST] == [303] * BURST and statuses[-1] == 429
    assert Visitor(made, client="2001:db8:1:3::1").choose("answer=refuse").status == 303
    assert Visitor(made, client="::ffff:192.0.2.9").choose("answer=refuse").status == 303


def test_one_grant_withdrawn_again_and_again_is_one_withdrawal(made: Gateway, visitor: Visitor) -> None:
    """Cookies kept aside are sent from anywhere: else one grant would fill the ledger, and the site's hook, for ever."""
    visitor.choose("answer=accept")
    kept = dict(visitor.jar)
    for n in range(6):
        again = Visitor(made, client=f"192.0.2.{n}")
        again.jar = dict(kept)
        again.jar["volens-audience"] = "0"  # who objects to being counted withdraws like anybody
        assert again.choose("answer=withdraw").status == 303 and "__Host-volens-record" not in again.jar
    made.store.close()
    assert total(gateway(Path(made.store.path).parent)) == {"given": 1, "withdrawn": 1}  # type: ignore[attr-defined]


def test_who_takes_back_a_part_is_held_up_by_no_flood(tmp_path: Path, clock: Clock) -> None:
    flooded = gateway(tmp_path, now=clock, site=replace(SITE, grants_a_minute=3))
    visitor = Visitor(flooded)
    visitor.choose("answer=accept")
    for n in range(5):
        Visitor(flooded, client=f"192.0.2.{n}").choose("answer=accept")
    kept = dict(visitor.jar)
    assert visitor.choose("answer=switches&purposes=video").status == 303 and visitor.granted() == {"video"}
    assert visitor.choose("answer=accept").status == 503 and visitor.granted() == {"video"}, "more is a grant"
    visitor.jar = kept
    assert visitor.choose("answer=switches&purposes=video").status == 503, "and the same step again is one too"
    flooded.store.close()


def test_a_flood_of_grants_from_everywhere_fills_no_ledger_and_stops_no_refusal(tmp_path: Path, clock: Clock) -> None:
    flooded = gateway(tmp_path, now=clock, site=replace(SITE, grants_a_minute=5))
    replies = [Visitor(flooded, client=f"192.0.2.{n}").choose("answer=accept") for n in range(12)]
    assert [reply.status for reply in replies] == [303] * 5 + [503] * 7
    assert all(not cookies_of(reply) and header(reply, "retry-after") for reply in replies[5:]), "nothing is half done"
    assert total(flooded) == {"given": 5}
    assert Visitor(flooded, client="192.0.2.99").choose("answer=refuse").status == 303
    flooded.store.close()


def test_the_cache_s_cookie_says_purposes_and_only_where_they_say_it_all(tmp_path: Path, clock: Clock) -> None:
    made = gateway(tmp_path, now=clock, site=replace(SITE, shared=True, shared_answers=True))
    visitor = Visitor(made)
    page = [(b"content-type", b"text/html"), (b"cache-control", b"public, max-age=60")]
    opened = [(b"accept", b"text/html"), (b"sec-fetch-dest", b"document")]

    def shared(*more: tuple[bytes, bytes]) -> bool:
        _, pairs, _ = made.visit(request("GET", "/a", [*visitor.cookie(), *opened, *more])).whole(200, page, b"<p>Le pont")
        return b"private" not in dict(pairs)[b"cache-control"]

    assert shared() and "__Host-volens-grant" not in visitor.jar, "none before a choice"
    reply = visitor.choose("answer=switches&purposes=video&purposes=publicite")
    (line,) = [line for line in header(reply, "set-cookie") if line.startswith("__Host-volens-grant=")]
    digits = "".join("01"[purpose in ("video", "publicite")] for purpose in NOTICE.askable)
    assert re.fullmatch(rf"__Host-volens-grant={digits}\.[0-9a-f]{{16}}; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure", line)
    assert shared() and not shared((b"sec-gpc", b"1"))
    kept = dict(visitor.jar)
    for change in (
        {"__Host-volens-grant": "1" * len(digits) + kept["__Host-volens-grant"][len(digits) :]},
        {"__Host-volens-grant": ""},
        {"__Host-volens-record": "x"},
    ):
        visitor.jar = {**kept, **change}
        assert not shared(), change
    visitor.jar = {**kept, "volens-age": "minor"}
    assert not shared()
    visitor.jar = {"__Host-volens-grant": kept["__Host-volens-grant"]}
    assert not shared() and visitor.granted() == set(), "it grants nothing"
    visitor.jar = {name: value for name, value in kept.items() if name == "__Host-volens-grant"}
    visitor.choose("answer=service&services=regie&surface=embed")
    assert "+regie" in visitor.jar["volens"] and "__Host-volens-grant" not in visitor.jar and not shared(), "a service alone is in no digit"
    visitor.choose("answer=refuse")
    assert visitor.jar["__Host-volens-grant"].startswith("0" * len(digits) + ".") and shared()
    visitor.send("POST", "/_volens/forget", [(b"content-type", FORM), *SAME], b"answer=forget")
    assert visitor.jar == {}
    plain = Visitor(gateway(tmp_path, now=clock, site=replace(SITE, shared=True)))
    plain.choose("answer=accept")
    assert "__Host-volens-grant" not in plain.jar, "only where the site asks for it"
    plain.gateway.store.close()
    made.store.close()


def test_a_flood_is_told_once_a_minute_with_its_size(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    flooded = gateway(tmp_path, now=clock, site=replace(SITE, grants_a_minute=1))

    def flood() -> list[str]:
        caplog.clear()
        for n in range(8):
            Visitor(flooded, client=f"192.0.2.{n}").choose("answer=accept")
        return [r.getMessage() for r in caplog.records if "grants a minute" in r.getMessage()]

    assert flood() == ["more than 1 grants a minute: 1 not recorded ([limits] grants_a_minute)."]
    assert flood() == []
    now += 61
    (line,) = flood()
    assert "minute: 15 not recorded" in line, "all since the last line"
    flooded.store.close()


# ---------------------------------------------------------------------------------------- the reference


def test_the_reference_names_every_path_that_is_answered(made: Gateway) -> None:
    text = (Path(__file__).parents[2] / "docs/reference/reserved-path.md").read_text("utf-8")
    rows = {
        path: methods for paths, methods in re.findall(r"^\| (`[^|]*) \| ([A-Z, ]+) \|", text, re.MULTILINE) for path in paths.split(", ")
    }
    endpoints = made.endpoints
    named = {
        f"`{path}`" for path in (*endpoints._routes, *(f"admin/{page}" for page in endpoints._admin._routes), "log/checkpoint", "log/keys")
    }
    patterns = {path for path in rows if re.search("[A-Z<]", path)}
    assert set(rows) - patterns == named | {"`admin/`"}
    for path in named:
        allowed = header(Visitor(made).send("DELETE", "/_volens/" + path.strip("`")), "allow")
        assert allowed == [rows[path].replace("GET", "GET, HEAD")], path
