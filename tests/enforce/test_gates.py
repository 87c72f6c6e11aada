"""A gate holds for every spelling of its path that an application might take for it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.enforce.making import ACCEPTED, REFUSED, SITE, granted
from volens.enforce.gates import asking, closed, spellings
from volens.site import Gate

GATE = SITE.gates

SPELLINGS = [
    b"/comments",
    b"/comm%65nts",
    b"/%63omments",
    b"/comm%2565nts",
    b"/comm%252565nts",
    b"//comments",
    b"///comments",
    b"/x/../comments",
    b"/x/%2e%2e/comments",
    b"/x/%252e%252e/comments",
    b"/x/..%2fcomments",
    b"/./comments",
    b"/comments/",
    b"/comments/.",
    b"/comments.",
    b"/comments%20",
    b"/comments;a=1",
    b"/comments%3ba=1",
    b"/x/..;/comments",
    b"/\\comments",
    b"/%5ccomments",
    b"/x\\..\\comments",
    b"/COMMENTS",
    b"/Comm%45nts",
    b"/comments?x=1",
    b"/comments?",
    b"/comments#x",
    b"/comments%00",
    b"/com%00ments",
    b"http://www.site.example/comments",
    b"HTTPS://www.site.example/x/../comments",
    b"http://user@evil.example//comments",
    b"/a://b/../../comments",
]


@pytest.mark.parametrize("target", SPELLINGS)
def test_every_spelling_of_a_gated_path_is_closed(target: bytes) -> None:
    found = closed(GATE, "POST", target, REFUSED)
    assert found is not None
    assert found[0].path == "/comments"
    assert closed(GATE, "POST", target, granted("reseaux-sociaux")) is None


@pytest.mark.parametrize("target", [b"/", b"/comment", b"/comments-list", b"/x/comments", b"/a?b=/comments", b"/commentsx", b"*"])
def test_other_paths_are_free(target: bytes) -> None:
    assert closed(GATE, "POST", target, REFUSED) is None


def test_a_gate_written_with_a_slash_holds_without_one() -> None:
    gates = (Gate("/comments/", "reseaux-sociaux"),)
    assert closed(gates, "POST", b"/comments", REFUSED) is not None
    assert closed(gates, "POST", b"/commentsx", REFUSED) is None


def test_a_path_that_looks_like_an_address_is_a_path() -> None:
    gates = (Gate("/*/comments", "reseaux-sociaux"),)
    assert closed(gates, "POST", b"/x://comments", REFUSED) is not None


def test_methods_are_compared_as_servers_do() -> None:
    assert closed(GATE, "post", b"/comments", REFUSED) is not None
    assert closed(GATE, "GET", b"/comments", REFUSED) is None
    assert closed(GATE, "GET", b"/comments", REFUSED, [(b"X-HTTP-Method-Override", b"post")]) is not None
    assert closed(GATE, "GET", b"/comments?_method=POST", REFUSED) is not None
    reading = (Gate("/lu", "personnalisation", frozenset({"GET"})),)
    assert closed(reading, "HEAD", b"/lu", REFUSED) is not None
    assert closed(reading, "POST", b"/lu", REFUSED) is None


def test_a_gate_without_methods_holds_for_all() -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "BREW"):
        assert closed(GATE, method, b"/profil/moi", REFUSED) is not None
        assert closed(GATE, method, b"/profil/moi", ACCEPTED) is None


@given(
    st.lists(
        st.sampled_from([b"/", b"%2f", b"\\", b"%5c", b".", b"%2e", b"..", b"x", b";a", b"%00", b"comments", b"c%6fmments", b"COMMENTS"]),
        max_size=10,
    )
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_what_a_careful_application_reads_as_the_path_is_closed(parts: list[bytes]) -> None:
    """An application of our own: decodes once, cuts parameters, resolves dots and slashes, ignores case."""
    target = b"/" + b"".join(parts)
    text = re.sub(rb"%([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), target).replace(b"\\", b"/").replace(b"\0", b"")
    steps: list[bytes] = []
    for step in text.split(b"/"):
        step = step.partition(b";")[0]
        if step == b"..":
            del steps[-1:]
        elif step not in (b"", b"."):
            steps.append(step.lower())
    if steps == [b"comments"]:
        assert closed(GATE, "POST", target, REFUSED) is not None


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_have_spellings(target: bytes) -> None:
    assert all(isinstance(path, str) for path in spellings(target))


def test_a_place_in_the_page_asks_for_the_gate_behind_its_path_whatever_the_method() -> None:
    found = asking(GATE, "/comments", REFUSED)
    assert found is not None and found[0].path == "/comments"
    assert asking(GATE, "/comments", granted("reseaux-sociaux")) is None
    assert asking(GATE, "/elsewhere", REFUSED) is None


@given(st.from_regex(r"(?:/[a-z0-9._~-]{1,6}){1,4}/?", fullmatch=True), st.data())
@settings(max_examples=300)
def test_a_plain_path_reads_as_its_escaped_spelling_does(path: str, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from([i for i, c in enumerate(path) if c != "/"]))
    escaped = f"{path[:at]}%{ord(path[at]):02x}{path[at + 1 :]}"
    assert set(spellings(path.encode())) - {path, path.rstrip("/") + "/"} == {s for s in spellings(escaped.encode()) if "%" not in s} - {
        path,
        path.rstrip("/") + "/",
    }


@pytest.mark.parametrize(
    "target", [b"/comments%0a", b"/comments%250a", b"/comments%0a?x=1", b"/comments%0a/", b"/comments;x%0a", b"/comments.%0a"]
)
def test_a_line_break_at_the_end_goes_round_no_gate(target: bytes) -> None:
    """Where ``$`` ends a route's expression, as in Starlette, ``/comments%0a`` is answered by what answers ``/comments``."""
    assert "/comments" in spellings(target)
