"""What the page's guard is told: which hosts and paths of the site's own domain its scripts may not ask for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from making import ACCEPTED, NOTICE, OPEN_SITE, REFUSED, SITE, granted, hosts

from volens.enforce.guard import config, passing, refused_hosts, refused_paths, refusing, tool_files
from volens.enforce.storage import Storage
from volens.foreign import Tools
from volens.notice import Service

HIT = "/matomo.php?idsite=1"
AD = "/?740002969&cb=1"


def refuses(source: str, target: str) -> bool:
    return bool(source) and re.search(source, target) is not None


def test_end_points_of_a_script_are_refused_and_pages_are_not() -> None:
    source = refused_paths(hosts())
    assert all(refuses(source, target) for target in (HIT, AD, "/x/g/collect?v=2&tid=G-1", "/b/ss/suite/1/JS", "/img/pixel.gif?a"))
    assert not any(refuses(source, target) for target in ("/", "/login?next=/matomo.php", "/blog/matomo.html", "/img/pixel.gif"))


def test_it_stands_in_every_page_and_is_short() -> None:
    assert len(refused_paths(hosts())) < 200


def test_the_path_of_a_granted_service_passes_and_only_it() -> None:
    own = Service("mesure", "Mesure", ("audience",), ("/matomo.php*", "/x.js"))
    site = replace(SITE, notice=replace(NOTICE, services=(own,)))
    refused, allowed = (refused_paths(hosts(granted(*p, notice=site.notice), site)) for p in ((), ("audience",)))
    assert refuses(refused, HIT) and refuses(refused, "/a/matomo.php")
    assert not any(refuses(allowed, at) for at in (HIT, "site.example" + HIT))
    assert refuses(allowed, "/a/matomo.php") and refuses(allowed, AD)


def test_a_demonstration_lets_through_what_is_granted() -> None:
    source = refused_paths(hosts(granted("publicite", notice=OPEN_SITE.notice), OPEN_SITE))
    assert not refuses(source, AD) and refuses(source, HIT)


@pytest.mark.parametrize(
    ("page", "refused"),
    [
        ("www.nytimes.com", ["et.nytimes.com", "*.et.nytimes.com"]),
        ("www.bbc.co.uk", ["a1.api.bbc.co.uk", "stats.bbc.co.uk"]),
        ("d111111abcdef8.cloudfront.net", []),
        ("www.site.example", []),
    ],
)
def test_hosts_of_the_own_domain_that_are_known_to_collect(page: str, refused: list[str]) -> None:
    assert refused_hosts(hosts(page=page, site=replace(SITE, hosts=(page,)))) == refused


def test_a_declared_host_passes_and_a_denied_one_does_not() -> None:
    site = replace(SITE, hosts=("www.bbc.co.uk", "stats.bbc.co.uk"), deny=("*.ads.example",))
    judged = hosts(page="www.bbc.co.uk", site=site)
    assert refused_hosts(judged) == ["ads.example", "*.ads.example", "a1.api.bbc.co.uk"]
    told = config(judged, Storage(site, REFUSED, judged.catalog), answer="", own=[])
    assert told["P"] == f"{refusing(refused_hosts(judged), refused_paths(judged))}|{tool_files('www.bbc.co.uk')}"
    assert all(refuses(told["P"], at) for at in ("ads.example/", "a.ads.example/x", "a1.api.bbc.co.uk/", "www.bbc.co.uk" + HIT))
    passes = ("www.bbc.co.uk/", "stats.bbc.co.uk/x", "bads.example/", "www.bbc.co.uk/a.ads.example/")
    assert not any(refuses(told["P"], at) for at in passes)


@pytest.mark.parametrize(
    ("at", "refused"),
    [
        ("cdn.jsdelivr.net/npm/vanilla-cookieconsent@3.1.0/dist/cookieconsent.umd.js", True),
        ("cdn.jsdelivr.net/npm/orejime", True),
        ("cdnjs.cloudflare.com/ajax/libs/tarteaucitronjs/1.9.9/tarteaucitron.min.js?v=1", True),
        ("static.site.example/assets/klaro.js", True),
        ("www.site.example/assets/klaro.js", False),
        ("cdn.jsdelivr.net/npm/jquery@3/dist/jquery.min.js?next=/klaro.js", False),
        ("cdn.jsdelivr.net/npm/klaro-theme/index.json", False),
    ],
)
def test_a_tool_s_own_file_is_refused_on_every_host_but_the_page_s(at: str, refused: bool) -> None:
    host, _, path = at.partition("/")
    assert refuses(tool_files("www.site.example"), at) is refused
    assert (Tools.packaged().path("/" + path) is not None) is (refused or host == "www.site.example"), "as the markup is judged"


def test_the_tool_that_asks_is_not_refused() -> None:
    at = "unpkg.com/klaro@0.7/dist/klaro.js"
    assert refuses(tool_files("www.site.example", "osano"), at) and not refuses(tool_files("www.site.example", "klaro"), at)


@pytest.mark.parametrize("host", ["consent.cookiebot.com", "web.eu1.cookiebot.eu", "acme.delivery.consentmanager.net", "cmp.osano.com"])
def test_where_any_host_may_be_asked_no_tool_s_host_is(host: str) -> None:
    judged = hosts(ACCEPTED)
    assert judged.chain
    told = config(judged, Storage(SITE, ACCEPTED, judged.catalog), answer="", own=[])
    assert refuses(told["P"], host + "/x.js") and not refuses(told["P"], "ads.example/x.js")


def test_names_are_whole_and_ours_always_pass() -> None:
    source = re.compile(f"^({passing(['session', 'wp-settings-*', 'isso-#', 'a.b|c'])})$")
    assert all(source.search(name) for name in ("session", "wp-settings-1", "isso-12", "a.b|c", "volens-keep"))
    assert not any(source.search(name) for name in ("", "sessions", "xsession", "isso-", "isso-x", "a.b", "c", "axb|c"))
