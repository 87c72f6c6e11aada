"""The little shop and the members' page: log in, basket, language, search, a letter written over two pages."""

# ruff: noqa: E501 (markup reads better unbroken)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape

from aiohttp import web

from volens_demo.pages import View, page
from volens_demo.sessions import Session, Sessions, signed

LANGUAGE = "langue"
PASSWORD = "dourelle"


@dataclass(frozen=True, slots=True)
class Good:
    id: str
    name: dict[str, str]
    text: dict[str, str]
    price: int
    """In cents."""


GOODS = (
    Good(
        "affiche",
        {"fr": "Affiche du pont Vieux", "en": "Old Bridge poster"},
        {"fr": "50 × 70 cm, deux encres, tirée à Brézac.", "en": "50 × 70 cm, two inks, printed in Brézac."},
        2400,
    ),
    Good(
        "carnet",
        {"fr": "Carnet de pêche", "en": "Fishing notebook"},
        {"fr": "96 pages, papier qui supporte la pluie.", "en": "96 pages of paper that stands the rain."},
        1450,
    ),
    Good(
        "sac",
        {"fr": "Sac du marché", "en": "Market bag"},
        {"fr": "Coton épais, anses longues, douze kilos.", "en": "Thick cotton, long handles, twelve kilos."},
        1800,
    ),
    Good(
        "livre",
        {"fr": "La crue, une nuit d’octobre", "en": "The Flood, a Night in October"},
        {"fr": "Le récit de nos reporters, 128 pages.", "en": "Told by our reporters, 128 pages, in French."},
        1900,
    ),
)
BY_ID = {good.id: good for good in GOODS}

WORDS = {
    "fr": {"shop": "Boutique", "lead": "De quoi soutenir le journal, envoyé sous trois jours.", "add": "Ajouter", "search": "Chercher dans la boutique", "go": "Chercher", "basket": "Votre panier",
           "empty": "Votre panier est vide.", "total": "Total", "order": "Commander", "thanks": "Merci, votre commande est notée. Rien ne sera envoyé : c’est une démonstration.",
           "article": "Article", "count": "Quantité", "price": "Prix", "remove": "Retirer", "back": "Retour à la boutique", "other": "Shop in English", "none": "Rien sous ce nom."},
    "en": {"shop": "Shop", "lead": "Support the paper; sent within three days.", "add": "Add", "search": "Search the shop", "go": "Search", "basket": "Your basket",
           "empty": "Your basket is empty.", "total": "Total", "order": "Order", "thanks": "Thank you, your order is noted. Nothing will be sent: this is a demonstration.",
           "article": "Item", "count": "Quantity", "price": "Price", "remove": "Remove", "back": "Back to the shop", "other": "Boutique en français", "none": "Nothing under that name."},
}  # fmt: skip


def _money(cents: int, language: str) -> str:
    return f"{cents // 100},{cents % 100:02d} €" if language == "fr" else f"€{cents // 100}.{cents % 100:02d}"


def language(request: web.Request) -> str:
    return "en" if request.cookies.get(LANGUAGE) == "en" else "fr"


def shelf(view: View, session: Session, query: str) -> str:
    words, lang = WORDS[view.language], view.language
    wanted = query.casefold()
    found = [g for g in GOODS if wanted in g.name[lang].casefold() or wanted in g.text[lang].casefold()]
    goods = "".join(
        f"""<li><img src="/static/{g.id}.svg" width="320" height="240" alt=""><h2>{g.name[lang]}</h2><p>{g.text[lang]}</p>
<form method="post" action="/boutique/panier"><input type="hidden" name="jeton" value="{session.form}"><input type="hidden" name="article" value="{g.id}">
<b>{_money(g.price, lang)}</b><button class="button" aria-label="{words["add"]} : {escape(g.name[lang], quote=True)}">{words["add"]}</button></form></li>"""
        for g in found
    )
    other = "en" if lang == "fr" else "fr"
    main = f"""<h1>{words["shop"]}</h1><p class="standfirst">{words["lead"]}</p>
<form class="search" role="search"><label for="q">{words["search"]}</label><input id="q" name="q" type="search" value="{escape(query, quote=True)}"><button class="button">{words["go"]}</button></form>
<ul class="goods">{goods}</ul>{"" if found else f'<p role="status">{words["none"]}</p>'}
<form method="post" action="/boutique/langue"><button class="button quiet" name="langue" value="{other}" lang="{other}">{words["other"]}</button></form>"""
    return page(replace(view, current="/boutique"), words["shop"], main, wide=True)


