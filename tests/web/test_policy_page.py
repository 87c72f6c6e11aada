"""The policy page and its JSON twin: everything that is declared, and nothing else (P11, P13; GDPR 13; R11, R17, R28, R42)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import escape
from itertools import chain
from typing import Any

import pytest
from looking import each, faults
from screens_site import DAY, GRANTS, NOTICE, PART, RECORD, SITE

from tests.web.making import header, request, settle
from volens.choice import Choice, Signals
from volens.countries import authorities, in_eea, name
from volens.languages import shipped
from volens.policy import grant
from volens.site import Site
from volens.web.gateway import Gateway
from volens.web.screens import Screens
from volens.web.screens.prose import prose

SCREENS = Screens(SITE, {})
SECTIONS = ["you", "controller", "purposes", "exempt", "services", "storage", "audience", "ip", "proof", "rights"]


def words(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup))


def section(markup: str, id: str) -> str:
    """One section's words."""
    return words(markup.split(f'<section id="{id}">')[1].split("<section id=")[0])


def test_the_policy_page_names_who_answers_and_what_is_asked(show: Any) -> None:
    text = show("/_volens/policy").locator("main").inner_text()
    for needed in (
        "Le Quai",
        "donnees@lequai.example",
        "12 quai de la Fosse",
        "dpo@lequai.example",
        "améliorer le service",
        "CNIL",
        "Changer vos choix",
    ):
        assert needed in text
    assert all(name in text for name in chain((s.name for s in NOTICE.services), (p.title["fr"] for p in NOTICE.purposes)))


def test_every_section_can_be_linked_to_and_stands_in_the_contents() -> None:
    text = SCREENS.policy(GRANTS["part"], "fr")
    assert re.findall(r'<section id="([^"]*)">', text) == SECTIONS
    assert re.findall(r'<li><a href="#([^"]*)">', text.split("</nav>")[0]) == SECTIONS
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids)) and set(re.findall(r'href="#([^"]*)"', text)) <= set(ids), "and no link leads nowhere"


def test_each_service_tells_company_country_purposes_addresses_and_its_own_policy() -> None:
    text = section(SCREENS.policy(GRANTS["none"], "fr"), "services")
    for service in NOTICE.services:
        own = words(SCREENS.policy(GRANTS["none"], "fr").split(f'id="service-{service.id}"')[1].split("</section>")[0])
        for needed in (service.name, service.controller, *(NOTICE.purpose[p].title["fr"] for p in service.purposes), *service.hosts):
            assert needed in own, (service.id, needed)
        assert not service.country or name(service.country, "fr") in own
        assert ("hors de l’Espace économique européen" in own) == (service.country == "US"), service.id
        assert not service.policy_url or f'href="{service.policy_url}"' in SCREENS.policy(GRANTS["none"], "fr")
    assert "États-Unis" in text and "Allemagne" in text


def test_every_storage_key_has_party_lifetime_and_purpose(show: Any) -> None:
    page = show("/_volens/policy", java_script_enabled=False)
    rows = [row.locator("td").all_inner_texts() for row in page.locator("#storage tbody tr").all()]
    declared = [*SITE.storage, *(key for service in NOTICE.services for key in service.storage)]
    assert {row[0] for row in rows} == {key.name for key in declared} | {"__Host-volens-record", "volens-keep", "volens-audience"}, (
        "ours too, and each once"
    )
    assert len(rows) == len(declared) + 3 and all(all(cell.strip() for cell in row) for row in rows)
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["mv_id"] == ["cookie, sur ce site", "395 jours (13 mois)", "Vidéos"]
    assert by_name["__Host-volens-record"] == ["cookie, sur ce site", "183 jours (6 mois)", "Fonctionnement du site"]
    assert by_name["volens-keep"][:2] == ["stockage de session, sur ce site", "jusqu’à la fermeture du navigateur"]
    captions = page.locator("#storage caption").all_inner_texts()
    assert captions == ["Le Quai", *(s.name for s in NOTICE.services if s.storage)]


