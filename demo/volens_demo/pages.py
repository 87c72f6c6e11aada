"""The HTML of the news pages. No inline style, no inline script but the third parties' own snippets: the pages work under a strict CSP."""

# ruff: noqa: E501 (markup reads better unbroken)
from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from volens_demo.articles import ARTICLES, BY_SLUG, EDITION, Article
from volens_demo.engine import Comment
from volens_demo.parties import AGREED, BEFORE, RAW, REFUSED

NAME = "Le Courrier de la Dourelle"
Url = Callable[[str, str], str]
"""(third party, path) -> address."""


@dataclass(frozen=True, slots=True)
class View:
    """What a page needs to know of the request it answers."""

    url: Url
    granted: frozenset[str]
    """Purposes the visitor granted, all of them on a site without Volens."""
    witness: Mapping[str, Any]
    """The third parties' summary for this browser."""
    profile: Sequence[str] = ()
    """Sections read most, first; empty without a profile."""
    language: str = "fr"
    member: str = ""
    basket: int = 0
    current: str = ""
    weather: Mapping[str, str] = field(default_factory=dict)
    """Where the reader last asked for it; empty: Montvière's."""
    volens: bool = True


def typeset(text: str) -> str:
    """French spaces, no line breaks before a double sign or inside quotation marks; ordinals as a newspaper sets them."""
    text = re.sub(r" (?=[:;?!»%€])", "\u00a0", text).replace("« ", "«\u00a0")
    return re.sub(r"(?<= )(\d+|[XVI]+)e(?= )", r"\1<sup>e</sup>", text)


def page(
    view: View, title: str, main: str, *, head: str = "", end: str = "", nonce: str = "", wide: bool = False, description: str = ""
) -> str:
    """A whole document. ``nonce`` marks the scripts for a site whose own policy asks for one."""
    mark = f' nonce="{nonce}"' if nonce else ""
    links = (("/", "À la une"), ("/article/pont-vieux", "Ville"), ("/article/truites", "Rivière"), ("/article/rex", "Culture"))
    services = (
        ("/boutique", "Boutique" if view.language == "fr" else "Shop"),
        ("/membres", "Membres"),
        ("/recherche", "Rechercher" if view.language == "fr" else "Search"),
        ("/temoin", "Compteurs"),
        ("/visite", "Visite guidée"),
    )
    nav = "".join(_link(href, text, view.current) for href, text in (*links, *services))
    tools = f'<a class="basket" href="/boutique/panier">Panier <b>{view.basket}</b></a>' if view.basket else ""
    return f"""<!doctype html>
<html lang="{view.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · {NAME}</title>
<meta name="description" content="{escape(description or "Le quotidien de Montvière et de la vallée de la Dourelle.", quote=True)}">
<link rel="icon" href="/static/courrier.svg" type="image/svg+xml">
<script src="/static/theme.js"{mark}></script>
<link rel="stylesheet" href="/static/courrier.css">
{head}</head>
<body>
<header class="masthead"><a class="skip" href="#contenu">Aller au contenu</a>
<div class="bar"><p class="edition">{EDITION}</p><a class="brand" href="/">Le Courrier <span>de la Dourelle</span></a>
<div class="tools">{tools}<button type="button" class="theme" data-theme-button>Thème <b>auto</b></button></div></div>
<nav aria-label="Rubriques"><ul>{nav}</ul></nav>
</header>
<main id="contenu" class="{"wide" if wide else "sheet"}" tabindex="-1">
{typeset(main)}
</main>
<footer class="foot"><p><b>{NAME}</b>, quotidien de démonstration. La ville, les gens et les agences sont inventés ; les requêtes sont vraies.</p>
<ul><li><a href="/_volens/policy">Politique de confidentialité</a></li><li><a href="/confidentialite">Notre charte</a></li><li><a href="/temoin">Compteurs des tiers</a></li><li><a href="/visite">Visite guidée</a></li>{_choices(view)}</ul></footer>
<script src="/static/courrier.js" defer{mark}></script>
<script src="/static/audience.js" defer{mark}></script>
{end}</body>
</html>
"""


def _choices(view: View) -> str:
    return '<li><a href="/_volens/panel">Paramétrer vos choix</a></li>' if view.volens else ""


