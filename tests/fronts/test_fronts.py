"""Each front of ``docs/how-to/behind-a-front.md`` with its file of the docs: its word of the visitor is believed, and nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fronts.serving import CONTEXT, HOST, TRACKER, VIDEO, Visitor, Whole, connection, standing

EDGES = ["nginx", "apache", "haproxy", "caddy", "haproxy+varnish"]


@pytest.fixture(scope="module", params=EDGES)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with standing(request.param, tmp_path_factory.mktemp(request.param.replace("+", "-"))) as made:
        yield made


def test_pages_obey_and_a_choice_works_with_tls_at_the_edge(whole: Whole) -> None:
    first = Visitor(whole.port)
    page = first.get("/")
    assert page.status == 200 and f' src="{TRACKER}"' not in page.text and f' src="{VIDEO}' not in page.text and "Tout refuser" in page.text
    for answer, allowed in (("refuse", False), ("accept", True)):
        visitor = Visitor(whole.port)
        told = visitor.choose(answer)
        assert told.status == 303 and told.headers["Location"] == "/", told.text
        ours = [line for line in visitor.set if line.removeprefix("__Host-").startswith("volens")]
        assert len(ours) == 1 + allowed and all("; Secure" in line for line in ours), ours
        page = visitor.get("/")
        assert (f' src="{TRACKER}"' in page.text) is allowed and (VIDEO in page.text) and "Tout refuser" not in page.text
        assert ("personnalisation=?0" in visitor.seen()["volens-consent"]) is not allowed
        comment = visitor.ask("POST", "/comments", "text=x", Content_Type="application/x-www-form-urlencoded")
        assert (comment.status, comment.text == "thank you") == ((200, True) if allowed else (403, False))
    assert f' src="{TRACKER}"' not in Visitor(whole.port).get("/").text


def test_who_the_visitor_is_comes_from_the_front_alone(whole: Whole) -> None:
    forged = {"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Proto": "http", "X_Forwarded_Host": "evil.example"}
    forged |= {"Forwarded": "for=203.0.113.7", "X_Real_IP": "203.0.113.7"}
    visitor = Visitor(whole.port, address="127.0.5.9", **forged)
    seen = visitor.seen()
    assert "203.0.113" not in json.dumps(seen) and "evil.example" not in json.dumps(seen)
    assert seen["x-forwarded-proto"].split(",")[-1].strip() == "https"
    assert seen["x-forwarded-host"].split(",")[-1].strip() == f"{HOST}:{whole.port}" and seen["host"] == f"{HOST}:{whole.port}"
    assert seen["x-forwarded-for"].split(",")[0].strip() == "127.0.5.9"
    assert visitor.choose("accept").status == 303, "the answer comes from the site's own origin, as the front tells it"
    around = Visitor(whole.volens, tls=False, address="127.0.0.9", X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="https")
    told = around.seen()
    assert "203.0.113" not in json.dumps(told) and told["x-forwarded-proto"] == "http", "who goes round the front is not believed"


def test_redirects_lead_where_the_visitor_is(whole: Whole) -> None:
    visitor = Visitor(whole.port)
    assert visitor.get("/moved").headers["Location"] in ("/there", f"{visitor.origin}/there")
    assert visitor.get("/moved?whole").headers["Location"] == f"{visitor.origin}/there"
    if whole.plain:
        moved = Visitor(whole.plain, tls=False).get("/a?b=c")
        assert (
            moved.status in (301, 308)
            and moved.headers["Location"].startswith(f"https://{HOST}")
            and moved.headers["Location"].endswith("/a?b=c")
        )


def test_a_path_arrives_as_it_was_sent(whole: Whole) -> None:
    told = json.loads(Visitor(whole.port).get("/echo/a%2Fb/%C3%A9?q=%26a+b&c=1").body)
    assert told["target"] == "/echo/a%2Fb/%C3%A9?q=%26a+b&c=1"


def test_a_large_upload_arrives_whole(whole: Whole) -> None:
    data = bytes(range(256)) * (40 << 12)  # 40 MiB
    for chunked in (False, True):
        visitor = Visitor(whole.port)
        body: Any = (data[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20)) if chunked else data
        answer = visitor.ask("POST", "/upload", body, Content_Type="application/octet-stream")
        assert answer.status == 200, answer.text
        told = json.loads(answer.body)
        assert told == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("kind", ["text/html", "text/event-stream"])
def test_what_streams_arrives_while_it_is_made(whole: Whole, kind: str) -> None:
    whole.site.go_on.clear()
    asked = connection(whole.port)
    try:
        asked.request("GET", f"/stream?type={kind}", headers={"Accept": "text/html", "Sec-Fetch-Dest": "document"})
        answer = asked.getresponse()
        got = b""
        while b"first" not in got:
            piece = answer.read1(65536)
            assert piece, got
            got += piece
        assert b"last" not in got
        whole.site.go_on.set()
        assert answer.read().rstrip().endswith(b"<p>last")
    finally:
        whole.site.go_on.set()
        asked.close()


def test_a_websocket_passes(whole: Whole) -> None:
    from websockets.asyncio.client import connect

    async def talk() -> str:
        async with connect(f"wss://{HOST}:{whole.port}/ws", ssl=CONTEXT, host="127.0.0.1", server_hostname=HOST) as socket:
            await socket.send("bonjour")
            return str(await asyncio.wait_for(socket.recv(), 30))

    assert asyncio.run(talk()) == "ruojnob"


def test_http_2_is_spoken_at_the_edge(whole: Whole) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    words = [
        "curl",
        "-sk",
        "--http2",
        "--resolve",
        f"{HOST}:{whole.port}:127.0.0.1",
        "-H",
        "Accept: text/html",
        "-w",
        "%{http_version}",
        f"https://{HOST}:{whole.port}/",
    ]
    shown = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout
    assert shown.endswith("2") and "Tout refuser" in shown and f' src="{TRACKER}"' not in shown


def test_early_hints_pass_where_the_front_lets_them(whole: Whole) -> None:
    if whole.kind in TAKES_103_FOR_THE_ANSWER:
        return  # the how-to says so: the site must send none
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    import socket as sockets

    with sockets.create_connection(("127.0.0.1", whole.port), 30) as raw, context.wrap_socket(raw, server_hostname=HOST) as sock:
        sock.sendall(f"GET /early HTTP/1.1\r\nHost: {HOST}:{whole.port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while piece := sock.recv(65536):
            got += piece
    assert b" 200 " in got and b"Bonjour" in got and b"preconnect" not in got
    assert (b" 103 " in got) is (whole.kind in PASSES_103), got[:300]
    if b" 103 " in got:
        assert got.lower().count(b"link: </style.css>") >= 1


PASSES_103 = {"apache", "haproxy", "caddy"}
TAKES_103_FOR_THE_ANSWER = {"nginx", "haproxy+varnish"}
"""Of the versions that Debian 12 has."""


def test_what_watches_the_machine_is_not_for_visitors(whole: Whole) -> None:
    visitor = Visitor(whole.port)
    for path in ("ready", "metrics"):
        assert visitor.get(f"/_volens/{path}").status == 404
    assert visitor.get("/_volens/health").status == 200
    assert visitor.get("/_volens/admin/audience").status == 403


def test_a_front_kept_waiting_is_not_a_failure(whole: Whole) -> None:
    """Kept connections between front and Volens are taken up again after a pause."""
    visitor = Visitor(whole.port)
    assert visitor.get("/").status == 200
    time.sleep(1.2)
    assert visitor.get("/").status == 200
