"""The newspaper: an aiohttp application that knows of a visitor's choice only what the ``Volens-Consent`` header says."""

# ruff: noqa: E501 (markup reads better unbroken)
from __future__ import annotations

import json
import time
from collections import Counter, deque
from pathlib import Path

from aiohttp import web

from volens_demo import pages, shop, tour
from volens_demo.articles import ARTICLES, BY_SLUG
from volens_demo.consent import HEADER, granted
from volens_demo.pages import STATES, Comment, View
from volens_demo.parties import AGREED, REFUSED, Memory, ThirdParties
from volens_demo.sessions import Sessions

STATIC = Path(__file__).parent / "static"
PROFILE = "profil_lecture"
ASKED = frozenset({"reseaux-sociaux", "video", "publicite", "personnalisation", "geolocalisation"})
STRICT = (
    "default-src 'self'; script-src 'nonce-n0nce' 'strict-dynamic'; style-src 'self' 'nonce-n0nce'; img-src 'self' data:; connect-src 'self'; "
    "frame-src https:; object-src 'none'; base-uri 'none'; require-trusted-types-for 'script'"
)
"""A policy of its own, for ``/csp``: the strictest a newspaper might send."""

UNTAGGED_HEAD = """<script async src="https://www.google-analytics.com/analytics.js"></script><script>document.cookie='_ga=GA1.1.111.222; domain=.journal.test; path=/; max-age=63072000';</script><script>(function(){var s=document.createElement('script');s.async=1;s.src='https://connect.facebook.net/fr_FR/fbevents.js';document.head.appendChild(s)})();</script><script>fetch('https://stats.tracker-demo.test/collect?e=pv',{mode:'no-cors'}).catch(function(){});navigator.sendBeacon('https://region1.google-analytics.com/g/collect?v=2','x=1');</script><link rel="stylesheet" href="https://fonts.googleapis.com/css2?family=Inter">"""
UNTAGGED_VIDEO = '<iframe src="https://www.youtube.com/embed/dQw4w9WgXcQ" width="640" height="360" title="Vidéo"></iframe>'
UNTAGGED_MIDDLE = """<img src="https://www.facebook.com/tr?id=1&ev=PageView&noscript=1" width="1" height="1" alt="">
<div id="disqus_thread"></div><script src="https://demo.disqus.com/embed.js" async></script>"""
"""Vendors' snippets exactly as their instructions give them, for ``/untagged``."""