def _link(href: str, text: str, current: str) -> str:
    here = ' aria-current="page"' if href == current else ""
    return f'<li><a href="{href}"{here}>{text}</a></li>'


STATES = ((BEFORE, "Avant tout choix"), (REFUSED, "Après un refus"), (AGREED, "Avec votre accord"), (RAW, "Sans Volens"))


def witness(view: View) -> str:
    """The corner that says what each third party has received from browsers like this one; kept current by courrier.js."""
    summary = view.witness
    raw = summary["state"] == RAW
    columns = [(state, name) for state, name in STATES if (state == RAW) == raw]
    short = {BEFORE: "Avant", REFUSED: "Refus", AGREED: "Accord", RAW: "Reçu"}
    heads = "".join(f'<th scope="col"><abbr title="{name}">{short[state]}</abbr></th>' for state, name in columns)
    rows = "".join(
        f'<tr data-party="{p["id"]}"><th scope="row">{p["name"]}<small>{p["trade"]}</small></th>'
        + "".join(f'<td data-state="{state}"{_hot(p["counts"][state])}>{p["counts"][state]}</td>' for state, _ in columns)
        + "</tr>"
        for p in summary["parties"]
    )
    current = dict(STATES)[summary["state"]]
    return f"""<div class="corner"><aside class="witness" aria-labelledby="temoin-titre" data-witness>
<h2 id="temoin-titre">Ce que les tiers ont reçu</h2>
<p class="now"><span data-now>{current}</span>, requêtes reçues : <b data-count{_hot(summary["counts"][summary["state"]])}>{summary["counts"][summary["state"]]}</b>. <a href="/temoin">Tout voir</a></p>
<table><thead><tr><th scope="col">Tiers</th>{heads}</tr></thead><tbody>{rows}</tbody></table>
{reset(view.current)}
</aside></div>"""


def reset(back: str, *, quiet: bool = True) -> str:
    """The counters go by the kind of browser, all that a third party is sure to see: whoever shares it can begin again."""
    return f"""<form method="post" action="/temoin/raz" class="reset"><input type="hidden" name="retour" value="{escape(back, quote=True)}"><button class="{"plain" if quiet else "button"}">Remettre à zéro</button></form>"""


def _hot(count: int) -> str:
    return ' class="hot"' if count else ""


def _picture(article: Article, *, sizes: str = "", lazy: bool = False) -> str:
    load = ' loading="lazy"' if lazy else ' fetchpriority="high"'
    return f'<img src="/static/{article.picture.file}" width="1280" height="720" alt="{escape(article.picture.alt, quote=True)}"{load}>'


def ad(slot: str) -> str:
    return f'<div class="pub"><div id="{slot}" data-regie></div><noscript>Les annonces demandent JavaScript. <a href="/boutique">Voir notre boutique</a></noscript></div>'


def _scripted(what: str, url: str, text: str) -> str:
    """What stands for an embed that a script would build, in a browser without."""
    return f'<noscript><p class="noscript">{what} ne s’affiche qu’avec JavaScript. <a href="{url}">{text}</a></p></noscript>'


def tags(view: View, mark: str = "") -> str:
    """What the newspaper's own tag plan puts at the end of every page, as the vendors' instructions say."""
    source = view.url("mesure", "/mesure.js")
    loader = f"(function(d,s){{var j=d.createElement(s);j.async=true;j.src='{source}';d.head.appendChild(j)}})(document,'script');"
    measure = f'<script async src="{source}"{mark}></script>' if mark else f"<script>{loader}</script>"  # Trusted Types refuse a loader
    return f"""<script{mark}>window.regie=window.regie||[];window.regie.push({{site:'courrier',page:location.pathname}});</script>
<script async src="{view.url("regie-pub", "/tag.js")}"{mark}></script>
{measure}
"""


def fonts(view: View) -> str:
    return f'<link rel="preconnect" href="{view.url("polices", "")}">\n<link rel="stylesheet" href="{view.url("polices", "/css?famille=Dourelle")}">\n'


def for_you(view: View) -> str:
    """Exists only while a profile does."""
    if not view.profile:
        return ""
    chosen = sorted(ARTICLES, key=lambda a: view.profile.index(a.section) if a.section in view.profile else 99)
    items = "".join(f'<li><a href="/article/{a.slug}">{a.headline}</a></li>' for a in chosen[:2])
    return f"""<section class="foryou" aria-labelledby="pv"><h2 id="pv">Pour vous</h2><p>D’après vos lectures, d’abord la rubrique {view.profile[0]}.</p><ul>{items}</ul></section>"""


