"""Two pages about the demonstration itself: the witness, and a walk through the fourteen promises with proof as it happens."""

# ruff: noqa: E501 (markup reads better unbroken)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from volens_demo.pages import STATES, View, page
from volens_demo.parties import AGREED, BEFORE, RAW, REFUSED


def _figures(view: View) -> str:
    counts = view.witness["counts"]
    shown = STATES[3:] if view.witness["state"] == RAW else STATES[:3]
    return '<ul class="figures">' + "".join(
        f'<li><b data-count="{state}"{" class=hot" if counts[state] else ""}>{counts[state]}</b>{name}</li>' for state, name in shown
    ) + "</ul>"  # fmt: skip


def witness_page(view: View, kept: Sequence[str]) -> str:
    raw = view.witness["state"] == RAW
    shown = STATES[3:] if raw else STATES[:3]
    heads = "".join(f'<th scope="col">{name}</th>' for _, name in shown)
    rows = "".join(
        f'<tr data-party="{p["id"]}"><th scope="row">{p["name"]}<small>{p["trade"]}</small></th>'
        + "".join(f'<td data-state="{s}"{" class=hot" if p["counts"][s] else ""}>{p["counts"][s]}</td>' for s, _ in shown)
        + f"<td data-known>{escape(p['known']) or '—'}</td><td data-learns>{escape(', '.join(p['learns'])) or '—'}</td>"
        + f'<td><a href="{view.url(p["id"], "/recu")}">son registre<span class="hidden"> ({p["name"]})</span></a></td></tr>'
        for p in view.witness["parties"]
    )
    main = f"""<div data-witness><h1>Ce que les tiers ont reçu de vous</h1>
<p class="standfirst">Dix sociétés inventées, mais de vrais serveurs : chacune note ce que votre navigateur lui envoie. Voici leurs registres, réunis.</p>
<p>Où vous en êtes : <b data-now>{dict(STATES)[view.witness["state"]]}</b>. Le nombre de requêtes reçues, par tous les tiers ensemble :</p>
{_figures(view)}
<div class="scroll" role="region" aria-label="Registre des tiers" tabindex="0"><table class="ledger"><thead><tr><th scope="col">Tiers</th>{heads}<th scope="col">Vous connaît comme</th><th scope="col">A appris</th><th scope="col">À la source</th></tr></thead><tbody>{rows}</tbody></table></div>
<p>Ce que le journal, lui, a lu sur votre appareil à cette page : <b data-set>{escape(", ".join(kept)) or "rien"}</b>.</p>
<p>« À la source » vous fait visiter le tiers lui-même : votre navigateur lui parle alors pour de bon, et la visite reste hors du compte.</p>
<form method="post" action="/temoin/raz"><button class="button">Remettre les compteurs à zéro</button></form></div>"""
    return page(replace(view, current="/temoin"), "Témoin", main, wide=True)


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    do: str
    look: str
    proof: str
    """A sentence in which ``{avant}``, ``{refus}`` and ``{accord}`` are live counts, ``{tiers:x}`` one third party's count with agreement."""


