"""Placeholders that stand in the page itself: what they hold, where their form leads, and under which policy they show."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.enforce.making import HOST, header
from tests.web.making import FORM, SAME, Visitor, request
from volens.enforce.csp import hash_source
from volens.enforce.html import MAX_PLACES
from volens.web.gateway import Gateway

VIDEO = "https://video.example/v?a=1&b=2"
FRAME = f'<iframe width=560 height=315 src="{VIDEO.replace("&", "&amp;")}" allow="autoplay; fullscreen https://video.example"></iframe>'
SCRIPT = '<script async src="https://reseau.example/s.js"></script>'
POST = '<script async src="https://reseau.example/s.js" data-post="a/1"></script>'


class Elements(HTMLParser):
    """Start tags with their attributes; the text of style elements."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.styles: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "style" and self.cdata_elem == "style":
            self.styles.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


class Placeholder(Elements):
    """The document in a frame's ``srcdoc``."""

    def __init__(self, frame: dict[str, str]) -> None:
        super().__init__(frame["srcdoc"])
        self.form = self.all("form")[0]
        self.fields = {field["name"]: field["value"] for field in self.all("input")}
        self.answers = [button["value"] for button in self.all("button")]


def page(made: Gateway, body: str, target: str = "/a/page", policy: str = "", stream: bool = False) -> tuple[str, list[str]]:
    """A page as it is sent, and its policies."""
    visit = made.visit(request("GET", target, [(b"accept-language", b"fr"), (b"sec-fetch-dest", b"document")]))
    pairs = [(b"content-type", b"text/html; charset=utf-8")] + ([(b"content-security-policy", policy.encode())] if policy else [])
    if stream:
        _, pairs = visit.head(200, pairs)
        text = b"".join([visit.feed(body.encode()[i : i + 50]) for i in range(0, len(body.encode()), 50)]) + visit.finish()
    else:
        _, pairs, text = visit.whole(200, pairs, body.encode())
    return text.decode(), [value.decode() for value in header(pairs, b"content-security-policy")]


def test_a_placeholder_stands_in_the_page_and_asks_for_nothing(made: Gateway) -> None:
    text, _ = page(made, f"<html lang=en><body>{FRAME}{POST}")
    frames = Elements(text).all("iframe")
    assert len(frames) == 2
    for frame, service in zip(frames, ("videotube", "reseau"), strict=True):
        place = Placeholder(frame)
        assert place.fields["back"] == frame["src"].partition("&back=")[0], "the form leads to the very document that src names"
        assert place.fields["services"] == service and place.fields["surface"] == "embed" and place.fields["language"] == "en"
        assert place.form["action"] == "/_volens/choice" and place.form["method"] == "post" and place.answers == ["service", "once"]
        assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in place.found}
        assert not [a for _, attributes in place.found for a in attributes if a.startswith(("on", "style", "src"))]


def test_what_is_streamed_holds_the_same(made: Gateway) -> None:
    body = f"<html lang=fr><body><p>{FRAME}<p>{SCRIPT}<p>{POST}"
    assert Elements(page(made, body, "/a?b&c", stream=True)[0]).all("iframe") == Elements(page(made, body, "/a?b&c")[0]).all("iframe")


@pytest.mark.parametrize("path", ["/a", "/a?b=1&c=2", "/a?x&copy", "/a?x=%22&lt;&amp;quot;", "/a?__volens_back__"])
def test_a_script_that_works_on_the_page_comes_back_to_that_page(made: Gateway, path: str) -> None:
    for stream in (False, True):
        text, _ = page(made, f"<body>{SCRIPT}", path, stream=stream)
        frame = Elements(text).all("iframe")[0]
        place = Placeholder(frame)
        assert place.fields["back"] == path and place.form["target"] == "_top" and place.answers == ["service"]
        assert frame["src"].partition("&back=")[2] == path


