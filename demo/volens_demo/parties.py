"""The third parties: one aiohttp application on its own port that answers under ``*.localhost`` names.

They do what their models on the web do: identify the browser by a cookie, call each other, and remember every
request. What they remember is the demonstration's measure, so nothing here is simulated or counted elsewhere.
"""

# ruff: noqa: E501 (markup reads better unbroken)
from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

BEFORE, REFUSED, AGREED, RAW = "avant", "refus", "accord", "brut"
"""The state a browser was in when a request arrived: before any choice, after a refusal, with an agreement, no Volens at all."""

PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


@dataclass(frozen=True, slots=True)
class Party:
    """One third party. ``cookie`` is the name under which it recognises a browser."""

    id: str
    name: str
    trade: str
    purpose: str
    """The purpose it is declared under in volens.toml; empty: the notice does not name it."""
    cookie: str
    called: str = ""
    """Who calls it, where the notice doesn't name it itself."""

    @property
    def host(self) -> str:
        return f"{self.id}.localhost"


PARTIES = (
    Party("videotube", "VidéoTube", "lecteur vidéo", "video", "vt_visiteur"),
    Party("telepost", "Télépost", "messagerie et chaînes", "reseaux-sociaux", "tp_appareil"),
    Party("xpost", "XPost", "réseau social", "reseaux-sociaux", "xp_invite"),
    Party("trombine", "Trombine", "compte social et avatars", "reseaux-sociaux", "tb_compte"),
    Party("regie-pub", "RégiePub", "régie publicitaire", "publicite", "rp_uid"),
    Party("enchere", "Enchère", "place d’enchères publicitaires", "publicite", "en_uid", "appelé par RégiePub"),
    Party(
        "velos-aubin",
        "Vélos Aubin",
        "annonceur",
        "publicite",
        "va_uid",
        "choisi aux enchères, hôte impossible à annoncer : attend Tout accepter",
    ),
    Party("pixel", "Pixel", "suivi publicitaire d’un site à l’autre", "publicite", "px_uid", "appelé par RégiePub"),
    Party("mesure", "Mesure+", "mesure d’audience non exemptée", "personnalisation", "ms_cid"),
    Party("polices", "Polices", "polices de caractères", "", "po_uid", "appelé par la page, déclaré par personne : jamais ouvert"),
)
BY_HOST = {party.host: party for party in PARTIES}


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request as a third party received it."""

    time: float
    party: str
    method: str
    path: str
    page: str
    """The page the visitor was reading, as far as this third party was told."""
    known: str
    """The identifier by which it already knew the browser; empty at a first meeting."""
    learns: tuple[str, ...]
    """What it now knows of the visitor, in plain words."""
    state: str


class Memory:
    """What the third parties have received, by kind of browser (its User-Agent: all they are sure to be told), and the state it is in."""

    def __init__(self, state: str = BEFORE) -> None:
        self.first = state
        self._receipts: dict[str, deque[Receipt]] = {}
        self._state: dict[str, str] = {}

    def state(self, browser: str) -> str:
        return self._state.get(browser, self.first)

    def enter(self, browser: str, state: str) -> None:
        """From now on what is received from ``browser`` counts under ``state``."""
        if self.first != RAW and len(self._state) < 1000:
            self._state[browser] = state

    def add(self, browser: str, receipt: Receipt) -> None:
        if browser in self._receipts or len(self._receipts) < 1000:
            self._receipts.setdefault(browser, deque(maxlen=2000)).append(receipt)

    def received(self, browser: str) -> tuple[Receipt, ...]:
        return tuple(self._receipts.get(browser, ()))

    def reset(self, browser: str) -> None:
        self._receipts.pop(browser, None)

    def summary(self, browser: str) -> dict[str, Any]:
        """Per third party: how many requests in each state, the identifier it gave, what it has learnt, the last requests."""
        receipts = self.received(browser)
        parties = []
        for party in PARTIES:
            mine = [receipt for receipt in receipts if receipt.party == party.id]
            known = next((r.known for r in reversed(mine) if r.known), "")
            parties.append(
                {
                    "id": party.id,
                    "name": party.name,
                    "trade": party.trade,
                    "called": party.called,
                    "purpose": party.purpose,
                    "counts": {state: sum(r.state == state for r in mine) for state in (BEFORE, REFUSED, AGREED, RAW)},
                    "known": known,
                    "knows": known or ("identifiant posé, pas encore relu" if mine else "—"),
                    "learns": sorted({word for r in mine for word in r.learns}),
                    "last": [asdict(r) for r in mine[-5:]],
                }
            )
        counts = {state: sum(r.state == state for r in receipts) for state in (BEFORE, REFUSED, AGREED, RAW)}
        return {"state": self.state(browser), "total": len(receipts), "counts": counts, "parties": parties}


Handler = Callable[[web.Request, "ThirdParties"], Awaitable[web.StreamResponse]]
_ROUTES: dict[tuple[str, str], tuple[Handler, tuple[str, ...]]] = {}


def route(party: str, path: str, *learns: str) -> Callable[[Handler], Handler]:
    """Registers a handler for one first path segment of one third party, and what that request tells it."""

    def register(handler: Handler) -> Handler:
        _ROUTES[party, path] = (handler, learns)
        return handler

    return register


class ThirdParties:
    """The application of all third parties. ``port`` is known once it listens."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.port = 0
        self.accounts: dict[str, str] = {}
        """Trombine's: the name each of its cookies has chosen."""
        self.app = web.Application(client_max_size=64 * 1024)
        self.app.router.add_route("*", "/{path:.*}", self.handle)

    def url(self, party: str, path: str) -> str:
        return f"http://{party}.localhost:{self.port}{path}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        party = BY_HOST.get(request.host.partition(":")[0].lower())
        if party is None:
            return web.Response(status=404, text="Aucun tiers ne répond sous ce nom.\n")
        browser = request.headers.get("User-Agent", "")
        first = request.path.split("/")[1]
        if first in ("recu", "recu.json"):
            return self._show(party, browser, as_json=first == "recu.json")
        if first == "confidentialite":
            return _html(
                f"<title>{party.name}, confidentialité</title><main><h1>{party.name}</h1><p>Nous sommes une société inventée ({party.trade}). Nous gardons vos données le temps que tourne la démonstration.</p></main>"
            )
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_cors(request))
        handler, learns = _ROUTES.get((party.id, first), (None, ()))
        known = request.cookies.get(party.cookie, "")
        told = request.query.get("u", "") or request.headers.get("Referer", "")
        words = [
            "adresse IP",
            *learns,
            *(["identifiant"] if known else []),
            *(["page lue"] if urlsplit(told).path not in ("", "/") else []),
        ]
        self.memory.add(
            browser,
            Receipt(
                time.time(), party.id, request.method, request.path_qs[:300], told[:300], known, tuple(words), self.memory.state(browser)
            ),
        )
        answer = web.Response(status=404, text="") if handler is None else await handler(request, self)
        answer.headers.update(_cors(request))
        answer.headers.setdefault("Cache-Control", "no-store")
        if not known:  # Secure is accepted over http on *.localhost; Partitioned also where other sites' cookies are blocked
            cookie = f"{party.cookie}={secrets.token_hex(6)}; Max-Age=34128000; Path=/; Secure; SameSite=None; Partitioned"
            answer.headers.add("Set-Cookie", cookie)
        return answer

    def _show(self, party: Party, browser: str, *, as_json: bool) -> web.Response:
        mine = [receipt for receipt in self.memory.received(browser) if receipt.party == party.id]
        if as_json:
            body = json.dumps({"party": party.id, "received": [asdict(r) for r in mine]}, ensure_ascii=False)
            return web.json_response(text=body, headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"})
        rows = "".join(
            f"<tr><td>{time.strftime('%H:%M:%S', time.localtime(r.time))}</td><td>{escape(r.path)}</td>"
            f"<td>{escape(r.page) or '—'}</td><td>{escape(r.known) or 'première rencontre'}</td></tr>"
            for r in reversed(mine)
        )
        return _html(
            f"""<meta http-equiv="refresh" content="2"><title>{party.name} : ce que nous avons reçu de vous</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}}
td,th{{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #8888;overflow-wrap:anywhere;vertical-align:top}}
b{{font-size:3rem;display:block;line-height:1}}</style>
<main><h1>{party.name}, {party.trade}</h1><p><b>{len(mine)}</b> requêtes reçues de ce type de navigateur, sur cette machine.</p>
<table><thead><tr><th>Heure</th><th>Demande</th><th>Page lue</th><th>Reconnu comme</th></tr></thead><tbody>{rows}</tbody></table></main>"""
        )


def _cors(request: web.Request) -> dict[str, str]:
    origin = request.headers.get("Origin")
    if not origin:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Headers": "content-type",
        "Vary": "Origin",
    }


