"""The newspaper: an aiohttp application that knows of a visitor's choice only what the ``Volens-Consent`` header says."""

# ruff: noqa: E501 (markup reads better unbroken)
from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote

from aiohttp import ClientSession, DummyCookieJar, web
from yarl import URL

from volens_demo import pages, shop, tour
from volens_demo.articles import BY_SLUG
from volens_demo.consent import HEADER, granted
from volens_demo.engine import SEEDS, Comment, Engine
from volens_demo.pages import STATES, View
from volens_demo.parties import AGREED, REFUSED, Memory, ThirdParties
from volens_demo.profiles import COOKIE as PROFILE
from volens_demo.profiles import Profiles
from volens_demo.sessions import Sessions, signed

STATIC = Path(__file__).parent / "static"
ASKED = frozenset({"reseaux-sociaux", "video", "publicite", "personnalisation", "geolocalisation"})
STRICT = (
    "default-src 'self'; script-src 'nonce-n0nce' 'strict-dynamic'; style-src 'self' 'nonce-n0nce'; img-src 'self' data:; connect-src 'self'; "
    "frame-src https:; object-src 'none'; base-uri 'none'; require-trusted-types-for 'script'"
)
"""A policy of its own, for ``/csp``: the strictest a newspaper might send."""

PLACE = "meteo_lieu"
"""The cookie with the place whose weather the front page shows."""
PLACED = re.compile(r"-?\d{1,4}° N, -?\d{1,4}° E")
WEATHER = {"degrees": "6 °C", "sky": "Ciel couvert, vent faible d’ouest."}

UNTAGGED_HEAD = """<script async src="https://www.google-analytics.com/analytics.js"></script><script>document.cookie='_ga=GA1.1.111.222; domain=.journal.test; path=/; max-age=63072000';</script><script>(function(){var s=document.createElement('script');s.async=1;s.src='https://connect.facebook.net/fr_FR/fbevents.js';document.head.appendChild(s)})();</script><script>fetch('https://stats.tracker-demo.test/collect?e=pv',{mode:'no-cors'}).catch(function(){});navigator.sendBeacon('https://region1.google-analytics.com/g/collect?v=2','x=1');</script><link rel="stylesheet" href="https://fonts.googleapis.com/css2?family=Inter">"""
UNTAGGED_VIDEO = '<iframe src="https://www.youtube.com/embed/dQw4w9WgXcQ" width="640" height="360" title="Vidéo"></iframe>'
UNTAGGED_MIDDLE = """<img src="https://www.facebook.com/tr?id=1&ev=PageView&noscript=1" width="1" height="1" alt="">
<div id="disqus_thread"></div><script src="https://demo.disqus.com/embed.js" async></script>"""
"""Vendors' snippets exactly as their instructions give them, for ``/untagged``."""


