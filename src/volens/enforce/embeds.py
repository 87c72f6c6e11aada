"""What the embed codes that services hand out say of themselves: rows of data with short walkers.

Written from the services' own documentation of their embeds. A post that a script would draw from a quote is played as the
frame that the same service documents, so that it needs no script in the page; an embed's own address leads to the page
a reader would be sent to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlencode

from volens.enforce.url import Target, text_of

_ID = r"[\w-]{1,64}"
Attributes = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What stands for something that a script would draw in the page."""

    url: str = ""
    """Of the frame that shows the same; of the script, where the service has no such frame; empty: nothing is drawn."""
    height: int = 0
    data: tuple[tuple[str, str], ...] | None = None
    """What the script works on, in a document of its own; None: the frame needs no script."""


def _first(query: Mapping[str, list[str]], *names: str) -> str:
    return next((query[name][0] for name in names if query.get(name)), "")


def _on(url: str, *hosts: str, but: str = "") -> str:
    """``url`` where it is a page of one of ``hosts``, ``but`` apart; else empty."""
    found = re.fullmatch(r"https?://([\w.-]+)(/[^\s\"'<>\\]*)?", url)
    return url if found and found[1] != but and any(found[1] == host or found[1].endswith("." + host) for host in hosts) else ""


# ---- where a reader would be sent: (host, path, address); {1} … are the path's groups, {name} a query's value
_Q = Mapping[str, list[str]]
_PAGES: tuple[tuple[str, str, str | Callable[[re.Match[str], _Q], str]], ...] = (
    (r"(?:[\w-]+\.)*youtube(?:-nocookie)?\.com", r"/embed/videoseries", "https://www.youtube.com/playlist?list={list}"),
    (r"(?:[\w-]+\.)*youtube(?:-nocookie)?\.com", rf"/(?:embed|v|shorts)/({_ID})/?", "https://www.youtube.com/watch?v={1}"),
    (r"(?:www\.)?dailymotion\.com", rf"/embed/video/({_ID})/?", "https://www.dailymotion.com/video/{1}"),
    (r"geo\.dailymotion\.com", r"/player(?:/[\w-]+)?\.html", "https://www.dailymotion.com/video/{video}"),
    (r"player\.vimeo\.com", r"/video/(\d+)/?", lambda m, q: f"https://vimeo.com/{m[1]}" + (f"/{_first(q, 'h')}" if q.get("h") else "")),
    (r"platform\.(?:twitter|x)\.com", r"/embed/Tweet\.html", "https://x.com/i/status/{id}"),
    (r"(?:www\.)?instagram\.com", rf"/(?:[\w.]+/)?(p|reel|tv)/({_ID})/embed(?:/captioned)?/?", "https://www.instagram.com/{1}/{2}/"),
    (r"(?:www|web|m)\.facebook\.com", r"/(?:v[\d.]+/)?plugins/\w+\.php", lambda m, q: _on(_first(q, "href"), "facebook.com", "fb.watch")),
    (r"(?:www\.)?threads\.(?:net|com)", rf"/(@[\w.]+)/post/({_ID})/embed/?", "https://www.threads.com/{1}/post/{2}"),
    (r"embed\.bsky\.app", r"/embed/([\w.:%-]+)/app\.bsky\.feed\.post/(\w+)", "https://bsky.app/profile/{1}/post/{2}"),
    (r"t\.me", rf"/({_ID})/(\d+)", "https://t.me/{1}/{2}"),
    (r"www\.linkedin\.com", r"/embed/feed/update/(urn:li:\w+:\d+)/?", "https://www.linkedin.com/feed/update/{1}"),
    (r"assets\.pinterest\.com", r"/ext/embed\.html", "https://www.pinterest.com/pin/{id}/"),
    (r"syndication\.twitter\.com", r"/srv/timeline-profile/screen-name/(\w+)", "https://x.com/{1}"),
    (r"gist\.github\.com", r"/([\w-]+/\w+)\.js", "https://gist.github.com/{1}"),
    (r"open\.spotify\.com", r"/embed(?:-podcast)?/(\w+)/(\w+)(?:/video)?/?", "https://open.spotify.com/{1}/{2}"),
    (r"w\.soundcloud\.com", r"/player/?", lambda m, q: _on(_first(q, "url"), "soundcloud.com", but="api.soundcloud.com")),
    (r"widget\.deezer\.com", r"/widget/\w+/(\w+)/(\d+)", "https://www.deezer.com/{1}/{2}"),
    (r"(?:www|maps)\.google\.[a-z.]{2,6}", r"/maps/embed/v1/\w+", "https://www.google.com/maps/search/?api=1&query={q}"),
    (r"(?:www|maps)\.google\.[a-z.]{2,6}", r"/maps/embed", lambda m, q: _map_at(_first(q, "pb"))),
    (r"(?:www|maps)\.google\.[a-z.]{2,6}", r"/maps(?:/d/embed)?", lambda m, q: _map_for(q)),
    (r"www\.openstreetmap\.org", r"/export/embed\.html", lambda m, q: _street(_first(q, "bbox"), _first(q, "marker"))),
    (r"player\.twitch\.tv", r"/", lambda m, q: _twitch(_first(q, "channel"), _first(q, "video"))),
    (r"clips\.twitch\.tv", r"/embed", "https://clips.twitch.tv/{clip}"),
    (r"(?:www\.)?giphy\.com", r"/embed/(\w+)(?:/\w+)?", "https://giphy.com/gifs/{1}"),
    (r"www\.arte\.tv", r"/embeds/(\w\w)/([\w-]+)", "https://www.arte.tv/{1}/videos/{2}/"),
    (r"[\w.-]+", r"/(@[\w.]+(?:@[\w.-]+)?)/(\d{6,24})/embed", "https://{host}/{1}/{2}"),  # Mastodon, on whatever host
)
_COMPILED = tuple((re.compile(host), re.compile(path, re.IGNORECASE), address) for host, path, address in _PAGES)