@pytest.mark.parametrize("stream", [False, True])
def test_no_path_of_a_page_leaves_the_attribute_it_stands_in(made: Gateway, stream: bool) -> None:
    """A browser sends an apostrophe of a path, and a backslash of a query, as they are."""
    path = "/a'/onload=alert(1)//\"><img/src=x>"
    text, _ = page(made, f'<body><script>var said = "__volens_back__"</script>{SCRIPT}', path + "?\\", stream=stream)
    frame = Elements(text).all("iframe")[0]
    assert set(frame) == {"src", "srcdoc", "width", "height", "loading", "title"}
    assert Placeholder(frame).fields["back"] == path + "?%5C" and frame["src"].partition("&back=")[2] == path + "?%5C"
    assert not Placeholder(frame).all("img") and not Elements(text).all("img")
    assert not set("'\\") & set(text.partition('said = "')[2].partition('"</script>')[0])


def test_hosts_named_in_allow_do_not_leave_ours_out(made: Gateway) -> None:
    frame = Elements(page(made, FRAME)[0]).all("iframe")[0]
    assert frame["allow"] == "autoplay; fullscreen"
    assert parse_qs(urlsplit(frame["src"]).query)["allow"] == ["autoplay; fullscreen https://video.example"], (
        "the inner frame gets it as it was"
    )


def test_the_first_placeholders_only_stand_in_the_page(made: Gateway) -> None:
    frames = Elements(page(made, FRAME * (MAX_PLACES + 3))[0]).all("iframe")
    assert ["srcdoc" in frame for frame in frames] == [True] * MAX_PLACES + [False] * 3
    assert all(frame["src"].startswith("/_volens/embed/frame?") and frame["loading"] == "lazy" for frame in frames)


@pytest.mark.parametrize("policy", ["default-src 'self'", "style-src 'none'; form-action 'none'; frame-src 'none'"])
def test_a_strict_page_has_room_for_the_placeholder_s_style_and_form(made: Gateway, policy: str) -> None:
    for stream in (False, True):
        text, policies = page(made, f"<body>{FRAME}", policy=policy, stream=stream)
        style = Placeholder(Elements(text).all("iframe")[0]).styles[0]
        directives = {d.split()[0]: d.split()[1:] for d in policies[0].split("; ")}
        assert hash_source(style) in directives["style-src"]
        assert "'self'" in directives.get("frame-src", directives.get("default-src", []))
        assert "form-action" not in directives or "'self'" in directives["form-action"]


def test_the_site_s_nonce_serves_the_placeholder_too(made: Gateway) -> None:
    text, policies = page(made, f"<body>{FRAME}", policy="script-src 'nonce-abc'; style-src 'nonce-abc'")
    assert Placeholder(Elements(text).all("iframe")[0]).all("style") == [{"nonce": "abc"}]
    assert policies[0] == "script-src 'nonce-abc'; style-src 'nonce-abc'"


def test_a_page_without_placeholders_makes_no_room_for_one(made: Gateway) -> None:
    style = hash_source(made.screens(made.site(HOST)).place_style)
    assert style not in page(made, "<body><p>x", policy="style-src 'self'")[1][0]


def test_a_base_elsewhere_does_not_lead_our_form_there(made: Gateway) -> None:
    text, _ = page(made, f'<base href="https://cdn.site.example/x/"><body>{FRAME}')
    frame = Elements(text).all("iframe")[0]
    assert frame["src"].startswith(f"https://{HOST}/_volens/embed/frame?")
    place = Placeholder(frame)
    assert place.form["action"] == f"https://{HOST}/_volens/choice" and place.fields["back"].startswith("/_volens/embed/frame?")


def test_an_xhtml_page_stays_well_formed(made: Gateway) -> None:
    visit = made.visit(request("GET", "/a", [(b"sec-fetch-dest", b"document")]))
    body = f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{FRAME.replace("width=560 height=315", "")}</body></html>'
    _, _, sent = visit.whole(200, [(b"content-type", b"application/xhtml+xml")], body.encode())
    srcdoc = re.search(r'srcdoc="([^"<]*)"', sent.decode())
    assert srcdoc is not None and "<form" in unescape(srcdoc[1])


