"""What of a request is counted, and what never leaves it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audience.making import BROWSER, CHROME, GOOGLEBOT, OLD, PHONE, fields
from tests.enforce.making import HOST, SITE
from volens.audience import view
from volens.audience.view import HERE, NONE, OTHER, View, objects, read
from volens.site import Audience

PLAIN = Audience()
IPAD = b"Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 Mobile/15E148 Safari/604.1"
GALAXY_TAB = b"Mozilla/5.0 (Linux; Android 14; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
PIXEL = b"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36"
CUBOT = b"Mozilla/5.0 (Linux; Android 11; CUBOT X50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"


def seen(
    target: bytes = b"/a", pairs: list[tuple[bytes, bytes]] | None = None, method: str = "GET", audience: Audience = PLAIN
) -> View | None:
    return read(method, target, fields() if pairs is None else pairs, HOST, SITE.hosts, audience)


def test_a_page_opened_is_a_view() -> None:
    assert seen() == View("/a", NONE, "fr", "desktop")
    assert seen(pairs=fields(OLD, user_agent=PHONE)) == View("/a", NONE, "fr", "phone")


@pytest.mark.parametrize(
    ("why", "changed", "method"),
    [
        ("HEAD", {}, "HEAD"),
        ("POST", {}, "POST"),
        ("a frame", {"sec_fetch_dest": b"iframe"}, "GET"),
        ("an object", {"sec_fetch_dest": b"object"}, "GET"),
        ("a script's fetch", {"sec_fetch_dest": b"empty", "sec_fetch_mode": b"cors"}, "GET"),
        ("an image", {"sec_fetch_dest": b"image", "sec_fetch_mode": b"no-cors"}, "GET"),
        ("a prefetch", {"sec_purpose": b"prefetch"}, "GET"),
        ("a prerender", {"sec_purpose": b"prefetch;prerender"}, "GET"),
        ("an older prefetch", {"purpose": b"prefetch"}, "GET"),
        ("a prefetch of Firefox", {"x_moz": b"prefetch"}, "GET"),
        ("a preview", {"x_purpose": b"preview"}, "GET"),
        ("an objection", {"cookie": b"a=b; volens-audience=0"}, "GET"),
        ("an objection of any value", {"cookie": b"volens-audience="}, "GET"),
        ("Do Not Track", {"dnt": b"1"}, "GET"),
    ],
)
def test_what_is_no_view(why: str, changed: dict[str, bytes], method: str) -> None:
    assert seen(pairs=fields(**changed), method=method) is None


@pytest.mark.parametrize(
    "changed", [{"accept": b"application/json"}, {"accept": None}, {"accept": b"*/*"}, {"x_requested_with": b"XMLHttpRequest"}]
)
def test_without_fetch_metadata_a_view_asks_for_html(changed: dict[str, bytes | None]) -> None:
    assert seen(pairs=fields(OLD, **changed)) is None


def test_gpc_is_about_selling_and_sharing_and_does_not_object() -> None:
    assert seen(pairs=fields(sec_gpc=b"1")) is not None
    assert objects([], []) == "" and objects([], [b"1"]) == "dnt" and objects([], [b"0"]) == ""
    assert objects([b"x=1; volens-audience=0"], [b"1"]) == "cookie"
    assert objects([b"not-volens-audience=0; x=volens-audience=0"], []) == ""


@pytest.mark.parametrize(
    ("agent", "more", "device"),
    [
        (CHROME, {}, "desktop"),
        (PIXEL, {}, "phone"),
        (CHROME, {"sec_ch_ua_mobile": b"?1"}, "phone"),
        (GALAXY_TAB, {"sec_ch_ua_platform": b'"Android"'}, "tablet"),
        (GALAXY_TAB, {"sec_ch_ua_mobile": None}, "tablet"),
        (IPAD, {"sec_ch_ua_mobile": None}, "tablet"),
        (PHONE, {"sec_ch_ua_mobile": None}, "phone"),
        (CUBOT, {"sec_ch_ua_mobile": None}, "phone"),
        (GOOGLEBOT, {}, "bot"),
        (b"curl/8.5.0", {}, "bot"),
        (b"python-requests/2.32", {}, "bot"),
        (b"facebookexternalhit/1.1", {}, "bot"),
        (b"Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/150.0", {}, "bot"),
        (b"", {}, "bot"),
        (None, {}, "bot"),
    ],
)
def test_the_class_of_device(agent: bytes | None, more: dict[str, bytes | None], device: str) -> None:
    found = seen(pairs=fields(user_agent=agent, **more))
    assert found is not None and found.device == device


def test_a_robot_need_not_ask_as_a_browser_does() -> None:
    found = seen(pairs=[(b"User-Agent", b"curl/8.5.0"), (b"Accept", b"*/*")])
    assert found is not None and found.device == "bot"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"https://www.google.com/search?q=maladie", "www.google.com"),
        (b"HTTPS://Duckduckgo.COM", "duckduckgo.com"),
        (b"https://user:secret@forum.example:8443/a", "forum.example"),
        (f"https://{HOST}/autre".encode(), HERE),
        (b"https://static.site.example/x", HERE),
        (None, NONE),
        (b"", NONE),
        (b"http://192.0.2.7/", OTHER),
        (b"http://[2001:db8::1]/", OTHER),
        (b"http://poste-de-marie/", OTHER),
        (b"android-app://com.example/", OTHER),
        (b"javascript:alert(1)", OTHER),
        (b"https://" + b"a" * 200 + b".example/", OTHER),
        (b"https://caf\xc3\xa9.example/", OTHER),
    ],
)
def test_of_a_referrer_the_host_alone(said: bytes | None, kept: str) -> None:
    found = seen(pairs=fields(referer=said))
    assert found is not None and found.referrer == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [(b"de-CH,de;q=0.9", "de"), (b"FR", "fr"), (b"", NONE), (None, NONE), (b"*", OTHER), (b"x" * 99, OTHER), (b"gsw", "gsw")],
)
def test_of_the_languages_the_first_without_its_region(said: bytes | None, kept: str) -> None:
    found = seen(pairs=fields(accept_language=said))
    assert found is not None and found.language == kept


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        (b"/a?email=marie@example.org", "/a"),
        (b"/a#b", "/a"),
        (b"/%C3%A9t%C3%A9", "/été"),
        (b"/\xc3\xa9t\xc3\xa9", "/été"),
        (b"/a;jsessionid=0123456789/b;c=d", "/a/b"),
        (b"/membre/marie@example.org/x", "/membre/*/x"),
        (b"/membre/marie%40example.org", "/membre/*"),
        (b"/membre/marie%2540example.org", "/membre/*"),
        (b"/lien/550e8400-e29b-41d4-a716-446655440000", "/lien/*"),
        (b"/mdp/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "/mdp/*"),
        (b"/mdp/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0", "/mdp/*"),
        (
            b"/2026/11/22/le-pont-vieux-rouvre-apres-trois-ans-de-travaux-1234567",
            "/2026/11/22/le-pont-vieux-rouvre-apres-trois-ans-de-travaux-1234567",
        ),
        (b"/a%0Ab\x00", "/a\ufffdb\ufffd"),
        (b"*", OTHER),
        (b"/" + b"x" * 9000, "/" + "x" * 198 + "…"),
    ],
)
def test_of_a_path_what_names_nobody(target: bytes, kept: str) -> None:
    found = seen(target)
    assert found is not None and found.path == kept


def test_paths_that_name_a_person_are_counted_as_one() -> None:
    merged = Audience(merge=("/compte/*", "/c/*/lettre"))
    for target, kept in ((b"/compte/marie", "/compte/*"), (b"/c/1/lettre", "/c/*/lettre"), (b"/comptes", "/comptes")):
        found = seen(target, audience=merged)
        assert found is not None and found.path == kept


@given(
    st.sampled_from(["GET", "HEAD", ""]),
    st.binary(max_size=400),
    st.lists(st.tuples(st.sampled_from([*BROWSER, b"referer", b"dnt", b"cookie", b"sec-purpose"]), st.binary(max_size=300)), max_size=10),
)
def test_no_request_however_odd_raises_or_is_kept_long(method: str, target: bytes, pairs: list[tuple[bytes, bytes]]) -> None:
    found = read(method, target, pairs, HOST, SITE.hosts, Audience(merge=("/*x*y*z*",)))
    if found is not None:
        assert len(found.path) <= view.LONGEST and len(found.referrer) <= 100 and len(found.language) <= 7
        assert found.device in view.DEVICES and found.path.isprintable()


def test_no_header_of_any_length_is_remembered_whole() -> None:
    """What is remembered of a browser is its class; hints of 64 kB each would fill the memory."""
    view.device.cache_clear()
    for end in (b"1", b"2"):
        pairs = [*fields(), (b"sec-ch-ua-platform", b"x" * 60_000 + end)]
        assert read("GET", b"/", pairs, HOST, SITE.hosts, Audience()) is not None
    assert view.device.cache_info().currsize == 1
