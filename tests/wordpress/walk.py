"""A walk through WordPress as a visitor and as whoever writes, in one state of consent: every step must end as it does without Volens."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from serving import ADMIN, WordPress, fetched

from tests.running import until
from volens.wordpress import configuration

EXAMPLE = configuration("wordpress.localhost", "Le Carnet", "claire@carnet.example")
MORE = """
[services.wordpress-site-stats]
policy = "https://automattic.com/privacy/"

[services.regie]
name = "Régie"
purposes = ["publicite"]
hosts = ["ads.regie.example"]
policy = "https://regie.example/vie-privee"

[[storage]]
name = "lieu"
purpose = "geolocalisation"
days = 30
"""
"""Purposes that the how-to's file does not ask for."""
PURPOSES = ("reseaux-sociaux", "video", "publicite", "personnalisation", "geolocalisation")
STATES = tuple(
    state if state in ("none", "refused", "reseaux-sociaux", "accepted") else pytest.param(state, marks=pytest.mark.soak)
    for state in ("none", "refused", *PURPOSES, "accepted")
)
"""The purposes that WordPress itself has no use for are walked in ``make soak``."""
PARTIES = {
    "reseaux-sociaux": {"gravatar.com"},
    "video": {"youtube.com"},
    "publicite": {"regie.example"},
    "personnalisation": {"wp.com"},
    "geolocalisation": set[str](),
}
"""Whom each purpose opens the article to."""
CATEGORIES = {
    "functional": "technique",
    "preferences": "personnalisation",
    "statistics-anonymous": "audience",
    "statistics": "personnalisation",
    "marketing": "publicite",
}
EXEMPT = re.compile(r"volens(-record)?|wordpress_\w+|wp-settings(-time)?-\d+|wp-saving-post|wp_lang")
DEVICE = re.compile(r"WP_(DATA|PREFERENCES)_USER_\d+|wp-autosave-[\w-]+|wp-api-schema-model.*|loglevel|wpEmojiSettingsSupports")

ARTICLE = """
<!-- wp:paragraph --><p>Le pont vieux a rouvert ce matin 🙂.</p><!-- /wp:paragraph -->
<!-- wp:html -->
<iframe width="560" height="315" src="https://www.youtube.com/embed/dQw4w9WgXcQ" title="Inauguration"></iframe>
<script src="https://ads.regie.example/a.js" async></script><script src="https://stats.wp.com/e-202647.js" defer></script>
<!-- /wp:html -->
<!-- wp:shortcode -->[said_by_php][volens_panel_link]<!-- /wp:shortcode -->
"""
# What the tests need of WordPress and no site does: comments one after the other, and what PHP was told, on the page.
HELP = """<?php
add_filter('wp_is_comment_flood', '__return_false', 99);
add_shortcode('said_by_php', function () {
    $names = array('functional', 'preferences', 'statistics-anonymous', 'statistics', 'marketing', PURPOSES, 'youtube', 'nobody');
    $said = array_combine($names, array_map('wp_has_consent', $names));
    return '<pre id="said">' . wp_json_encode($said) . '</pre><i id="type">' . wp_get_consent_type() . '</i>';
});
""".replace("PURPOSES", ", ".join(f"'{purpose}'" for purpose in PURPOSES))


def prepared(site: WordPress) -> int:
    """The article every state reads; its number."""
    (site.folder / "wp-content/mu-plugins/help.php").write_text(HELP, "utf-8")
    return int(
        site.wp(
            "switch_theme('twentytwentyone'); global $wp_rewrite;"
            "$wp_rewrite->set_permalink_structure('/%postname%/'); flush_rewrite_rules(false);"
            "update_option('comment_previously_approved', 0); kses_remove_filters();"
            "if ($was = get_page_by_path('pont-vieux', OBJECT, 'post')) { echo $was->ID; exit; }"
            "$id = wp_insert_post(array('post_title' => 'Le pont vieux', 'post_name' => 'pont-vieux', 'post_status' => 'publish',"
            f"'post_author' => 1, 'post_content' => wp_slash(base64_decode('{base64.b64encode(ARTICLE.encode()).decode()}'))));"
            "wp_insert_comment(array('comment_post_ID' => $id, 'comment_author' => 'Zoé', 'comment_author_email' => 'zoe@carnet.example',"
            "'comment_content' => 'Première.')); echo $id;"
        )
    )