def test_a_press_on_an_old_page_shows_the_placeholder_of_the_present_notice(visitor: Visitor) -> None:
    own = "/_volens/embed/frame?u=" + quote(VIDEO, safe="")
    body = f"notice=0000000000000000&answer=service&services=videotube&surface=embed&back={quote(own, safe='')}".encode()
    reply = visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], body)
    assert reply.status == 303 and header(reply.pairs, b"location") == [own.encode()]
    assert "Autoriser VidéoTube" in visitor.send("GET", own, [(b"accept-language", b"fr")]).body.decode()
    assert not header(reply.pairs, b"set-cookie")


def test_a_service_that_is_granted_has_no_placeholder(visitor: Visitor) -> None:
    visitor.choose("answer=switches&purposes=video&services=videotube")
    pairs = [*visitor.cookie(), (b"sec-fetch-dest", b"document")]
    _, _, sent = visitor.gateway.visit(request("GET", "/a", pairs)).whole(200, [(b"content-type", b"text/html")], (FRAME + POST).encode())
    frame, post = Elements(sent.decode()).all("iframe")
    assert frame["src"] == VIDEO and Placeholder(post).fields["services"] == "reseau"


def pressed(visitor: Visitor, own: str) -> tuple[Elements, str]:
    """What *Just this one* shows in a frame of ours, and the policy it is under."""
    body = f"notice={visitor.gateway.site(HOST).notice.short}&answer=once&surface=embed&back={quote(own, safe='')}".encode()
    reply = visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], body)
    shown = visitor.send("GET", header(reply.pairs, b"location")[0].decode(), [*SAME, (b"sec-fetch-dest", b"iframe")])
    return Elements(shown.body.decode()), header(shown.pairs, b"content-security-policy")[0].decode()


GIST = '<script src="https://gist.github.com/octocat/9257657.js?file=a.py"></script>'
BOARD = '<a data-pin-do="embedBoard" data-pin-scale-height="240" href="https://www.pinterest.fr/journal/recettes/">Recettes</a>'


def test_a_gist_is_written_in_a_document_of_its_own(made: Gateway, visitor: Visitor) -> None:
    own = Placeholder(Elements(page(made, f"<body>{GIST}")[0]).all("iframe")[0])
    assert own.all("form")[0].get("target") is None, "the page around it stays"
    shown, policy = pressed(visitor, own.fields["back"])
    assert shown.all("script") == [{"src": "https://gist.github.com/octocat/9257657.js?file=a.py"}], "waited for: it writes where it stands"
    assert "https://gist.github.com github.githubassets.com" in policy and "sandbox allow-scripts" in policy


def test_a_board_is_drawn_in_a_document_of_its_own(made: Gateway, visitor: Visitor) -> None:
    own = Placeholder(Elements(page(made, f"<body>{BOARD}")[0]).all("iframe")[0])
    shown, policy = pressed(visitor, own.fields["back"])
    href = "https://www.pinterest.fr/journal/recettes/"
    assert shown.all("a") == [{"href": href, "data-pin-do": "embedBoard", "data-pin-scale-height": "240"}]
    assert shown.all("script") == [{"src": "https://assets.pinterest.com/js/pinit.js", "async": ""}]
    assert "*.pinimg.com" in policy
    asked = Elements(visitor.send("GET", own.fields["back"]).body.decode())
    assert asked.all("a")[0]["href"] == "https://www.pinterest.com/journal/recettes/", (
        "and where it is asked for, the link is the board's too"
    )


def test_a_script_that_does_not_stand_alone_is_given_no_address_to_link_to(visitor: Visitor) -> None:
    own = (
        "/_volens/embed/script?u="
        + quote("https://reseau.example/s.js", safe="")
        + "&data-post=a&href="
        + quote("javascript:alert(1)", safe="")
    )
    assert pressed(visitor, own)[0].all("script") == [{"src": "https://reseau.example/s.js", "async": "", "data-post": "a"}]
