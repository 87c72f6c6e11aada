"""``Volens-Consent`` and ``consent`` say the same, are complete, and are read in any language as the how-to shows."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volens_demo.consent import granted as read_by_the_demo

from tests.enforce.making import CATALOG, NOTICE, SITE, TODAY, UNDECIDED, granted
from tests.web.making import KEYS, Clock, environ_behind_wsgi, forged, scope_behind_asgi
from tests.web.receiver import WrongSignature, verified
from volens.choice import Choice
from volens.enforce.headers import MAX_CONSENT, consent_value, with_consent
from volens.ledger.sqlite import SqliteStore
from volens.notice import Service
from volens.policy import Grant
from volens.web.gateway import Gateway
from volens.web.hooks import signature
from volens.web.messages import Pairs

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests/vectors/consent-header.json").read_text("utf-8"))
GUIDE = (ROOT / "docs/how-to/profiles.md").read_text("utf-8")


def shown(language: str, holds: str) -> str:
    """The program in the how-to that holds this text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    return str(next(block for block in blocks if holds in block))


def by_node(program: str, cases: list[Any]) -> list[Any]:
    script = program + f"\nconst cases = {json.dumps(cases)};\nconsole.log(JSON.stringify(cases.map(run)));"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, timeout=30, check=True)
    return list(json.loads(done.stdout))


def by_python(header: str) -> set[str]:
    names: dict[str, Any] = {}
    exec(shown("python", "def volens_granted"), names)
    return set(names["volens_granted"](header))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: repr(v["header"]))
def test_the_header_is_read_in_python_as_the_guide_shows(vector: dict[str, Any]) -> None:
    assert by_python(vector["header"]) == set(vector["granted"])
    assert read_by_the_demo(vector["header"]) == set(vector["granted"])


def test_the_header_is_read_in_javascript_as_the_guide_shows() -> None:
    program = shown("js", "volensGranted") + "\nconst run = (header) => [...volensGranted(header)];"
    for vector, read in zip(VECTORS, by_node(program, [v["header"] for v in VECTORS]), strict=True):
        assert set(read) == set(vector["granted"]), vector


def test_php_reads_each_member_by_the_same_expression() -> None:
    """PHP's expressions are PCRE: this one means there what it means in Python."""
    php = re.search(r"preg_match\('/\^(.*)\$/D'", shown("php", "volens_allows"))
    python = re.search(r'fullmatch\(r"(.*?)", member', shown("python", "def volens_granted"))
    assert php and python and php[1] == python[1]


def test_node_verifies_as_the_guide_shows() -> None:
    secret = "whsec_c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M="
    body = '{"type":"consent.withdrawn","data":{"visitor":"é"}}'
    good = {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1000",
        "webhook-signature": signature([b"o" * 32, b"s" * 32], "evt_1", 1000, body.encode()),
    }
    cases = [
        [good, body, 1000],
        [good, body + " ", 1000],
        [good, body, 2000],
        [{**good, "webhook-id": "evt_2"}, body, 1000],
        [{**good, "webhook-signature": "v1,AAAA"}, body, 1000],
        [{}, body, 1000],
    ]
    program = shown("js", "timingSafeEqual") + f"\nconst run = ([h, b, now]) => genuine(h, b, {json.dumps(secret)}, now);"
    assert by_node(program, cases) == [True, False, False, False, False, False]

    def here(headers: dict[str, str], text: str, now: float) -> bool:
        try:
            verified(headers, text.encode(), secret, now)
        except (WrongSignature, KeyError):
            return False
        return True

    assert [here(*case) for case in cases] == by_node(program, cases), "two readers of one specification"  # type: ignore[arg-type]


# ------------------------------------------------------------------------ complete

ids = [p.id for p in NOTICE.purposes] + [s.id for s in NOTICE.services]


@given(st.sets(st.sampled_from(NOTICE.askable)), st.sets(st.sampled_from([s.id for s in NOTICE.services_asked])))
def test_the_header_names_each_purpose_and_each_service_that_may_act(purposes: set[str], services: set[str]) -> None:
    grant = granted(*purposes, services=services)
    header = consent_value(grant).decode()
    assert by_python(header) == {id for id in ids if grant.allows(id)}
    assert [member.partition("=")[0] for member in header.split(", ")][: len(NOTICE.purposes)] == [p.id for p in NOTICE.purposes]
    assert by_python(header) >= purposes | {"technique"}


