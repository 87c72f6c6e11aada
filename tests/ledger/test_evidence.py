"""What an authority is given: one file that says what was asked and answered, proves it, and is checked before it is handed out."""

from __future__ import annotations

import hashlib
import json
import random
import re
import sqlite3
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from custody_site import SITE, Custody

from volens import notices
from volens.evidence import report
from volens.ledger.cosign import SignedNote, WitnessKey, with_lines
from volens.ledger.record import Count
from volens.ledger.verify import read_checkpoint

NOW = datetime.now(UTC).replace(microsecond=0)
DAYS = 6
SINCE, UNTIL = (NOW - timedelta(days=DAYS)).date(), NOW.date()


@pytest.fixture(scope="module")
def custody(tmp_path_factory: pytest.TempPathFactory) -> Custody:
    """Six days of two versions of a notice, with refusals, withdrawals and an erasure."""
    made = Custody(tmp_path_factory.mktemp("evidence"), more="[retention]\ndays = 400\npurposes = { video = 800 }\n")
    made.start()
    chance, records, store, notice = random.Random(5), [], made.open(), made.loaded.site.notice
    for back in range(DAYS, -1, -1):
        time = NOW - timedelta(days=back, minutes=2)
        for number in range(10 + back):
            some = number % 3 == 0
            records.append(
                made.record(
                    time=time,
                    surface=chance.choice(("notice", "panel", "embed")),
                    purposes={"video": True, "personnalisation": not some},
                    services={"youtube": True, "google-analytics": not some},
                )
            )
        records.append(made.record(event="withdrawn", supersedes=records[-1].id, time=time + timedelta(seconds=20)))
        for _ in range(8):
            store.count(Count(SITE, time.date(), notice.digest, "notice", "fr"))
    store.close()
    made.keep(records)
    text = made.config.read_text("utf-8")
    made.config.write_text(text.replace("[services.youtube]", "[services.youtube]\n[services.vimeo]"), "utf-8")
    made.start()
    made.keep([made.record(time=NOW) for _ in range(5)])
    store = made.open()
    assert store.erase(SITE, [3, 4], "request") == 2
    store.close()
    return made


@pytest.fixture(scope="module")
def folder(custody: Custody) -> Path:
    """The file, taken apart."""
    path = custody.folder / "evidence.zip"
    assert custody.run("evidence", "--from", SINCE, "--to", UNTIL, "--out", path, "--records") == 0
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as packed:
        assert packed.testzip() is None
        packed.extractall(custody.folder / "x")
    return custody.folder / "x"


def test_every_file_has_its_sum(folder: Path) -> None:
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines())
    every = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert set(sums) == every and {"rapport.html", "report.html", "verify.html", "archive.jsonl.gz"} <= every
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())


def test_it_holds_by_the_command_that_its_report_gives(folder: Path, custody: Custody, capsys: pytest.CaptureFixture[str]) -> None:
    from volens.cli import main

    text = (folder / "report.html").read_text("utf-8")
    command = re.search(r"volens verify --key KEY ([^<]+)</code>", text)
    assert command
    key = (folder / "log/keys.txt").read_text("utf-8").split()[0]
    files = [str(path) for pattern in command[1].split() for path in folder.glob(pattern)]
    assert main(["verify", "--key", key, *files, str(folder / "archive.jsonl.gz")]) == 0, capsys.readouterr().out