def _map_at(pb: str) -> str:
    """The middle of a Google map: longitude and latitude follow ``2d`` and ``3d`` in its own notation."""
    found = re.search(r"!2d(-?\d+(?:\.\d+)?)!3d(-?\d+(?:\.\d+)?)", pb)
    return f"https://www.google.com/maps/@{found[2]},{found[1]},14z" if found else ""


def _map_for(query: _Q) -> str:
    if query.get("mid"):
        return f"https://www.google.com/maps/d/viewer?mid={quote(_first(query, 'mid'))}"
    wanted = _first(query, "q", "query")
    return f"https://www.google.com/maps/search/?api=1&query={quote(wanted)}" if wanted else ""


def _street(bbox: str, marker: str) -> str:
    number = r"-?\d+(?:\.\d+)?"
    if re.fullmatch(rf"{number},{number}", marker):
        lat, lon = marker.split(",")
        return f"https://www.openstreetmap.org/?mlat={lat}&mlon={lon}"
    return f"https://www.openstreetmap.org/?bbox={bbox}" if re.fullmatch(rf"{number}(?:,{number}){{3}}", bbox) else ""


def _twitch(channel: str, video: str) -> str:
    if re.fullmatch(r"\w+", channel):
        return f"https://www.twitch.tv/{channel}"
    return f"https://www.twitch.tv/videos/{video.removeprefix('v')}" if re.fullmatch(r"v?\d+", video) else ""


def page_of(target: Target) -> str:
    """The page that an embed's address belongs to, or that address itself."""
    own = text_of(target)
    path, _, query = target.path.partition("?")
    for host, form, address in _COMPILED:
        if host.fullmatch(target.host) and (found := form.fullmatch(path)):
            values = parse_qs(query.partition("#")[0])
            if callable(address):
                return address(found, values) or own
            names = {name: quote(given[0], safe=":@") for name, given in values.items() if re.fullmatch(r"\w+", name)}
            try:
                return address.format(path, *found.groups(), **{**names, "host": target.host})
            except KeyError:
                return own
    return own


