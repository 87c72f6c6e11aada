"""The asking side: the notice stands between head and body, an answer goes out, and the page follows it where it must."""

# ruff: noqa: E501 -- page scripts are kept on one line
from __future__ import annotations

import json
from typing import Any

import pytest
from guarded_site import SITE, Answer, Seen, Site
from playwright.sync_api import Page

from volens.enforce.guard import passing

NOTICE = """<volens-notice data-panel=panel-00000000.js data-storage=no data-profiles=no><template shadowrootmode=open><style>:host{position:fixed;bottom:0}</style>
<form method=post action=/_volens/choice><button name=answer value=settings formaction=/_volens/panel formmethod=get>band</button>
<input type=hidden name=notice value=0011223344556677><input type=hidden name=back value="/?a=1"><input type=hidden name=language value=fr><input type=hidden name=surface value=notice>
<div id=volens-ask><button name=answer value=refuse>Tout refuser</button><button name=answer value=accept>Tout accepter</button></div></form>
</template><form method=post action=/_volens/choice><button name=answer value=refuse>Tout refuser</button></form></volens-notice>"""
REFUSED = "1.0011223344556677.20261122.-"
ACCEPTED = "1.0011223344556677.20261122.audience~publicite"


def answers(site: Site, status: int = 201, **value: Any) -> list[dict[str, Any]]:
    """Put the end point there; returns the answers it got."""
    got: list[dict[str, Any]] = []

    def choice(seen: Seen) -> Answer:
        if not seen.headers.get("Content-Type", "").startswith("application/json"):
            got.append({"form": seen.body.decode()})
            return Answer("<title>by form</title>")
        fields = json.loads(seen.body)
        got.append(fields)
        text = ACCEPTED if fields["answer"] == "accept" else REFUSED
        body = json.dumps({"choice": text, "grant": "g", "reload": fields["answer"] == "accept", **value})
        return Answer(body, "application/json", {"Set-Cookie": f"volens={text}; Path=/"} if status < 400 else {}, status)

    site.net.answers["/_volens/choice"] = choice
    return got


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).first.click()


def loads(site: Site, path: str = "/") -> int:
    return sum(seen.path == path and seen.method == "GET" for seen in site.net.requests)


def test_the_notice_leaves_body_before_scripts_run(site: Site) -> None:
    page = site.open(
        f"{NOTICE}<p id=first>x</p><script>window.first = [document.body.firstElementChild.id, document.querySelector('body > :first-child').id]</script>"
    )
    assert page.evaluate("first") == ["first", "first"]
    assert page.evaluate("[...document.documentElement.children].map(e => e.localName)") == ["head", "volens-notice", "body"]
    assert page.evaluate("document.querySelector('volens-notice').shadowRoot.querySelector('form') !== null")


def test_the_first_form_and_the_first_button_are_the_page_s_own(site: Site) -> None:
    """What stands behind the notice for browsers without shadow roots goes where there is one, before a script of the page counts."""
    page = site.open(
        f"{NOTICE}<form id=own><button id=go>Go</button></form><script>window.first = [document.forms[0].id, document.querySelector('button').id]</script>"
    )
    assert page.evaluate("first") == ["own", "go"]
    assert page.evaluate("document.querySelector('volens-notice').shadowRoot.querySelectorAll('button').length") == 3


@pytest.mark.parametrize("config", [{}, {"a": 1}])
def test_a_refusal_hides_the_first_layer_at_once_and_reloads_nothing(site: Site, config: dict[str, Any]) -> None:
    got = answers(site)
    page = site.open(NOTICE + "<input id=typed>", config)
    page.fill("#typed", "half a sentence")
    page.evaluate("volens.on(c => window.told = c)")
    press(page, "Tout refuser")
    hidden = "(() => { const h = document.querySelector('volens-notice'); return [h.shadowRoot.getElementById('volens-ask').hidden, h.hasAttribute('data-answered')] })()"
    assert page.evaluate(hidden) == [True, True]
    page.wait_for_function(f"volens.choice == '{REFUSED}' && window.told")
    page.wait_for_timeout(300)  # a reload would come now
    assert got == [{"notice": ["0011223344556677"], "back": ["/?a=1"], "language": ["fr"], "surface": ["notice"], "answer": "refuse"}]
    assert page.input_value("#typed") == "half a sentence"
    assert loads(site) == 1
    assert page.evaluate("[volens.choice, window.told]") == [REFUSED, REFUSED]