MONTVIERE = {"place": "Montvière", "degrees": "7 °C", "sky": "Brume sur la rivière, éclaircies l’après-midi."}


def home(view: View) -> str:
    lead, second, third = ARTICLES
    weather = view.weather or MONTVIERE

    def card(article: Article, level: str) -> str:
        return f"""<article class="{level}"><a class="pic" href="/article/{article.slug}" tabindex="-1" aria-hidden="true">{_picture(article, lazy=level != "lead")}</a>
<p class="kicker">{article.section}</p><h2><a href="/article/{article.slug}">{article.headline}</a></h2><p>{article.short}</p></article>"""

    main = f"""<h1 class="hidden">{NAME}, édition du {EDITION.lower()}</h1>
<div class="front">{card(lead, "lead")}<div class="side">{card(second, "second")}{card(third, "second")}</div>
<div class="rail">{witness(view)}{for_you(view)}
<section class="meteo" aria-labelledby="meteo"><h2 id="meteo">Météo</h2><p><b data-place>{weather["place"]}</b> <span class="deg" data-degrees>{weather["degrees"]}</span> <span data-sky>{weather["sky"]}</span></p>
<a class="button" href="/meteo/ici" data-geo>Le temps près de moi</a></section>
{ad("pub-une")}</div></div>
<section class="briefs" aria-labelledby="breves"><h2 id="breves">En bref</h2><ul>
<li><b>Marché.</b> Les étals de la place du Griffoul reviennent au complet dès mercredi, 7 h.</li>
<li><b>Trains.</b> La ligne de Brézac roule au ralenti jusqu’au 3 décembre, le temps de changer 900 traverses.</li>
<li><b>Rugby.</b> L’Union de la vallée bat Sainte-Aure 19 à 16, sur une pénalité à la 79e minute.</li></ul></section>"""
    return page(view, "À la une", main, head=fonts(view), end=tags(view), wide=True)


def _when(seconds: float) -> str:
    at = time.localtime(seconds)
    return f"{('lundi', 'mardi', 'mercredi', 'jeudi', 'vendredi', 'samedi', 'dimanche')[at.tm_wday]}, {at.tm_hour} h {at.tm_min:02}"


def comment_area(view: View, a: Article, comments: Iterable[Comment], *, scripted: bool, placed: bool, posted: bool) -> str:
    """Everybody reads; who may write gets Isso's own client and Trombine's account (``scripted``), and without script a plain form.

    ``placed``: with the element in which Volens says what is missing, where something is."""
    allowed = "reseaux-sociaux" in view.granted

    def line(c: Comment) -> str:
        shown = allowed and scripted and c.avatar
        face = f'<img src="{escape(c.avatar, quote=True)}" width="40" height="40" alt="" loading="lazy">' if shown else ""
        return f"<li>{face}<p><b>{c.name}</b> <small>{_when(c.when)}</small></p>{c.text}</li>"

    lines = "".join(map(line, comments))
    thanks = '<p class="done" role="status">Merci, votre commentaire est en ligne.</p>' if posted else ""
    gate = '<volens-gate path="/commentaires" id="ecrire"></volens-gate>' if placed else ""
    account = open_ = ""
    if allowed and scripted:
        account = f'<div class="account" data-trombine="{view.url("trombine", "")}"></div><script async src="{view.url("trombine", "/connexion.js")}"></script>'
        open_ = '<script src="/static/commentaires.js" defer></script>'
    hint = (
        "Votre commentaire paraît sous votre nom, avec l’heure."
        if allowed
        else "Ce que vous écrivez n’est envoyé à personne avant votre accord."
    )
    return f"""<section class="comments" id="commentaires" aria-labelledby="com" data-page="/article/{a.slug}" data-title="{escape(a.headline, quote=True)}"><h2 id="com">Commentaires</h2>{thanks}<ol>{lines}</ol>
{gate}{account}<form method="post" action="/commentaires" class="plain"><input type="hidden" name="article" value="{a.slug}">
<p class="hint" id="regle">{hint}</p>
<p><label for="nom">Votre nom</label><input id="nom" name="nom" autocomplete="name" required maxlength="60"></p>
<p><label for="texte">Votre commentaire</label><textarea id="texte" name="texte" rows="4" required minlength="3" maxlength="1500" aria-describedby="regle"></textarea></p>
<p><button class="button">Publier</button></p></form>{open_}</section>"""


