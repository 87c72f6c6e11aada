"""What is quickly said of an address is what the exact reading gives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volens.enforce.url import Target, plain, resolve

BASE = Target("https", "page.example", "/a/b", "8443")
_PART = st.sampled_from(
    ["https:", "http:", "HTTP:", "//", "/", "\\", "a.example", "A.Example", "a..b", "xn--caf-dma.fr", "127.1", "0x7f.1", "host.", "-x",
     ":80", "@", "?", "#", "%2f", "..", ".", " ", "\t", "\n", "\f", "\0", "é", "~", "data:", "p.js", ":", ";", "_h.example"]
)  # fmt: skip


@settings(max_examples=3000, deadline=None)
@given(st.lists(_PART, max_size=7).map("".join) | st.text(max_size=40))
def test_a_plain_address_is_read_as_the_exact_way_reads_it(reference: str) -> None:
    found = plain(reference)
    if found is not None:
        target = resolve(reference, BASE)
        host, port = (found[0], "") if found[0] else (BASE.host, BASE.port)
        assert (host, found[1], port) == (target.host, target.path, target.port)


@pytest.mark.parametrize("reference", ["https://a.example/x.js?y#z", "//a.example/é", "http://a.example", "/a/b.css", "a.png?x=1", "#top"])
def test_the_common_forms_are_plain(reference: str) -> None:
    assert plain(reference) is not None


ODD = ["", " /a", "\\\\a.example/", "https:/\\a.example", "//a.example:80/", "//u@a.example/", "//127.1/", "//a.example\t/", "data:,x"]


@pytest.mark.parametrize("reference", [*ODD, "https://xn--caf-dma.fr/", "//A.example/", "///a.example/"])
def test_what_is_odd_goes_the_exact_way(reference: str) -> None:
    assert plain(reference) is None