class Newspaper:
    """The site. ``obeys``: it stands behind Volens and does nothing that the header doesn't grant; otherwise it does as sites do."""

    def __init__(self, memory: Memory, parties: ThirdParties, *, obeys: bool) -> None:
        self.memory = memory
        self.parties = parties
        self.obeys = obeys
        self.sessions = Sessions()
        self.comments: dict[str, deque[Comment]] = {a.slug: deque(maxlen=100) for a in ARTICLES}
        self.comments["pont-vieux"].extend(
            (
                Comment(
                    "Odile",
                    "Ma grand-mère l’a traversé le jour de son mariage. Elle a 94 ans et voulait être là samedi. Elle y était.",
                    "samedi, 12 h 15",
                ),
                Comment("Marc T.", "Très beau travail. Et la navette du Pré-Long, c’est pour quand exactement ?", "samedi, 13 h 02"),
            )
        )
        self.posted = 0
        self.audience: Counter[str] = Counter()
        self.app = self._routes()

    def _routes(self) -> web.Application:
        app = web.Application(client_max_size=256 * 1024)
        add = app.router.add_get
        add("/", self.home)
        add("/article/{slug}", self.article)
        add("/baseline/article/{slug}", self.baseline)
        add("/untagged", self.untagged)
        add("/csp", self.csp)
        add("/confidentialite", self.policy)
        add("/recherche", self.search)
        add("/meteo/ici", self.weather)
        add("/temoin", self.witness)
        add("/temoin.json", self.witness_json)
        add("/visite", self.tour)
        add("/moi.json", self.me)
        app.router.add_post("/commentaires", self.comment)
        app.router.add_post("/temoin/raz", self.reset)
        app.router.add_post("/audience/vue", self.seen)
        app.router.add_static("/static", STATIC)
        shop.add_routes(app, self.sessions, self.view)
        app.on_response_prepare.append(self._prepare)
        return app

    # What a request says.

    def granted(self, request: web.Request) -> frozenset[str]:
        return granted(request.headers.get(HEADER, "")) if self.obeys else ASKED | {"technique", "audience"}

    def browser(self, request: web.Request) -> str:
        return request.headers.get("User-Agent", "")

    def profile(self, request: web.Request) -> Counter[str]:
        """The reading profile: counts by section. All of it lies in the cookie, so who deletes the cookie deletes the profile."""
        if "personnalisation" not in self.granted(request):
            return Counter()
        try:
            counts = json.loads(request.cookies.get(PROFILE, "").replace("'", '"') or "{}")
            return Counter({a.section: min(99, int(counts[a.slug])) for a in ARTICLES if a.slug in counts})
        except (ValueError, TypeError, AttributeError):
            return Counter()

    def view(self, request: web.Request) -> View:
        """What a page is drawn from. Notes, too, in which state this browser reads from now on."""
        allowed, browser = self.granted(request), self.browser(request)
        if allowed & ASKED:
            self.memory.enter(browser, AGREED)
        elif self.memory.state(browser) == AGREED:
            self.memory.enter(browser, REFUSED)
        session = self.sessions.find(request)
        return View(
            url=self.parties.url,
            granted=allowed,
            witness=self.memory.summary(browser),
            profile=[section for section, _ in self.profile(request).most_common()],
            language=shop.language(request) if request.path.startswith("/boutique") else "fr",
            member=session.member if session else "",
            basket=sum(session.basket.values()) if session else 0,
            current=request.path,
            volens=self.obeys,
        )

    async def _prepare(self, request: web.Request, answer: web.StreamResponse) -> None:
        answer.headers.setdefault("Cache-Control", "no-cache" if request.path.startswith("/static") else "private, no-cache")
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        if PROFILE in request.cookies and "personnalisation" not in self.granted(request):
            answer.del_cookie(PROFILE)  # should one ever get here: it goes

    @staticmethod
    def html(text: str, **headers: str) -> web.Response:
        return web.Response(text=text, content_type="text/html", headers={name.replace("_", "-"): value for name, value in headers.items()})

    # News.

    async def home(self, request: web.Request) -> web.Response:
        return self.html(pages.home(self.view(request)))

    async def article(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        if slug not in BY_SLUG:
            raise web.HTTPNotFound(text="Cet article n’existe pas.\n")
        answer = self.html(pages.article(self.view(request), slug, self.comments[slug], posted="merci" in request.query))
        if "personnalisation" in self.granted(request):
            read = self.profile(request)
            read[BY_SLUG[slug].section] += 1
            text = json.dumps({a.slug: read[a.section] for a in ARTICLES if read[a.section]}, separators=(",", ":")).replace('"', "'")
            answer.set_cookie(PROFILE, text, max_age=15_552_000, samesite="Lax", httponly=True)
        return answer

    async def baseline(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        if slug not in BY_SLUG:
            raise web.HTTPNotFound(text="Cet article n’existe pas.\n")
        return self.html(pages.article(self.view(request), slug, self.comments[slug], bare=True))

    async def untagged(self, request: web.Request) -> web.Response:
        view, slug = self.view(request), "pont-vieux"
        text = pages.article(view, slug, self.comments[slug], head=UNTAGGED_HEAD, video=UNTAGGED_VIDEO, middle=UNTAGGED_MIDDLE)
        return self.html(text)

    async def csp(self, request: web.Request) -> web.Response:
        text = pages.article(self.view(request), "pont-vieux", self.comments["pont-vieux"], nonce="n0nce")
        return self.html(text, Content_Security_Policy=STRICT)

    async def policy(self, request: web.Request) -> web.Response:
        return self.html(pages.policy(self.view(request), ""))

    async def search(self, request: web.Request) -> web.Response:
        return self.html(pages.search(self.view(request), request.query.get("q", "")[:80]))

    async def weather(self, request: web.Request) -> web.Response:
        """Behind the gate of *geolocalisation*: the weather where the visitor is, to the degree."""
        if "geolocalisation" not in self.granted(request):
            raise web.HTTPForbidden(text="Autorisez « Géolocalisation » pour le temps près de vous.\n")
        latitude, _, longitude = request.query.get("position", "").partition(",")
        try:
            place = f"{int(latitude)}° N, {int(longitude)}° E"
        except ValueError:
            place = "Montvière"
        report = {"place": place, "degrees": "6 °C", "sky": "Ciel couvert, vent faible d’ouest."}
        if "json" in request.headers.get("Accept", ""):
            return web.json_response(report)
        main = f'<h1>Le temps près de vous</h1><p class="standfirst">{report["place"]}, {report["degrees"]}. {report["sky"]}</p><p><a href="/">Retour à la une</a></p>'
        return self.html(pages.page(self.view(request), "Météo", main))

    async def comment(self, request: web.Request) -> web.Response:
        """Behind the gate of *reseaux-sociaux*; and the application looks for itself, as any should."""
        if "reseaux-sociaux" not in self.granted(request):
            raise web.HTTPForbidden(text="Autorisez « Réseaux sociaux » pour publier un commentaire.\n")
        values = await request.post()
        slug, name, text = (str(values.get(key, "")).strip() for key in ("article", "nom", "texte"))
        if slug not in BY_SLUG or not name or not text:
            raise web.HTTPBadRequest(text="Il manque un nom ou un texte.\n")
        self.comments[slug].append(Comment(name[:60], text[:1500], time.strftime("%H h %M")))
        self.posted += 1
        raise web.HTTPSeeOther(f"/article/{slug}?merci#commentaires")

    async def seen(self, request: web.Request) -> web.Response:
        """Our exempt audience measure: pages counted, nobody known."""
        try:
            page = str(json.loads(await request.text())["page"])[:100]
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest from None
        if len(self.audience) < 500 or page in self.audience:
            self.audience[page] += 1
        return web.Response(status=204)

    # The demonstration about itself.

    async def witness(self, request: web.Request) -> web.Response:
        return self.html(tour.witness_page(self.view(request), sorted(request.cookies)))

    async def tour(self, request: web.Request) -> web.Response:
        return self.html(tour.tour_page(self.view(request), sorted(request.cookies), self.posted))

    async def witness_json(self, request: web.Request) -> web.Response:
        """Polled by the pages. ``choix`` is what the page sees of the visitor's choice: it tells a refusal from no choice yet."""
        browser = self.browser(request)
        said = request.query.get("choix", "")
        if said in ("avant", "refus"):  # an agreement is only believed from the header, when a page is asked for
            self.memory.enter(browser, said)
        summary = self.memory.summary(browser)
        return web.json_response(
            {**summary, "now": dict(STATES)[summary["state"]], "kept": sorted(request.cookies)}, headers={"Cache-Control": "no-store"}
        )

    async def reset(self, request: web.Request) -> web.Response:
        self.memory.reset(self.browser(request))
        back = (await request.post()).get("retour")
        raise web.HTTPSeeOther("/visite" if back == "/visite" else "/temoin")

    async def me(self, request: web.Request) -> web.Response:
        """What the application received: names of cookies and the consent header. For tests and the curious."""
        return web.json_response(
            {
                "cookies": dict(request.cookies),
                "consent": request.headers.get(HEADER),
                "granted": sorted(self.granted(request)),
                "profile": dict(self.profile(request)),
            }
        )