def png() -> bytes:
    """A picture of 640 × 480, so that WordPress makes smaller ones of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x + y) & 255 for x in range(640) for _ in range(3)) for y in range(480))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


def registrable(host: str) -> str:
    return ".".join(host.split(".")[-2:])


def sign_in(page: Any) -> None:
    """On WordPress's own form. Its script puts the focus on the name 200 ms after it ran: what is typed before would go there."""
    page.wait_for_function("document.activeElement.id === 'user_login'")
    page.fill("#user_login", ADMIN[0])
    page.fill("#user_pass", ADMIN[1])
    page.check("#rememberme")
    page.click("#wp-submit")
    page.wait_for_url("**/wp-admin/")
    assert page.locator("#wp-admin-bar-my-account").count() == 1


@dataclass
class Walker:
    """One browser profile in one state."""

    page: Any
    url: str
    site: WordPress
    state: str
    gated: bool
    foreign: list[tuple[str, str]] = field(default_factory=list)
    """(host, path of the page) of what left for other hosts."""
    errors: list[str] = field(default_factory=list)
    """What no script of a page caught."""

    @property
    def granted(self) -> set[str]:
        return {self.state} & set(PURPOSES) if self.state != "accepted" else set(PURPOSES)

    def open(self, path: str) -> None:
        self.page.goto(self.url + path, wait_until="load")

    def asked(self) -> set[str]:
        """Whom the pages for visitors have reached since the last look."""
        found = {registrable(host) for host, path in self.foreign if not path.startswith("/wp-admin/")}
        self.foreign.clear()
        return found

    def reached(self, wanted: set[str]) -> set[str]:
        """The same, once those are among them and what comes late has come."""
        found: set[str] = set()

        def all_told() -> bool:
            self.page.wait_for_timeout(20)
            found.update(self.asked())
            return found >= wanted

        until(all_told)
        self.page.wait_for_timeout(300)
        return found | self.asked()

    # Steps, in their order.

    def home(self) -> None:
        """The front page, its notice, and the answer."""
        self.open("/")
        assert self.page.get_by_role("link", name="Le pont vieux").count()
        notice = self.page.locator("volens-notice")
        button = lambda name: notice.get_by_role("button", name=name, exact=True)
        if self.state == "refused":
            button("Tout refuser").click()
            self.page.wait_for_function("document.cookie.includes('volens=')")
        elif self.state != "none":
            self.page.evaluate("window.__before = true")
            if self.state == "accepted":
                button("Tout accepter").click()
            else:
                button("Paramétrer vos choix").click()
                dialog = self.page.get_by_role("dialog")
                dialog.locator(f"[role=switch][value='{self.state}']").first.click()
                dialog.get_by_role("button", name="OK", exact=True).click()
            self.page.wait_for_function("!window.__before && document.readyState === 'complete'")

    def article(self) -> None:
        """A post with a video, a script of a régie, Jetpack's counter and the faces of those who commented."""
        self.asked()
        self.open("/pont-vieux/")
        assert "Le pont vieux a rouvert ce matin" in self.page.locator(".entry-content").inner_text()
        self.page.mouse.wheel(0, 4000)
        wanted = set().union(*(PARTIES[purpose] for purpose in self.granted))
        assert self.reached(wanted) == wanted
        said = json.loads(self.page.locator("#said").inner_text())
        told = {"technique"} | self.granted
        names = {name: purpose in told for name, purpose in CATEGORIES.items()}
        names |= {purpose: purpose in told for purpose in PURPOSES} | {"youtube": "video" in told, "nobody": False}
        assert said == names and self.page.locator("#type").inner_text() == "optin"
        names["youtube"] = False  # the browser's copy of the choice names purposes, not the services under them
        assert self.page.evaluate("names => Object.fromEntries(names.map(n => [n, wp_has_consent(n)]))", list(names)) == names
        link = self.page.get_by_role("link", name="Paramétrer vos choix").last
        assert link.get_attribute("href") == "/_volens/panel?back=%2Fpont-vieux%2F"

    def comment(self) -> None:
        """Written, and published unless the gate is closed; then given back, and nothing of it kept."""
        text = f"Enfin ! ({self.state}, {self.gated})"
        kept = lambda: int(self.site.wp(f"echo count(get_comments(array('search' => {text!r})));"))
        closed = self.gated and "reseaux-sociaux" not in self.granted
        assert self.page.locator("volens-gate").get_by_role("button").count() == (3 if closed else 0), self.page.locator(
            "volens-gate"
        ).evaluate("e => e.outerHTML")
        self.page.fill("#comment", text)
        self.page.fill("#author", "Ada")
        self.page.fill("#email", "ada@carnet.example")
        with self.page.expect_navigation(wait_until="load") as went:
            self.page.locator("#submit").click()
        if closed:
            assert went.value.status == 403 and kept() == 0
            assert text in self.page.locator("body").inner_text() and "Réseaux sociaux" in self.page.locator("body").inner_text()
        else:
            assert self.page.locator(".comment-list").get_by_text(text).count() == 1 and kept() == 1

    def log_in(self) -> None:
        self.open("/wp-login.php")
        sign_in(self.page)

    def write(self) -> str:
        """In the block editor: a title and a paragraph, saved as a draft, looked at in a preview, published. Its address."""
        page, title = self.page, f"Écrit en état {self.state} {'avec' if self.gated else 'sans'} porte"
        self.open("/wp-admin/post-new.php")
        page.wait_for_function("window.wp && wp.data && wp.data.select('core/editor').getCurrentPostId()")
        page.evaluate("wp.data.dispatch('core/preferences').set('core/edit-post', 'welcomeGuide', false)")
        page.locator(".editor-post-title__input").click()
        page.keyboard.type(title)
        page.keyboard.press("Enter")
        page.keyboard.type("Un paragraphe.")
        page.locator(".editor-post-save-draft").click()
        page.locator(".editor-post-saved-state.is-saved").wait_for()
        page.locator(".block-editor-post-preview__button-toggle").click()
        with page.context.expect_page() as opened:
            page.locator(".edit-post-header-preview__button-external").click()
        preview = opened.value
        preview.wait_for_url(re.compile("preview=true"))
        preview.locator(".entry-content").get_by_text("Un paragraphe.").wait_for()
        assert title in preview.title()
        preview.close()
        ticked = """() => new Promise((well, wrong) => { setTimeout(wrong, 8000, 'no tick');
            jQuery(document).one('heartbeat-tick', (_, data) => well(Object.keys(data))); wp.heartbeat.connectNow(); })"""
        assert "server_time" in page.evaluate(ticked)
        page.locator(".editor-post-publish-panel__toggle").click()
        page.locator(".editor-post-publish-panel .editor-post-publish-button").click()
        address: str = page.locator(".post-publish-panel__postpublish-header a").get_attribute("href")
        self.open(urlsplit(address).path)
        assert page.locator("h1.entry-title").inner_text() == title
        assert page.locator(".entry-content").inner_text().strip().startswith("Un paragraphe.")
        assert page.locator("#wpadminbar").count() == 1
        return address

    def upload(self) -> None:
        """A picture through the media screen's own uploader, and the picture back."""
        self.open("/wp-admin/media-new.php")
        self.page.locator("input[type=file]").first.set_input_files(
            {"name": f"pont-{self.state}.png", "mimeType": "image/png", "buffer": png()}
        )
        self.page.locator(".media-item a.edit-attachment").wait_for()
        shown = self.page.locator(".media-item img.pinkynail")
        shown.wait_for()
        assert self.page.wait_for_function("document.querySelector('.media-item img.pinkynail').naturalWidth > 0")

    def customise(self) -> None:
        """The customiser: the preview draws the site, a changed line is saved and stands on the front page."""
        page, line = self.page, f"Un carnet, {self.state} {self.gated}"
        self.open("/wp-admin/customize.php")
        frame = page.frame_locator("#customize-preview iframe").last
        frame.locator("#masthead").wait_for()
        page.wait_for_function("wp.customize && wp.customize.previewer && wp.customize.previewer.deferred.active.state() === 'resolved'")
        page.evaluate("line => wp.customize('blogdescription').set(line)", line)
        frame.locator(".site-description").get_by_text(line).wait_for()
        page.wait_for_function("!document.querySelector('#save').disabled")
        page.click("#save")
        page.wait_for_function("wp.customize.state('saved').get() && !wp.customize.state('saving').get()")
        self.open("/")
        assert page.locator(".site-description").inner_text() == line

    def interfaces(self, article: int) -> None:
        """REST, as the site's own scripts and as anybody ask it; the feed, byte for byte as WordPress made it."""
        self.open("/wp-admin/edit.php?post_type=page")
        nonce = "fetch('/wp-admin/admin-ajax.php?action=rest-nonce').then(r => r.text())"
        asked = f"{nonce}.then(n => fetch('/wp-json/wp/v2/users/me', {{headers: {{'X-WP-Nonce': n}}}})).then(r => r.json())"
        assert self.page.evaluate(asked)["slug"] == ADMIN[0]
        status, headers, text = fetched(f"{self.url}/wp-json/wp/v2/posts/{article}")
        assert status == 200 and headers["content-type"].startswith("application/json")
        assert json.loads(text)["slug"] == "pont-vieux" and "youtube.com/embed" in json.loads(text)["content"]["rendered"]
        host = urlsplit(self.url).netloc
        feed = fetched(f"{self.url}/feed/")
        bare = fetched(f"http://127.0.0.1:{self.site.port}/feed/", Host=host, Volens_Consent="technique")
        assert feed[0] == 200 and "rss+xml" in feed[1]["content-type"] and feed[2] == bare[2]
        assert "Le pont vieux" in feed[2], feed[2]

    def log_out(self) -> None:
        address = self.page.locator("#wp-admin-bar-logout a").get_attribute("href")
        self.page.goto(address, wait_until="load")
        assert "loggedout=true" in self.page.url
        self.open("/wp-admin/")
        assert "/wp-login.php" in self.page.url

    def kept(self) -> set[str]:
        """What lies on the device that is not known to be technical."""
        found = {cookie["name"] for cookie in self.page.context.cookies() if not EXEMPT.fullmatch(cookie["name"])}
        session = self.page.context.new_cdp_session(self.page)
        session.send("DOMStorage.enable")
        for local in (True, False):
            where = {"securityOrigin": self.url, "isLocalStorage": local}
            names = {name for name, _ in session.send("DOMStorage.getDOMStorageItems", {"storageId": where})["entries"]}
            found |= {name for name in names if not DEVICE.fullmatch(name)}
        return found

    def all(self, article: int) -> None:
        """The whole walk."""
        self.home()
        self.article()
        self.comment()
        self.log_in()
        self.write()
        self.upload()
        self.customise()
        self.interfaces(article)
        self.log_out()
        assert self.kept() == set()
        reached = set().union(*(PARTIES[purpose] for purpose in self.granted))
        assert self.asked() <= reached, "and nobody else on the way"
        assert self.errors == []


@contextmanager
def walker(browser: Any, url: str, site: WordPress, state: str, *, gated: bool) -> Iterator[Walker]:
    """A fresh profile. Other hosts are played here: each request to one is noted, and answered with nothing."""
    context = browser.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20000)
    page = context.new_page()
    one = Walker(page, url, site, state, gated)
    own = urlsplit(url).netloc

    def elsewhere(route: Any) -> None:
        asked = route.request
        frame = asked.frame
        while frame.parent_frame is not None:
            frame = frame.parent_frame
        one.foreign.append((urlsplit(asked.url).hostname, urlsplit(frame.url).path))
        kind = {"image": "image/svg+xml", "script": "text/javascript"}.get(asked.resource_type, "text/html")
        route.fulfill(status=200, content_type=kind, body="<svg xmlns='http://www.w3.org/2000/svg'/>" if "svg" in kind else "")

    context.route(lambda address: urlsplit(address).netloc not in (own, ""), elsewhere)
    context.on("weberror", lambda error: one.errors.append(f"{error.page.url if error.page else ''}: {error.error}"))
    yield one
    context.close()
