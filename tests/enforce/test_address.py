"""What an application is told of the visitor's address and place: never more than the level, in whatever field and spelling."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.enforce.making import ACCEPTED, HOST, REFUSED, SITE, granted
from volens.enforce.address import _NAMES, NOWHERE, shown, told
from volens.site import FULL, NONE, TRUNCATED, Address

FOUR, SIX = "203.0.113.77", "2001:db8:1234:5678:9abc::1"


@pytest.mark.parametrize(
    ("given", "truncated", "none"),
    [
        (FOUR, "203.0.113.0", NOWHERE),
        (f"{FOUR}:50713", "203.0.113.0", NOWHERE),
        (SIX, "2001:db8:1234::", NOWHERE),
        (f"[{SIX}]:50713", "2001:db8:1234::", NOWHERE),
        (f'"[{SIX}]"', "2001:db8:1234::", NOWHERE),
        (f"::ffff:{FOUR}", "::ffff:203.0.113.0", NOWHERE),
        ("::ffff:cb00:714d", "::ffff:203.0.113.0", NOWHERE),
        ("2002:cb00:714d:1::1", "2002:cb00:7100::", NOWHERE),
        ("64:ff9b::cb00:714d", "64:ff9b::", NOWHERE),
        ("fe80::1ff:fe23:4567:890a", "fe80::", NOWHERE),
        ("fe80::1%eth0", NOWHERE, NOWHERE),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("unknown", NOWHERE, NOWHERE),
        ("_hidden", NOWHERE, NOWHERE),
        ("203.000.113.077", NOWHERE, NOWHERE),
        ("0xcb.0.113.77", NOWHERE, NOWHERE),
        ("3405803853", NOWHERE, NOWHERE),
        ("client.example.net", NOWHERE, NOWHERE),
        ("", NOWHERE, NOWHERE),
    ],
)
def test_one_address_at_each_level(given: str, truncated: str, none: str) -> None:
    assert (shown(given, TRUNCATED), shown(given, NONE), shown(given, FULL)) == (truncated, none, given)


@pytest.mark.parametrize(
    ("given", "truncated"),
    [
        (f"for={FOUR}", "for=203.0.113.0"),
        (f'For="[{SIX}]:4711";host=a.example;proto=https', 'for="[2001:db8:1234::]";host=a.example;proto=https'),
        (f"for={FOUR};by=10.1.2.3, for=127.0.0.1", "for=203.0.113.0;by=10.1.2.0, for=127.0.0.1"),
        (f"for={FOUR};secret={FOUR}", "for=203.0.113.0"),
        ("for=_gazonk", "for=0.0.0.0"),
        (f'for="{FOUR}', "for=0.0.0.0"),
        (f"for={FOUR} {FOUR}", "for=0.0.0.0"),
        (f"{FOUR}", "for=0.0.0.0"),
        ("", "for=0.0.0.0"),
    ],
)
def test_forwarded_as_rfc_7239_writes_it(given: str, truncated: str) -> None:
    assert told([(b"Forwarded", given.encode())], TRUNCATED) == [(b"Forwarded", truncated.encode())]


PLACES = """CF-IPCity CF-IPCountry CF-IPContinent CF-IPLatitude CF-IPLongitude CF-Region CF-Region-Code CF-Metro-Code CF-Postal-Code
    CF-Timezone X-AppEngine-City X-AppEngine-CityLatLong X-AppEngine-Country X-AppEngine-Region CloudFront-Viewer-City
    CloudFront-Viewer-Country CloudFront-Viewer-Country-Name CloudFront-Viewer-Country-Region CloudFront-Viewer-Country-Region-Name
    CloudFront-Viewer-Latitude CloudFront-Viewer-Longitude CloudFront-Viewer-Postal-Code CloudFront-Viewer-Time-Zone
    CloudFront-Viewer-Metro-Code CloudFront-Viewer-ASN X-Vercel-IP-City X-Vercel-IP-Country X-Vercel-IP-Country-Region
    X-Vercel-IP-Latitude X-Vercel-IP-Longitude X-Vercel-IP-Timezone X-Vercel-IP-Continent X-Vercel-IP-Postal-Code X-Nf-Geo
    X-Client-Geo-Location X-Akamai-Edgescape X-GeoIP-City-Name X-Geo-Country GeoIP-Latitude Geolocation CDN-RequestCountryCode
    X-Country-Code X-City x_country_code""".split()
PLAIN = [
    (b"Host", b"203.0.113.1:8080"),
    (b"X-Forwarded-Host", b"203.0.113.1"),
    (b"X-Forwarded-Proto", b"https"),
    (b"Accept-Language", b"fr-FR,fr;q=0.9"),
    (b"Sec-CH-UA-Full-Version", b'"99.0.100.65"'),
    (b"X-App-Version", b"1.2.3.4"),
    (b"Cookie", b"ip=1; city=2"),
    (b"Content-Length", b"12345"),
    (b"Accept", b"*/*"),
    (b"X-Capacity", b"12"),
    (b"X-Velocity", b"3.5"),
    (b"X-Requested-With", b"XMLHttpRequest"),
]


def test_the_place_that_a_content_network_tells_is_withheld_and_nothing_else() -> None:
    fields = [(name.encode(), b"Paris") for name in PLACES] + [(b"X-Notre-Ville", b"Paris")]
    assert told([*fields, *PLAIN], TRUNCATED, places=frozenset({b"x-notre-ville"})) == PLAIN
    assert told([*fields, *PLAIN], TRUNCATED, placed=True) == [*fields, *PLAIN]


def test_a_port_and_a_name_that_stand_beside_the_address_go_with_it() -> None:
    assert told([(b"X-Client-Port", b"50713"), (b"X-Remote-Host", b"line-77.provider.example")], TRUNCATED, placed=True) == []


def test_whole_means_untouched() -> None:
    pairs = [(b"X-Forwarded-For", b"  odd ,, "), (b"Forwarded", b'for="')]
    assert told(pairs, FULL, placed=True) is pairs
    assert told(pairs, FULL) == pairs


# ------------------------------------------------------------------------ in whatever field and spelling

visitors = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@st.composite
def spelt(draw: st.DrawFn) -> str:
    """An address as some server would write it."""
    address = draw(visitors)
    if address.version == 4:
        return draw(
            st.sampled_from(
                [
                    f"{address}",
                    f"{address}:50713",
                    f"::ffff:{address}",
                    f"[::ffff:{address}]",
                    f"2002:{int(address) >> 16:x}:{int(address) & 65535:x}::1",
                ]
            )
        )
    return draw(st.sampled_from([f"{address}", f"{address.exploded.upper()}", f"[{address}]", f"[{address}]:50713"]))


names = st.sampled_from([*sorted(name.decode() for name in _NAMES), "X_Real_IP", "x-forwarded-FOR"])
lists = st.lists(st.one_of(spelt(), st.sampled_from(["unknown", "_x", ""])), min_size=1, max_size=4).map(", ".join)
forwarded = st.lists(spelt().map(lambda a: f'for="{a}"'), min_size=1, max_size=3).map(", ".join)
field = st.one_of(
    st.tuples(names, lists),
    st.tuples(st.just("X-Any-Name"), st.tuples(lists, spelt()).map(", ".join)),
    st.tuples(st.just("Forwarded"), forwarded),
)


def addresses_in(text: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Everything in a text that Python reads as an address, looked for without the product's rules."""
    found = []
    for word in re.findall(r"[0-9A-Fa-f:.]+", text):
        for part in (word, word.rpartition(":")[0]):
            try:
                found.append(ipaddress.ip_address(part))
                break
            except ValueError:
                pass
    return found


