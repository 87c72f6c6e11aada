"""The three articles of today's edition, written for this demonstration. Towns, people and agencies are invented."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Picture:
    file: str
    alt: str
    caption: str
    photographer: str
    source: str


@dataclass(frozen=True, slots=True)
class Article:
    slug: str
    section: str
    headline: str
    standfirst: str
    credit: str
    time: str
    picture: Picture
    body: tuple[str, ...]
    """Paragraphs; ``## `` opens a crosshead, ``@video``, ``@telepost``, ``@xpost`` and ``@pub`` stand for what is embedded there."""
    short: str
    related: tuple[str, ...]


EDITION = "Samedi 21 novembre 2026"

ARTICLES = (
    Article(
        slug="pont-vieux",
        section="Ville",
        headline="Montvière retrouve son pont Vieux, rouvert aux piétons après deux ans de chantier",
        standfirst=(
            "Fermé depuis la crue de l’automne 2024, l’ouvrage du XVe siècle a rouvert samedi matin. "
            "Les voitures n’y passeront plus. Le chantier, plus long et plus cher que prévu, laisse aux commerçants "
            "de la rive gauche un quartier à reconquérir."
        ),
        credit="Le Courrier de la Dourelle, avec l’Agence des Vallées (ADV)",
        time="Publié samedi 21 novembre à 11 h 20",
        picture=Picture(
            "pont.jpg",
            "Un pont de pierre à trois arches au-dessus d’une rivière, au lever du jour, dans une légère brume.",
            "Le pont Vieux au matin de sa réouverture, vu du quai des Tanneurs.",
            "Hélène Marsac",
            "Agence des Vallées",
        ),
        body=(
            (
                "À 10 heures précises, deux agents de la ville ont tiré la dernière barrière, et personne n’a bougé. Il a fallu qu’une institutrice "
                "lance « Allez, les bonnets jaunes ! » pour que la classe de CM1 de l’école Jules-Vallès s’engage sur les pavés neufs. "
                "Derrière elle, quelque six cents habitants ont traversé la Dourelle à pied, ce qu’ils n’avaient pas fait depuis deux ans et vingt-neuf jours."
            ),
            (
                "Dans la nuit du 23 octobre 2024, la rivière était montée de 4,10 mètres en six heures. Un tronc, coincé contre la pile centrale, "
                "avait formé barrage ; au matin, l’arche du milieu pendait. « Nous pensions en avoir pour huit mois », rappelle Claire Aumont, maire de Montvière. "
                "Les plongeurs ont alors découvert que les pieux de chêne sous la pile, posés en 1471, ne portaient presque plus rien."
            ),
            "@video",
            "## Des pierres numérotées une à une",
            (
                "L’entreprise a déposé 1 140 blocs, les a numérotés à la craie grasse, puis les a rangés dans l’ancienne gare aux bestiaux. "
                "Neuf sur dix ont retrouvé leur place. Les autres viennent de la carrière de Sainte-Aure, rouverte pour trois semaines. "
                "« Le calcaire y est le même, au fossile près », assure Youssef Ferrand, le tailleur de pierre qui a posé la clef de voûte en septembre."
            ),
            (
                "La facture atteint 6,8 millions d’euros, contre 4,9 millions annoncés. L’État en règle 40 %, la région un quart. "
                "Le reste, soit un peu plus de deux millions, pèsera sur le budget de la ville jusqu’en 2034."
            ),
            "@xpost",
            "## Sans les voitures",
            (
                "Le conseil municipal a tranché en juin, par dix-huit voix contre neuf : le pont restera aux piétons et aux vélos. "
                "L’opposition regrette qu’aucune navette ne relie encore le parking du Pré-Long à la rive gauche. Elle est promise pour mars."
            ),
            (
                "Rue des Lavandières, onze boutiques sur trente ont baissé le rideau pendant les travaux. Nadia Belkacem, elle, a tenu. "
                "Sa librairie a perdu 40 % de ses clients la première année. Samedi, elle avait sorti deux tables sur le trottoir et comptait les passants. "
                "« À midi, j’en étais à deux cent douze. Avant la crue, c’était un bon jour de décembre. »"
            ),
            "@telepost",
            (
                "La surveillance du pont ne s’arrête pas avec le ruban coupé. Seize capteurs, scellés dans les joints, mesurent l’écartement des voussoirs. "
                "Leurs relevés seront affichés chaque mois à la mairie, et publiés dans ces pages."
            ),
        ),
        short="Six cents habitants ont traversé la Dourelle à pied samedi matin. Les voitures, elles, n’y reviendront pas.",
        related=("truites", "rex"),
    ),
    Article(
        slug="truites",
        section="Rivière",
        headline="Dans la Dourelle, les truites remontent au-delà du moulin pour la première fois depuis 1962",
        standfirst=(
            "Le barrage du moulin Brûlé a été abaissé au printemps. En novembre, les techniciens de la fédération de pêche "
            "ont compté quarante et une frayères en amont, là où il n’y en avait plus aucune."
        ),
        credit="Le Courrier de la Dourelle",
        time="Publié vendredi 20 novembre à 18 h 05",
        picture=Picture(
            "riviere.jpg",
            "Une rivière sinueuse entre des collines boisées, dans la lumière basse de novembre.",
            "La Dourelle en amont du moulin Brûlé, près de Saint-Orens-le-Haut.",
            "Mathieu Roche",
            "Le Courrier de la Dourelle",
        ),
        body=(
            (
                "On les reconnaît à leur clarté : des ovales de gravier propre, grands comme une table, sur un fond brun d’algues. "
                "Chacun est une frayère, creusée à coups de queue par une truite femelle qui y a déposé ses œufs. "
                "Lundi, entre le moulin Brûlé et le pont de Saint-Orens, Anne Delmas en a compté quarante et une."
            ),
            (
                "« J’ai recommencé deux fois, avoue la technicienne de la fédération de pêche. Depuis que je fais ce métier, la case de ce tronçon restait à zéro. » "
                "La dernière observation consignée date de 1962, deux ans avant le rehaussement du barrage."
            ),
            "@video",
            "## Quatre-vingts centimètres de trop",
            (
                "L’obstacle n’avait rien d’impressionnant. Un mètre trente de pierres et de planches, utile à un moulin qui ne moud plus depuis 1978. "
                "Mais une truite de la Dourelle ne saute guère plus de cinquante centimètres. En avril, une pelle mécanique a retiré les quatre-vingts de trop, en trois jours."
            ),
            (
                "Le propriétaire, Jean-Luc Brives, s’y était d’abord opposé. « Mon grand-père avait posé ces planches. Et puis on m’a expliqué que la roue tournerait quand même. » "
                "Elle tourne, en effet, un peu moins vite."
            ),
            "@pub",
            (
                "Reste à savoir combien d’alevins passeront l’hiver. Une crue en janvier peut tout emporter, une sécheresse en mai aussi. "
                "Le prochain comptage aura lieu à la fin d’avril. Il se fera à pied, de nuit, à la lampe frontale, et les volontaires peuvent s’inscrire à la mairie de Saint-Orens."
            ),
        ),
        short="Un barrage abaissé de quatre-vingts centimètres, et quarante et une frayères en amont du moulin Brûlé.",
        related=("pont-vieux", "rex"),
    ),
    Article(
        slug="rex",
        section="Culture",
        headline="Le Rex, dernier cinéma de la vallée, repris par 412 de ses spectateurs",
        standfirst=(
            "La salle de Brézac devait fermer le 31 décembre. Une coopérative, montée en neuf semaines par des habitués, "
            "vient d’en signer le rachat. Première séance sous le nouveau statut : le 9 janvier."
        ),
        credit="Le Courrier de la Dourelle, avec l’Agence des Vallées (ADV)",
        time="Publié jeudi 19 novembre à 7 h 00",
        picture=Picture(
            "rex.jpg",
            "La façade éclairée d’un petit cinéma de quartier, un soir de pluie.",
            "Le Rex, rue Basse à Brézac, un soir de novembre.",
            "Inès Kowalski",
            "Agence des Vallées",
        ),
        body=(
            (
                "Il y a 186 fauteuils au Rex et, depuis mardi, 412 propriétaires. La signature a eu lieu dans la salle, lumières allumées, "
                "sous l’écran resté blanc. Chacun a apporté cent euros au moins ; la plus grosse part en vaut trois mille, et ne donne qu’une voix, comme les autres."
            ),
            (
                "Tout est parti d’une affichette collée sur la caisse le 14 septembre. Paul Guérin y annonçait sa retraite et la fin des séances. "
                "Quarante ans qu’il tenait le lieu, vingt ans qu’il cherchait quelqu’un. « Je ne voulais pas d’un repreneur qui en fasse un parking », dit-il."
            ),
            "## Neuf semaines",
            (
                "Le premier soir, ils étaient onze autour d’une table, au café d’en face. Le troisième, il a fallu pousser les murs. "
                "Une notaire a offert ses heures, une classe du lycée agricole a refait les comptes. Ils tiennent à condition de vendre 38 000 billets par an. Le Rex en vend 33 500."
            ),
            "@pub",
            (
                "La coopérative mise sur les matinées pour les écoles, un ciné-club le jeudi, et le bar, que la salle n’a jamais eu le droit d’ouvrir. "
                "Elle garde les deux salariés, Lina et Marc, ainsi que le projecteur de 35 mm, « pour les grandes occasions »."
            ),
            "Le 9 janvier, la séance sera gratuite. Le film n’est pas choisi : les 412 votent jusqu’à dimanche.",
        ),
        short="Neuf semaines, cent euros la part, une voix chacun : la salle de Brézac échappe à la fermeture.",
        related=("pont-vieux", "truites"),
    ),
)

BY_SLUG = {article.slug: article for article in ARTICLES}