def _html(body: str) -> web.Response:
    text = f'<!doctype html><html lang="fr"><meta charset="utf-8"><meta name="viewport" content="width=device-width">{body}</html>'
    return web.Response(text=text, content_type="text/html")


def _script(parties: ThirdParties, source: str, hosts: Iterable[str]) -> web.Response:
    for host in hosts:
        source = source.replace(f"@{host}@", parties.url(host, ""))
    return web.Response(text=source, content_type="text/javascript")


# VidéoTube: a player in a frame. The film is drawn; play starts on a press, as autoplay does elsewhere.
@route("videotube", "embed", "vidéo affichée")
async def _video(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _html(
        """<title>Lecteur VidéoTube</title><style>
html,body{margin:0;height:100%;background:#10151c;color:#fff;font:15px/1.4 system-ui,sans-serif;overflow:hidden}
canvas{position:absolute;inset:0;width:100%;height:100%}
button{position:absolute;inset:0;margin:auto;width:84px;height:60px;border:0;border-radius:16px;background:#c4271c;color:#fff;font-size:26px;cursor:pointer}
button:focus-visible{outline:3px solid #fff;outline-offset:3px}[data-playing] button{opacity:0}
p{position:absolute;left:0;right:0;margin:0;padding:.6rem .9rem}.t{top:0;background:linear-gradient(#000b,#0000);font-weight:600}
.b{bottom:0;background:#000a;font-size:13px}progress{width:100%;height:5px;display:block;accent-color:#e33}</style>
<canvas width="960" height="540" aria-hidden="true"></canvas><p class="t">Pose de la clef de voûte, images du chantier</p>
<button aria-label="Lire la vidéo">▶</button><p class="b"><progress max="100" value="0" aria-label="Avancement"></progress><span>VidéoTube</span></p>
<script src="/lecteur.js"></script>"""
    )


@route("videotube", "lecteur.js")
async def _player(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _script(
        parties,
        """(function(){var c=document.querySelector('canvas'),x=c.getContext('2d'),b=document.querySelector('button'),p=document.querySelector('progress'),t=0,on=false;
function arch(cx,w,h,k){x.beginPath();x.moveTo(cx-w/2,430);x.lineTo(cx-w/2,430-h);x.arc(cx,430-h,w/2,Math.PI,Math.PI+Math.PI*k);x.stroke()}
function draw(){var g=x.createLinearGradient(0,0,0,540);g.addColorStop(0,'#7f9bb3');g.addColorStop(.7,'#d9c7a5');g.addColorStop(1,'#26404a');x.fillStyle=g;x.fillRect(0,0,960,540);
x.fillStyle='#4d6054';x.beginPath();x.moveTo(0,300);for(var i=0;i<=960;i+=40)x.lineTo(i,280+Math.sin(i/130)*28);x.lineTo(960,540);x.lineTo(0,540);x.fill();
x.fillStyle='#2b4a55';x.fillRect(0,430,960,110);x.strokeStyle='#fff3';x.lineWidth=2;for(i=0;i<12;i++){x.beginPath();x.moveTo((i*97+t*30)%1100-100,450+i*7);x.lineTo((i*97+t*30)%1100-20,450+i*7);x.stroke()}
x.strokeStyle='#c9b08a';x.lineWidth=26;var k=Math.min(1,.25+t/16);arch(230,210,60,1);arch(480,210,60,k);arch(730,210,60,1);x.fillStyle='#c9b08a';x.fillRect(60,236,840,24);
x.strokeStyle='#20262b';x.lineWidth=5;x.beginPath();x.moveTo(480,120);x.lineTo(480,190+Math.sin(t)*14);x.stroke();x.fillStyle='#8d7654';x.fillRect(458,190+Math.sin(t)*14,44,30)}
draw();b.onclick=function(){if(on)return;on=true;document.documentElement.setAttribute('data-playing','');fetch('/api/lecture?id=chantier&u='+encodeURIComponent(document.referrer),{method:'POST',credentials:'include'});
setInterval(function(){t+=.05;p.value=Math.min(100,t*6);draw()},50)};fetch('/api/vue?u='+encodeURIComponent(document.referrer),{method:'POST',credentials:'include'})})();""",
        (),
    )


@route("videotube", "api", "vidéos regardées")
@route("telepost", "vue", "publications vues")
@route("xpost", "jot", "publications vues")
@route("mesure", "collecte", "pages lues, clics, défilement")
async def _collected(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    await request.read()
    return web.Response(status=204)


# Télépost: a script that puts a frame in its own place.
@route("telepost", "widget.js")
async def _telepost(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _script(
        parties,
        """(function(){var s=document.currentScript;if(!s)return;var f=document.createElement('iframe');f.title='Message Télépost';f.className='telepost';f.width='100%';f.height='190';
f.src='@telepost@/embed/'+s.getAttribute('data-telepost')+'?u='+encodeURIComponent(location.href);s.parentNode.insertBefore(f,s);
try{localStorage.setItem('telepost-appareil',localStorage.getItem('telepost-appareil')||Math.random().toString(36).slice(2))}catch(e){}
new Image().src='@telepost@/vue?u='+encodeURIComponent(location.href)})();""",
        ("telepost",),
    )


_CARD = """<style>html{{color-scheme:light dark}}body{{margin:0;height:190px;display:grid;font:15px/1.5 system-ui,sans-serif;color:#111;background:#fff}}@media(prefers-color-scheme:dark){{body{{color:#eee;background:#16191d}}small{{color:#a8b3bd!important}}article{{border-color:#3a434c!important}}}}article{{box-sizing:border-box}}article{{border:1px solid #ccd3da;border-radius:12px;padding:1rem}}
h1{{font-size:1rem;margin:0}}small{{color:#4a5560}}p{{margin:.5rem 0}}a{{color:#0a5a99}}</style><article><h1>{who}</h1><small>{where}</small><p>{text}</p><small>{when}</small></article>"""


@route("telepost", "embed", "message affiché")
async def _telepost_frame(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _html(
        "<title>Message Télépost</title>"
        + _CARD.format(
            who="Le Courrier de la Dourelle",
            where="Chaîne sur Télépost · 8 214 abonnés",
            text="Direct du pont : les barrières sont levées. Les premiers à passer sont les élèves de l’école Jules-Vallès, bonnets jaunes sur la tête.",
            when="21 novembre, 10 h 04 · vu 3 127 fois",
        )
    )


# XPost: a quotation in the page that a script turns into a frame.
@route("xpost", "widgets.js")
async def _xpost(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _script(
        parties,
        """(function(){document.querySelectorAll('blockquote.xpost').forEach(function(q){var f=document.createElement('iframe');f.title='Publication XPost';f.className='xpost';f.width='100%';f.height='190';
f.src='@xpost@/embed/'+(q.getAttribute('data-id')||'0')+'?u='+encodeURIComponent(location.href);q.parentNode.replaceChild(f,q)});
new Image().src='@xpost@/jot?u='+encodeURIComponent(location.href)})();""",
        ("xpost",),
    )


@route("xpost", "embed", "publication affichée")
async def _xpost_frame(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _html(
        "<title>Publication XPost</title>"
        + _CARD.format(
            who="Claire Aumont",
            where="@claire_aumont · maire de Montvière",
            text="Deux ans sans lui, on s’était habitués au détour. Ce matin j’ai traversé la Dourelle à pied, et j’ai mis onze minutes de moins pour aller au marché.",
            when="21 novembre 2026, 10 h 41 · 318 mentions",
        )
    )


# Trombine: an account for many sites and the faces beside comments. It learns who reads and writes them, and where.
@route("trombine", "connexion.js")
async def _sign_in(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _script(
        parties,
        """(function(){var z=document.querySelector('[data-trombine]');if(!z)return;var f=document.createElement('iframe');f.title='Compte Trombine';f.className='trombine';f.width='100%';f.height='104';
f.src='@trombine@/session?u='+encodeURIComponent(location.href);z.appendChild(f)})();""",
        ("trombine",),
    )


@route("trombine", "session", "compte et nom")
async def _account(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    """The frame of the social log-in. Once a name is chosen, the page around it is told name, address and face."""
    known = request.cookies.get("tb_compte", "")
    page = urlsplit(request.query.get("u", ""))
    around = f"{page.scheme}://{page.netloc}" if page.netloc else "/"
    if request.method == "POST" and known:
        name = str((await request.post()).get("nom", "")).strip()[:40]
        if name and len(parties.accounts) < 1000:
            parties.accounts[known] = name
        elif not name:
            parties.accounts.pop(known, None)
    name = parties.accounts.get(known, "")
    style = """<style>html{color-scheme:light dark}body{margin:0;font:15px/1.4 system-ui,sans-serif;color:#16202a}form{display:flex;background:#fff;flex-wrap:wrap;align-items:end;gap:.4rem .7rem;margin:0;padding:.6rem .8rem;border:1px solid #8a97a5;border-radius:10px}
label{flex:1 1 11rem;font-size:14px}input{box-sizing:border-box;width:100%;min-height:40px;padding:.3rem .6rem;border:1px solid #5a6672;border-radius:6px;background:#fff;color:#16202a;font:inherit}button{min-height:40px;padding:.3rem .9rem;border:0;border-radius:6px;background:#0f5c8c;color:#fff;font:600 15px system-ui,sans-serif;cursor:pointer}
form.in{align-items:center}img{border-radius:50%}span{flex:1}button.out{background:none;color:inherit;font-weight:400;text-decoration:underline}@media(prefers-color-scheme:dark){body{color:#eee}form,input{background:#16191d;color:#eee}}</style>"""
    here = f"/session?u={escape(request.query.get('u', ''), quote=True)}"
    if not name:
        told = "null"
        body = f'<form method="post" action="{here}"><label>Votre nom chez Trombine<input name="nom" autocomplete="nickname" required maxlength="40"></label><button>Continuer avec Trombine</button></form>'
    else:
        mail = f"{known}@trombine.localhost"
        face = f"/avatar/{hashlib.md5(mail.encode(), usedforsecurity=False).hexdigest()}"
        told = json.dumps({"nom": name, "courriel": mail}).replace("<", "\\u003c")
        body = f'<form method="post" action="{here}" class="in"><img src="{face}" width="40" height="40" alt=""><span>Compte Trombine : <b>{escape(name)}</b></span><input type="hidden" name="nom" value=""><button class="out">Se déconnecter</button></form>'
    return _html(
        f"<title>Compte Trombine</title>{style}{body}<script>parent.postMessage({{trombine:{told}}},{json.dumps(around)})</script>"
    )


@route("trombine", "avatar", "commentaires lus")
async def _face(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    """A face for the hash of an address, as Gravatar's: its owner's first letter where it has one, else a pattern."""
    digest = request.path.rpartition("/")[2][:32]
    names = {
        hashlib.md5(f"{key}@trombine.localhost".encode(), usedforsecurity=False).hexdigest(): name for key, name in parties.accounts.items()
    }
    bits = int(hashlib.md5(digest.encode(), usedforsecurity=False).hexdigest(), 16)
    colour = ("#8f2a1b", "#22603a", "#27508c", "#6b3f8f", "#7a5a12", "#1d6670")[bits % 6]
    if digest in names:
        inside = f'<text x="24" y="33" text-anchor="middle" font-family="Georgia,serif" font-size="26" fill="#fff">{escape(names[digest][0].upper())}</text>'
    else:
        cells = [(x, y) for y in range(5) for x in range(3) if bits >> (8 + y * 3 + x) & 1]
        inside = '<g fill="#fff">' + "".join(f'<path d="M{9 + a * 6} {9 + y * 6}h6v6h-6z"/>' for x, y in cells for a in {x, 4 - x}) + "</g>"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><path fill="{colour}" d="M0 0h48v48H0z"/>{inside}</svg>'
    return web.Response(text=svg, content_type="image/svg+xml")


# The advertising chain: tag → auction → creative in a frame → pixel, and a match of identifiers on the way.
@route("regie-pub", "tag.js", "emplacement publicitaire")
async def _tag(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _script(
        parties,
        """(function(){function id(){var m=/(?:^|; )__regie_uid=([^;]+)/.exec(document.cookie),v=m?m[1]:Math.random().toString(36).slice(2);document.cookie='__regie_uid='+v+'; path=/; max-age=34128000';return v}
var uid=id(),u=encodeURIComponent(location.href);
document.querySelectorAll('[data-regie]').forEach(function(slot){if(slot.querySelector('iframe'))return;
fetch('@enchere@/encherir?u='+u,{method:'POST',credentials:'include',headers:{'content-type':'application/json'},body:JSON.stringify({uid:uid,slot:slot.id,w:screen.width,h:screen.height,lang:navigator.language,tz:new Date().getTimezoneOffset()})})
.then(function(r){return r.json()}).then(function(won){var f=document.createElement('iframe');f.title='Publicité';f.width=won.w;f.height=won.h;f.src=won.creative+'?prix='+won.price+'&u='+u;slot.textContent='';slot.appendChild(f);slot.setAttribute('data-filled','')}).catch(function(){})});
new Image().src='@pixel@/sync?part=regie&uid='+uid+'&u='+u;
})();""",
        ("enchere", "pixel"),
    )


@route("enchere", "encherir", "écran, langue, fuseau horaire")
async def _auction(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    """The front page's slot goes to the régie's own house creative, the others to an advertiser on a host that no list knows."""
    slot = json.loads(await request.read() or b"{}").get("slot", "")
    creative = parties.url("regie-pub", "/creation") if slot == "pub-une" else parties.url("velos-aubin", "/annonce")
    return web.json_response({"price": "0.42", "w": 300, "h": 250, "creative": creative})


@route("regie-pub", "creation", "annonce affichée")
@route("velos-aubin", "annonce", "annonce affichée")
async def _creative(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _html(
        f"""<title>Publicité Vélos Aubin</title><style>body{{margin:0;height:250px;display:grid;align-content:end;font:600 16px/1.3 system-ui,sans-serif;
background:#f3c64e url(/velo.svg) no-repeat 50% 24px/220px;color:#1d1a10}}p{{margin:0;padding:.8rem 1rem;background:#1d1a10;color:#ffe7a3}}</style>
<p>Le vélo d’appoint d’Aubin, 38 € par mois.</p><img src="{parties.url("pixel", "/px.gif")}?campagne=aubin&u={escape(request.query.get("u", ""), quote=True)}" width="1" height="1" alt="" hidden>"""
    )


@route("velos-aubin", "velo.svg")
@route("regie-pub", "velo.svg")
async def _bicycle(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    svg = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 220 130" fill="none" stroke="#1d1a10" stroke-width="7" stroke-linecap="round" stroke-linejoin="round">
<circle cx="45" cy="88" r="36"/><circle cx="175" cy="88" r="36"/><path d="M45 88 80 38h68L108 88H45M108 88 76 26M62 26h28M175 88 144 18h22"/></svg>"""
    return web.Response(text=svg, content_type="image/svg+xml")


@route("pixel", "px.gif", "annonce vue")
async def _pixel(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return web.Response(body=PIXEL, content_type="image/gif")


@route("pixel", "sync", "identifiants rapprochés")
async def _sync(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": parties.url("enchere", "/rapprocher?de=pixel")})


@route("enchere", "rapprocher", "identifiants rapprochés")
async def _matched(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return web.Response(body=PIXEL, content_type="image/gif")


# Mesure+: an audience tool that is not exempt. It writes first-party cookies by script and follows readers over sites.
@route("mesure", "mesure.js")
async def _measure(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _script(
        parties,
        """(function(){var m=/(?:^|; )_ga=([^;]+)/.exec(document.cookie),v=m?m[1]:'GA1.1.'+Math.floor(Math.random()*1e9)+'.'+Math.floor(Date.now()/1000);
document.cookie='_ga='+v+'; path=/; max-age=34128000';document.cookie='_ga_COURRIER=GS1.1.'+Date.now()+'; path=/; max-age=34128000';
try{localStorage.setItem('mesure_session',v)}catch(e){}
var u=encodeURIComponent(location.href);function send(e){navigator.sendBeacon('@mesure@/collecte?e='+e+'&cid='+v+'&u='+u,JSON.stringify({t:document.title,w:innerWidth,y:scrollY}))}
send('page');var far=0;addEventListener('scroll',function(){var d=Math.floor(4*(scrollY+innerHeight)/document.documentElement.scrollHeight);if(d>far){far=d;send('defilement'+d*25)}},{passive:true})})();""",
        ("mesure",),
    )


@route("telepost", "courrier-dourelle", "chaîne visitée")
@route("xpost", "claire_aumont", "publication visitée")
async def _channel(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return _html(
        "<title>Chaîne</title><main><h1>Vous êtes chez un tiers</h1><p>Vous y êtes venu par un lien : c’était votre geste, et il le sait. Retour par la flèche du navigateur.</p></main>"
    )


@route("polices", "css", "page lue")
async def _fonts(request: web.Request, parties: ThirdParties) -> web.StreamResponse:
    return web.Response(text="/* Polices : ce fichier ne change rien à la page. */\n", content_type="text/css")
