"""Every version of a notice stays: shown again as it was, compared by what is asked again, photographed."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from custody_site import SITE, TOML, Custody

from volens import notices
from volens.choice import Choice, Signals
from volens.errors import NoticeError, ProofError, StoreUnavailable
from volens.ledger.sqlite import SqliteStore
from volens.notice import Purpose
from volens.policy import grant
from volens.web import shown
from volens.web.gateway import Gateway
from volens.web.shown import Snapshot, renderings


@pytest.fixture
def custody(tmp_path: Path) -> Custody:
    made = Custody(tmp_path)
    made.start()
    return made


def test_what_is_kept_when_a_site_starts_is_one_entry_and_pages_of_each_language_and_layer(custody: Custody) -> None:
    custody.start()
    store = custody.open()
    entries = [json.loads(row.entry) for row in store.others(SITE)]
    assert [entry["type"] for entry in entries] == ["notice", "snapshot"]
    data = store.attached(SITE, entries[1]["snapshot"])
    assert data is not None and hashlib.sha256(data).hexdigest() == entries[1]["snapshot"]
    kept = Snapshot.parse(data)
    assert set(kept.renderings) == {(language, layer) for language in ("fr", "en") for layer in ("first", "panel")} and not kept.pictures
    for digest in kept.renderings.values():
        page = store.attached(SITE, digest)
        assert page is not None and hashlib.sha256(page).hexdigest() == digest
    store.close()


def test_a_site_with_a_gateway_keeps_them_by_itself_but_not_while_it_only_observes(custody: Custody, tmp_path: Path) -> None:
    site = custody.loaded.site
    for mode, expected in (("observe", ["notice"]), ("enforce", ["notice", "snapshot"])):
        store = SqliteStore(tmp_path / "another.db")
        Gateway(replace(site, mode=mode), custody_catalog(), store, (b"k" * 32,))
        assert [json.loads(row.entry)["type"] for row in store.others(SITE)] == expected
        store.close()


def custody_catalog() -> Any:
    from volens.catalog import Catalog

    return Catalog.packaged()


def test_a_site_starts_although_its_pages_cannot_be_kept(custody: Custody, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Full(SqliteStore):
        def attach(self, site: str, digest: str, data: bytes) -> None:
            raise StoreUnavailable("the disk is full.")

    store = Full(tmp_path / "full.db")
    gateway = Gateway(custody.loaded.site, custody_catalog(), store, (b"k" * 32,))
    assert "how the notice looks was not kept: the disk is full." in caplog.text and gateway.site(SITE).name == SITE
    store.close()


def test_a_version_is_shown_as_it_was_whatever_the_code_has_become(
    custody: Custody, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site = custody.loaded.site
    before = {(r.language, r.layer): r.page.decode() for r in renderings(site)}
    monkeypatch.setattr(shown, "renderings", lambda site: [])  # the code of another day
    for language in ("fr", "en"):
        for layer in ("first", "panel"):
            assert custody.run("notice", "show", site.notice.short[:7], "--language", language, "--layer", layer) == 0
            said = capsys.readouterr()
            assert said.out == before[language, layer] and "SHA-256" in said.err
    assert custody.run("notice", "show", site.notice.short, "--out", tmp_path / "page.html") == 0
    assert (tmp_path / "page.html").read_text("utf-8") == before["fr", "first"]
    assert custody.json(capsys, "notice", "show", site.notice.digest) == site.notice.to_json()


def test_another_way_to_draw_the_same_notice_is_kept_beside_the_first_and_found_by_its_day(
    custody: Custody, capsys: pytest.CaptureFixture[str]
) -> None:
    first = renderings(custody.loaded.site)
    custody.config.write_text(TOML + '[theme]\naccent = "#005500"\n', "utf-8")
    custody.start()
    (one,) = custody.json(capsys, "notice", "list")["notices"]
    assert len(one["snapshots"]) == 2 and one["current"]
    custody.run("notice", "show", one["short"])
    second = capsys.readouterr().out
    assert second == renderings(custody.loaded.site)[0].page.decode() != first[0].page.decode()
    custody.run("notice", "show", one["short"], "--on", "2026-01-01")  # before all: the first way
    assert capsys.readouterr().out == first[0].page.decode()


def test_a_version_from_before_its_pages_were_kept_is_drawn_now_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    custody = Custody(tmp_path)
    store = custody.open()
    store.keep_notice(SITE, custody.loaded.site.notice)
    store.close()
    assert custody.run("notice", "show", custody.loaded.site.notice.short) == 0
    said = capsys.readouterr()
    assert "<volens-notice" in said.out and "no proof of how they looked" in said.err


def test_an_unknown_short_or_many_named_digest_is_said_with_what_there_is(custody: Custody, capsys: pytest.CaptureFixture[str]) -> None:
    short = custody.loaded.site.notice.short
    assert custody.run("notice", "show", "ffffffff") == 1 and f"no version has this digest. There are: {short}." in capsys.readouterr().err
    assert custody.run("notice", "show", short, "--language", "de") == 1 and "Use one of fr, en." in capsys.readouterr().err
    found = [notices.Version(custody.loaded.site.notice), notices.Version(replace(custody.loaded.site.notice, months=5))]
    with pytest.raises(NoticeError, match="no version has this digest"):
        notices.named(found, "")
    twins = [notices.Version(found[0].notice), notices.Version(found[0].notice)]
    with pytest.raises(NoticeError, match="2 versions begin so"):
        notices.named(twins, short[:3])


def test_the_kept_pages_ask_nobody_and_their_buttons_do_nothing(custody: Custody, chromium: Any) -> None:
    asked: list[str] = []
    context = chromium.new_context()
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    for rendering in renderings(custody.loaded.site):
        path = custody.folder / "page.html"
        path.write_bytes(rendering.page)
        page.goto(path.as_uri())
        for text in ("Tout accepter", "Accept all"):
            for button in page.get_by_role("button", name=text).all():
                button.evaluate("button => button.click()")
        page.wait_for_timeout(200)
        assert page.url == path.as_uri()
    assert {url for url in asked if not url.startswith("file://")} == set()
    context.close()


def test_pictures_of_every_language_layer_width_and_scheme_are_kept_and_their_list_is_logged(
    custody: Custody, chromium: Any, tmp_path: Path
) -> None:
    store, site = custody.open(), custody.loaded.site
    kept, pictures, index = notices.snapshot(store, site, chromium)
    assert set(kept.pictures) == {
        (language, layer, width, scheme)
        for language in ("fr", "en")
        for layer in ("first", "panel")
        for width in (360, 1280)
        for scheme in ("light", "dark")
    }
    entry = json.loads(store.entries(SITE, index or 0, 1)[0])
    assert entry["type"] == "snapshot" and entry["notice"] == site.notice.digest and entry["snapshot"] == kept.digest
    for picture in pictures:
        data = store.attached(SITE, picture.digest)
        assert data == picture.image
        width, height = struct.unpack(">II", picture.image[16:24])  # PNG, IHDR
        assert width == picture.width and height >= notices.WIDTHS[width]
    looks = {p.scheme: p.image for p in pictures if (p.language, p.layer, p.width) == ("fr", "first", 360)}
    assert looks["light"] != looks["dark"]
    assert notices.snapshot(store, site, chromium)[2] is None  # the very same: nothing new to log
    store.close()


def test_without_a_browser_it_is_said_and_nothing_is_kept(
    custody: Custody, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLENS_CHROMIUM", "/nowhere/chromium")
    with ThreadPoolExecutor(1) as apart:  # another test's browser runs its loop in this thread
        assert apart.submit(custody.run, "notice", "snapshot").result() == 2
    assert "no Chromium could be started" in capsys.readouterr().err
    store = custody.open()
    assert len(list(store.others(SITE))) == 2
    store.close()


# ---------------------------------------------------------------- diff


def changed(custody: Custody, before: str, after: str) -> None:
    text = custody.config.read_text("utf-8")
    assert before in text
    custody.config.write_text(text.replace(before, after), "utf-8")
    custody.start()


def test_what_changed_is_told_and_whether_it_is_asked_again(custody: Custody, capsys: pytest.CaptureFixture[str]) -> None:
    first = custody.loaded.site.notice.short
    changed(custody, "donnees@journal", "vie-privee@journal")
    second = custody.loaded.site.notice.short
    changed(custody, "[services.youtube]\n", "[services.youtube]\n[services.vimeo]\n")
    third = custody.loaded.site.notice.short
    assert custody.run("notice", "diff", first, first) == 0 and "the same" in capsys.readouterr().out
    told = custody.json(capsys, "notice", "diff", first, second, status=1)
    assert told["asked_again"] == [] and told["changes"] == [
        {
            "item": "controller",
            "id": "",
            "field": "contact",
            "before": "donnees@journal.example",
            "after": "vie-privee@journal.example",
            "asked_again": False,
        }
    ]
    assert custody.run("notice", "diff", first, second) == 1
    assert f"Nobody is asked again: answers to {first} hold for {second}." in capsys.readouterr().out
    told = custody.json(capsys, "notice", "diff", second, third, status=1)
    assert told["asked_again"] == ["vimeo"] and [(c["id"], c["before"], c["asked_again"]) for c in told["changes"]] == [
        ("vimeo", None, True)
    ]
    assert custody.run("notice", "diff", second, third) == 1
    said = capsys.readouterr().out
    assert "service vimeo: new  [asked again]" in said and said.rstrip().endswith("is asked again about: vimeo.")


def test_what_diff_calls_asked_again_is_what_the_rule_asks(custody: Custody) -> None:
    a = custody.loaded.site.notice
    video = a.purpose["video"]
    for altered in (
        replace(video, data_kinds=("ip",)),
        replace(video, profiles=True),
        replace(video, title={"fr": "Films", "en": "Films"}),
        replace(video, sentence={"fr": "Autre chose.", "en": "Something else."}),
    ):
        b = replace(a, purposes=tuple(altered if p.id == "video" else p for p in a.purposes))
        day = date(2026, 11, 22)
        asked = grant(b, Choice.accept_all(a, day), Signals(), day, proven=True, earlier=a)
        found = notices.diff(a, b)
        assert found and any(change.again for change in found) == asked.asked == bool(notices.asked_again(a, b))
    other = replace(a, controller=replace(a.controller, name="Un autre"))
    assert notices.asked_again(a, other) == {*other.askable, *(s.id for s in other.services_asked)}
    assert [(c.item, c.field, c.again) for c in notices.diff(a, other)] == [("controller", "name", True)]
    more = replace(a, purposes=(*a.purposes, Purpose("autre", {"fr": "Autre"}, {"fr": "Autre."})))
    assert [(c.item, c.id, c.before is None, c.again) for c in notices.diff(a, more)] == [("purpose", "autre", True, True)]


def test_a_list_of_another_form_is_refused() -> None:
    for data in (b"", b"{}", b'{"format":"volens-snapshot/1"}', b"[1]", b"\xff"):
        with pytest.raises(ProofError):
            Snapshot.parse(data)


def test_the_reference_names_every_action_and_option() -> None:
    import argparse

    from volens.cli import _parser

    reference = (Path(__file__).parent.parent.parent / "docs/reference/cli.md").read_text("utf-8")
    top = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    for command in ("notice", "ledger"):
        section = re.search(rf"^## `volens {command}`.*?(?=^## )", reference, re.MULTILINE | re.DOTALL)
        assert section
        inner = next(a for a in top.choices[command]._actions if isinstance(a, argparse._SubParsersAction))
        rows = dict(re.findall(r"^\| `([a-z]+)[^`]*` \| (.*) \|$", section[0], re.MULTILINE))
        assert set(rows) == set(inner.choices)
        for action, parser in inner.choices.items():
            options = {o for a in parser._actions for o in a.option_strings} - {"-h", "--help", "--config", "--json"}
            told = set(re.findall(r"--[a-z][a-z-]+", rows[action])) - {"--json"}
            assert options == told, action
