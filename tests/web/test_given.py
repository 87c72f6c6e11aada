"""What is remembered of first grants changes no answer: whoever asks is told what they would be told if nobody had asked before."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.enforce.making import SITE
from tests.web.making import Clock, Down, gateway, header, send
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply
from volens.web.rate import Rate
from volens.web.recent import Recent

CASES = 300


def _bodies(chance: random.Random, made: Gateway) -> list[tuple[bytes, bytes]]:
    """Some answers, each as a form and as JSON: kind and body."""
    found = []
    for number in range(3):
        one = chance.choice
        fields: list[tuple[str, str]] = [("notice", made.named(SITE)), ("answer", ("accept", "accept", "switches")[number])]
        fields += [("purposes", p) for p in chance.sample(SITE.notice.askable, 2)] + [("back", one(["/a", "/b?c=1", "/x/y/z"]))]
        fields += [("language", one(["fr", "en", "zz"]))] * one([0, 1]) + [("object", one("01"))] * (number == 0)
        fields += [("services", "video"), ("surface", one(["notice", "panel"]))]
        grouped: dict[str, list[str]] = {}
        for name, value in fields:
            grouped.setdefault(name, []).append(value)
        found += [(b"application/json", json.dumps(grouped).encode()), (b"application/x-www-form-urlencoded", urlencode(fields).encode())]
    return found


def _asked(chance: random.Random, bodies: list[tuple[bytes, bytes]]) -> tuple[Pairs, bytes, dict[str, str]]:
    """An answer, and what else a request may say that changes what is answered."""
    one = chance.choice
    kind, body = one(bodies)
    jar = chance.sample(["a=1", "a=2", "_ga=3", "vt_id=4", "volens=rubbish", "volens-audience=0", "volens-record=1.2"], 2)
    pairs: Pairs = [(b"content-type", kind if one("01234") != "0" else b"text/plain")]
    pairs += [(b"cookie", "; ".join(jar[: one([0, 1, 1, 2])]).encode())] * one([0, 0, 1])
    pairs += one(
        [[(b"sec-fetch-site", b"same-origin")]] * 5 + [[(b"sec-fetch-site", b"cross-site")], [], [(b"origin", b"https://evil.example")]]
    )
    pairs += [(b"sec-fetch-mode", b"cors")] * one([0, 1]) + [(b"sec-gpc", b"1")] * one([0, 0, 0, 1]) + [(b"dnt", b"1")] * one([0, 0, 0, 1])
    pairs += [(b"accept-language", one([b"en-GB", b"de"]))] * one([0, 0, 1])
    return pairs, body, {"scheme": one(["https", "https", "http"]), "host": one(["www.site.example", "www.site.example", "site.example"])}


def _told(made: Gateway, reply: Reply) -> tuple[object, ...]:
    """What an answer says, and what is recorded of it, but for what is one visitor's alone."""
    head = "\n".join(sorted(f"{name.decode()}: {value.decode('latin-1')}" for name, value in reply.pairs))
    tag = re.search(r"volens-record=1\.([0-9a-v]{26})\.", head)
    record = made.store.record(tag[1]) if tag else None
    said = None if record is None else record.to_json() | {"id": ""}
    head = re.sub(r"(volens-record=1\.)[0-9a-v]{26}\.[\w-]{22}", r"\1", head)
    return reply.status, said, head, re.sub(r'"receipt":\{.*|name="token" value="[^"]*"', "", reply.body.decode())