class Newspaper:
    """The site. ``obeys``: it stands behind Volens and does nothing that the header doesn't grant; otherwise it does as sites do."""

    def __init__(self, memory: Memory, parties: ThirdParties, engine: Engine, *, obeys: bool) -> None:
        self.memory = memory
        self.parties = parties
        self.obeys = obeys
        self.sessions = Sessions()
        self.profiles = Profiles()
        self.engine = engine
        self._threads: dict[str, Sequence[Comment]] = {}
        """Comments by page as last read from the engine; forgotten whenever something is sent to it."""
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
        app.router.add_post("/volens/changement", self.changed)
        app.router.add_post("/commentaires", self.comment)
        add("/mes-commentaires", self.mine)
        app.router.add_post("/mes-commentaires", self.erase)
        app.router.add_route("*", "/isso/{path:.*}", self.isso)
        app.cleanup_ctx.append(self._connected)
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
        """The reading profile: counts by section, most read first. The cookie only says which one it is."""
        if "personnalisation" not in self.granted(request):
            return Counter()
        return self.profiles.of(request.cookies.get(PROFILE, ""))

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
            weather={"place": place, **WEATHER} if (place := self.place(request)) else {},
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
        answer = self.html(pages.article(self.view(request), slug, await self.thread(slug), posted="merci" in request.query))
        if "personnalisation" in self.granted(request):
            name = self.profiles.note(request.cookies.get(PROFILE, ""), BY_SLUG[slug].section)
            answer.set_cookie(PROFILE, name, max_age=15_552_000, samesite="Lax", httponly=True)
        return answer

    async def baseline(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        if slug not in BY_SLUG:
            raise web.HTTPNotFound(text="Cet article n’existe pas.\n")
        return self.html(pages.article(self.view(request), slug, await self.thread(slug), bare=True))

    async def untagged(self, request: web.Request) -> web.Response:
        view, slug = self.view(request), "pont-vieux"
        text = pages.article(view, slug, await self.thread(slug), head=UNTAGGED_HEAD, video=UNTAGGED_VIDEO, middle=UNTAGGED_MIDDLE)
        return self.html(text)

    async def csp(self, request: web.Request) -> web.Response:
        text = pages.article(self.view(request), "pont-vieux", await self.thread("pont-vieux"), nonce="n0nce")
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
            place = f"{int(latitude[:4])}° N, {int(longitude[:4])}° E"
        except ValueError:
            place = "Montvière"
        report = {"place": place, **WEATHER}
        if "json" in request.headers.get("Accept", ""):
            return self._placed(web.json_response(report), place)
        main = f'<h1>Le temps près de vous</h1><p class="standfirst">{report["place"]}, {report["degrees"]}. {report["sky"]}</p><p>Votre adresse, telle que le journal l’a reçue : <code>{escape(self.address(request))}</code>.</p><p><a href="/">Retour à la une</a></p>'
        return self._placed(self.html(pages.page(self.view(request), "Météo", main)), place)

    def _placed(self, answer: web.Response, place: str) -> web.Response:
        """The front page shows the weather of this place from now on."""
        if PLACED.fullmatch(place):
            answer.set_cookie(PLACE, quote(place), max_age=2_592_000, samesite="Lax")
        return answer

    def place(self, request: web.Request) -> str:
        """Where the reader last asked for the weather."""
        found = unquote(request.cookies.get(PLACE, "")) if "geolocalisation" in self.granted(request) else ""
        return found if PLACED.fullmatch(found) else ""

    async def comment(self, request: web.Request) -> web.Response:
        """Behind the gate of *reseaux-sociaux*; and the application looks for itself, as any should."""
        if "reseaux-sociaux" not in self.granted(request):
            raise web.HTTPForbidden(text="Autorisez « Réseaux sociaux » pour publier un commentaire.\n")
        values = await request.post()
        slug, name, text = (str(values.get(key, "")).strip() for key in ("article", "nom", "texte"))
        if slug not in BY_SLUG or not name or not text:
            raise web.HTTPBadRequest(text="Il manque un nom ou un texte.\n")
        number = await self.engine.publish(self._client, f"/article/{slug}", BY_SLUG[slug].headline, name[:60], text[:1500])
        if number is None:
            raise web.HTTPBadRequest(text="Le commentaire n’a pas pu être publié : il lui faut au moins trois lettres.\n")
        answer = web.Response(status=303, headers={"Location": f"/article/{slug}?merci#commentaires"})
        self._written(request, answer, number)
        return answer

    # Comments: kept by the engine, read and written through it.

    async def _connected(self, app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(cookie_jar=DummyCookieJar(), auto_decompress=False) as self._client:
            for page, comments in SEEDS.items():
                if not await self.engine.thread(self._client, page):
                    for name, text in comments:
                        await self.engine.publish(self._client, page, BY_SLUG[page.rpartition("/")[2]].headline, name, text)
            yield

    async def thread(self, slug: str) -> Sequence[Comment]:
        """The comments of an article, asked of the engine when something may have changed."""
        page = f"/article/{slug}"
        if page not in self._threads:
            self._threads[page] = await self.engine.thread(self._client, page)
        return self._threads[page]

    def _written(self, request: web.Request, answer: web.Response, number: int) -> None:
        """Whose comment it is lies in the session, which is technical: so that it can be erased when an agreement is withdrawn."""
        self._threads.clear()
        self.posted += 1
        self.sessions.open(request, answer).comments.append(number)

    async def isso(self, request: web.Request) -> web.Response:
        """The engine under the newspaper's own name, as a front server would pass it on. It asks for no agreement: the gate does."""
        path = request.rel_url.raw_path_qs.removeprefix("/isso")
        kept = {n: v for n, v in request.headers.items() if n.lower() in ("host", "cookie", "content-type", "origin", "referer", "accept")}
        url = URL(self.engine.url + path, encoded=True)
        async with self._client.request(request.method, url, headers=kept, data=await request.read() or None) as came:
            body = await came.read()
        answer = web.Response(status=came.status, body=body)
        for name, value in came.headers.items():
            if name.lower() in ("content-type", "set-cookie", "x-set-cookie", "cache-control", "etag", "last-modified"):
                answer.headers.add(name, value)
        if request.method not in ("GET", "HEAD"):
            self._threads.clear()
        if request.path == "/isso/new" and came.status in (201, 202):
            self._written(request, answer, json.loads(body)["id"])
        return answer

    async def mine(self, request: web.Request) -> web.Response:
        """Where Volens sends whoever has withdrawn: what was written in this session."""
        answer = self.html("")
        session = self.sessions.open(request, answer)
        every = [comment for slug in BY_SLUG for comment in await self.thread(slug)]
        own = [comment for comment in every if comment.id in session.comments]
        erased = request.query.get("effaces", "")
        answer.text = pages.mine(self.view(request), own, session.form, int(erased) if erased.isdecimal() and len(erased) < 4 else 0)
        return answer

    async def erase(self, request: web.Request) -> web.Response:
        session = self.sessions.find(request)
        if session is None or not signed(session, (await request.post()).get("jeton")):
            raise web.HTTPForbidden(text="Ce formulaire a expiré : revenez à la page et recommencez.\n")
        erased = [number for number in session.comments if await self.engine.erase(self._client, number)]
        session.comments.clear()
        self._threads.clear()
        raise web.HTTPSeeOther(f"/mes-commentaires?effaces={len(erased)}")

    async def changed(self, request: web.Request) -> web.Response:
        """Where Volens says that a choice has changed (``on_change``)."""
        return web.Response(status=204 if self.profiles.told(request.headers, await request.read()) else 403)

    def address(self, request: web.Request) -> str:
        """The reader's address as far as the newspaper is told."""
        return request.headers.get("X-Forwarded-For", request.remote or "").partition(",")[0]

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
        back = str((await request.post()).get("retour", ""))
        raise web.HTTPSeeOther(back if re.fullmatch(r"/(?:[a-z]+(?:/[a-z-]+)?)?", back) else "/temoin")

    async def me(self, request: web.Request) -> web.Response:
        """What the application received: names of cookies and the consent header. For tests and the curious."""
        return web.json_response(
            {
                "cookies": dict(request.cookies),
                "consent": request.headers.get(HEADER),
                "granted": sorted(self.granted(request)),
                "profile": dict(self.profile(request)),
                "address": self.address(request),
            }
        )
