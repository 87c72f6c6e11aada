"""A small news site whose screens are under test: a notice that uses every part, and a server for them on this machine.

The article is served under a Content-Security-Policy that allows exactly what Volens puts there, with Trusted Types, so a
style or script that slips in fails as it would on a strict site. The guard and the panel are the built ones.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

from volens.choice import Choice, Signals
from volens.enforce.html import Withheld
from volens.enforce.url import Target
from volens.ledger.record import Record
from volens.notice import Controller, Notice, Purpose, Service, StorageKey
from volens.policy import Grant, grant
from volens.site import Gate, Site
from volens.web.screens import BACK, Screens

STATIC = Path(__file__).parents[2] / "src" / "volens" / "static"
DAY = date(2026, 11, 22)


def _purpose(
    id: str, fr: str, en: str, fr_says: str, en_says: str, exempt: str = "", kinds: tuple[str, ...] = (), profiles: bool = False
) -> Purpose:
    return Purpose(id, {"fr": fr, "en": en}, {"fr": fr_says, "en": en_says}, exempt, kinds, profiles)


NOTICE = Notice(
    Controller("Le Quai", "donnees@lequai.example", "", "12 quai de la Fosse, 44000 Nantes", "dpo@lequai.example", "FR"),
    (
        _purpose(
            "technique", "Fonctionnement du site", "Running the site", "Garder votre session.", "Keep your session.", "authentication"
        ),
        _purpose("audience", "Mesure d’audience", "Audience", "Compter les visites.", "Count visits.", "audience"),
        _purpose(
            "reseaux-sociaux",
            "Réseaux sociaux",
            "Social networks",
            "Afficher les publications, partager et commenter.",
            "Show posts, share and comment.",
            kinds=("ip", "social", "comments"),
        ),
        _purpose("video", "Vidéos", "Videos", "Lire des vidéos d’autres sites.", "Play videos of other sites.", kinds=("ip", "usage")),
        _purpose("publicite", "Publicité", "Advertising", "Afficher de la publicité.", "Show advertising.", kinds=("ip", "browsing")),
        _purpose(
            "personnalisation", "Profils", "Profiles", "Créer un profil.", "Create a profile.", kinds=("browsing", "usage"), profiles=True
        ),
        _purpose(
            "geolocalisation", "Géolocalisation", "Location", "Utiliser votre position.", "Use your location.", kinds=("geolocation",)
        ),
    ),
    (
        Service("stats", "Stats du Quai", ("audience",), ("stats.test",)),
        Service(
            "mesvideos",
            "MesVidéos",
            ("video",),
            ("videos.test",),
            (StorageKey("mv_id", purpose="video", days=395), StorageKey("mv_pos", "local", "video")),
            "MesVidéos SAS",
            "https://videos.test/privacy",
            "FR",
        ),
        Service(
            "canal", "Canal", ("reseaux-sociaux",), ("canal.test",), (StorageKey("cnl", days=30),), "Canal Ltd", "https://canal.test/p"
        ),
        Service("piaf", "Piaf", ("reseaux-sociaux",), ("piaf.test",), (), "Piaf Corp.", "https://piaf.test/p", "US", profiles=True),
        Service(
            "regie",
            "Régie Océan",
            ("publicite", "personnalisation"),
            ("regie.test",),
            (StorageKey("_ro*", days=0),),
            "Régie Océan SA",
            "https://regie.test/p",
            profiles=True,
            chain=True,
        ),
        Service("mesure", "Mesure Plus", ("publicite",), ("mesure.test",), (), "Mesure GmbH", "https://mesure.test/p", "DE"),
    ),
    ("lequai.test",),
)
RECORD = Record(
    "0123456789abcdefghijklmnop",
    "lequai.test",
    datetime(2026, 11, 22, 10, 23, 5, tzinfo=UTC),
    "given",
    "panel",
    "panel",
    "fr",
    NOTICE.digest,
    {p: p in ("reseaux-sociaux", "video") for p in NOTICE.askable},
    {s.id: s.id in ("canal", "mesvideos") for s in NOTICE.services_asked},
)
GATE = Gate("/commentaires", "reseaux-sociaux", title={"fr": "Commentaires", "en": "Comments"})
SITE = Site("lequai.test", NOTICE, storage=(StorageKey("session", days=0), StorageKey("volens", days=183)), gates=(GATE,))
WORDS = "Aube Brise Côte Dune Embrun Falaise Golfe Houle Île Jetée Lagune Marée Noroît Océane Phare Quille".split()
MANY = replace(
    SITE,
    notice=replace(
        NOTICE,
        services=NOTICE.services
        + tuple(Service(f"s{i}", f"Régie {word}", ("publicite",), (f"s{i}.test",), (), word + " SA") for i, word in enumerate(WORDS)),
    ),
)
"""The same with more services than can be looked through."""
PART = Choice.from_switches(NOTICE, DAY, ["reseaux-sociaux", "video"], ["canal", "mesvideos"])
ACCEPTED = Choice.accept_all(NOTICE, DAY)
MIXED = Choice.from_switches(NOTICE, DAY, ["reseaux-sociaux"], ["canal", "mesure"])
ANSWERS = {
    "refused": Choice.refuse_all(NOTICE, DAY).text(),
    "part": PART.text(),
    "mixed": MIXED.text(),
    "accepted": ACCEPTED.text(),
    "new": ACCEPTED.text(),
}
"""The cookie of who asks with ``?grant=``."""
GRANTS = {
    "none": grant(NOTICE, None, Signals(), DAY),
    "gpc": grant(NOTICE, None, Signals(gpc=True), DAY),
    "refused": grant(NOTICE, Choice.refuse_all(NOTICE, DAY), Signals(), DAY),
    "part": grant(NOTICE, PART, Signals(), DAY),
    "mixed": grant(NOTICE, MIXED, Signals(gpc=True), DAY),
    "accepted": grant(NOTICE, ACCEPTED, Signals(gpc=True), DAY),
}
TYPED = [("texte", 'Bravo !\nOn y va "samedi" <b>'), ("csrf_token", "s3cret"), ("answer", "42")]

ARTICLE_STYLE = (
    "body{font:18px/1.5 serif;margin:0;background:#fff;color:#222}main{padding:16px;max-width:40em;margin:auto}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}a{color:inherit}"
)
ARTICLE = (
    '<!DOCTYPE html><html lang="fr"><head>%s<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    f"<title>La halle rouvre</title><style>{ARTICLE_STYLE}</style></head><body>%s<main><p>Le Quai, Nantes</p>"
    '<h1>La halle du quai rouvre ses portes après trois ans de travaux</h1><p>Par Anne Martin</p><p><a href="/suite">Lire la suite</a></p>'
    + "<p>Les étals sont revenus ce samedi matin sous la verrière refaite à neuf, et les habitués avec eux.</p>" * 20
    + "</main></body></html>"
)


def csp_hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@dataclass
class Seen:
    """What reached the server."""

    posts: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)


class Desk:
    """The screens behind a server: ``/article``, the reserved path, and a POST that only writes down what came."""

    def __init__(self, site: Site = SITE, grants: dict[str, Grant] | None = None) -> None:
        self.grants = {**GRANTS, **(grants or {})}
        self.screens = Screens(site, {"panel": "/_volens/panel-0a1b2c3d.js", "dialog-text": (STATIC / "dialog.js").read_text()})
        self.seen = Seen()
        self.fails = False
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                desk.seen.gets.append(self.path)
                url = urlsplit(self.path)
                query = dict(parse_qsl(url.query))
                kind, policy, body = desk.get(url.path, query)
                self.reply(200 if body else 404, kind, policy, body, ANSWERS.get(query.get("grant", ""), ""))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if "json" in self.headers["Content-Type"]:
                    fields = {n: v if isinstance(v, list) else [v] for n, v in json.loads(body).items()}
                    desk.seen.posts.append((self.path, fields))
                    text = Choice.refuse_all(NOTICE, DAY).text()
                    answer = {"choice": text, "grant": "", "reload": False}
                    self.reply(503 if desk.fails else 201, "application/json", "", json.dumps(answer), "" if desk.fails else text)
                else:
                    desk.seen.posts.append((self.path, parse_qs(body, keep_blank_values=True)))
                    self.reply(200, "text/html; charset=utf-8", "", '<!DOCTYPE html><title>sent</title><h1 id="sent">sent</h1>')

            def reply(self, status: int, kind: str, policy: str, body: str, choice: str = "") -> None:
                data = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                if choice:
                    self.send_header("Set-Cookie", f"volens={choice}; Path=/")
                if policy:
                    self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def get(self, path: str, query: dict[str, str]) -> tuple[str, str, str]:
        screens, language = self.screens, query.get("language", "fr")
        at = self.grants[query.get("grant", "none")]
        page = "text/html; charset=utf-8"
        own = f"default-src 'none'; style-src {csp_hash(screens.page_style)}; script-src 'self'; form-action 'self'; frame-ancestors 'self'"
        if path == "/article":
            guard = (STATIC / "guard.js").read_text() if "bare" not in query else ""
            choice = ANSWERS.get(query.get("grant", ""), "")
            config = html.escape(json.dumps({"p": "/_volens/", "n": NOTICE.short, "a": 1, "c": choice}))
            dress = screens.dress(at, language).body.replace(BACK, html.escape("/article?grant=none&x=1"))
            if "stripped" in query:
                dress = dress.replace(' shadowrootmode="open"', "")
            styles = f"{csp_hash(screens.style)} {csp_hash(ARTICLE_STYLE)}"
            policy = (
                f"default-src 'none'; style-src {styles}; script-src 'self' {csp_hash(guard)}; connect-src 'self'; form-action 'self'; "
                "require-trusted-types-for 'script'; trusted-types none"
            )
            return page, policy, ARTICLE % (f"<script data-volens='{config}'>{guard}</script>" if guard else "", dress)
        if path == "/_volens/panel":
            text = ANSWERS[query["grant"]] if at.answered else ""
            return (
                page,
                own,
                screens.panel(
                    at,
                    language,
                    query.get("back", "/"),
                    choice_text=text,
                    token="t0k",
                    message=query.get("message", ""),
                ),
            )
        if path == "/_volens/policy":
            return page, own, screens.policy(at, language, "/article", record_id=RECORD.id if at.purposes else "")
        if path == "/_volens/rights":
            text = ANSWERS[query["grant"]] if at.answered else ""
            known = RECORD if at.purposes and "down" not in query else None
            record = RECORD.id if at.purposes else ""
            return (
                page,
                own,
                screens.rights(at, language, "/article", choice_text=text, record_id=record, recorded=known, unavailable="down" in query),
            )
        if path == "/_volens/forget":
            return page, own, screens.forget(language, "/article", token="t0k", anything=at.answered, recorded=bool(at.purposes))
        if path == "/_volens/embed/frame":
            service = NOTICE.service.get(query.get("service", "mesvideos"), "videos.test")
            if query.get("once"):
                return page, "", screens.playing(self.url + "/player", {"allow": "fullscreen", "onload": "alert(1)", "title": "Film"})
            own = own.replace(csp_hash(screens.page_style), csp_hash(screens.place_style))
            withheld = Withheld(Target("https", "videos.test", "/embed/1?a=b&c=d"), "/_volens/embed/frame?u=x", language)
            return page, own, screens.place(service, withheld, whole=True)
        if path == "/gate":
            return (
                page,
                own,
                screens.gate(
                    GATE,
                    at.decide("reseaux-sociaux"),
                    language,
                    query.get("method", "POST"),
                    "/commentaires?x=1",
                    TYPED,
                    grant=at,
                    back="/article",
                ),
            )
        if path == "/problem":
            return page, own, screens.problem(query["kind"], language, back="/article", token="t0k", fields=[("answer", "accept")])
        if path == "/framing":
            sizes = json.loads(query["sizes"])
            frames = "".join(f'<iframe title="f" src="/_volens/embed/frame" width="{w}" height="{h}"></iframe>' for w, h in sizes)
            return page, "", f'<!DOCTYPE html><html lang="fr"><title>f</title>{frames}</html>'
        if path == "/player":
            return page, "", '<!DOCTYPE html><html lang="fr"><title>Film</title><p>film</p></html>'
        if dialog := re.fullmatch(r"/_volens/panel-(\w\w)-[0-9a-f]{8}\.js", path):
            return "text/javascript", "", screens.dialog(dialog[1])[1].decode()
        if script := re.fullmatch(r"/_volens/(\w+)-[0-9a-f]{8}\.js", path):
            return "text/javascript", "", (STATIC / f"{script[1]}.js").read_text()
        return page, "", ""
