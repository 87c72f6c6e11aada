"""Headers: what of a request the application may read, what of an answer a browser may obey; never an error, never a line of another's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.enforce.making import CATALOG, HOST, OPEN, OPEN_SITE, PAGE, REFUSED, SITE, UNDECIDED, granted, header, hosts
from volens.enforce import headers
from volens.enforce.headers import Pairs
from volens.enforce.storage import Storage
from volens.policy import Grant
from volens.site import Site

GA = "https://www.google-analytics.com"


def storage(grant: Grant = REFUSED) -> Storage:
    return Storage(SITE, grant, CATALOG)


def answer(name: str, value: str, grant: Grant = REFUSED, site: Site = SITE) -> list[bytes]:
    return header(headers.from_application([(name.encode(), value.encode("latin-1"))], hosts(grant, site), PAGE), name.lower().encode())


# ---------------------------------------------------------------------------------------- Link, Refresh, reports


@pytest.mark.parametrize(
    "value",
    [
        f"<{GA}/>; rel=preconnect",
        f"<{GA}/>; rel='preconnect'; x",
        f'<{GA}/>;REL="DNS-Prefetch"',
        f'<{GA}/x>; as=script; rel="preload nofollow"',
        f'<{GA}/x>; rel="pre\\connect"',
        f'</a.jpg>; rel=preload; as=image; imagesrcset="/b.jpg, {GA}/x 2x"',
        "<//www.google-analytics.com/>; rel=preconnect",
        "<\\\\www.google-analytics.com/>; rel=preconnect",
        "<https://www.google-analytics。com/>; rel=preconnect".encode().decode("latin-1"),
        "<https://a;b/>; rel=preconnect",
        f"< {GA}/x >;rel=stylesheet",
        f"<{GA}/x>;rel=icon",
        f"<{GA}/x>; rel=manifest",
        f'<{GA}/x>; title="a,b;c"; rel=prefetch',
        "<https://unknown.example/x>; rel=modulepreload",
    ],
)
def test_a_link_that_would_contact_a_host_not_allowed_is_dropped(value: str) -> None:
    assert answer("Link", value) in ([], [value.encode("latin-1")] if "rel='" in value else [])
    both = answer("Link", f"</own.css>; rel=preload; as=style, {value}, </b>; rel=next")
    assert all(b"google" not in left or b"rel='" in left for left in both)
    assert both and both[0].startswith(b"</own.css>; rel=preload; as=style")


@pytest.mark.parametrize(
    "value", ["</a>; rel=preload", f"<{GA}/>; rel=canonical", '</a>; rel="next"; title="a, b"', "<b>, <c>; rel=prefetch"]
)
def test_links_that_contact_nobody_else_stay_as_they_are(value: str) -> None:
    assert answer("Link", value) == [value.encode()]


@pytest.mark.parametrize(
    "value", [f"0;url={GA}/x", f"5; URL='{GA}/x'", f"0 {GA}", f"0,{GA}", f"0;url='{GA}'.{HOST}/", ";URL=//www.google-analytics.com"]
)
def test_a_refresh_to_a_tracker_is_dropped(value: str) -> None:
    assert answer("Refresh", value) == []


@pytest.mark.parametrize("value", ["5", "0;url=/next", f"0;url=https://{HOST}/", "3; https://unknown.example/"])
def test_other_refreshes_stay(value: str) -> None:
    assert answer("Refresh", value) == [value.encode()]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEL", '{"report_to":"a","max_age":1}'),
        ("Report-To", f'{{"group":"a","endpoints":[{{"url":"{GA}/r"}}]}}'),
        ("Report-To", '{"endpoints":[{"url":"https:\\/\\/www.google-analytics.com\\/r"}]}'),
        ("Reporting-Endpoints", f'a="{GA}/r"'),
        ("Reporting-Endpoints", 'a="//www.google-analytics.com/r"'),
        ("Reporting-Endpoints", 'a="http:www.google-analytics.com/r"'),
        ("Speculation-Rules", '"/rules.json"'),
        ("Content-Security-Policy-Report-Only", f"default-src 'self'; report-uri {GA}/r"),
        ("Attribution-Reporting-Register-Source", "{}"),
        ("Observe-Browsing-Topics", "?1"),
        ("Use-As-Dictionary", 'match="/*"'),
    ],
)
def test_what_reports_or_speculates_to_others_is_dropped(name: str, value: str) -> None:
    assert answer(name, value) == []
    assert answer(name, value, OPEN, OPEN_SITE) == [value.encode()]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Reporting-Endpoints", 'a="/reports", b="https://www.site.example/r"'),
        ("Content-Security-Policy-Report-Only", "default-src 'self'; report-uri /r"),
        ("X-Anything", GA),
        ("Content-Type", "text/html"),
    ],
)
def test_what_stays_at_home_stays(name: str, value: str) -> None:
    assert answer(name, value) == [value.encode()]


def test_geolocation_is_off_until_it_is_granted() -> None:
    assert any(b"geolocation=()" in value for value in answer("Permissions-Policy", "camera=()"))
    assert not any(b"geolocation=()" in value for value in answer("Permissions-Policy", "camera=()", granted("geolocalisation")))


# ---------------------------------------------------------------------------------------- Set-Cookie and Cookie


def set_cookies(*values: str, grant: Grant = REFUSED) -> list[bytes]:
    pairs: Pairs = [(b"Set-Cookie", value.encode("latin-1")) for value in values]
    return header(headers.filter_set_cookies(pairs, storage(grant), lambda name: None), b"set-cookie")


def test_only_what_is_allowed_is_set() -> None:
    assert set_cookies("panier=1; Path=/", "_ga=GA1.2; Max-Age=9", "unknown=1", "sid=1; httponly", "vt_a=1", " panier =2") == [
        b"panier=1; Path=/",
        b"sid=1; httponly",
        b" panier =2",
    ]
    assert set_cookies("vt_a=1", grant=granted("video")) == [b"vt_a=1"]


@pytest.mark.parametrize(
    "value",
    ["volens=1.x", "volens-record=1.x; HttpOnly", " volens =x", "\tvolens=x", "=volens=x", "volens", "=x", "", ";", "; panier=1", "panier"],
)
def test_our_own_names_and_nameless_cookies_are_never_set_by_the_application(value: str) -> None:
    assert set_cookies(value) == []


def asked(*lines: bytes, grant: Grant = REFUSED) -> tuple[list[bytes], list[str]]:
    pairs, refused = headers.filter_cookies([(b"cookie", line) for line in lines], storage(grant), lambda name: name == "sid")
    return header(pairs, b"cookie"), refused


def test_the_application_reads_only_what_is_allowed() -> None:
    lines, refused = asked(b"panier=1; _ga=2; volens=x; volens-record=y; sid=3; unknown=4; rien=5")
    assert lines == [b"panier=1; sid=3"]
    assert refused == ["_ga", "rien"] or refused == ["rien", "_ga"] or set(refused) == {"_ga", "rien"}
    assert asked(b"_ga=2", grant=UNDECIDED) == ([], [])


def test_cookies_that_need_no_change_are_the_very_bytes() -> None:
    pairs: Pairs = [(b"Cookie", b"panier=1;panier=\xff\xfe;  panier=a=b"), (b"x", b"y")]
    assert headers.filter_cookies(pairs, storage(), lambda name: False)[0] is pairs


def test_eight_kilobytes_two_hundred_and_binary() -> None:
    big = b"panier=" + b"x" * 8192
    assert asked(big) == ([big], [])
    many = b"; ".join(b"t%d=v" % i for i in range(200)) + b"; panier=1"
    assert asked(many)[0] == [b"panier=1"]
    assert asked(b"panier=\x00\xff\x7f; \xff\xfe=\x80")[0] == [b"panier=\x00\xff\x7f"]
    assert asked(b"volens=a; volens=b", b"volens=c; panier=1")[0] == [b"panier=1"]


def expired(*names: str, path: str = "/a/b/c?d", host: str = HOST) -> list[str]:
    return [value.decode() for _, value in headers.expiries(names, host, path, storage(), CATALOG)]


def test_a_refused_cookie_is_expired_wherever_it_may_lie() -> None:
    found = expired("_ga", host="www.journal.fr")
    assert "_ga=; Max-Age=0; Path=/" in found
    assert "_ga=; Max-Age=0; Path=/; Domain=www.journal.fr" in found
    assert "_ga=; Max-Age=0; Path=/; Domain=journal.fr" in found
    assert "_ga=; Max-Age=0; Path=/a" in found
    assert "_ga=; Max-Age=0; Path=/a/b" in found
    assert not any("Domain=fr" in value for value in found)


def test_expiry_stays_within_two_kilobytes() -> None:
    found = headers.expiries([f"_ga_{i}" for i in range(500)], HOST, "/a/b/c/d", storage(), CATALOG)
    assert found
    assert sum(len(b"set-cookie: " + value) for _, value in found) <= 2048


def test_names_that_must_be_secure_are_expired_so() -> None:
    assert all("; Secure" in value for value in expired("__Host-x", "__Secure-y"))


@given(
    st.lists(st.text(max_size=20), max_size=5),
    st.text(max_size=40),
    st.sampled_from([HOST, "127.0.0.1", "localhost", "[::1]", "a.b.co.uk"]),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_nothing_we_write_to_expire_a_cookie_can_begin_another_line(names: list[str], path: str, host: str) -> None:
    for key, value in headers.expiries(names, host, "/" + path, storage(), CATALOG):
        assert re.fullmatch(rb"[\x20-\x7e]+", value) and key == b"set-cookie"
        assert value.count(b"Path=") == 1 or b"Path=" in value.partition(b"=")[0]


# ---------------------------------------------------------------------------------------- anything

text = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.lists(
        st.sampled_from(
            [
                "<",
                ">",
                ";",
                ",",
                "=",
                '"',
                "\\",
                "'",
                " ",
                "rel",
                "preload",
                "preconnect",
                GA,
                "//x",
                "/a",
                "url",
                "0",
                "volens",
                "panier=1",
                "_ga",
                "HttpOnly",
            ]
            + ["default-src", "'none'", "'self'", "script-src", "report-uri", "imagesrcset", "\t", "W/", "*", "~", "\xe9"]
        ),
        max_size=16,
    ).map("".join),
)
names = st.sampled_from(
    b"Link Refresh Set-Cookie Cookie NEL Report-To Reporting-Endpoints Content-Security-Policy-Report-Only Vary ETag "
    b"If-None-Match Accept-Encoding "
    b"Volens-Consent volens_consent Range Permissions-Policy X-A".split()
)
pairs = st.lists(st.tuples(names, text.map(lambda value: value.encode("latin-1"))), max_size=8)


@given(pairs)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_no_value_raises_and_no_value_of_ours_holds_a_line_end(given_pairs: Pairs) -> None:
    came = {value for _, value in given_pairs}
    with_ends = any(re.search(rb"[\r\n\0]", value) for value in came)
    out = headers.from_application(given_pairs, hosts(), PAGE)
    out += headers.filter_set_cookies(given_pairs, storage(), lambda name: None)
    asked_for, refused = headers.filter_cookies(given_pairs, storage(), lambda name: False)
    out += headers.to_application(headers.unmark(asked_for, "0" * 12), REFUSED, document=True)
    out += headers.expiries(refused, HOST, "/a", storage(), CATALOG) + headers.vary(given_pairs, "Cookie")
    for _, value in out:
        if value not in came and not with_ends:
            assert not re.search(rb"[\r\n\0]", value), value


@given(text)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_no_link_gets_a_tracker_through(value: str) -> None:
    """As Chromium divides them: at commas outside quotes and angle brackets."""
    for made in answer("Link", value):
        for one in re.findall(r'(?:<[^>]*>|"(?:\\.|[^"\\])*"|[^,<"])+', made.decode("latin-1")):
            if re.search(r";\s*rel\s*=\s*\"?[^\";,]*\b(preload|preconnect)\b", one):
                assert "google-analytics" not in one


def test_volens_consent_is_ours_alone() -> None:
    sent: Pairs = [(b"Volens-Consent", b"video"), (b"volens_consent", b"video"), (b"VOLENS-Consent", b"x")]
    values = [v for k, v in headers.to_application(sent, REFUSED, document=True) if k.lower().replace(b"_", b"-") == b"volens-consent"]
    assert values == [headers.consent_value(REFUSED)]
    assert b"video=?0" in values[0] and b"technique" in values[0]
    assert b"video," in headers.consent_value(granted("video"))


def test_codings_we_cannot_undo_are_not_asked_for() -> None:
    def asked_for(value: bytes) -> list[bytes]:
        return header(headers.to_application([(b"accept-encoding", value)], REFUSED, document=True), b"accept-encoding")

    assert asked_for(b"gzip, deflate, br, zstd, dcb, dcz, compress, *;q=0.1") == [b"gzip, deflate, br, zstd"]
    assert asked_for(b"compress") == [b"identity"]
    assert asked_for(b"gzip;q=0.5") == [b"gzip;q=0.5"]


def test_a_mark_comes_off_only_in_its_own_state() -> None:
    mark, other = "0123456789ab", "ba9876543210"
    tag = headers.marked(b'"abc"', mark)
    assert tag == b'W/"s~abc~0123456789ab"'

    def back(value: bytes, state: str) -> list[bytes]:
        return header(headers.unmark([(b"if-none-match", value)], state), b"if-none-match")

    assert back(tag, mark) == [b'"abc"']
    assert back(headers.marked(b'W/"a~b"', mark), mark) == [b'W/"a~b"']
    assert back(tag, other) == back(b'"abc"', mark) == back(b"*", mark) == back(b"nonsense", mark) == []
    assert back(b'"x", ' + tag, mark) == [b'"abc"']


def test_vary_names_what_was_looked_at_once() -> None:
    assert header(headers.vary([(b"Vary", b"Accept, cookie")], "Cookie", "Sec-GPC"), b"vary") == [b"Accept, cookie, Sec-GPC"]
    assert header(headers.vary([(b"vary", b"*")], "Cookie"), b"vary") == [b"*"]


@pytest.mark.parametrize("value", ["<a>" + "; " * 20000, "<" * 40000, "<a>;" + "a=" * 20000, "<a>" + ';x="' * 10000, ", " * 30000])
def test_long_nonsense_takes_no_long_time(value: str) -> None:
    import time

    start = time.process_time()
    answer("Link", value)
    assert time.process_time() - start < 2


def test_our_cookies_are_ours_even_where_everything_passes() -> None:
    everything = Storage(OPEN_SITE, OPEN, CATALOG)
    asked_for, _ = headers.filter_cookies([(b"cookie", b"volens=1; _ga=2; volens-record=3")], everything, lambda name: False)
    assert header(asked_for, b"cookie") == [b"_ga=2"]
    answered: Pairs = [(b"set-cookie", b"volens=1"), (b"set-cookie", b"volens-record=1"), (b"set-cookie", b"_ga=2")]
    assert header(headers.filter_set_cookies(answered, everything, lambda name: None), b"set-cookie") == [b"_ga=2"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([], "private"),
        (["public, max-age=600, s-maxage=3600"], "private, max-age=600"),
        (["max-age=60", "Public"], "private, max-age=60"),
        (["private, max-age=60"], "private, max-age=60"),
        (['private="set-cookie, x", max-age=60'], "private, max-age=60"),
        (["no-store"], "no-store"),
        (['no-cache="a,b", S-MaxAge = 3'], 'private, no-cache="a,b"'),
    ],
)
def test_what_only_one_visitor_may_have_no_shared_cache_keeps(said: list[str], kept: str) -> None:
    told = [(b"CDN-Cache-Control", b"max-age=9"), (b"Surrogate-Control", b"max-age=9"), (b"X-Accel-Expires", b"9")]
    pairs = [*((b"Cache-Control", value.encode()) for value in said), *told, (b"Cloudflare-CDN-Cache-Control", b"max-age=9"), (b"A", b"b")]
    assert headers.private(pairs) == [(b"A", b"b"), (b"cache-control", kept.encode())]