def names_somebody(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    four = address if address.version == 4 else address.ipv4_mapped or address.sixtofour
    if address.is_loopback or (four is not None and four.is_loopback):
        return False
    return bool(int(four) & 0xFF) if four is not None else bool(int(address) & (1 << 80) - 1)


@given(fields=st.lists(field, min_size=1, max_size=6), level=st.sampled_from([TRUNCATED, NONE]))
def test_no_address_is_told_whole_in_whatever_field_and_spelling(fields: list[tuple[str, str]], level: str) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in fields]
    out = told(pairs, level, placed=True)
    assert [key for key, _ in out] == [key for key, _ in pairs], "no field is left out: its absence would say 'from this machine'"
    for _, value in out:
        left = addresses_in(value.decode())
        assert left and not any(names_somebody(a) for a in left), value
        if level == NONE:
            assert all(a.is_loopback or str(a) == NOWHERE or (a.version == 6 and a.ipv4_mapped and a.ipv4_mapped.is_loopback) for a in left)
    assert told(out, level, placed=True) == out, "what is shortened stays as it is"


def test_the_property_can_fail() -> None:
    assert any(names_somebody(a) for a in addresses_in(f"for={FOUR}"))
    assert any(names_somebody(a) for a in addresses_in(f"[{SIX}]:1"))
    assert not any(names_somebody(a) for a in addresses_in("203.0.113.0, 2001:db8:1234::, 127.0.0.1"))


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=60)), max_size=5))
def test_anything_may_come(pairs: list[tuple[bytes, bytes]]) -> None:
    told(pairs, TRUNCATED)


# ------------------------------------------------------------------------ by grant


def test_the_level_goes_by_grant_and_doubt_is_the_refused_one() -> None:
    rule = Address()
    assert rule.level(REFUSED) == TRUNCATED
    assert rule.level(granted("video", "personnalisation")) == TRUNCATED
    assert rule.level(granted("geolocalisation")) == rule.level(ACCEPTED) == FULL
    assert Address(purposes=("nobody-declared-this",)).level(ACCEPTED) == TRUNCATED
    assert Address(refused=NONE).level(REFUSED) == NONE
    assert Address(refused=NONE, security={"fr": "bloquer les attaques"}).level(REFUSED) == FULL
    assert SITE.address == Address() and HOST


def test_a_site_s_own_purpose_for_geolocation_stands_for_the_built_in_one_in_every_layer() -> None:
    """``replaces = "geolocalisation"``: header, guard, address and place go by the site's name for it."""
    from tests.enforce.making import CATALOG, PAGE
    from volens.config import parse
    from volens.enforce import guard
    from volens.enforce.headers import from_application
    from volens.enforce.hosts import Hosts
    from volens.enforce.storage import Storage

    written = """
    names = ["www.site.example"]
    [controller]
    name = "Le Site"
    contact = "donnees@site.example"
    policy = "volens"
    [purposes.pres-de-moi]
    replaces = "geolocalisation"
    """
    site = parse(written, "volens.toml", CATALOG).site
    assert site.address.purposes == ("pres-de-moi",) and site.address.place == "pres-de-moi"
    for purposes, open_ in ((("pres-de-moi",), True), ((), False)):
        grant = granted(*purposes, notice=site.notice)
        hosts = Hosts(site, grant, CATALOG, HOST)
        policy = dict(from_application([], hosts, PAGE)).get(b"permissions-policy", b"")
        assert (b"geolocation=()" not in policy) == open_
        told_ = guard.config(hosts, Storage(site, grant, CATALOG), answer="", own=[])
        assert bool(told_.get("g") or told_.get("a")) == open_
        assert site.address.level(grant) == (FULL if open_ else TRUNCATED)