@pytest.mark.parametrize("shared", [False, True])
def test_the_cookie_that_a_shared_cache_goes_by_is_told_where_there_is_one(shared: bool) -> None:
    site = replace(SITE, shared_answers=shared)
    data = Screens(site, {}).policy_json(grant(NOTICE, None, Signals(), DAY), "fr")
    keys = {key["name"]: key for key in data["storage"]}
    assert ("__Host-volens-grant" in keys) is shared
    assert not shared or keys["__Host-volens-grant"] == keys["__Host-volens-record"] | {"name": "__Host-volens-grant"}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("none", ["Vous n’avez pas encore choisi", "Stockage bloqué d’office"]),
        ("refused", ["Choisi le 22 novembre 2026, valable jusqu’au 22 mai 2027", "Vidéos non", "Profils refusés"]),
        ("part", ["Stockage 2 sur 6", "Réseaux sociaux en partie", "Vidéos oui", "Publicité non"]),
        ("accepted", ["Stockage autorisé", "Profils autorisés", "Publicité oui", "Votre choix sur ce site dit autre chose"]),
        ("gpc", ["signal GPC", "Vous n’avez pas encore choisi"]),
    ],
)
def test_it_says_what_applies_to_who_reads(show: Any, state: str, says: list[str]) -> None:
    text = re.sub(r"\s+", " ", show(f"/_volens/policy?grant={state}").locator("#you").inner_text())
    for needed in says:
        assert needed in text, (needed, text)
    assert (RECORD.id in text) == (state in ("part", "accepted"))


def test_a_purpose_is_in_part_whenever_it_differs_from_one_of_its_services() -> None:
    one_off = grant(NOTICE, Choice.from_switches(NOTICE, DAY, ["video", "reseaux-sociaux"], ["mesvideos", "piaf"]), Signals(), DAY)
    alone = grant(NOTICE, Choice.from_switches(NOTICE, DAY, [], ["mesure"]), Signals(), DAY)
    told = [SCREENS.policy_json(at, "fr")["you"]["purposes"] for at in (one_off, alone)]
    assert [t["reseaux-sociaux"] for t in told] == ["part", "no"] and [t["publicite"] for t in told] == ["no", "part"]
    assert told[0]["video"] == "yes"


@pytest.mark.parametrize(("state", "language"), each(GRANTS, ("fr", "en")))
def test_the_json_twin_says_what_the_page_says(state: str, language: str) -> None:
    told = SCREENS.policy_json(GRANTS[state], language, record_id="r" * 26)
    page = SCREENS.policy(GRANTS[state], language, record_id="r" * 26)
    assert json.loads(json.dumps(told)) == told and told["format"] == "volens-policy/1" and told["notice"] == NOTICE.digest
    assert [key for key in told if key in SECTIONS] == SECTIONS
    listed = told["purposes"] + told["exempt"]
    assert [p["id"] for p in told["purposes"]] == list(NOTICE.askable) and {p["id"] for p in listed} == set(NOTICE.purpose)
    for item in listed:
        assert item["title"] in section(page, "purposes") + section(page, "exempt")
    assert [s["id"] for s in told["services"]] == [s.id for s in NOTICE.services]
    rows = [(k["name"], k["party"], k["days"], k["purpose"], k["medium"]) for k in told["storage"]]
    for key in (*SITE.storage, *(key for s in NOTICE.services for key in s.storage)):
        assert (key.name, key.party, key.days, key.purpose, key.medium) in rows
    assert all(k["name"] in section(page, "storage") for k in told["storage"]) and len(rows) == page.count("<tr><td>")
    assert told["you"]["services"] == {s.id: s.id in GRANTS[state].services for s in NOTICE.services_asked}
    assert told["rights"]["authority"]["url"] == "https://www.cnil.fr/fr/plaintes"
    assert told["audience"]["services"] == ["stats"]


# --- Whose authority


@pytest.mark.parametrize("country", authorities())
def test_the_controllers_country_decides_whose_authority_is_named(country: str) -> None:
    notice = replace(NOTICE, controller=replace(NOTICE.controller, country=country))
    text = section(Screens(replace(SITE, notice=notice), {}).policy(GRANTS["none"], "fr"), "rights")
    assert authorities()[country].name in text and authorities()[country].url.startswith("https://")