def test_a_refusal_looks_done_within_a_frame(site: Site) -> None:
    """Where the machine is busy, one of five presses may be late."""
    answers(site)
    took = [
        site.open(NOTICE).evaluate(
            """() => { const h = document.querySelector('volens-notice'), ask = h.shadowRoot.getElementById('volens-ask'), t = performance.now();
        h.shadowRoot.querySelector('[value=refuse]').click(); return ask.hidden && performance.now() - t }"""
        )
        for _ in range(5)
    ]
    assert all(one is not False for one in took) and min(took) < 50


def test_accepting_reloads_and_keeps_what_was_typed_where_one_was_and_what_is_now_permitted(site: Site) -> None:
    answers(site, keep={"C": passing(["_pk_*"]), "S": passing(["player*"])})
    body = (
        NOTICE
        + "<input name=a><textarea name=b></textarea><input type=checkbox name=c><input type=password name=p><select name=s><option>1<option>2</select><div style='height:5000px'></div>"
    )
    page = site.open(body)
    page.evaluate(
        "() => { document.cookie = '_pk_id=7; path=/; max-age=99999'; document.cookie = '_ga=8; path=/; max-age=9999'; localStorage['player-volume'] = 3; localStorage.tracker = 4;"
        "document.querySelector('[name=a]').value = 'typed'; document.querySelector('textarea').value = 'two\\nlines'; document.querySelector('[type=checkbox]').checked = true;"
        "document.querySelector('[type=password]').value = 'secret'; document.querySelector('select').value = '2'; scrollTo(0, 1200) }"
    )
    with page.expect_navigation():  # pressed where it is: a real notice is fixed, and needs no scrolling to
        page.evaluate("document.querySelector('volens-notice').shadowRoot.querySelector('[value=accept]').click()")
    page.wait_for_function(
        "document.querySelector('[name=a]')?.value == 'typed' && scrollY == 1200 && sessionStorage.getItem('volens-keep') == null"
    )
    page.wait_for_timeout(300)  # another reload would come now
    assert loads(site) == 2
    state = "[...document.querySelectorAll('body input,textarea,select')].map(f => f.type == 'checkbox' ? f.checked : f.value)"
    assert page.evaluate(state) == ["typed", "two\nlines", True, "", "2"]
    assert page.evaluate("scrollY") == 1200
    assert site.stored() == {"cookies": ["_pk_id"], "localStorage": ["player-volume"]}
    assert page.evaluate("sessionStorage.getItem('volens-keep')") is None


@pytest.mark.parametrize("status", [503, 409])
def test_an_answer_that_did_not_arrive_goes_by_form(site: Site, status: int) -> None:
    got = answers(site, status)
    page = site.open(NOTICE)
    with page.expect_navigation():
        press(page, "Tout accepter")
    assert page.title() == "by form"
    assert got[-1] == {"form": "notice=0011223344556677&back=%2F%3Fa%3D1&language=fr&surface=notice&answer=accept"}


def test_a_page_whose_policy_forbids_our_file_answers_by_form(site: Site) -> None:
    got = answers(site)
    page = site.open(NOTICE, csp="script-src 'unsafe-inline'")
    with page.expect_navigation():
        press(page, "Tout refuser")
    assert got == [{"form": "notice=0011223344556677&back=%2F%3Fa%3D1&language=fr&surface=notice&answer=refuse"}]


def test_settings_load_the_panel_or_go_to_its_page(site: Site) -> None:
    code = "export const open = ({ host, config }) => { document.title = `panel ${host.localName} ${config.p}` }"
    site.net.answers["/_volens/panel-00000000.js"] = Answer(code, "text/javascript")
    page = site.open(NOTICE)
    press(page, "band")
    page.wait_for_function("document.title == 'panel volens-notice /_volens/'")
    page.evaluate("document.title = ''; volens.open()")
    page.wait_for_function("document.title.startsWith('panel')")
    site.net.answers["/_volens/panel-00000000.js"] = Answer("", "text/javascript", status=404)
    site.net.answers["/_volens/panel"] = Answer("<title>panel page</title>")
    page = site.open(NOTICE)
    with page.expect_navigation():
        press(page, "band")
    assert page.title() == "panel page"


def set_choice(site: Site, text: str) -> None:
    site.page.context.add_cookies([{"name": "volens", "value": text, "url": f"https://{SITE}"}])