def test_the_sample_is_drawn_by_the_fingerprint_and_everybody_finds_the_same(folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    formula = re.search(r"(\d+) \+ SHA-256\(root ‖ &quot;volens-sample/1&quot; ‖ n\) mod (\d+)", text)
    assert formula
    first, width = int(formula[1]), int(formula[2])
    root = read_checkpoint((folder / "log/checkpoint-to.txt").read_bytes()).root
    drawn: list[int] = []
    number = 0
    kept = {int(path.stem) for path in (folder / "samples").iterdir()}
    while not kept <= set(drawn):
        index = first + int.from_bytes(hashlib.sha256(root + b"volens-sample/1" + str(number).encode()).digest(), "big") % width
        number += 1
        assert number < 3000
        if index not in drawn:
            drawn.append(index)
    others = {json.loads(line)["i"] for line in (folder / "log/other-entries.jsonl").read_text("utf-8").splitlines()}
    assert len(kept) == 20 and set(drawn) - kept <= others | {3, 4}, "none was left out but what is no record, or erased"


def test_notices_are_there_as_they_were_asked_and_shown(folder: Path, custody: Custody) -> None:
    store = custody.open()
    found = notices.versions(store, SITE)
    assert len(found) == 2
    for one in found:
        below = folder / "notices" / one.notice.short
        assert hashlib.sha256((below / "notice.json").read_bytes()).hexdigest() == one.notice.digest
        entry = {json.loads(line)["entry"].get("snapshot") for line in (folder / "log/other-entries.jsonl").read_text("utf-8").splitlines()}
        listed = (below / "snapshot.json").read_bytes()
        assert hashlib.sha256(listed).hexdigest() in entry
        for page in json.loads(listed)["renderings"]:
            data = (below / f"{page['language']}-{page['layer']}.html").read_bytes()
            assert hashlib.sha256(data).hexdigest() == page["sha256"]
    store.close()


def test_the_counts_of_the_report_are_those_of_the_ledger(folder: Path, custody: Custody, capsys: pytest.CaptureFixture[str]) -> None:
    told = custody.json(capsys, "evidence", "--from", SINCE, "--to", UNTIL, "--out", custody.folder / "again.zip")
    given = sum(10 + back for back in range(DAYS + 1))
    some = sum(-(-(10 + back) // 3) for back in range(DAYS + 1))
    assert told["answers"] == {"all": given - some + 5, "some": some, "no": 8 * (DAYS + 1), "withdrawn": DAYS + 1}
    assert f"{given + 5 + 8 * (DAYS + 1)} answers" in (folder / "report.html").read_text("utf-8")
    assert told["sha256"] == hashlib.sha256((custody.folder / "again.zip").read_bytes()).hexdigest()


def test_what_changed_between_versions_and_who_was_asked_again_is_told(folder: Path) -> None:
    for name, said in (("rapport.html", "interrogés à nouveau sur : vimeo"), ("report.html", "asked again about: vimeo")):
        assert said in (folder / name).read_text("utf-8")


def test_both_reports_say_the_same_in_their_language_and_need_nothing_else(folder: Path) -> None:
    pages = {name: (folder / name).read_text("utf-8") for name in ("rapport.html", "report.html")}
    assert pages["rapport.html"].startswith('<!DOCTYPE html><html lang="fr"') and 'lang="en"' in pages["report.html"][:60]
    for text in pages.values():
        outside = re.sub(r'(?s)srcdoc="[^"]*"|<style>.*?</style>', "", text)
        assert not re.search(r'(?:src|href)="(?!data:|#|samples/)', outside)
        assert "{" not in re.sub(r"<[^>]*>", "", outside), "a place in a text that nothing fills"
        assert "<script" not in outside
    heads = [re.findall(r"<h[234]>", text) for text in pages.values()]
    assert heads[0] == heads[1]


def test_the_texts_have_the_same_names_and_places_in_both_languages() -> None:
    fr, en = (json.loads(report._packaged(f"{language}.json")) for language in ("fr", "en"))
    assert fr.keys() == en.keys()
    source = Path(report.__file__).read_text("utf-8")
    for name in fr:
        assert set(re.findall(r"\{(\w+)\}", fr[name])) == set(re.findall(r"\{(\w+)\}", en[name])), name
        assert name.startswith(("surface.", "event.", "layer.")) or f'"{name}"' in source or name in ("all", "some", "no"), name


@pytest.mark.parametrize("name", ["rapport.html", "report.html"])
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_a_report_is_read_on_a_phone_a_desk_and_paper(folder: Path, chromium: Any, name: str, width: int, scheme: str) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    try:
        page = context.new_page()
        page.goto((folder / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        broken = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("moderate", "serious", "critical")]
        broken = [
            v for v in broken if any(len(node["target"]) == 1 for node in v["nodes"])
        ]  # what is in a frame is the notice's own matter
        assert broken == [], json.dumps(broken, indent=1)[:3000]
        button = "Tout accepter" if name == "rapport.html" else "Accept all"
        assert page.frame_locator("iframe").first.get_by_role("button", name=button).first.is_visible()
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    finally:
        context.close()


def test_published_checkpoints_cosignatures_and_the_step_between_them_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    witness = WitnessKey("temoin.example.org", b"w" * 32)
    more = f'[[proof.witnesses]]\nurl = "https://temoin.example.org"\nkey = "{witness.public.text}"\n'
    custody = Custody(tmp_path, more=more)
    custody.start()
    custody.keep([custody.record(time=NOW - timedelta(minutes=1)) for _ in range(5)])
    store = custody.open()
    for at in (NOW.timestamp() - 86400, NOW.timestamp()):
        head = store.head(SITE)
        assert head is not None
        body = SignedNote.parse(head.note).text
        store.publish(SITE, with_lines(head.note, [witness.cosign(body, int(at)).rstrip()]), at)
        custody.keep([custody.record(time=NOW) for _ in range(3)])
    store.close()
    assert custody.run("evidence", "--from", UNTIL, "--to", UNTIL, "--out", tmp_path / "e.zip") == 0
    with zipfile.ZipFile(tmp_path / "e.zip") as packed:
        packed.extractall(tmp_path / "x")
    report = (tmp_path / "x/report.html").read_text("utf-8")
    assert "temoin.example.org has signed it too" in report and "temoin.example.org signed this fingerprint on" in report
    assert len((tmp_path / "x/log/checkpoints.jsonl").read_text("utf-8").splitlines()) == 1
    assert (tmp_path / "x/log/consistency.txt").read_text("utf-8").startswith("old 7\n") and "log/consistency.txt" in report


def test_evidence_that_does_not_hold_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    custody = Custody(tmp_path)
    custody.start()
    custody.keep([custody.record(time=NOW) for _ in range(12)])
    store = custody.open()
    store.close()
    with sqlite3.connect(tmp_path / "volens.db") as database:  # somebody else's hand
        database.execute("DROP TRIGGER entries_appended")
        database.execute("UPDATE entries SET json = replace(CAST(json AS TEXT), '\"panel\"', '\"gate\"') WHERE json IS NOT NULL")
    capsys.readouterr()
    assert custody.run("evidence", "--from", UNTIL, "--to", UNTIL, "--out", tmp_path / "e.zip") == 1
    said = capsys.readouterr()
    assert "does not hold, so it was not written" in said.err and "DOES NOT HOLD" in said.out
    assert not (tmp_path / "e.zip").exists() and not [p for p in tmp_path.iterdir() if p.name.startswith(".volens-")]


def test_days_without_anything_and_days_turned_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    custody = Custody(tmp_path)
    custody.open().close()
    assert custody.run("evidence", "--from", UNTIL, "--to", UNTIL, "--out", tmp_path / "e.zip") == 1
    assert "holds nothing of this site yet" in capsys.readouterr().err
    custody.start()
    assert custody.run("evidence", "--from", "2020-01-01", "--to", "2020-01-02", "--out", tmp_path / "e.zip") == 0
    with zipfile.ZipFile(tmp_path / "e.zip") as packed:
        assert "Aucune réponse" in packed.read("rapport.html").decode()
    assert custody.run("evidence", "--from", "2026-02-01", "--to", "2026-01-02") == 1 and "turn them round" in capsys.readouterr().err
    assert custody.run("evidence", "--from", UNTIL, "--to", UNTIL, "--out", tmp_path / "nowhere" / "e.zip") == 1
    assert "cannot be written" in capsys.readouterr().err