@pytest.mark.parametrize("country", authorities())
def test_the_authority_s_name_leads_to_its_complaint_page_or_else_to_its_own(country: str) -> None:
    one = authorities()[country]
    notice = replace(NOTICE, controller=replace(NOTICE.controller, country=country))
    screens = Screens(replace(SITE, notice=notice), {})
    markup = screens.policy(GRANTS["none"], "fr").split('<section id="rights">')[1]
    assert f'<a href="{escape(one.complaint or one.home)}" rel="noopener">{escape(one.name, quote=False)}</a>' in markup
    assert screens.policy_json(GRANTS["none"], "fr")["rights"]["authority"]["home"] == one.home
    host = one.home.split("/")[2].removeprefix("www.")
    assert not one.complaint or one.complaint.split("/")[2].removeprefix("www.").endswith(host) or country == "ES", "its own page"


@pytest.mark.parametrize("language", ["fr", "ar"])
@pytest.mark.parametrize("names", [("lequai.test",), ("www.lequai.test", "m.lequai.test")])
def test_it_says_on_which_hosts_the_choice_holds_and_on_no_other(names: tuple[str, ...], language: str) -> None:
    """R42; and R17: who answers, and how to reach them."""
    notice = replace(NOTICE, scope=names, languages=("fr", "ar"))
    screens = Screens(replace(SITE, notice=notice), {})
    at = grant(notice, None, Signals(), DAY)
    proof, who = (section(screens.policy(at, language), id) for id in ("proof", "controller"))
    texts = shipped()[language].texts
    for said in (proof, who):
        assert all(name in said for name in names)
    assert texts["policy.scope"] in proof and (texts["policy.scope.each"] in proof) == (len(names) > 1)
    assert "Le Quai" in who and "donnees@lequai.example" in who
    assert 'href="mailto:donnees@lequai.example"' in screens.policy(at, language)
    assert screens.policy_json(at, language)["controller"]["sites"] == list(names)


def test_when_each_address_was_compared_is_said() -> None:
    """Germany's has no page of its own: a publisher is supervised by its Land. An address nobody compared has no day."""
    assert [c for c, one in authorities().items() if not one.complaint] == ["DE"]
    days = {one.verified for one in authorities().values()}
    assert None not in days and all(day is not None and day.isoformat() >= "2026-11-22" for day in days)


def test_the_table_of_authorities_is_that_of_the_eu_the_eea_the_kingdom_and_switzerland() -> None:
    union = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()
    assert set(authorities()) == {*union, "IS", "LI", "NO", "CH", "GB"}
    assert {c for c in authorities() if in_eea(c)} == {*union, "IS", "LI", "NO"}


@pytest.mark.parametrize("country", ["", "US"])
def test_without_an_authority_the_list_of_all_is_named(country: str) -> None:
    notice = replace(NOTICE, controller=replace(NOTICE.controller, country=country))
    text = Screens(replace(SITE, notice=notice), {}).policy(GRANTS["none"], "fr")
    assert "edpb.europa.eu" in text and "de votre pays" in section(text, "rights")


def test_a_notice_without_country_keeps_its_digest() -> None:
    """Answers to notices from before it was a setting hold."""
    assert "country" not in replace(NOTICE, controller=replace(NOTICE.controller, country="")).to_json()["controller"]
    assert type(NOTICE).from_json(NOTICE.to_json()) == NOTICE


# --- The site's own text


def test_the_sites_own_text_stands_around_with_headings_lists_and_links(show: Any, desk: Any) -> None:
    before = (
        "## Notre charte\n\nNous ne vendons rien.\nJamais. [La charte](https://lequai.test/charte) le dit,\n"
        "voir https://lequai.test/faits.\n\n- un\n- deux"
    )
    site = replace(SITE, policy_before={"fr": before, "en": "Hello."}, policy_after={"fr": "## 日本語\nFin <b>nette</b>."})
    text = Screens(site, {}).policy(GRANTS["none"], "fr")
    assert (
        '<h2 id="site-notre-charte">Notre charte</h2><p>Nous ne vendons rien. Jamais. <a href="https://lequai.test/charte">La charte</a>'
        in text
    )
    assert '<a href="https://lequai.test/faits">https://lequai.test/faits</a>.</p><ul><li>un</li><li>deux</li></ul>' in text
    contents = re.findall(r'<li><a href="#([^"]*)">', text.split("</nav>")[0])
    assert contents == ["site-notre-charte", *SECTIONS, "site-日本語"]
    assert text.index("Notre charte</h2>") < text.index('id="you"') < text.index("Fin &lt;b&gt;nette&lt;/b&gt;.")
    english = Screens(site, {}).policy(GRANTS["none"], "en")
    assert "Hello." in english and Screens(site, {}).policy_json(GRANTS["none"], "fr")["before"] == before