def article(
    view: View,
    slug: str,
    comments: Iterable[Comment] = (),
    *,
    bare: bool = False,
    nonce: str = "",
    head: str = "",
    middle: str = "",
    video: str = "",
    posted: bool = False,
) -> str:
    """An article with everything of P14. ``bare``: boxes instead of what third parties embed. ``middle`` and ``video``: other snippets."""
    a = BY_SLUG[slug]
    mark = f' nonce="{nonce}"' if nonce else ""
    social = "reseaux-sociaux" in view.granted and not bare
    embeds = {
        "@video": video
        or f'<iframe src="{view.url("videotube", "/embed/chantier")}" width="640" height="360" title="Vidéo : {escape(a.picture.alt, quote=True)}" allow="autoplay; fullscreen"></iframe>',
        "@telepost": (
            _scripted("Cette publication", view.url("telepost", "/courrier-dourelle"), "La chaîne sur Télépost") if social else ""
        )
        + f'<script async src="{view.url("telepost", "/widget.js")}" data-telepost="courrier/412" data-width="100%"{mark}></script>',
        "@xpost": (_scripted("Cette publication", view.url("xpost", "/claire_aumont/20261121"), "La lire sur XPost") if social else "")
        + f"""<blockquote class="xpost" data-id="20261121"><p lang="fr">Deux ans sans lui, on s’était habitués au détour. Ce matin j’ai traversé la Dourelle à pied, et j’ai mis onze minutes de moins pour aller au marché.</p>
<footer>Claire Aumont, maire de Montvière, <a href="{view.url("xpost", "/claire_aumont/20261121")}">21 novembre 2026</a></footer></blockquote><script async src="{view.url("xpost", "/widgets.js")}"{mark}></script>""",
        "@pub": "",
    }
    labels = {"@video": "video", "@telepost": "telepost-zone", "@xpost": "xpost-zone", "@pub": "pub-zone"}
    body = []
    for part in a.body:
        if part.startswith("## "):
            body.append(f"<h2>{part[3:]}</h2>")
        elif part in embeds:
            inside = embeds[part] if not bare else ""
            body.append(f'<div class="{labels[part]}">{inside if part != "@pub" else ad("pub-article")}</div>')
            body.append(middle if part == "@video" else "")
        else:
            body.append(f"<p>{part}</p>")
    follow = (
        f'<p class="follow"><a href="{view.url("telepost", "/courrier-dourelle")}">Suivez Le Courrier de la Dourelle sur Télépost</a></p>'
    )
    related = "".join(f'<li><a href="/article/{s}">{BY_SLUG[s].headline}</a></li>' for s in a.related)
    area = comment_area(view, a, comments, scripted=not (bare or nonce), placed=not bare, posted=posted)
    main = f"""<div class="story">{"" if bare else witness(view)}<article>
<p class="kicker">{a.section}</p>
<h1>{a.headline}</h1>
<p class="credit">{a.credit}<br><time>{a.time}</time></p>
{follow}
<figure>{_picture(a)}<figcaption>{a.picture.caption} <span class="photographer">Photo {a.picture.photographer}</span> / <span class="source">{a.picture.source}</span></figcaption></figure>
<p class="standfirst">{a.standfirst}</p>
{"".join(body)}
{follow}
<p class="closing">{a.section} · Montvière · Le Courrier de la Dourelle</p>
</article>
<div class="rail">{"" if bare else for_you(view)}{ad("pub-rail")}
<section class="more" aria-labelledby="aussi"><h2 id="aussi">À lire aussi</h2><ul>{related}</ul></section></div>
{area}</div>"""
    own_head = head if bare or nonce or head else fonts(view)
    end = "" if bare or middle else tags(view, mark)
    return page(view, a.headline, main, head=own_head, end=end, nonce=nonce, wide=True, description=a.short)