def test_another_tab_s_withdrawal_makes_the_page_again(site: Site) -> None:
    set_choice(site, ACCEPTED)
    page = site.open(NOTICE, {"c": ACCEPTED, "a": 1})
    other = page.context.new_page()
    site.serve("/other", "", {"c": ACCEPTED})
    other.goto(f"https://{SITE}/other")
    set_choice(site, REFUSED)
    with page.expect_navigation():
        other.evaluate("new BroadcastChannel('volens').postMessage(0)")
    assert loads(site) == 2


def test_another_tab_s_refusal_only_hides_the_notice_of_a_page_made_for_none(site: Site) -> None:
    page = site.open(NOTICE, {"c": ""})
    other = page.context.new_page()
    site.serve("/other", "", {})
    other.goto(f"https://{SITE}/other")
    set_choice(site, REFUSED)
    other.evaluate("new BroadcastChannel('volens').postMessage(0)")
    page.wait_for_function("document.querySelector('volens-notice').shadowRoot.getElementById('volens-ask').hidden")
    page.wait_for_timeout(300)  # a reload would come now
    assert loads(site) == 1


def test_an_answer_is_told_to_other_tabs(site: Site) -> None:
    answers(site)
    page = site.open(NOTICE)
    other = page.context.new_page()
    site.serve("/other", NOTICE, {})
    other.goto(f"https://{SITE}/other")
    press(page, "Tout refuser")
    other.wait_for_function("document.querySelector('volens-notice').hasAttribute('data-answered')")
    other.wait_for_timeout(300)  # a reload would come now
    assert loads(site, "/other") == 1


def test_an_answer_to_a_post_is_not_made_again(site: Site) -> None:
    set_choice(site, ACCEPTED)
    page = site.open(NOTICE, {"c": ACCEPTED, "a": 1, "m": 1})
    page.evaluate("() => { const h = document.querySelector('volens-notice'); h.dataset.storage = h.dataset.profiles = 'yes' }")
    set_choice(site, REFUSED)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_function("Object.values({...document.querySelector('volens-notice').dataset}).slice(1, 3).join() == 'no,no'")
    page.wait_for_timeout(300)  # a reload would come now
    assert loads(site) == 1


def test_back_after_a_withdrawal_does_not_revive_the_old_page(site: Site) -> None:
    set_choice(site, ACCEPTED)
    site.serve("/next", "next", {"c": ACCEPTED, "a": 1})
    page = site.open(
        NOTICE + "<script>window.onpageshow = e => window.restored = e.persisted; window.ran = Math.random()</script>",
        {"c": ACCEPTED, "a": 1},
    )
    page.goto(f"https://{SITE}/next")
    set_choice(site, REFUSED)
    site.serve("/", "made again", {"c": REFUSED})
    page.go_back()
    page.get_by_text("made again").wait_for()


def test_the_same_meaning_is_not_made_again(site: Site) -> None:
    set_choice(site, ACCEPTED)
    page = site.open(NOTICE, {"c": ACCEPTED})
    set_choice(site, ACCEPTED.replace("20261122", "20261123"))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(400)
    assert loads(site) == 1


def test_no_request_before_a_press_and_nothing_on_the_device(site: Site) -> None:
    page = site.open(NOTICE + "<p>text")
    page.wait_for_timeout(400)
    assert [seen.path for seen in site.net.requests if seen.path.startswith("/_volens")] == []
    assert site.stored() == {}


HIDING = {
    "Kameleoon": "var s = document.createElement('style'); s.id = 'kameleoonLoadingStyleSheet'; s.textContent = '* { visibility: hidden !important }'; document.head.append(s)",
    "Adobe Target": "var s = document.createElement('style'); s.id = 'at-body-style'; s.textContent = 'body { opacity: 0 !important; visibility: hidden }'; document.head.append(s)",
    "VWO": "var s = document.createElement('style'); s.id = '_vis_opt_path_hides'; s.textContent = 'body { visibility: hidden !important }'; document.head.append(s)",
    "Optimize": "document.documentElement.className += ' async-hide'; document.write('<style>.async-hide p { visibility: hidden }</style>')",
}


@pytest.mark.parametrize("tool", HIDING)
def test_a_page_does_not_stay_hidden_for_a_tool_that_will_not_come(site: Site, tool: str) -> None:
    """The snippet's own time-out (1.5 s to 4 s) would show the page at last."""
    show = "getComputedStyle(document.querySelector('#seen')).visibility"
    body = f"<script>{HIDING[tool]}</script><p id=seen>Le pont rouvre.</p>"
    assert site.open(body, {}).evaluate(show) == "visible"
    assert site.open(body, {"a": 1}).evaluate(show) == "hidden"
