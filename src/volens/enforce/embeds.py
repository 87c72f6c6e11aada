"""What the embed codes that services hand out say of themselves: rows of data with short walkers.

Written from the services' own documentation of their embeds. A post that a script would draw from a quote is played as the
frame that the same service documents, so that it needs no script in the page; an embed's own address leads to the page
a reader would be sent to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, quote, unquote

from volens.enforce.url import Target, text_of

_ID = r"[\w-]{1,64}"
Attributes = Mapping[str, str | None]


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


def quoted(attributes: Attributes, links: list[str]) -> str:
    """The frame of the post that a blockquote stands for, or empty."""
    for name in (attributes.get("class") or "").split():
        if name in QUOTES:
            return QUOTES[name](attributes, [unquote(link) if "%" in link and "reddit" not in link else link for link in links])
    return ""


def pinned(attributes: Attributes) -> str:
    """The frame of the pin that a link stands for (``data-pin-do="embedPin"``), or empty."""
    found = re.match(r"(?:https?:)?//(?:\w+\.)*pinterest\.[a-z.]{2,6}/pin/(\d+)", attributes.get("href") or "")
    return f"https://assets.pinterest.com/ext/embed.html?id={found[1]}" if found and attributes.get("data-pin-do") == "embedPin" else ""


def scripted(target: Target, attributes: Attributes) -> str:
    """The frame that a script with data of its own would make, or empty."""
    post = attributes.get("data-telegram-post") or ""
    if target.host == "telegram.org" and re.fullmatch(rf"{_ID}/\d+", post):
        return f"https://t.me/{post}?embed=1"
    return ""
