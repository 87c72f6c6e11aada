"""The embed codes that services hand out (written as they document them): withheld, named, linked, readable; whole once granted."""

# ruff: noqa: E501  (embed codes stand as they are handed out)

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.enforce.making import CATALOG, HOST, OPEN_SITE, PAGE, SITE, granted
from tests.oracle import would_load
from volens.enforce.hosts import Hosts
from volens.enforce.html import Frame, Rewriter
from volens.policy import Grant
from volens.web.screens import Screens

SCREENS = Screens(OPEN_SITE, {})
VIDEO, SOCIAL, NONE = "video", "reseaux-sociaux", ""


@dataclass(frozen=True)
class Embed:
    """``code`` as handed out; who the placeholder names; where its link leads; the purpose that opens it; what stays readable."""

    code: str
    name: str
    page: str
    purpose: str
    reads: str = ""
    plays: str = ""
    """The frame it is played as, where the code is no frame itself."""
    height: int = 0
    """Of its placeholder, where the code is no frame itself."""
    box: str = ""
    """A mark of the element that the placeholder stands in."""
    head: str = ""
    """What of it stands in the page's head."""


EMBEDS = {
    "youtube": Embed(
        '<iframe width="560" height="315" src="https://www.youtube.com/embed/dQw4w9WgXcQ?si=x1" title="YouTube video player" frameborder="0" '
        'allow="accelerometer; autoplay; clipboard-write; encrypted-media; gyroscope; picture-in-picture; web-share" '
        'referrerpolicy="strict-origin-when-cross-origin" allowfullscreen></iframe>',
        "YouTube",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        VIDEO,
    ),
    "youtube-nocookie": Embed(
        '<iframe width="560" height="315" src="https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ" allowfullscreen></iframe>',
        "YouTube",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        VIDEO,
    ),
    "youtube list": Embed(
        '<iframe width="560" height="315" src="https://www.youtube.com/embed/videoseries?list=PLx0sYbCqOb8TBPRdmBHs5Iftvv9TPboYG"></iframe>',
        "YouTube",
        "https://www.youtube.com/playlist?list=PLx0sYbCqOb8TBPRdmBHs5Iftvv9TPboYG",
        VIDEO,
    ),
    "youtube behind a picture": Embed(
        '<iframe width="560" height="315" src="https://www.youtube.com/embed/dQw4w9WgXcQ" srcdoc="<style>*{margin:0}</style>'
        "<a href=https://www.youtube.com/embed/dQw4w9WgXcQ?autoplay=1><img src=https://img.youtube.com/vi/dQw4w9WgXcQ/hqdefault.jpg alt=Film>"
        '<span>▶</span></a>"></iframe>',
        "YouTube",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        VIDEO,
    ),
    "dailymotion": Embed(
        '<div style="position:relative;padding-bottom:56.25%;height:0;overflow:hidden;"><iframe style="width:100%;height:100%;position:absolute;'
        'left:0px;top:0px;overflow:hidden" frameborder="0" type="text/html" src="https://geo.dailymotion.com/player.html?video=x8abcde" '
        'width="100%" height="100%" allowfullscreen title="Dailymotion Video Player" allow="autoplay; web-share"></iframe></div>',
        "Dailymotion",
        "https://www.dailymotion.com/video/x8abcde",
        VIDEO,
    ),
    "vimeo": Embed(
        '<iframe src="https://player.vimeo.com/video/76979871?h=8272103f6e" width="640" height="360" frameborder="0" '
        'allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe><p><a href="https://vimeo.com/76979871">Un film</a> sur Vimeo.</p>',
        "Vimeo",
        "https://vimeo.com/76979871/8272103f6e",
        VIDEO,
        "Un film",
    ),
    "x": Embed(
        '<blockquote class="twitter-tweet"><p lang="fr" dir="ltr">Bonjour <a href="https://t.co/abc">pic</a></p>&mdash; Une élue (@elue) '
        '<a href="https://twitter.com/elue/status/1234567890123456789?ref_src=twsrc%5Etfw">1 mai 2024</a></blockquote> '
        '<script async src="https://platform.twitter.com/widgets.js" charset="utf-8"></script>',
        "X (Twitter)",
        "https://x.com/i/status/1234567890123456789",
        SOCIAL,
        "Bonjour",
        "https://platform.twitter.com/embed/Tweet.html?id=1234567890123456789",
        500,
    ),
    "instagram": Embed(
        '<blockquote class="instagram-media" data-instgrm-captioned data-instgrm-permalink="https://www.instagram.com/p/CabcDEF_-12/'
        '?utm_source=ig_embed&amp;utm_campaign=loading" data-instgrm-version="14"><div><a href="https://www.instagram.com/p/CabcDEF_-12/">'
        'Voir cette publication sur Instagram</a></div></blockquote><script async src="//www.instagram.com/embed.js"></script>',
        "Instagram",
        "https://www.instagram.com/p/CabcDEF_-12/",
        SOCIAL,
        "Voir cette publication",
        "https://www.instagram.com/p/CabcDEF_-12/embed/captioned/",
        640,
    ),
    "facebook frame": Embed(
        '<iframe src="https://www.facebook.com/plugins/post.php?href=https%3A%2F%2Fwww.facebook.com%2Fville%2Fposts%2F123&show_text=true&width=500" '
        'width="500" height="612" style="border:none;overflow:hidden" scrolling="no" frameborder="0" allowfullscreen="true" '
        'allow="autoplay; clipboard-write; encrypted-media; picture-in-picture; web-share"></iframe>',
        "Facebook",
        "https://www.facebook.com/ville/posts/123",
        SOCIAL,
    ),
    "facebook script": Embed(
        '<div id="fb-root"></div><script async defer crossorigin="anonymous" src="https://connect.facebook.net/fr_FR/sdk.js#xfbml=1&version=v19.0">'
        '</script><div class="fb-post" data-href="https://www.facebook.com/ville/posts/123" data-width="500"><blockquote '
        'cite="https://www.facebook.com/ville/posts/123" class="fb-xfbml-parse-ignore"><p>La fête commence</p></blockquote></div>',
        "Facebook",
        "https://www.facebook.com/ville/posts/123",
        SOCIAL,
        "La fête commence",
        "https://www.facebook.com/plugins/post.php?href=https%3A%2F%2Fwww.facebook.com%2Fville%2Fposts%2F123&width=500",
    ),
    "facebook page": Embed(
        '<div class="fb-page" data-href="https://www.facebook.com/ville" data-tabs="timeline" data-width="340" data-height="420" '
        'data-small-header="false" data-adapt-container-width="true" data-hide-cover="false" data-show-facepile="true"><blockquote '
        'cite="https://www.facebook.com/ville" class="fb-xfbml-parse-ignore"><a href="https://www.facebook.com/ville">La ville</a></blockquote></div>'
        '<script async defer crossorigin="anonymous" src="https://connect.facebook.net/fr_FR/sdk.js#xfbml=1&version=v19.0"></script>',
        "Facebook",
        "https://www.facebook.com/ville",
        SOCIAL,
        "La ville",
        "https://www.facebook.com/plugins/page.php?href=https%3A%2F%2Fwww.facebook.com%2Fville&width=340&tabs=timeline&height=420"
        "&small_header=false&adapt_container_width=true&hide_cover=false&show_facepile=true",
        420,
    ),
    "facebook video": Embed(
        '<script async src="https://connect.facebook.net/fr_FR/sdk.js#xfbml=1&version=v19.0"></script>'
        '<div class="fb-video" data-href="https://www.facebook.com/ville/videos/10153231379946729/" data-width="640" data-show-text="false"></div>',
        "Facebook",
        "https://www.facebook.com/ville/videos/10153231379946729/",
        SOCIAL,
        plays="https://www.facebook.com/plugins/video.php?href=https%3A%2F%2Fwww.facebook.com%2Fville%2Fvideos%2F10153231379946729%2F"
        "&width=640&show_text=false",
        height=360,
    ),
    "facebook comments": Embed(
        '<script async src="https://connect.facebook.net/fr_FR/sdk.js#xfbml=1&version=v19.0"></script>'
        '<div class="fb-comments" data-href="https://www.site.example/a/page" data-numposts="5" data-width="100%"></div>',
        "Facebook",
        "https://www.facebook.com/plugins/comments.php?href=https%3A%2F%2Fwww.site.example%2Fa%2Fpage&width=100%25&numposts=5",
        SOCIAL,
        plays="https://www.facebook.com/plugins/comments.php?href=https%3A%2F%2Fwww.site.example%2Fa%2Fpage&width=100%25&numposts=5",
        height=400,
    ),
    "tiktok": Embed(
        '<blockquote class="tiktok-embed" cite="https://www.tiktok.com/@scout2015/video/6718335390845095173" data-video-id="6718335390845095173" '
        'style="max-width: 605px;min-width: 325px;"><section><a href="https://www.tiktok.com/@scout2015">@scout2015</a> Brouille tes traces'
        '</section></blockquote> <script async src="https://www.tiktok.com/embed.js"></script>',
        "TikTok",
        "https://www.tiktok.com/embed/v2/6718335390845095173",
        SOCIAL,
        "Brouille tes traces",
        "https://www.tiktok.com/embed/v2/6718335390845095173",
        740,
    ),
    "threads": Embed(
        '<blockquote class="text-post-media" data-text-post-permalink="https://www.threads.net/@journal/post/Cx1_-abc" data-text-post-version="0">'
        '<a href="https://www.threads.net/@journal/post/Cx1_-abc">Voir sur Threads</a></blockquote>'
        '<script async src="https://www.threads.net/embed.js"></script>',
        "Threads",
        "https://www.threads.com/@journal/post/Cx1_-abc",
        SOCIAL,
        "Voir sur Threads",
        "https://www.threads.net/@journal/post/Cx1_-abc/embed/",
        420,
    ),
    "bluesky": Embed(
        '<blockquote class="bluesky-embed" data-bluesky-uri="at://did:plc:z72i7hdynmk6r22z27h6tvur/app.bsky.feed.post/3l6oveex3ii2l" '
        'data-bluesky-cid="bafy"><p lang="fr">Il fait beau</p>&mdash; Une amie (<a href="https://bsky.app/profile/did:plc:x">@amie</a>)'
        '</blockquote><script async src="https://embed.bsky.app/static/embed.js" charset="utf-8"></script>',
        "Bluesky",
        "https://bsky.app/profile/did:plc:z72i7hdynmk6r22z27h6tvur/post/3l6oveex3ii2l",
        SOCIAL,
        "Il fait beau",
        "https://embed.bsky.app/embed/did:plc:z72i7hdynmk6r22z27h6tvur/app.bsky.feed.post/3l6oveex3ii2l",
        300,
    ),
    "mastodon frame": Embed(
        '<iframe src="https://mastodon.social/@Gargron/109302436954721982/embed" class="mastodon-embed" style="max-width: 100%; border: 0" '
        'width="400" allowfullscreen="allowfullscreen"></iframe><script src="https://mastodon.social/embed.js" async="async"></script>',
        "Mastodon",
        "https://mastodon.social/@Gargron/109302436954721982",
        SOCIAL,
    ),
    "mastodon quote": Embed(
        '<blockquote class="mastodon-embed" data-embed-url="https://piaille.fr/@moi/109302436954721982/embed"><a '
        'href="https://piaille.fr/@moi/109302436954721982">Post by @moi</a></blockquote>'
        '<script data-allowed-prefixes="https://piaille.fr/" async src="https://piaille.fr/embed.js"></script>',
        "Mastodon",
        "https://piaille.fr/@moi/109302436954721982",
        SOCIAL,
        "Post by @moi",
        "https://piaille.fr/@moi/109302436954721982/embed",
        360,
    ),
    "telegram": Embed(
        '<script async src="https://telegram.org/js/telegram-widget.js?22" data-telegram-post="durov/68" data-width="100%"></script>',
        "Telegram",
        "https://t.me/durov/68",
        SOCIAL,
        plays="https://t.me/durov/68?embed=1",
        height=240,
    ),
    "linkedin": Embed(
        '<iframe src="https://www.linkedin.com/embed/feed/update/urn:li:share:6898694772406493185" height="265" width="504" frameborder="0" '
        'allowfullscreen="" title="Post intégré"></iframe>',
        "LinkedIn",
        "https://www.linkedin.com/feed/update/urn:li:share:6898694772406493185",
        SOCIAL,
    ),
    "pinterest": Embed(
        '<a data-pin-do="embedPin" data-pin-width="medium" href="https://www.pinterest.com/pin/99360735500167749/"></a>'
        '<script async defer src="//assets.pinterest.com/js/pinit.js"></script>',
        "Pinterest",
        "https://www.pinterest.com/pin/99360735500167749/",
        SOCIAL,
        plays="https://assets.pinterest.com/ext/embed.html?id=99360735500167749",
        height=520,
    ),
    "pinterest board": Embed(
        '<a data-pin-do="embedBoard" data-pin-board-width="400" data-pin-scale-height="240" data-pin-scale-width="80" '
        'href="https://www.pinterest.fr/journal/recettes/">Nos recettes</a><script async defer src="//assets.pinterest.com/js/pinit.js"></script>',
        "Pinterest",
        "https://www.pinterest.com/journal/recettes/",
        SOCIAL,
        "Nos recettes",
        "https://assets.pinterest.com/js/pinit.js",
        350,
    ),
    "pinterest profile": Embed(
        '<a data-pin-do="embedUser" href="https://www.pinterest.com/journal/"></a>'
        '<script async defer src="//assets.pinterest.com/js/pinit.js"></script>',
        "Pinterest",
        "https://www.pinterest.com/journal/",
        SOCIAL,
        plays="https://assets.pinterest.com/js/pinit.js",
        height=430,
    ),
    "x timeline": Embed(
        '<a class="twitter-timeline" data-height="450" href="https://twitter.com/journal?ref_src=twsrc%5Etfw">Messages du journal</a> '
        '<script async src="https://platform.twitter.com/widgets.js" charset="utf-8"></script>',
        "X (Twitter)",
        "https://x.com/journal",
        SOCIAL,
        "Messages du journal",
        "https://syndication.twitter.com/srv/timeline-profile/screen-name/journal",
        450,
    ),
    "gist": Embed(
        '<script src="https://gist.github.com/octocat/9257657.js?file=a.py"></script>',
        "GitHub Gist",
        "https://gist.github.com/octocat/9257657",
        NONE,
        plays="https://gist.github.com/octocat/9257657.js?file=a.py",
        height=320,
    ),
    "spotify": Embed(
        '<iframe style="border-radius:12px" src="https://open.spotify.com/embed/track/4uLU6hMCjMI75M1A2tKUQC?utm_source=generator" width="100%" '
        'height="352" frameBorder="0" allowfullscreen="" allow="autoplay; clipboard-write; encrypted-media; fullscreen; picture-in-picture" '
        'loading="lazy"></iframe>',
        "Spotify",
        "https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC",
        VIDEO,
    ),
    "soundcloud": Embed(
        '<iframe width="100%" height="166" scrolling="no" frameborder="no" allow="autoplay" src="https://w.soundcloud.com/player/'
        '?url=https%3A//soundcloud.com/artiste/titre&color=%23ff5500&auto_play=false"></iframe>',
        "SoundCloud",
        "https://soundcloud.com/artiste/titre",
        VIDEO,
    ),
    "deezer": Embed(
        '<iframe title="deezer-widget" src="https://widget.deezer.com/widget/dark/playlist/1479458365" width="100%" height="300" frameborder="0" '
        'allowtransparency="true" allow="encrypted-media; clipboard-write"></iframe>',
        "Deezer",
        "https://www.deezer.com/playlist/1479458365",
        VIDEO,
    ),
    "google maps": Embed(
        '<iframe src="https://www.google.com/maps/embed?pb=!1m18!1m12!1m3!1d2624.9!2d2.2922926!3d48.8583736!2m3!1f0!2f0!3f0" width="600" height="450" '
        'style="border:0;" allowfullscreen="" loading="lazy" referrerpolicy="no-referrer-when-downgrade"></iframe>',
        "Google Maps",
        "https://www.google.com/maps/@48.8583736,2.2922926,14z",
        NONE,
    ),
    "openstreetmap": Embed(
        '<iframe width="425" height="350" src="https://www.openstreetmap.org/export/embed.html?bbox=-1.59%2C47.19%2C-1.50%2C47.24&amp;layer=mapnik&amp;'
        'marker=47.218%2C-1.553" style="border: 1px solid black"></iframe><br/><small><a href="https://www.openstreetmap.org/">Plan agrandi</a></small>',
        "OpenStreetMap",
        "https://www.openstreetmap.org/?mlat=47.218&mlon=-1.553",
        NONE,
        "Plan agrandi",
    ),
    "twitch": Embed(
        '<iframe src="https://player.twitch.tv/?channel=zerator&parent=www.site.example" frameborder="0" allowfullscreen="true" scrolling="no" '
        'height="378" width="620"></iframe>',
        "Twitch",
        "https://www.twitch.tv/zerator",
        VIDEO,
    ),
    "giphy": Embed(
        '<iframe src="https://giphy.com/embed/3o7aD2saalBwwftBIY" width="480" height="480" frameBorder="0" class="giphy-embed" allowFullScreen></iframe>'
        '<p><a href="https://giphy.com/gifs/3o7aD2saalBwwftBIY">via GIPHY</a></p>',
        "GIPHY",
        "https://giphy.com/gifs/3o7aD2saalBwwftBIY",
        NONE,
        "via GIPHY",
    ),
    "recaptcha": Embed(
        '<form method=post><div class="g-recaptcha" data-sitekey="k"></div><button>Envoyer</button></form>'
        '<script src="https://www.google.com/recaptcha/api.js" async defer></script>',
        "Google reCAPTCHA",
        "",
        NONE,
        "Envoyer",
    ),
    "hcaptcha": Embed(
        '<form method=post><div class="h-captcha" data-sitekey="k"></div></form><script src="https://js.hcaptcha.com/1/api.js" async defer></script>',
        "hCaptcha",
        "",
        NONE,
    ),
    "turnstile": Embed(
        '<form method=post><div class="cf-turnstile" data-sitekey="k"></div></form>'
        '<script src="https://challenges.cloudflare.com/turnstile/v0/api.js" async defer></script>',
        "Cloudflare Turnstile",
        "",
        NONE,
    ),
    "recaptcha, script in head": Embed(
        '<form method=post><p>Nom</p><div class="g-recaptcha" data-sitekey="k" data-theme="light"></div><button>Envoyer</button></form>',
        "Google reCAPTCHA",
        "",
        NONE,
        "Envoyer",
        box="g-recaptcha",
        head='<script src="https://www.google.com/recaptcha/api.js?hl=fr" async defer></script>',
    ),
    "hcaptcha, script in head": Embed(
        '<form method=post><div class="h-captcha" data-sitekey="k"></div></form>',
        "hCaptcha",
        "",
        NONE,
        box="h-captcha",
        head='<script src="https://js.hcaptcha.com/1/api.js" async defer></script>',
    ),
    "turnstile, script in head": Embed(
        '<form method=post><div class="cf-turnstile" data-sitekey="k"></div></form>',
        "Cloudflare Turnstile",
        "",
        NONE,
        box="cf-turnstile",
        head='<script src="https://challenges.cloudflare.com/turnstile/v0/api.js" async defer></script>',
    ),
    "unknown": Embed(
        '<iframe src="https://jeux.inconnu.example/mots?jour=1" style="width:100%;height:600px"></iframe>',
        "jeux.inconnu.example",
        "https://jeux.inconnu.example/mots?jour=1",
        NONE,
    ),
}


