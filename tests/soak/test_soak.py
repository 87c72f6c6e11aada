"""What takes long: ``make soak``. VOLENS_SOAK_SECONDS (300) is the time of the load; the fuzzing has its own numbers."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.enforce import test_exchange, test_html

pytestmark = pytest.mark.soak

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("VOLENS_SOAK_SECONDS", "300"))
MANY = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
TRACKERS = '<script src="https://www.google-analytics.com/analytics.js"></script><iframe src="https://www.youtube.com/embed/x"></iframe>'


def again(test: Any, *given_by: st.SearchStrategy[Any]) -> Any:
    """The same property with many more documents, each time others."""
    one = test.hypothesis.inner_test

    @MANY
    @given(st.tuples(*given_by))
    def many(drawn: tuple[Any, ...]) -> None:
        one(*drawn)

    return many


test_nothing_the_oracle_finds_gets_through = again(test_html.test_nothing_the_oracle_finds_gets_through, test_html.documents)
test_any_chunking_gives_the_same_page = again(test_html.test_any_chunking_gives_the_same_page, test_html.documents, st.integers(1, 9))
test_no_word_a_reader_would_see_is_lost = again(test_html.test_no_word_a_reader_would_see_is_lost, test_html.documents)
test_any_bytes_pass_both_ways_without_an_error = again(
    test_exchange.test_any_bytes_pass_both_ways_without_an_error,
    st.binary(max_size=300),
    st.sampled_from([b"text/html", b"text/html; charset=utf-16le", b"text/html;charset=iso-2022-jp", b"application/xhtml+xml", b"", b";"]),
)


def memory(pid: int) -> int:
    """Bytes a process holds for itself."""
    return int(re.search(r"Pss_Anon:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text()).group(1)) * 1024  # type: ignore[union-attr]


def workers_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def page(request: web.Request) -> web.StreamResponse:
    """Pages of many sizes, some all at once, some in pieces, some cut off."""
    number = int(request.match_info["number"])
    chance = random.Random(number)
    body = f"<!doctype html><html lang=fr><head><title>{number}</title></head><body>{TRACKERS}"
    body += "".join(f"<p class=p{chance.random()}>Un paragraphe de la page {number}.</p>" for _ in range(chance.randrange(1, 2500)))
    if number % 3:
        return web.Response(text=body, content_type="text/html")
    response = web.StreamResponse(headers={"Content-Type": "text/html; charset=utf-8"})
    await response.prepare(request)
    data = body.encode()
    for start in range(0, len(data), 9000):
        await response.write(data[start : start + 9000])
        if number % 21 == 0 and start > 30_000:
            assert request.transport
            request.transport.abort()
            break
    return response


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_hours_of_load_cost_no_memory_and_lose_no_record(tmp_path: Path) -> None:
    """Two workers, visitors in every state, visitors who leave in mid-page, and a worker killed now and then."""
    asyncio.run(load(tmp_path))


async def load(tmp_path: Path) -> None:
    upstream = web.Application()
    upstream.router.add_get("/{number:\\d+}", page)
    runner = web.AppRunner(upstream)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    origin = runner.addresses[0][1]
    config = (ROOT / "docs" / "examples" / "volens.toml").read_text("utf-8")
    config = re.sub(r"(?m)^(ledger|keys|upstream|listen)\s*=.*\n", "", config)
    config = f'ledger = "{tmp_path}/ledger.db"\nkeys = "{tmp_path}/keys"\n' + config
    host = re.search(r'names = \["([^"]+)"', config).group(1)  # type: ignore[union-attr]
    (tmp_path / "volens.toml").write_text(config, "utf-8")
    command = [sys.executable, "-m", "volens.cli", "proxy", "--config", str(tmp_path / "volens.toml"), "--workers", "2"]
    command += ["--upstream", f"http://127.0.0.1:{origin}", "--listen", "127.0.0.1:0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    base = re.search(r"http://\S+:(\d+)", process.stdout.readline()).group(0)  # type: ignore[union-attr]
    acknowledged: set[str] = set()
    seen: Counter[str] = Counter()
    begun = time.monotonic()

    async def visitor(seed: int) -> None:
        chance = random.Random(seed)
        while time.monotonic() - begun < SECONDS:
            headers = {"Host": host, "Accept": "text/html"}
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers=headers) as session:
                try:
                    for _ in range(chance.randrange(1, 8)):
                        number = chance.randrange(3000)
                        async with session.get(f"{base}/{number}") as answer:
                            if chance.random() < 0.05:
                                answer.close()  # has seen enough
                                continue
                            text = await answer.text()
                            seen[str(answer.status) if number % 21 else "of a page cut off"] += 1
                            assert '<script src="https://www.google-analytics' not in text
                        found = re.search(r'name="?notice"? value="?([\w.-]+)', text)
                        if found and chance.random() < 0.4:
                            data = {"notice": found[1], "answer": chance.choice(["accept", "refuse"]), "surface": "notice", "back": "/1"}
                            headers = {"Sec-Fetch-Site": "same-origin", "X-Forwarded-For": f"192.0.2.{chance.randrange(256)}"}
                            async with session.post(f"{base}/_volens/choice", data=data, headers=headers, allow_redirects=False) as answer:
                                seen[f"choice {answer.status}"] += 1
                                record = answer.cookies.get("volens-record")
                                if answer.status == 303 and record and record.value:
                                    acknowledged.add(record.value)
                except (aiohttp.ClientError, OSError):
                    seen["cut off"] += 1

    async def killer() -> None:
        while time.monotonic() - begun < SECONDS * 0.6:
            await asyncio.sleep(max(SECONDS / 12, 3))
            os.kill(random.choice(workers_of(process.pid)), signal.SIGKILL)
            seen["killed"] += 1

    marks: list[int] = []

    async def scales() -> None:
        await asyncio.sleep(SECONDS * 0.75)
        marks.append(sum(map(memory, workers_of(process.pid))))

    try:
        await asyncio.gather(killer(), scales(), *(visitor(seed) for seed in range(24)))
        marks.append(sum(map(memory, workers_of(process.pid))))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        await runner.cleanup()
    reader = sqlite3.connect(tmp_path / "ledger.db")
    kept = {id for (id,) in reader.execute("SELECT id FROM entries WHERE id IS NOT NULL")}
    ids = {next(id for id in re.split(r"[.:]", value) if len(id) == 26) for value in acknowledged}
    print(dict(seen), [mark >> 20 for mark in marks], "MiB", len(ids), "records")
    assert ids
    assert ids <= kept
    assert seen["200"] > 20 * SECONDS
    assert seen["killed"] >= 3
    assert not [key for key in seen if key.startswith("5")]
    assert marks[1] < marks[0] * 1.25 + (16 << 20), "what a quarter of the time adds, once all is warm"