@pytest.mark.parametrize("seed", range(4))
def test_what_others_answered_changes_no_answer(tmp_path: Path, seed: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    clock = Clock()
    fresh, used = (gateway(tmp_path / name, now=clock) for name in "ab")
    chance, found = random.Random(seed), 0
    bodies = _bodies(chance, used)
    asked = [_asked(chance, bodies) for _ in range(CASES)]
    for pairs, body, more in [*asked, *asked[::-1]]:
        fresh.endpoints._choosing._firsts = Recent(1000)
        fresh.endpoints._choosing._rate = used.endpoints._choosing._rate = Rate(1e6, 1e6)
        told = send(used, "POST", "/_volens/choice", pairs, body, **more)
        assert _told(used, told) == _told(fresh, send(fresh, "POST", "/_volens/choice", pairs, body, **more))
        found += told.status in (201, 303)
    assert found > CASES / 4 and len(used.endpoints._choosing._firsts._held) > 15, "what is remembered was put to use"
    fresh.close()
    used.close()


def test_each_has_a_record_of_their_own(tmp_path: Path) -> None:
    made = gateway(tmp_path)
    body = urlencode({"notice": made.named(SITE), "answer": "accept", "back": "/a"}).encode()
    pairs = [(b"content-type", b"application/x-www-form-urlencoded"), (b"sec-fetch-site", b"same-origin")]
    told = [send(made, "POST", "/_volens/choice", pairs, body, client=f"192.0.2.{n}") for n in range(20)]
    tags = {line.partition(";")[0].partition("=")[2] for reply in told for line in header(reply, "set-cookie") if "volens-record" in line}
    assert len(tags) == 20 and len(made.endpoints._choosing._firsts._held) == 1
    for tag in tags:
        record = made.store.record(tag.split(".")[1])
        assert record is not None and all(record.purposes.values())
    made.close()


def test_what_is_remembered_stays_small_whoever_asks(tmp_path: Path) -> None:
    made = gateway(tmp_path)
    body = urlencode({"notice": made.named(SITE), "answer": "accept", "back": "/a"}).encode()
    kind, same = (b"content-type", b"application/x-www-form-urlencoded"), (b"sec-fetch-site", b"same-origin")
    odd: list[tuple[Pairs, bytes]] = [
        ([kind, (b"cookie", b"; ".join(b"a%d=" % n for n in range(100)))], body),
        ([kind, (b"cookie", b"a=1"), (b"cookie", b"b=" + b"2" * 3000)], body),
        ([(kind[0], kind[1] + b"; x=" + b"y" * 3000)], body),
        ([kind], body + b"&x=" + b"y" * 3000),
    ]
    for number, (pairs, sent) in enumerate(odd):
        assert send(made, "POST", "/_volens/choice", [*pairs, same], sent, client=f"192.0.2.{number}").status == 303
    assert not made.endpoints._choosing._firsts._held
    assert send(made, "POST", "/_volens/choice", [kind, same], body).status == 303 and len(made.endpoints._choosing._firsts._held) == 1
    made.close()


def test_what_could_not_be_recorded_is_not_remembered(tmp_path: Path) -> None:
    made = gateway(tmp_path, Down)
    body = urlencode({"notice": made.named(SITE), "answer": "accept", "back": "/a"}).encode()
    pairs = [(b"content-type", b"application/x-www-form-urlencoded"), (b"sec-fetch-site", b"same-origin")]
    assert send(made, "POST", "/_volens/choice", pairs, body).status == 503 and not made.endpoints._choosing._firsts._held
    made.close()


def test_neither_a_day_nor_a_week_is_remembered_longer_than_it_lasts(tmp_path: Path) -> None:
    clock = Clock()
    made = gateway(tmp_path, now=clock)
    body = urlencode({"notice": made.named(SITE), "answer": "accept", "back": "/a"}).encode()
    pairs = [(b"content-type", b"application/x-www-form-urlencoded"), (b"sec-fetch-site", b"same-origin")]
    days: list[str] = []
    while (reply := send(made, "POST", "/_volens/choice", pairs, body)).status == 303 and len(days) < 40:
        days += [line.split(".")[2] for line in header(reply, "set-cookie") if line.startswith("volens=")]
        clock.forward(days=1)
    assert reply.status == 409 and 14 < len(set(days)) == len(days) < 30, "the proof that the notice was served ends"
    made.close()