def basket(view: View, session: Session, ordered: bool) -> str:
    words, lang = WORDS[view.language], view.language
    rows = "".join(
        f"""<tr><th scope="row">{BY_ID[id].name[lang]}</th><td data-quantity="{id}">{n}</td><td>{_money(n * BY_ID[id].price, lang)}</td>
<td><form method="post" action="/boutique/panier"><input type="hidden" name="jeton" value="{session.form}"><input type="hidden" name="retirer" value="{id}"><button class="button quiet" aria-label="{words["remove"]} : {escape(BY_ID[id].name[lang], quote=True)}">{words["remove"]}</button></form></td></tr>"""
        for id, n in session.basket.items()
    )
    total = sum(n * BY_ID[id].price for id, n in session.basket.items())
    filled = f"""<div class="scroll"><table class="lines"><thead><tr><th scope="col">{words["article"]}</th><th scope="col">{words["count"]}</th><th scope="col">{words["price"]}</th><td></td></tr></thead>
<tbody>{rows}</tbody></table></div><p><b>{words["total"]} : <span data-total>{_money(total, lang)}</span></b></p>
<form method="post" action="/boutique/commande"><input type="hidden" name="jeton" value="{session.form}"><button class="button">{words["order"]}</button></form>"""
    body = f'<p class="done" role="status">{words["thanks"]}</p>' if ordered else filled if session.basket else f"<p>{words['empty']}</p>"
    return page(view, words["basket"], f'<h1>{words["basket"]}</h1>{body}<p><a href="/boutique">{words["back"]}</a></p>')


def members(view: View, session: Session, wrong: bool = False) -> str:
    view = replace(view, current="/membres")
    if not session.member:
        error = (
            '<p class="wrong" role="alert">Le mot de passe n’est pas le bon. Celui de la démonstration est « dourelle ».</p>'
            if wrong
            else ""
        )
        main = f"""<h1>Espace des membres</h1><p class="standfirst">Pour écrire à la rédaction. Prenez le nom que vous voulez ; le mot de passe de la démonstration est « {PASSWORD} ».</p>{error}
<form method="post" action="/membres/entrer"><input type="hidden" name="jeton" value="{session.form}">
<p><label for="membre">Nom</label><input id="membre" name="membre" autocomplete="username" required maxlength="40"></p>
<p><label for="passe">Mot de passe</label><input id="passe" name="passe" type="password" autocomplete="current-password" required></p><p><button class="button">Entrer</button></p></form>"""
    else:
        letters = "".join(
            f"<li><b>{escape(x['titre'])}</b>, rubrique {escape(x['rubrique'])}<br>{escape(x['texte'])}</li>" for x in session.letters
        )
        main = f"""<h1>Bonjour, {escape(session.member)}</h1><p class="standfirst">Votre courrier à la rédaction.</p>
{f'<ul class="letters">{letters}</ul>' if letters else "<p>Vous n’avez encore rien envoyé.</p>"}
<div class="row"><a class="button" href="/membres/lettre/1">Écrire une lettre</a>
<form method="post" action="/membres/sortir"><input type="hidden" name="jeton" value="{session.form}"><button class="button quiet">Sortir</button></form></div>"""
    return page(view, "Membres", main)


def letter(view: View, session: Session, step: str) -> str:
    view = replace(view, current="/membres")
    if step == "1":
        main = """<h1>Votre lettre, première page</h1><p class="standfirst">Le brouillon reste sur votre appareil jusqu’à l’envoi.</p>
<form data-draft="first" action="/membres/lettre/2"><p><label for="titre">Titre</label><input id="titre" name="titre" maxlength="120"></p>
<p><label for="texte">Texte</label><textarea id="texte" name="texte" rows="8" maxlength="4000"></textarea></p></form>
<p><a class="button" href="/membres/lettre/2">Continuer</a></p>"""
    else:
        main = f"""<h1>Votre lettre, seconde page</h1>
<form method="post" action="/membres/lettre" data-draft="last"><input type="hidden" name="jeton" value="{session.form}">
<input type="hidden" name="titre" data-kept><input type="hidden" name="texte" data-kept>
<blockquote><p><b data-show="titre">(vide)</b></p><p data-show="texte">(vide)</p></blockquote>
<p><label for="rubrique">Rubrique</label><select id="rubrique" name="rubrique"><option>Ville</option><option>Rivière</option><option>Culture</option></select></p>
<div class="row"><a class="button quiet" href="/membres/lettre/1">Revenir</a><button class="button">Envoyer</button></div></form>"""
    return page(view, "Votre lettre", main)