def test_nothing_is_said_of_what_the_site_does_not_do() -> None:
    bare = replace(NOTICE, services=(), purposes=tuple(p for p in NOTICE.purposes if p.id in ("technique", "geolocalisation")))
    text = Screens(Site("lequai.test", bare), {}).policy(grant(bare, None, Signals(), DAY), "fr")
    assert re.findall(r'<section id="([^"]*)">', text) == [s for s in SECTIONS if s not in ("services", "audience")]


# --- On paper, and in a browser


def test_on_paper_it_is_all_there_without_its_buttons(show: Any) -> None:
    page = show("/_volens/policy?grant=part", color_scheme="dark")
    before = page.locator("article > section").all_inner_texts()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and not page.locator(".x").is_visible() and page.locator(".button:visible").count() == 0
    assert len(before) == len(SECTIONS) and all(page.locator(f"#{id} h2").is_visible() for id in SECTIONS)
    assert page.locator("main").evaluate("e => getComputedStyle(e).color") == "rgb(0, 0, 0)"
    address = page.locator("#services a[target]").first.evaluate("e => getComputedStyle(e, '::after').content")
    assert "attr(href)" in address or "https://videos.test/privacy" in address, "a paper cannot be pressed"


@pytest.mark.parametrize(("width", "scheme"), ((320, "light"), (320, "dark"), (1280, "light"), (1280, "dark")))
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(show: Any, width: int, scheme: str) -> None:
    page = show("/_volens/policy?grant=part", width, 720, color_scheme=scheme)
    assert faults(page) == [] and page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_link_of_the_contents_leads_to_its_section_in_view(show: Any) -> None:
    for width in (320, 1280):
        page = show("/_volens/policy", width, 640)
        page.get_by_role("navigation").get_by_role("link", name="Vos droits").click()
        page.wait_for_url("**#rights")
        at = page.locator("#rights h2").bounding_box()
        assert at["y"] >= 68 and at["y"] + at["height"] <= 640, "below the bar that stays"


# --- Served


@pytest.mark.parametrize(
    ("target", "accept", "kind"),
    [
        ("policy", b"text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("policy", b"", "text/html; charset=utf-8"),
        ("policy", b"*/*", "text/html; charset=utf-8"),
        ("policy", b"application/json", "application/json"),
        ("policy.json", b"text/html", "application/json"),
        ("policy.json?language=en", b"", "application/json"),
    ],
)
def test_the_twin_has_an_address_and_is_served_by_accept_too(made: Gateway, target: str, accept: bytes, kind: str) -> None:
    visit = made.visit(request("GET", f"/_volens/{target}", [(b"accept", accept)] if accept else []))
    reply = settle(visit.answer(b""))
    assert (reply.status, header(reply, "content-type")) == (200, [kind])
    if kind == "application/json":
        assert json.loads(reply.body)["language"] == ("en" if "=en" in target else "fr")
    assert "Accept" in header(reply, "vary")[0].split(", ")


def test_what_the_visitor_chose_is_not_in_it_for_another() -> None:
    assert PART.text() not in SCREENS.policy(GRANTS["none"], "fr")


def test_the_site_s_own_text_is_text() -> None:
    """Nothing of it becomes markup but what ``prose`` itself makes: not its words, not an address, not the id of a heading."""
    sly = "<img src=x onerror=alert(1)> \"so\" 'so' &lt;b&gt; <!--"
    markup, headings = prose(f"## {sly}\n\n{sly}\n\n- {sly}\n\n[{sly}](https://e.example/?a=1&b='c)\n\nhttps://e.example/'x&y")
    assert headings == [(headings[0][0], sly)] and re.fullmatch(r"site-[\w-]+", headings[0][0])
    said, link = escape(sly), '<a href="https://e.example/{}">{}</a>'
    assert markup == (
        f'<h2 id="{headings[0][0]}">{said}</h2><p>{said}</p><ul><li>{said}</li></ul>'
        f"<p>{link.format('?a=1&amp;b=&#x27;c', said)}</p><p>{link.format('&#x27;x&amp;y', 'https://e.example/&#x27;x&amp;y')}</p>"
    )
    for address in ("javascript:alert(1)", "data:text/html,x", "//e.example", "/<b>"):
        assert "<a" not in prose(f"[x]({address})")[0], address