# ---- names that a host alone does not tell
_NAMES = (
    (re.compile(r"(?:www|maps)\.google\.[a-z.]{2,6}"), "/maps", "Google Maps"),
    (re.compile(r"www\.linkedin\.com"), "/embed", "LinkedIn"),
    (re.compile(r"gist\.github\.com"), "/", "GitHub Gist"),
    (re.compile(r"syndication\.twitter\.com"), "/srv/timeline-profile/", "X (Twitter)"),
)


def name_of(target: Target) -> str:
    """Whose an embed is, where several services share a host; else empty."""
    return captcha(target) or next(
        (name for host, path, name in _NAMES if target.path.startswith(path) and host.fullmatch(target.host)), ""
    )


_CAPTCHAS = (
    (re.compile(r"www\.google\.com|www\.recaptcha\.net"), "/recaptcha/", "Google reCAPTCHA"),
    (re.compile(r"(?:[\w-]+\.)*hcaptcha\.com"), "/", "hCaptcha"),
    (re.compile(r"challenges\.cloudflare\.com"), "/turnstile/", "Cloudflare Turnstile"),
)


def captcha(target: Target) -> str:
    """The name of the robot test that a script shows, or empty: ``render=<key>`` is the form that shows none."""
    if re.search(r"[?&]render=(?!explicit|onload)", target.path):
        return ""
    return next((name for host, path, name in _CAPTCHAS if target.path.startswith(path) and host.fullmatch(target.host)), "")


# ---- quotes that a script would turn into a post: the frame that shows the same post
def _status(attributes: Attributes, links: list[str]) -> str:
    ids = [found[1] for link in links if (found := re.fullmatch(r"https?://(?:\w+\.)?(?:twitter|x)\.com/\w+/status(?:es)?/(\d+).*", link))]
    return f"https://platform.twitter.com/embed/Tweet.html?id={ids[-1]}" if ids else ""


def _instagram(attributes: Attributes, links: list[str]) -> str:
    for link in (attributes.get("data-instgrm-permalink") or "", *links):
        if found := re.match(rf"https://(?:www\.)?instagram\.com/(p|reel|tv)/({_ID})", link):
            return f"https://www.instagram.com/{found[1]}/{found[2]}/embed/" + (
                "captioned/" if "data-instgrm-captioned" in attributes else ""
            )
    return ""


def _tiktok(attributes: Attributes, links: list[str]) -> str:
    id = attributes.get("data-video-id") or ""
    return f"https://www.tiktok.com/embed/v2/{id}" if id.isdecimal() else ""


def _bluesky(attributes: Attributes, links: list[str]) -> str:
    found = re.fullmatch(r"at://([\w.:%-]+)/app\.bsky\.feed\.post/(\w+)", attributes.get("data-bluesky-uri") or "")
    return f"https://embed.bsky.app/embed/{found[1]}/app.bsky.feed.post/{found[2]}" if found else ""


def _threads(attributes: Attributes, links: list[str]) -> str:
    found = re.match(rf"https://www\.threads\.(net|com)/(@[\w.]+/post/{_ID})", attributes.get("data-text-post-permalink") or "")
    return f"https://www.threads.{found[1]}/{found[2]}/embed/" if found else ""


def _facebook(attributes: Attributes, links: list[str]) -> str:
    cite = _on(attributes.get("cite") or "", "facebook.com")
    plugin = "video" if "/video" in cite else "post"
    return f"https://www.facebook.com/plugins/{plugin}.php?href={quote(cite, safe='')}" if cite else ""


def _mastodon(attributes: Attributes, links: list[str]) -> str:
    url = attributes.get("data-embed-url") or ""
    return url if re.fullmatch(r"https://[\w.-]+/@[\w.]+(?:@[\w.-]+)?/\d+/embed", url) else ""


