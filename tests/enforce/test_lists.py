"""A filter list that the operator fetched denies more, and allows nothing; needs the package adblock, as those who use one do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.enforce.making import HOST, SITE, granted, hosts, rewritten
from tests.web.making import gateway, request
from volens.catalog import Catalog, OperatorList
from volens.config import parse
from volens.errors import ConfigError
from volens.policy import Reason
from volens.site import Site

pytest.importorskip("adblock")
WITHHELD = " data-volens-src="
RULES = """[Adblock Plus 2.0]
! what an operator fetched
||pixel.example^$third-party
||reseau.example^
/mesure/*
/tell.gif$image
/tell.js
"""
CONFIGURATION = """names = ["www.site.example"]
lists = [{lists}]
[controller]
name = "Le Site"
contact = "donnees@site.example"
policy = "volens"
country = "FR"
"""


@pytest.fixture
def listed(tmp_path: Path) -> Site:
    path = tmp_path / "list.txt"
    path.write_text(RULES, "utf-8")
    return replace(SITE, lists=(OperatorList(path),))


def test_a_picture_of_a_host_nobody_knows_passes_unless_it_is_listed(listed: Site) -> None:
    page = '<img src="https://pixel.example/1.gif"><img src="https://photos.example/1.jpg">'
    assert rewritten(page, bare=True) == page
    told = rewritten(page, site=listed, bare=True)
    assert WITHHELD + '"https://pixel.example/1.gif"' in told and ' src="https://photos.example/1.jpg"' in told
    assert hosts(site=listed).decide("pixel.example", "image").reason is Reason.LISTED


@pytest.mark.parametrize("markup", ["<img src=/tell.gif>", "<script src=/tell.js></script>"])
def test_a_path_of_the_site_s_own_is_withheld_where_it_is_listed(markup: str, listed: Site) -> None:
    assert rewritten(markup, bare=True) == markup
    assert WITHHELD + "/tell" in rewritten(markup, site=listed, bare=True)
    other = markup.replace("tell", "other")
    assert rewritten(other, site=listed, bare=True) == other


def test_a_delivery_host_is_held_to_the_list_too(tmp_path: Path) -> None:
    host = "cdnjs.cloudflare.com"
    assert hosts().decide(host, "script").reason is Reason.DELIVERY
    path = tmp_path / "list.txt"
    path.write_text(f"||{host}^$third-party\n", "utf-8")
    assert hosts(site=replace(SITE, lists=(OperatorList(path),))).decide(host, "script") == replace(
        hosts().decide("nobody.example", "script"), reason=Reason.LISTED
    )


def test_what_the_visitor_granted_is_left_alone(listed: Site) -> None:
    page = '<script src="https://reseau.example/embed.js"></script><img src="/mesure/hit.gif">'
    told = rewritten(page, granted("reseaux-sociaux", "audience"), site=listed, bare=True)
    assert told == page
    told = rewritten(page, granted("reseaux-sociaux"), site=listed, bare=True)
    assert ' src="https://reseau.example/embed.js"' in told and WITHHELD + '"/mesure/hit.gif"' in told


def test_a_request_that_is_listed_does_not_reach_the_application(tmp_path: Path, listed: Site) -> None:
    made = gateway(tmp_path, site=listed)
    image = [(b"sec-fetch-dest", b"image")]
    assert made.visit(request("GET", "/tell.gif", image)).own
    assert not made.visit(request("GET", "/other.gif", image)).own
    assert not made.visit(request("GET", "/tell.gif", [(b"sec-fetch-dest", b"document")])).own, "a page of the site is none of its business"
    made.close()


def test_the_configuration_names_it_and_every_mistake_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(RULES, "utf-8")
    (tmp_path / "page.html").write_text("<!doctype html>", "utf-8")
    catalog = Catalog.packaged()
    loaded = parse(CONFIGURATION.format(lists='"list.txt"'), "volens.toml", catalog, base=tmp_path)
    assert loaded.site.lists[0].blocks("https://pixel.example/1.gif", f"https://{HOST}/", "image")
    with pytest.raises(ConfigError) as told:
        parse(CONFIGURATION.format(lists='"page.html", "missing.txt"'), "volens.toml", catalog, base=tmp_path)
    assert "page.html" in str(told.value) and "missing.txt" in str(told.value) and "not a filter list" in str(told.value)