def rewritten(code: str, at: Grant, size: int = 0, head: str = "") -> str:
    """A page with an embed, as it is sent."""
    hosts = Hosts(OPEN_SITE, at, CATALOG, HOST)
    place = lambda withheld: SCREENS.place(hosts.shown(withheld.target), withheld)  # noqa: E731
    rewriter = Rewriter(Frame(hosts, PAGE, dress=lambda language: "", place=place))
    text = f'<html lang="fr"><head>{head}</head><body><p>Avant</p>{code}<p>Après</p></body></html>'.encode().decode("latin-1")
    pieces = [text[at : at + size] for at in range(0, len(text), size)] if size else [text]
    return ("".join(map(rewriter.feed, pieces)) + rewriter.finish()).encode("latin-1").decode()


def frames(markup: str) -> list[tuple[str, str]]:
    """The tag and the placeholder's document of each frame of ours."""
    found = re.findall(r"<iframe (?=[^>]*src=\"/_volens/)[^>]*?srcdoc='([^']*)'[^>]*", markup)
    tags = re.findall(r"<iframe (?=[^>]*src=\"/_volens/)(?:[^>']|'[^']*')*>", markup)
    assert len(found) == len(tags), "every one stands in the page"
    return [(re.sub(r" srcdoc='[^']*'", "", tag), unescape(document)) for tag, document in zip(tags, found, strict=True)]