def test_what_the_notice_does_not_know_is_not_granted() -> None:
    assert not granted(*NOTICE.askable).allows("nobody") and not UNDECIDED.allows("video")
    assert granted("video").allows("videotube") and not granted("video").allows("reseau")
    assert "nobody" not in by_python(consent_value(granted(*NOTICE.askable)).decode())


def test_too_many_services_leave_the_header_short_and_grant_nothing_in_it() -> None:
    many = replace(NOTICE, services=tuple(Service(f"partner-{n:04}-of-a-very-long-list", "P", ("video",)) for n in range(200)))
    grant = granted("video", notice=many)
    header = consent_value(grant)
    assert len(header) < MAX_CONSENT and by_python(header.decode()) == {"technique", "video"}
    assert grant.allows("partner-0001-of-a-very-long-list"), "in Python nothing is left out"


# ------------------------------------------------------------------------ the same in both faces

STATES: dict[str, list[tuple[bytes, bytes]]] = {
    "no choice": [],
    "damaged": [(b"cookie", b"volens=1.x.y")],
    "forged header": [(b"volens-consent", b"video"), (b"volens_consent", b"video"), (b"Volens-Consent", b"personnalisation")],
    "not proven": [(b"cookie", f"volens={Choice.accept_all(NOTICE, TODAY).text()}".encode())],
    "another key": forged(Choice.accept_all(NOTICE, TODAY), (b"x" * 32,)),
    "refused": [(b"cookie", f"volens={Choice.refuse_all(NOTICE, TODAY).text()}".encode())],
    "one": forged(Choice(NOTICE.short, TODAY, frozenset({"personnalisation"}))),
    "one service": forged(Choice(NOTICE.short, TODAY, frozenset(), frozenset({"videotube"}))),
    "all": forged(Choice.accept_all(NOTICE, TODAY)),
}
OPEN = {"one": {"personnalisation"}, "one service": {"videotube"}, "all": {*NOTICE.askable, *(s.id for s in NOTICE.services)}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    built = Gateway(SITE, CATALOG, SqliteStore(tmp_path_factory.mktemp("consent") / "ledger.db"), KEYS, now=Clock())
    yield built
    built.close()


def in_asgi(made: Gateway, pairs: Pairs) -> tuple[list[str], Grant]:
    seen = scope_behind_asgi(made, pairs)
    return [v.decode() for k, v in seen["headers"] if k.lower().replace(b"_", b"-") == b"volens-consent"], seen["consent"]


def in_wsgi(made: Gateway, pairs: Pairs) -> tuple[list[str], Grant]:
    seen = environ_behind_wsgi(made, {"HTTP_" + k.decode().upper().replace("-", "_"): v.decode() for k, v in pairs})
    return [v for k, v in seen.items() if k.replace("-", "_") == "HTTP_VOLENS_CONSENT"], seen["consent"]


@pytest.mark.parametrize("state", STATES)
def test_application_and_header_are_told_the_same_in_both_faces(made: Gateway, state: str) -> None:
    faces: list[Callable[..., tuple[list[str], Grant]]] = [in_asgi, in_wsgi]
    told = [face(made, STATES[state]) for face in faces]
    for headers, consent in told:
        assert len(headers) == 1, "one, and ours"
        assert by_python(headers[0]) == {id for id in ids if consent.allows(id)} == OPEN.get(state, set()) | {"technique"}
        assert not consent.allows("nobody")
    assert told[0][0] == told[1][0] and told[0][1].key == told[1][1].key


def test_a_path_left_alone_is_told_too_and_cannot_be_lied_to(tmp_path: Path) -> None:
    left = Gateway(replace(SITE, leave=("/a",)), CATALOG, SqliteStore(tmp_path / "ledger.db"), KEYS, now=Clock())
    for face in (in_asgi, in_wsgi):
        assert face(left, STATES["forged header"])[0] == [consent_value(UNDECIDED).decode()]
    left.close()


def test_a_client_s_own_header_goes_in_any_spelling() -> None:
    pairs = [(b"Volens_Consent", b"video"), (b"VOLENS-CONSENT", b"video"), (b"accept", b"*/*")]
    assert with_consent(pairs, UNDECIDED) == [(b"accept", b"*/*"), (b"volens-consent", consent_value(UNDECIDED))]