def _reddit(attributes: Attributes, links: list[str]) -> str:
    for link in links:
        if found := re.match(r"https://(?:www\.)?reddit\.com(/r/\w+/comments/\w+(?:/[\w%-]*)?)", link):
            return f"https://embed.reddit.com{found[1]}/?embed=true"
    return ""


QUOTES: Mapping[str, Callable[[Attributes, list[str]], str]] = {
    "twitter-tweet": _status,
    "twitter-video": _status,
    "instagram-media": _instagram,
    "tiktok-embed": _tiktok,
    "bluesky-embed": _bluesky,
    "text-post-media": _threads,
    "fb-xfbml-parse-ignore": _facebook,
    "mastodon-embed": _mastodon,
    "reddit-embed-bq": _reddit,
    "reddit-card": _reddit,
}
"""By the class of a ``blockquote``."""
DRAWN = re.compile(
    r"platform\.(?:twitter|x)\.com|(?:www\.)?instagram\.com|www\.tiktok\.com|embed\.bsky\.app|www\.threads\.(?:net|com)|embed\.reddit\.com"
    r"|connect\.facebook\.net|platform\.linkedin\.com|assets\.pinterest\.com"
)
"""Hosts of the scripts that do so: where no quote stands, they show nothing."""


def quoted(attributes: Attributes, links: list[str]) -> Drawn:
    """The frame of the post that a blockquote stands for."""
    for name in (attributes.get("class") or "").split():
        if name in QUOTES:
            url = QUOTES[name](attributes, [unquote(link) if "%" in link and "reddit" not in link else link for link in links])
            # a link of X's own in a post is a picture, a film or a page's card
            card = name == "twitter-tweet" and attributes.get("data-cards") != "hidden" and any("//t.co/" in link for link in links)
            return Drawn(url, _height(attributes, 500 if card else _TALL.get(name, 320))) if url else Drawn()
    return Drawn()


_TALL = {
    "twitter-tweet": 260,
    "twitter-video": 500,
    "instagram-media": 640,
    "tiktok-embed": 740,
    "bluesky-embed": 300,
    "text-post-media": 420,
    "fb-xfbml-parse-ignore": 500,
    "mastodon-embed": 360,
}
"""CSS pixels that a service's posts mostly take in a column of text, where the code names no height."""


def _number(attributes: Attributes, *names: str) -> int:
    return next((int(v.removesuffix("px")) for name in names if re.fullmatch(r"\d{1,4}(?:px)?", v := attributes.get(name) or "")), 0)


def _height(attributes: Attributes, else_: int) -> int:
    """What the code itself says, within reason."""
    styled = re.search(r"(?:^|;)\s*(?:min-)?height\s*:\s*(\d{2,4})px", attributes.get("style") or "", re.IGNORECASE)
    said = _number(attributes, "data-height", "data-embed-height", "height") or (int(styled[1]) if styled else 0)
    return min(max(said or else_, 80), 1000)


# ---- elements that a script would fill
def _plugin(name: str, height: int, *options: str) -> Callable[[Attributes], Drawn]:
    """One of Facebook's plugins: its ``data-`` attributes are the parameters of the frame that its script makes."""

    def drawn(attributes: Attributes) -> Drawn:
        about = attributes.get("data-href") or ""
        if not (re.match(r"https?://[\w.-]+/", about) if name == "comments" else _on(about, "facebook.com", "fb.watch")):
            return Drawn()
        told = {option.replace("-", "_"): v for option in ("width", *options) if (v := attributes.get(f"data-{option}"))}
        wide = _number(attributes, "data-width") or 500
        tall = round(wide * 9 / 16) if name == "video" else height
        query = urlencode({"href": about, **told}, quote_via=quote, safe="")
        return Drawn(f"https://www.facebook.com/plugins/{name}.php?{query}", _height(attributes, tall))

    return drawn