def add_routes(app: web.Application, sessions: Sessions, view_of: Callable[[web.Request], View]) -> None:
    """``view_of`` makes a page's view from a request."""

    def html(text: str, status: int = 200) -> web.Response:
        return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "private, no-cache"})

    def shown(request: web.Request, draw: Callable[[View, Session], str], status: int = 200) -> web.Response:
        answer = html("", status)
        session = sessions.open(request, answer)
        answer.text = draw(replace(view_of(request), member=session.member, basket=sum(session.basket.values())), session)
        return answer

    async def form(request: web.Request) -> tuple[Session, dict[str, str]]:
        values = {name: str(value) for name, value in (await request.post()).items()}
        session = sessions.find(request)
        if session is None or not signed(session, values.get("jeton", "")):
            raise web.HTTPForbidden(text="Ce formulaire n’est plus valable : rechargez la page précédente.\n")
        return session, values

    async def get_shop(request: web.Request) -> web.Response:
        return shown(request, lambda view, session: shelf(view, session, request.query.get("q", "")[:80]))

    async def get_basket(request: web.Request) -> web.Response:
        return shown(request, lambda view, session: basket(view, session, "merci" in request.query))

    async def post_basket(request: web.Request) -> web.Response:
        session, values = await form(request)
        if values.get("article") in BY_ID:
            id = values["article"]
            session.basket[id] = min(99, session.basket.get(id, 0) + 1)
        session.basket.pop(values.get("retirer", ""), None)
        raise web.HTTPSeeOther("/boutique/panier")

    async def post_order(request: web.Request) -> web.Response:
        session, _ = await form(request)
        session.basket.clear()
        raise web.HTTPSeeOther("/boutique/panier?merci")

    async def post_language(request: web.Request) -> web.Response:
        chosen = "en" if (await request.post()).get("langue") == "en" else "fr"
        answer = web.Response(status=303, headers={"Location": "/boutique"})
        answer.set_cookie(LANGUAGE, chosen, max_age=31_536_000, samesite="Lax")
        return answer

    async def get_members(request: web.Request) -> web.Response:
        return shown(request, members)

    async def post_enter(request: web.Request) -> web.Response:
        session, values = await form(request)
        if values.get("passe") != PASSWORD or not values.get("membre", "").strip():
            return shown(request, lambda view, session: members(view, session, wrong=True), 403)
        session.member = values["membre"].strip()[:40]
        raise web.HTTPSeeOther("/membres")

    async def post_leave(request: web.Request) -> web.Response:
        session, _ = await form(request)
        session.member = ""
        raise web.HTTPSeeOther("/membres")

    async def get_letter(request: web.Request) -> web.Response:
        session = sessions.find(request)
        if session is None or not session.member:
            raise web.HTTPSeeOther("/membres")
        return shown(request, lambda view, session: letter(view, session, request.match_info["step"]))

    async def post_letter(request: web.Request) -> web.Response:
        session, values = await form(request)
        if not session.member:
            raise web.HTTPSeeOther("/membres")
        session.letters.append({name: values.get(name, "")[:4000] for name in ("titre", "texte", "rubrique")})
        del session.letters[:-20]
        raise web.HTTPSeeOther("/membres")

    app.router.add_get("/boutique", get_shop)
    app.router.add_get("/boutique/panier", get_basket)
    app.router.add_post("/boutique/panier", post_basket)
    app.router.add_post("/boutique/commande", post_order)
    app.router.add_post("/boutique/langue", post_language)
    app.router.add_get("/membres", get_members)
    app.router.add_post("/membres/entrer", post_enter)
    app.router.add_post("/membres/sortir", post_leave)
    app.router.add_get(r"/membres/lettre/{step:[12]}", get_letter)
    app.router.add_post("/membres/lettre", post_letter)
