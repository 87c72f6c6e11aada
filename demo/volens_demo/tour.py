"""Two pages about the demonstration itself: the counters, and a walk through the fourteen promises with proof as it happens."""

# ruff: noqa: E501 (markup reads better unbroken)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from volens_demo.pages import STATES, View, page, reset
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
        f'<tr data-party="{p["id"]}"><th scope="row">{p["name"]}<small>{p["trade"]}{", " + p["called"] if p["called"] else ""}</small></th>'
        + "".join(
            f'<td data-state="{s}" data-label="{name}"{" class=hot" if p["counts"][s] else ""}>{p["counts"][s]}</td>' for s, name in shown
        )
        + f'<td data-known data-label="Vous connaît comme">{escape(p["knows"])}</td>'
        + f'<td data-learns data-label="A appris">{escape(", ".join(p["learns"])) or "—"}</td>'
        + f'<td data-label="À la source"><a href="{view.url(p["id"], "/recu")}">son registre<span class="hidden"> ({p["name"]})</span></a></td></tr>'
        for p in view.witness["parties"]
    )
    counts = view.witness["counts"]
    after = (
        f"""<p class="wrong">Vous avez retiré votre accord : plus rien ne part. Mais ces sociétés gardent les {counts[AGREED]} requêtes reçues avant, et ce qu’elles en ont appris ;
elles seules peuvent l’effacer. Qui elles sont et comment leur écrire : <a href="/_volens/policy#services">politique de confidentialité</a>.</p>"""
        if view.witness["state"] == REFUSED and counts[AGREED]
        else ""
    )
    main = f"""<div data-witness><h1>Ce que les tiers ont reçu</h1>
<p class="standfirst">Dix sociétés inventées, mais de vrais serveurs : chacune note ce qu’un navigateur lui envoie. Voici leurs registres, réunis.</p>
<p>Où vous en êtes : <b data-now>{dict(STATES)[view.witness["state"]]}</b>. Le nombre de requêtes reçues, par tous les tiers ensemble :</p>
{_figures(view)}{after}
<p>On compte par type de navigateur, sur cette machine : deux fenêtres du même navigateur, même privées, comptent ensemble.</p>
{reset("/temoin", quiet=False)}
<table class="ledger"><thead><tr><th scope="col">Tiers</th>{heads}<th scope="col">Vous connaît comme</th><th scope="col">A appris</th><th scope="col">À la source</th></tr></thead><tbody>{rows}</tbody></table>
<p>« À la source » vous fait visiter le tiers lui-même : votre navigateur lui parle alors pour de bon, et la visite reste hors du compte.</p>
<h2>Huit services, dix sociétés</h2>
<p>L’avis nomme huit services. Deux sont au journal et n’envoient rien ailleurs : Isso, qui publie les commentaires, et la météo. Les six autres sont ci-dessus : VidéoTube, Télépost, XPost, Trombine, RégiePub, Mesure+.
Enchère et Pixel agissent pour RégiePub, sous son nom dans l’avis. Vélos Aubin est l’annonceur du jour : nul ne peut l’annoncer d’avance, il ne s’ouvre donc qu’avec <b>Tout accepter</b>. Polices reste à zéro dans tous les cas : la page l’appelle, mais personne ne l’a déclaré.</p>
<h2>Ce que le journal a lu sur votre appareil</h2>
<p>À cette page : <b data-set>{escape(", ".join(kept)) or "rien"}</b>. <code>aud_visite</code> est notre propre mesure d’audience : elle vaut 1 chez tout le monde, dit seulement que vous êtes déjà venu, et ne demande pas d’accord.
<code>courrier_session</code> tient votre panier et votre compte, <code>profil_lecture</code> votre profil si vous l’avez permis.</p></div>"""
    return page(replace(view, current="/temoin"), "Compteurs", main, wide=True)


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    do: str
    look: str
    proof: str
    """A sentence in which ``{avant}``, ``{refus}`` and ``{accord}`` are live counts, ``{tiers:x}`` one third party's count with agreement."""