REFUSED = granted(notice=OPEN_SITE.notice)


@pytest.mark.parametrize("name", EMBEDS)
@pytest.mark.parametrize("size", (0, 1, 97))
def test_an_embed_is_withheld_named_and_linked(name: str, size: int) -> None:
    one = EMBEDS[name]
    assert would_load(one.head + one.code, HOST), "the oracle sees what the code would load"
    made = rewritten(one.code, REFUSED, size, one.head)
    assert would_load(made, HOST) == [], made
    ((tag, document),) = frames(made)
    assert f"<h1>Contenu de {one.name}</h1>" in document
    links = re.findall(r'<a href="([^"]*)"', document)
    assert [unescape(link) for link in links] == ([one.page] if one.page else [])
    assert one.reads in re.sub(r"<iframe.*?</iframe>", "", made)
    assert made.startswith('<html lang="fr"><head>') and "</head><body><p>Avant</p>" in made and made.endswith("<p>Après</p></body></html>")
    own = re.match(r"<iframe[^>]*", one.code)
    for attribute in re.findall(r'(?<= )(?:width|height|class|style|frameborder)="[^"]*"', own[0]) if own else ():
        assert attribute in tag, "size and looks are the frame's own"


@pytest.mark.parametrize("name", [n for n, e in EMBEDS.items() if e.plays])
def test_what_a_script_would_draw_is_played_as_the_service_s_own_frame(name: str) -> None:
    ((tag, _),) = frames(rewritten(EMBEDS[name].code, REFUSED))
    src = unescape(re.search(r'src="([^"]*)"', tag)[1])  # type: ignore[index]
    assert parse_qs(urlsplit(src).query)["u"] == [EMBEDS[name].plays]
    assert urlsplit(src).path == f"/_volens/embed/{'script' if '.js' in EMBEDS[name].plays else 'frame'}"
    assert f' height="{EMBEDS[name].height or 500}" ' in tag