def policy(view: View, services: str) -> str:
    main = f"""<h1>Notre charte</h1>
<p class="standfirst">Qui traite vos données quand vous lisez Le Courrier, pourquoi, combien de temps, et comment dire non : l’essentiel en une page. Le détail, service par service et cookie par cookie, est dans la <a href="/_volens/policy">politique de confidentialité</a>.</p>
<h2>Qui décide</h2><p>{NAME}, SAS au capital fictif, 4 quai des Tanneurs, 00000 Montvière. Pour toute question ou pour exercer vos droits : <a href="mailto:donnees@courrier.example">donnees@courrier.example</a>.</p>
<h2>Ce qui se passe sans votre accord</h2><p>Le site retient ce qu’il faut pour fonctionner : votre session de membre, votre panier, votre langue, votre thème, votre brouillon. Il compte les pages lues avec un outil à lui, sans identifiant de personne ; vous pouvez vous y opposer.</p>
<h2>Ce qui demande votre accord</h2><ul>
<li><b>Réseaux sociaux</b> : publications de Télépost et d’XPost dans les articles, et vos commentaires, avec le nom que vous donnez.</li>
<li><b>Vidéos</b> : lecteur de VidéoTube, qui reçoit votre adresse IP et ce que vous regardez.</li>
<li><b>Publicité</b> : RégiePub, ses enchères et ses annonceurs, qui créent un profil de vos lectures.</li>
<li><b>Personnalisation</b> : un petit profil de rubriques gardé sur notre serveur, sous une clé que porte un cookie de ce site, le bloc « Pour vous », et l’outil Mesure+.</li>
<li><b>Géolocalisation</b> : votre position, au degré près, pour la météo ; le lieu reste trente jours sur votre appareil.</li></ul>
{services}
<h2>Combien de temps</h2><p>Votre choix vaut six mois, qu’il soit oui ou non. Les statistiques sont gardées vingt-cinq mois au plus.</p>
<h2>Changer d’avis</h2><p>À tout moment, par le lien <a href="/_volens/panel">Paramétrer vos choix</a> ou par la bande de chaque page. <a href="/_volens/rights">Ce qui est enregistré de votre choix</a> vous est montré, et s’oublie d’un geste.</p>"""
    return page(view, "Notre charte", main)


def mine(view: View, comments: Sequence[Comment], form: str, erased: int = 0) -> str:
    """What this visitor has written in this session, to be erased by one press: offered where an agreement was withdrawn."""
    done = (
        f'<p class="done" role="status">{"C’est fait : " + str(erased) + (" commentaires effacés" if erased > 1 else " commentaire effacé")}.</p>'
        if erased
        else ""
    )
    items = "".join(f"<li><p><b>{c.name}</b> <small>{_when(c.when)}</small></p>{c.text}</li>" for c in comments)
    press = f'<form method="post" action="/mes-commentaires"><input type="hidden" name="jeton" value="{form}"><button class="button">Effacer ces commentaires</button></form>'
    main = f"""<h1>Vos commentaires</h1>{done}<p class="standfirst">{"Voici ce que vous avez publié pendant cette visite." if items else "Vous n’avez rien publié pendant cette visite, ou tout est déjà effacé."}</p>
<div class="comments"><ol>{items}</ol></div>{press if items else ""}
<p>Pour un commentaire plus ancien, écrivez à <a href="mailto:donnees@courrier.example">donnees@courrier.example</a>.</p><p><a href="/">Retour à la une</a></p>"""
    return page(view, "Vos commentaires", main)


def search(view: View, query: str) -> str:
    words = query.casefold().split()
    found = [a for a in ARTICLES if words and all(w in " ".join((a.headline, a.standfirst, *a.body)).casefold() for w in words)]
    results = "".join(
        f'<li><p class="kicker">{a.section}</p><a href="/article/{a.slug}">{a.headline}</a><p>{a.short}</p></li>' for a in found
    )
    count = f'<p role="status">{len(found)} article{"s" if len(found) > 1 else ""} pour « {escape(query)} ».</p>' if words else ""
    main = f"""<h1>Rechercher</h1><form class="search" role="search"><label for="q">Mots cherchés</label><input id="q" name="q" type="search" value="{escape(query, quote=True)}"><button class="button">Chercher</button></form>
{count}<ol class="results">{results}</ol>"""
    return page(view, "Rechercher", main)
