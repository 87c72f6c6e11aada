"""The Content-Security-Policy: what of the site's is widened, case by case, and what ours says."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.enforce.making import ACCEPTED, HOST, NOTICE, OPEN, OPEN_SITE, REFUSED, SITE, exchange, granted, header, hosts
from volens.enforce import csp
from volens.enforce.csp import Needs, hash_source, nonce_of, ours, parse, serialize, widen
from volens.enforce.headers import Pairs
from volens.enforce.html import Seen
from volens.notice import Service

H, S = hash_source("guard()"), hash_source("p{color:red}")
ALL = Needs(H, S, True)

CASES: dict[str, tuple[str, Needs, str, str]] = {
    "nothing restricted": ("upgrade-insecure-requests", ALL, "", "upgrade-insecure-requests"),
    "already allowed by hash": (f"script-src {H}; form-action 'self'", Needs(H), "", f"script-src {H}; form-action 'self'"),
    "unsafe-inline in effect": ("script-src 'self' 'unsafe-inline'", Needs(H), "", "script-src 'self' 'unsafe-inline'"),
    "unsafe-inline switched off by a nonce": (
        "script-src 'unsafe-inline' 'nonce-abc'",
        Needs(H),
        "",
        f"script-src 'unsafe-inline' 'nonce-abc' {H}",
    ),
    "unsafe-inline switched off by strict-dynamic": (
        "script-src 'unsafe-inline' 'strict-dynamic'",
        Needs(H),
        "",
        f"script-src 'unsafe-inline' 'strict-dynamic' {H}",
    ),
    "unsafe-inline switched off by a hash": (
        "style-src 'unsafe-inline' 'sha256-AA='",
        Needs("", S),
        "",
        f"style-src 'unsafe-inline' 'sha256-AA=' {S}",
    ),
    "nonce reused": ("script-src 'nonce-abc'; style-src 'nonce-abc'", Needs(H, S), "abc", "script-src 'nonce-abc'; style-src 'nonce-abc'"),
    "hash to script-src": ("script-src 'self'", Needs(H), "", f"script-src 'self' {H}"),
    "hash to script-src-elem": (
        "script-src 'self'; script-src-elem 'self'",
        Needs(H),
        "",
        f"script-src 'self'; script-src-elem 'self' {H}",
    ),
    "hash on a copy of default-src": (
        "default-src 'self' a.example",
        Needs(H),
        "",
        f"default-src 'self' a.example; script-src 'self' a.example {H}",
    ),
    "none gives way": ("script-src 'none'", Needs(H), "", f"script-src {H}"),
    "none in default-src": ("default-src 'none'", ALL, "", f"default-src 'none'; script-src {H}; style-src {S}; frame-src 'self'"),
    "style to style-src-elem": (
        "style-src-elem 'self'; style-src 'none'",
        Needs("", S),
        "",
        f"style-src-elem 'self' {S}; style-src 'none'",
    ),
    "form-action": ("form-action https://pay.example", Needs(H), "", "form-action https://pay.example 'self'"),
    "form-action none": ("form-action 'none'", Needs(H), "", "form-action 'self'"),
    "form-action self": ("form-action 'SELF'", Needs(H), "", "form-action 'SELF'"),
    "frame-src with placeholders": ("frame-src a.example", Needs(frame=True), "", "frame-src a.example 'self'"),
    "frame-src without": ("frame-src a.example", Needs(), "", "frame-src a.example"),
    "child-src": ("child-src a.example", Needs(frame=True), "", "child-src a.example 'self'"),
    "any frame": ("frame-src *", Needs(frame=True), "", "frame-src *"),
    "trusted-types": ("trusted-types a b", Needs(H), "", "trusted-types a b volens"),
    "trusted-types none": ("trusted-types 'none'", Needs(H), "", "trusted-types volens"),
    "trusted-types any": ("trusted-types *", Needs(H), "", "trusted-types *"),
    "report-uri to a tracker": ("img-src x; report-uri /own https://tracker.example/r", Needs(), "", "img-src x; report-uri /own"),
    "only a report-uri to a tracker": ("img-src x; report-uri https://tracker.example/r", Needs(), "", "img-src x"),
    "the first of a name counts": ("script-src 'self'; SCRIPT-SRC 'unsafe-inline'", Needs(H), "", f"script-src 'self' {H}"),
    "an unknown directive stays": ("x-y z; script-src a", Needs(H), "", f"x-y z; script-src a {H}"),
    "an empty directive": ("script-src", Needs(H), "", f"script-src {H}"),
}


@pytest.mark.parametrize(("policy", "needs", "nonce", "expected"), CASES.values(), ids=CASES.keys())
def test_a_site_s_policy_is_widened_by_what_we_need_and_no_more(policy: str, needs: Needs, nonce: str, expected: str) -> None:
    assert widen(policy, needs, nonce, lambda url: "tracker.example" in url) == expected


@pytest.mark.parametrize(("policy", "needs", "nonce", "expected"), CASES.values(), ids=CASES.keys())
def test_widening_again_changes_nothing(policy: str, needs: Needs, nonce: str, expected: str) -> None:
    assert widen(expected, needs, nonce, lambda url: "tracker.example" in url) == expected


def test_a_nonce_serves_only_where_every_policy_that_restricts_knows_it() -> None:
    assert nonce_of(["script-src 'nonce-abc'"]) == "abc"
    assert nonce_of(["script-src 'nonce-abc'", "img-src x"]) == "abc"
    assert nonce_of(["script-src 'nonce-abc'", "script-src 'unsafe-inline'"]) == "abc"
    assert nonce_of(["script-src 'nonce-abc'", "default-src 'nonce-abc' 'nonce-x'"]) == "abc"
    assert nonce_of(["script-src 'nonce-abc'", "script-src 'self'"]) == ""
    assert nonce_of(["script-src 'nonce-abc'", "script-src 'nonce-x'"]) == ""
    assert nonce_of([]) == ""


def page_policies(*values: str, body: str = "<html><head></head><body>", report: str = "") -> tuple[list[str], str]:
    pairs: Pairs = [(b"content-type", b"text/html"), *((b"content-security-policy", value.encode()) for value in values)]
    if report:
        pairs.append((b"content-security-policy-report-only", report.encode()))
    _, out, made = exchange().whole(200, pairs, body.encode())
    return [value.decode() for value in header(out, b"content-security-policy")], made.decode()


def test_several_policies_in_one_header_and_in_several_are_each_widened_and_ours_is_beside_them() -> None:
    found, _ = page_policies("script-src 'self', default-src 'none'", "script-src-elem a.example")
    assert len(found) == 3
    assert found[0].startswith(f"script-src 'self' {H}, default-src 'none'; script-src {H}")
    assert found[1].startswith(f"script-src-elem a.example {H}")
    assert found[2].startswith("default-src 'self'")


def test_the_site_s_nonce_stands_on_our_script_and_style() -> None:
    found, made = page_policies("script-src 'nonce-a+b/c='; style-src 'nonce-a+b/c='")
    assert found[0] == "script-src 'nonce-a+b/c='; style-src 'nonce-a+b/c='"
    assert "<script data-volens=" in made and made.count("nonce='a+b/c='") == 2


@pytest.mark.parametrize("nonce", ["a'b", 'a"b', "<b>", "a,b"])
def test_a_nonce_that_could_leave_its_attribute_is_not_used(nonce: str) -> None:
    _, made = page_policies(f"script-src 'nonce-{nonce}'")
    assert f"nonce='{nonce}" not in made


def test_reports_of_a_report_only_policy_to_third_parties_go_with_it() -> None:
    _, out, _ = exchange().whole(
        200,
        [
            (b"content-type", b"text/html"),
            (b"content-security-policy-report-only", b"script-src x; report-uri //www.google-analytics.com/r"),
        ],
        b"<p>",
    )
    assert header(out, b"content-security-policy-report-only") == []


def test_a_policy_in_the_markup_is_widened_too() -> None:
    _, made = page_policies(
        body="<head><meta http-equiv=\"Content-Security-Policy\" content=\"script-src 'self'; style-src 'none'\"></head><body>"
    )
    assert H in made[made.index("<meta") :] and S in made[made.index("<meta") :]


# ---------------------------------------------------------------------------------------- ours


def used(**kinds: list[str]) -> Seen:
    return Seen(used={kind: set(names) for kind, names in kinds.items()})


def directives(policy: str) -> dict[str, list[str]]:
    return dict(parse(policy))


def test_ours_names_the_site_s_own_hosts_and_what_the_markup_may_use() -> None:
    policy = directives(ours(hosts(), used(image=["img.example"], style=["css.example"], font=["font.example"], media=["media.example"])))
    assert policy["default-src"][0] == "'self'"
    assert HOST in policy["default-src"] and "*.site.example" in policy["default-src"]
    assert "img.example" in policy["img-src"] and "css.example" in policy["style-src"]
    assert "font.example" in policy["font-src"] and "media.example" in policy["media-src"]
    assert not {"img.example", "css.example"} & set(policy["default-src"])
    assert "script-src" not in policy


def test_granted_services_are_in_ours_and_refused_ones_are_not() -> None:
    assert "video.example" in ours(hosts(granted("video")), Seen())
    assert "video.example" not in ours(hosts(REFUSED), Seen())


def test_there_is_none_where_everything_may_be_contacted() -> None:
    assert ours(hosts(OPEN, OPEN_SITE), Seen()) == ""
    assert ours(hosts(ACCEPTED), Seen()) == "", "an open chain, granted"


@pytest.mark.parametrize("kind", ["image", "style", "font", "media", "script"])
def test_five_hundred_hosts_stay_under_four_kilobytes_and_the_site_s_own_is_always_allowed(kind: str) -> None:
    seen = used(**{kind: [f"host-{index}.number-{index}.example" for index in range(500)]})
    count = {name: len(found) for name, found in seen.used.items()}
    policy = ours(hosts(), seen)
    assert len(policy) < 4096
    for name, sources in parse(policy):
        assert sources[0] == "'self'", name
    assert {name: len(found) for name, found in seen.used.items()} == count, "what was seen is told to the operator whole"


def test_five_hundred_services_stay_under_four_kilobytes() -> None:
    services = tuple(Service(f"s{i}", f"S{i}", ("video",), (f"cdn-{i}.service-{i}.example",)) for i in range(500))
    notice = replace(NOTICE, services=services)
    policy = ours(hosts(granted("video", notice=notice), replace(SITE, notice=notice)), Seen())
    assert len(policy) < 4096 and directives(policy)["default-src"][0] == "'self'"


def test_on_a_port_of_its_own_a_site_s_hosts_are_allowed_on_any() -> None:
    sources = directives(ours(hosts(), Seen(), "8000"))["default-src"]
    assert f"{HOST}:*" in sources and "*.site.example:*" in sources
    assert HOST not in sources
    assert directives(ours(hosts(), used(image=["img.example:8443"])))["img-src"].count("img.example:8443") == 1


@given(st.lists(st.text("abc.-_:;,*' \r\n\x00é", max_size=12), max_size=6))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_reference_in_a_page_can_write_a_directive_of_its_own(names: list[str]) -> None:
    page = "".join(f'<img src="https://{name}/x"><link rel=icon href="//{name}">' for name in names)
    _, out, _ = exchange().whole(200, [(b"content-type", b"text/html")], f"<html><head></head><body>{page}".encode())
    for value in header(out, b"content-security-policy"):
        assert re.fullmatch(rb"[\x20-\x7e]+", value)
        assert {name for name, _ in parse(value.decode())} <= {"default-src", "img-src", "style-src", "font-src", "media-src"}
        assert b"," not in value and b" * " not in value


@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(["script-src", "default-src", "'none'", "'self'", ";", " ", "'unsafe-inline'", "'nonce-a'", "frame-src", "*"]),
        max_size=14,
    ).map(" ".join)
)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_any_policy_is_read_and_written_without_an_error_and_lets_our_script_run(policy: str) -> None:
    made = widen(policy, ALL, "")
    assert parse(serialize(parse(policy))) == parse(policy)
    found = csp._effective(parse(made), "script-src-elem")
    assert found is None or H in found[1] or csp._inline(found[1])
    before = csp._effective(parse(policy), "script-src-elem")
    if before is not None and found is not None:
        assert set(found[1]) <= set(before[1]) | {H}, "no more than our bytes need"


def test_a_socket_of_a_host_that_is_allowed_opens() -> None:
    """A host without a scheme is not one of a socket's (CSP3 §6.7.2.9); ws: covers wss: by §6.7.2.8."""
    assert "ws://video.example" in directives(ours(hosts(granted("video")), Seen()))["default-src"]
    assert "video.example" not in ours(hosts(REFUSED), Seen())
    assert f"ws://*.{HOST.removeprefix('www.')}:*" in directives(ours(hosts(), Seen(), "8000"))["default-src"]
    assert "ws:" not in directives(ours(hosts(), Seen()))["default-src"]


def test_what_stood_in_the_pages_of_one_visitor_is_not_allowed_to_another() -> None:
    """Hosts of images are learnt for pages that cannot be searched; an agreement is not learnt."""
    learnt = {"img.example", "video.example", "video.example:8443"}
    assert "video.example" not in ours(hosts(REFUSED), Seen(), learnt=learnt)
    assert "img.example" in directives(ours(hosts(REFUSED), Seen(), learnt=learnt))["img-src"]
    assert "video.example:8443" in directives(ours(hosts(granted("video")), Seen(), learnt=learnt))["img-src"]