STEPS = (
    Step("Tout accepter ouvre tout ce qui est annoncé", 'Ouvrez <a href="/article/pont-vieux">l’article du pont</a> et touchez <b>Tout accepter</b>.', "La vidéo, les deux publications et l’annonce paraissent. Chaque donnée reçue figure aux <a href=\"/temoin\">compteurs</a>, avec qui l’a reçue.", "Requêtes reçues par les tiers avec votre accord : {accord}."),
    Step("Tout refuser ne laisse que la technique", 'Ouvrez <a href="/_volens/panel">Paramétrer vos choix</a>, touchez <b>Tout refuser</b>, puis relisez <a href="/article/pont-vieux">l’article</a>.', "Dans les outils du navigateur, rubrique stockage : il ne reste que <code>volens</code>, votre choix, et <code>aud_visite</code>, notre mesure d’audience sans identifiant.", "Requêtes reçues par les tiers après un refus : {refus}."),
    Step("Ce qui était déjà là n’est plus lu", 'Acceptez, rechargez, refusez. Le cookie <code>_ga</code> posé entre-temps ne parvient plus à personne.', "La ligne « a lu sur votre appareil » des <a href=\"/temoin\">compteurs</a> ne nomme aucun traceur.", "Le journal a lu à l’instant : {lu}."),
    Step("Après un refus, pas de commentaire", 'Refusez, puis écrivez un <a href="/article/pont-vieux#commentaires">commentaire</a>.', "La page répond ce qu’il faut autoriser, et vous rend votre texte. Rien n’est publié.", "Commentaires publiés depuis le démarrage : {commentaires}."),
    Step("Tout accepter ouvre les commentaires", 'Acceptez tout et publiez un <a href="/article/pont-vieux#commentaires">commentaire</a>.', "Il paraît aussitôt sous l’article.", "Commentaires publiés depuis le démarrage : {commentaires}."),
    Step("Réseaux sociaux seul les ouvre aussi", 'Dans <a href="/_volens/panel">Paramétrer vos choix</a>, n’allumez que <b>Réseaux sociaux</b>, touchez <b>OK</b>, commentez.', "Le commentaire paraît. La vidéo, l’annonce et la mesure restent fermées.", "Reçu avec accord : VidéoTube {tiers:videotube}, RégiePub {tiers:regie-pub}, Mesure+ {tiers:mesure}."),
    Step("La bande dit si le stockage est autorisé", "Regardez la bande au bas de la page, en acceptant puis en refusant.", "Vert et rouge, mais aussi un signe et des mots.", "Où vous en êtes : {etat}."),
    Step("Et si un profil peut être créé", 'N’allumez que <b>Personnalisation</b>, lisez deux articles, revenez à <a href="/">la une</a>, puis refusez.', "Le bloc « Pour vous » naît, puis disparaît ; le cookie <code>profil_lecture</code> avec lui, et sur le serveur le profil dont il est la clé.", "Votre profil de lecture, à l’instant : {profil}."),
    Step("On change d’avis à tout moment", 'Touchez la bande, ou <a href="/_volens/panel">Paramétrer vos choix</a>.', "Refuser demande autant de gestes qu’accepter.", "Où vous en êtes : {etat}."),
    Step("OK enregistre ce que montrent les interrupteurs", "Ouvrez le panneau, n’allumez rien, touchez <b>OK</b> : c’est un refus. Rouvrez-le et fermez par Échap : rien ne change.", "Le compteur passe à « Après un refus », et n’en bouge plus.", "Où vous en êtes : {etat}."),
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
<p class="standfirst">Chaque étape dit quoi faire, quoi regarder, et montre ce que les serveurs des tiers ont vraiment reçu de votre type de navigateur, sur cette machine.</p>{raw}
{_figures(view)}
{reset("/visite", quiet=False)}
<ol class="steps">{steps}</ol></div>"""
    return page(replace(view, current="/visite"), "Visite guidée", main)