@pytest.mark.parametrize("name", [n for n, e in EMBEDS.items() if e.purpose])
def test_with_its_purpose_an_embed_comes_as_it_was(name: str) -> None:
    one = EMBEDS[name]
    other = VIDEO if one.purpose == SOCIAL else SOCIAL
    assert frames(rewritten(one.code, granted(other, notice=OPEN_SITE.notice))), "the other purpose does not open it"
    made = rewritten(one.code, granted(one.purpose, notice=OPEN_SITE.notice))
    assert frames(made) == []
    if "srcdoc" not in one.code:
        assert one.code in made


@pytest.mark.parametrize("name", [n for n, e in EMBEDS.items() if e.box])
def test_a_robot_test_stands_where_its_box_would_and_once(name: str) -> None:
    one = EMBEDS[name]
    made = rewritten(one.code + one.head, REFUSED, 0, one.head)
    ((tag, document),) = frames(made)
    assert re.search(rf'class="{one.box}"[^>]*><iframe ', made), "in the form"
    src, own = (unescape(re.search(r' src="([^"]*)"', markup)[1]) for markup in (tag, one.head))  # type: ignore[index]
    assert parse_qs(urlsplit(src).query)["u"] == [own], "the page's own script"
    assert "Juste cette fois" not in document
    low = re.sub(r"<span>.*?</span>", "", document)
    assert "le formulaire ne peut pas être envoyé" in low and "Ce site ne le nomme pas" in low, "what a low frame leaves out is not why"