FILLED: Mapping[str, Callable[[Attributes], Drawn]] = {
    "fb-page": _plugin("page", 500, "tabs", "height", "small-header", "adapt-container-width", "hide-cover", "show-facepile"),
    "fb-post": _plugin("post", 500, "show-text"),
    "fb-video": _plugin("video", 0, "show-text"),
    "fb-comments": _plugin("comments", 400, "numposts", "order-by"),
}
"""By the class of a ``div``."""
BOXES: Mapping[str, tuple[str, str]] = {
    "g-recaptcha": ("Google reCAPTCHA", "https://www.google.com/recaptcha/api.js"),
    "h-captcha": ("hCaptcha", "https://js.hcaptcha.com/1/api.js"),
    "cf-turnstile": ("Cloudflare Turnstile", "https://challenges.cloudflare.com/turnstile/v0/api.js"),
}
"""Where a robot test would be shown, by the class of a ``div``: its name, and its script wherever that stands."""

_PIN = re.compile(r"(?:https?:)?//(?:\w+\.)*pinterest\.[a-z.]{2,6}(/[^\s\"'<>]*)")
_PINIT = "https://assets.pinterest.com/js/pinit.js"


def linked(attributes: Attributes) -> Drawn:
    """What a script would put in a link's place: Pinterest's pins, boards and profiles, a profile of X."""
    href, does = attributes.get("href") or "", attributes.get("data-pin-do") or ""
    if found := _PIN.fullmatch(href):
        if does == "embedPin" and (pin := re.match(r"/pin/(\d+)", found[1])):
            tall = {"medium": 520, "large": 780}.get(attributes.get("data-pin-width") or "", 400)
            return Drawn(f"https://assets.pinterest.com/ext/embed.html?id={pin[1]}", tall)
        if does in ("embedBoard", "embedUser"):
            told = [(name, value or "") for name, value in attributes.items() if name.startswith("data-pin-")]
            return Drawn(_PINIT, min((_number(attributes, "data-pin-scale-height") or 320) + 110, 1000), (("href", href), *told[:12]))
    if "twitter-timeline" in (attributes.get("class") or "").split():
        found = re.fullmatch(r"https?://(?:\w+\.)?(?:twitter|x)\.com/(\w{1,30})/?(?:\?.*)?", href)
        if found:
            return Drawn(f"https://syndication.twitter.com/srv/timeline-profile/screen-name/{found[1]}", _height(attributes, 600))
    return Drawn()


def scripted(target: Target, attributes: Attributes) -> Drawn:
    """What a script with data of its own would make."""
    post = attributes.get("data-telegram-post") or ""
    if target.host == "telegram.org" and re.fullmatch(rf"{_ID}/\d+", post):
        return Drawn(f"https://t.me/{post}?embed=1", 240)
    if (alone := stands_alone(target)) and not alone.element:
        return Drawn(text_of(target), 320, ())
    return Drawn()


@dataclass(frozen=True, slots=True)
class Alone:
    """A script that shows what it shows in a document of its own too."""

    host: str
    path: str
    element: str = ""
    """What it looks for; else it writes where it stands, and must be waited for."""
    hosts: tuple[str, ...] = ()
    """What it needs beside its own host."""


_ALONE = (
    Alone("gist.github.com", r"/[\w-]+/\w+\.js", hosts=("github.githubassets.com",)),
    Alone("assets.pinterest.com", r"/js/pinit\.js", "a", ("*.pinterest.com", "*.pinimg.com")),
)


def stands_alone(target: Target) -> Alone | None:
    """How a script is shown alone that has no data of its own, None where it works on the page around it."""
    path = target.path.partition("?")[0]
    return next((row for row in _ALONE if row.host == target.host and re.fullmatch(row.path, path)), None)


def page_of_script(target: Target, data: Iterable[tuple[str, str]]) -> str:
    """Where a reader is sent for what a script would show: its address is nothing to read."""
    href = dict(data).get("href") or ""
    found = _PIN.fullmatch(href) if target.host == "assets.pinterest.com" else None
    page = f"https://www.pinterest.com{found[1]}" if found else page_of(target)
    return page if page != text_of(target) else f"{target.scheme}://{target.host}/"