STEPS = (
    Step("Tout accepter ouvre tout ce qui est annoncé", 'Ouvrez <a href="/article/pont-vieux">l’article du pont</a> et touchez <b>Tout accepter</b>.', "La vidéo, les deux publications et l’annonce paraissent. Chaque donnée reçue figure au <a href=\"/temoin\">témoin</a>, avec qui l’a reçue.", "Requêtes reçues par les tiers avec votre accord : {accord}."),
    Step("Tout refuser ne laisse que la technique", 'Ouvrez <a href="/_volens/panel">Paramétrer vos choix</a>, touchez <b>Tout refuser</b>, puis relisez <a href="/article/pont-vieux">l’article</a>.', "Dans les outils du navigateur, rubrique stockage : il ne reste que <code>volens</code> et <code>aud_visite</code>.", "Requêtes reçues par les tiers après un refus : {refus}."),
    Step("Ce qui était déjà là n’est plus lu", 'Acceptez, rechargez, refusez. Le cookie <code>_ga</code> posé entre-temps ne parvient plus à personne.', "La ligne « a lu sur votre appareil » du <a href=\"/temoin\">témoin</a> ne nomme aucun traceur.", "Le journal a lu à l’instant : {lu}."),
    Step("Après un refus, pas de commentaire", 'Refusez, puis écrivez un <a href="/article/pont-vieux#commentaires">commentaire</a>.', "La page répond ce qu’il faut autoriser, et vous rend votre texte. Rien n’est publié.", "Commentaires publiés depuis le démarrage : {commentaires}."),
    Step("Tout accepter ouvre les commentaires", 'Acceptez tout et publiez un <a href="/article/pont-vieux#commentaires">commentaire</a>.', "Il paraît aussitôt sous l’article.", "Commentaires publiés depuis le démarrage : {commentaires}."),
    Step("Réseaux sociaux seul les ouvre aussi", 'Dans <a href="/_volens/panel">Paramétrer vos choix</a>, n’allumez que <b>Réseaux sociaux</b>, touchez <b>OK</b>, commentez.', "Le commentaire paraît. La vidéo, l’annonce et la mesure restent fermées.", "Reçu avec accord : VidéoTube {tiers:videotube}, RégiePub {tiers:regie-pub}, Mesure+ {tiers:mesure}."),
    Step("Le bandeau dit si le stockage est autorisé", "Regardez le bandeau au bas de la page, en acceptant puis en refusant.", "Vert et rouge, mais aussi un signe et des mots.", "Où vous en êtes : {etat}."),
    Step("Et si un profil peut être créé", 'N’allumez que <b>Personnalisation</b>, lisez deux articles, revenez à <a href="/">la une</a>, puis refusez.', "Le bloc « Pour vous » naît, puis disparaît ; le cookie <code>profil_lecture</code>, qui est tout le profil, avec lui.", "Votre profil de lecture, à l’instant : {profil}."),
    Step("On change d’avis à tout moment", 'Touchez le bandeau, ou <a href="/_volens/panel">Paramétrer vos choix</a>.', "Refuser demande autant de gestes qu’accepter.", "Où vous en êtes : {etat}."),
    Step("OK enregistre ce que montrent les interrupteurs", "Ouvrez le panneau, n’allumez rien, touchez <b>OK</b> : c’est un refus. Rouvrez-le et fermez par Échap : rien ne change.", "Le témoin passe à « Après un refus », et n’en bouge plus.", "Où vous en êtes : {etat}."),
    Step("Les buts sont écrits", 'Lisez l’avis et <a href="/_volens/panel">le panneau</a>.', "Chaque but a sa phrase, chaque service son nom et ses données.", "Buts à ce jour accordés : {accordes}."),
    Step("Trois boutons, au premier regard", 'Effacez les cookies du site ou ouvrez une fenêtre privée, puis <a href="/article/pont-vieux">l’article</a>.', "Tout accepter, Tout refuser, Paramétrer vos choix : même taille, même couleur, même place.", "Requêtes reçues par les tiers avant tout choix : {avant}."),
    Step("La politique de confidentialité est à un geste", 'Suivez le lien de l’avis, ou <a href="/_volens/policy">celui-ci</a>.', "Elle est lisible avant de choisir.", "Requêtes reçues par les tiers avant tout choix : {avant}."),
    Step("L’article reste un article", 'Relisez <a href="/article/pont-vieux">l’article</a> dans les trois états.', "Titre, crédit d’agence, photo signée, chapeau, texte, lien de suivi au-dessus et au-dessous, ligne de rubrique : rien ne manque, rien ne bouge.", "Requêtes reçues avant tout choix : {avant}, après un refus : {refus}, avec accord : {accord}."),
)  # fmt: skip


def tour_page(view: View, kept: Sequence[str], comments: int) -> str:
    witness = view.witness
    counts = witness["counts"]
    by_id = {p["id"]: p for p in witness["parties"]}

    def live(text: str) -> str:
        for state, word in ((BEFORE, "{avant}"), (REFUSED, "{refus}"), (AGREED, "{accord}")):
            text = text.replace(word, f'<b data-count="{state}"{" class=hot" if counts[state] else ""}>{counts[state]}</b>')
        for id, party in by_id.items():
            text = text.replace(f"{{tiers:{id}}}", f'<span data-party="{id}"><b data-state="{AGREED}">{party["counts"][AGREED]}</b></span>')
        return (
            text.replace("{lu}", f"<b data-set>{escape(', '.join(kept)) or 'rien'}</b>")
            .replace("{commentaires}", f"<b>{comments}</b>")
            .replace("{etat}", f"<b data-now>{dict(STATES)[witness['state']]}</b>")
            .replace("{profil}", f"<b>{escape(', '.join(view.profile)) or 'aucun'}</b>")
            .replace("{accordes}", f"<b>{escape(', '.join(sorted(view.granted - {'technique', 'audience'}))) or 'aucun'}</b>")
        )

    steps = "".join(
        f'<li id="p{n}"><div><h2>{s.title}</h2><p>{s.do}</p><p>{s.look}</p><p class="proof">{live(s.proof)}</p></div></li>'
        for n, s in enumerate(STEPS, 1)
    )
    raw = '<p class="wrong">Ce site tourne sans Volens : vous voyez ce qui arrive quand personne ne demande.</p>' if not view.volens else ""
    main = f"""<div data-witness><h1>Quatorze promesses, à vérifier soi-même</h1>
<p class="standfirst">Chaque étape dit quoi faire, quoi regarder, et montre ce que les serveurs des tiers ont vraiment reçu de votre navigateur.</p>{raw}
{_figures(view)}
<form method="post" action="/temoin/raz"><input type="hidden" name="retour" value="/visite"><button class="button quiet">Remettre les compteurs à zéro</button></form>
<ol class="steps">{steps}</ol></div>"""
    return page(replace(view, current="/visite"), "Visite guidée", main)