def test_an_invisible_robot_test_shows_no_box() -> None:
    code = '<div class="g-recaptcha" data-size="invisible" data-sitekey="k"></div><div class="captcha-info fb-comments-count">x</div>'
    assert rewritten(code, REFUSED).count("<iframe") == 0


@pytest.mark.parametrize(
    ("code", "height"),
    [
        ('<blockquote class="twitter-tweet"><a href="https://twitter.com/e/status/12">x</a></blockquote>', 260),
        (
            '<blockquote class="twitter-tweet" data-cards="hidden"><a href="https://t.co/a">x</a> <a href="https://twitter.com/e/status/12">x</a></blockquote>',
            260,
        ),
        (
            '<blockquote class="reddit-embed-bq" data-embed-height="316"><a href="https://www.reddit.com/r/x/comments/abc/">x</a></blockquote>',
            316,
        ),
        (
            '<blockquote class="reddit-embed-bq" style="height:5000px"><a href="https://www.reddit.com/r/x/comments/abc/">x</a></blockquote>',
            1000,
        ),
        ('<blockquote class="tiktok-embed" style="max-width:605px; min-height: 580px" data-video-id="12">x</blockquote>', 580),
        ('<div class="fb-page" data-href="https://www.facebook.com/v" data-height="9000"></div>', 1000),
        ('<a data-pin-do="embedPin" data-pin-width="large" href="https://www.pinterest.com/pin/12/"></a>', 780),
    ],
)
def test_a_placeholder_is_as_high_as_the_code_says_within_reason(code: str, height: int) -> None:
    ((tag, _),) = frames(rewritten(code, REFUSED))
    assert f' height="{height}" ' in tag


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ('data-volens-poster="/img/pont.jpg"', "/img/pont.jpg"),
        ('poster="https://www.site.example/img/eau.jpg?w=1&amp;h=2"', "/img/eau.jpg?w=1&amp;h=2"),
        ('srcdoc="<a href=https://www.youtube.com/embed/x><img alt=x src=/img/pont.jpg></a>"', "/img/pont.jpg"),
        ('srcdoc="<a href=https://www.youtube.com/embed/x><img src=https://img.youtube.com/vi/x/0.jpg></a>"', ""),
        ('data-volens-poster="https://img.youtube.com/vi/x/0.jpg"', ""),
        ('data-volens-poster="//i.ytimg.com/vi/x/0.jpg"', ""),
        ('data-volens-poster="https://www.site.example//i.ytimg.com/0.jpg"', "https://www.site.example//i.ytimg.com/0.jpg"),
        ('data-volens-poster="https://inconnu.example/x.jpg"', ""),
        ('data-volens-poster="javascript:alert(1)"', ""),
        ('data-volens-poster="/g/collect?v=2&amp;tid=G-1"', ""),
    ],
)
def test_a_picture_in_a_placeholder_is_the_site_s_own(attributes: str, shown: str) -> None:
    made = rewritten(f'<iframe src="https://www.youtube.com/embed/x" {attributes}></iframe>', REFUSED)
    ((_, document),) = frames(made)
    assert re.findall(r'<body background="([^"]*)"', document) == ([shown] if shown else [])
    assert would_load(made, HOST) == []


def test_a_picture_from_another_host_of_the_site_s_own() -> None:
    hosts = Hosts(SITE, granted(), CATALOG, HOST)
    rewriter = Rewriter(Frame(hosts, PAGE, place=lambda withheld: withheld.poster))
    frame = '<body><iframe src="https://www.youtube.com/embed/x" data-volens-poster="https://images.site.example/pont.jpg"></iframe>'
    assert "srcdoc='https://images.site.example/pont.jpg'" in rewriter.feed(frame) + rewriter.finish()


def test_a_footer_s_widgets_script_shows_nothing_and_has_no_placeholder() -> None:
    for script in ("https://platform.twitter.com/widgets.js", "https://connect.facebook.net/fr_FR/sdk.js", "//www.instagram.com/embed.js"):
        assert frames(rewritten(f"<footer><script async src={script}></script></footer>", REFUSED)) == []


def test_a_quote_of_the_site_s_own_is_left_alone() -> None:
    for quote in (
        "<blockquote class=citation><a href=https://twitter.com/x/status/1>x</a></blockquote>",
        "<blockquote class=twitter-tweet>rien</blockquote>",
        '<blockquote class=tiktok-embed data-video-id="1\'x">rien</blockquote>',
        "<blockquote class=mastodon-embed data-embed-url=javascript:alert(1)>rien</blockquote>",
        "<blockquote class=fb-xfbml-parse-ignore cite=https://evil.example/>rien</blockquote>",
    ):
        assert quote in rewritten(quote, REFUSED) and frames(rewritten(quote, REFUSED)) == []


def test_embeds_inside_documents_inside_attributes() -> None:
    inner = EMBEDS["youtube"].code.replace("&", "&amp;").replace('"', "&quot;")
    made = rewritten(f'<iframe srcdoc="<p>Chez nous</p>{inner}" width=600></iframe>', REFUSED)
    document = unescape(re.search(r'srcdoc="([^"]*)"', made)[1])  # type: ignore[index]
    assert "Chez nous" in document and len(frames(document)) == 1 and would_load(made, HOST) == []
