"""``volens notice``: every version of the notice that was ever asked, shown again as it was, compared, and photographed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TextIO

from volens import check
from volens.choice import Choice, Signals
from volens.errors import NoticeError, StoreError
from volens.ledger.store import Store
from volens.notice import Notice
from volens.policy import grant
from volens.progress import Progress
from volens.site import Site
from volens.web import shown
from volens.web.shown import Picture, Rendering, Snapshot

WIDTHS = {360: 740, 1280: 800}
"""Windows that pictures are taken in, width and least height in CSS pixels."""
TALLEST = 8000
"""Pixels of a long panel that are drawn."""
SCHEMES = ("light", "dark")


@dataclass(slots=True)
class Version:
    """One version of the notice, and what was kept of it. Times are those of the log, to the minute."""

    notice: Notice
    asked: str = ""
    """Since when; empty where it was first asked before there was a log."""
    snapshots: list[tuple[str, str]] = field(default_factory=list)
    """Minute and digest of each list of pages and pictures, the oldest first."""


def versions(store: Store, site: str) -> list[Version]:
    """Every version of a site's notice, the oldest first as far as the log tells."""
    found = {notice.digest: Version(notice) for notice in store.notices(site).values()}
    order = list(found)
    for row in store.others(site):
        entry = json.loads(row.entry)
        version = found.get(entry.get("notice", ""))
        if version is None:
            continue
        if entry["type"] == "notice" and not version.asked:
            version.asked = entry["time"]
        elif entry["type"] == "snapshot":
            version.snapshots.append((entry["time"], entry["snapshot"]))
    return sorted(found.values(), key=lambda v: (v.asked, order.index(v.notice.digest)))


def named(found: Sequence[Version], digest: str) -> Version:
    """The version of that digest, or of one that begins so; raises NoticeError with what there is."""
    begun = [v for v in found if digest and v.notice.digest.startswith(digest.lower())]
    if len(begun) == 1:
        return begun[0]
    there = ", ".join(v.notice.short for v in found) or "none yet: a notice is kept when the site starts"
    if not begun:
        raise NoticeError(f"notice {digest!r}: no version has this digest. There are: {there}.")
    raise NoticeError(f"notice {digest!r}: {len(begun)} versions begin so: {', '.join(v.notice.short for v in begun)}. Write more of it.")


def snapshots(store: Store, version: Version, site: str) -> Iterator[tuple[str, Snapshot]]:
    """What was kept of a version: each list once, with the minute it was first logged; raises StoreError where one is gone."""
    seen = set()
    for minute, digest in version.snapshots:
        if digest in seen:
            continue
        seen.add(digest)
        yield minute, Snapshot.parse(attached(store, site, digest))


def attached(store: Store, site: str, digest: str) -> bytes:
    """A file that the log or a list names; raises StoreError where it is gone."""
    data = store.attached(site, digest)
    if data is None:
        raise StoreError(f"{site}: the file {digest[:16]} that the log names is not in the ledger. Restore it from a backup.")
    return data


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of a notice, and whether it is the one that was kept."""

    page: bytes
    kept: str
    """The minute at which it was logged; empty: drawn now, since nothing was kept."""
    digest: str


def show(store: Store, site: Site, version: Version, language: str = "", layer: str = "first", on: str = "") -> Shown:
    """A layer in a language, as it was kept: the newest way it was drawn, or that of a day. Raises NoticeError, StoreError."""
    notice = version.notice
    language = language or notice.languages[0]
    if language not in notice.languages:
        raise NoticeError(f"notice {notice.short}: it was not asked in {language!r}. Use one of {', '.join(notice.languages)}.")
    kept = [(minute, one) for minute, one in snapshots(store, version, site.name) if (language, layer) in one.renderings]
    if on and kept:
        kept = [(minute, one) for minute, one in kept if minute[:10] <= on] or kept[:1]
    if kept:
        minute, one = kept[-1]
        digest = one.renderings[language, layer]
        return Shown(attached(store, site.name, digest), minute, digest)
    for rendering in shown.renderings(_as(site, notice)):
        if (rendering.language, rendering.layer) == (language, layer):
            return Shown(rendering.page, "", rendering.digest)
    raise NoticeError(f"notice {notice.short}: another consent tool asks on this site, so Volens shows nothing of its own.")


def _as(site: Site, notice: Notice) -> Site:
    from dataclasses import replace

    return site if site.notice == notice else replace(site, notice=notice)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that two versions say differently."""

    item: str
    """``controller``, ``scope``, ``languages``, ``months``, ``layout``, ``text``, ``purpose`` or ``service``."""
    id: str
    field: str
    """Empty where the whole item came or went."""
    before: Any
    after: Any
    again: bool
    """Whether visitors are asked again because of it (R13)."""

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "item": self.item,
            "id": self.id,
            "field": self.field,
            "before": self.before,
            "after": self.after,
            "asked_again": self.again,
        }

    def text(self) -> str:
        """In words, on one line."""
        what = " ".join(filter(None, (self.item, self.id, self.field)))
        if self.before is None:
            said = f"{what}: new" if self.field == "" else f"{what}: new: {_short(self.after)}"
        elif self.after is None:
            said = f"{what}: gone" if self.field == "" else f"{what}: gone: {_short(self.before)}"
        else:
            said = f"{what}: {_short(self.before)} -> {_short(self.after)}"
        return said + ("  [asked again]" if self.again else "")


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_MATERIAL = {
    "purpose": frozenset({"exempt", "data_kinds", "profiles"}),
    "service": frozenset({"name", "controller", "purposes", "profiles", "chain"}),
}
"""What ``Purpose.mark`` and ``Service.mark`` are made of."""


def asked_again(a: Notice, b: Notice) -> frozenset[str]:
    """Purposes and services of ``b`` about which somebody is asked who has accepted all of ``a``: what the rule itself says (R13)."""
    day = date(2000, 1, 1)
    found = grant(b, Choice.accept_all(a, day), Signals(), day, proven=True, earlier=a)
    return found.new if found.answered else frozenset(b.askable).union(s.id for s in b.services_asked)


def diff(a: Notice, b: Notice) -> list[Change]:
    """What ``b`` says differently from ``a``, in the order of the document."""
    before, after, again = a.to_json(), b.to_json(), asked_again(a, b)
    found = []
    for name, value in _leaves(before["controller"], after["controller"]):
        found.append(Change("controller", "", name, *value, name == "name" and bool(again)))
    for name in ("scope", "languages", "months", "layout"):
        if before[name] != after[name]:
            found.append(Change(name, "", "", before[name], after[name], False))
    for item, id, x, y in _paired("text", before["texts"], after["texts"]):
        found += [Change(item, id, language, *value, False) for language, value in _leaves(x or {}, y or {})]
    for kind in ("purpose", "service"):
        x_all, y_all = ({one["id"]: one for one in doc[f"{kind}s"]} for doc in (before, after))
        for item, id, x, y in _paired(kind, x_all, y_all):
            if x is None or y is None:
                found.append(Change(item, id, "", x, y, id in again))
                continue
            for name, value in _leaves(_flat(x), _flat(y)):
                found.append(Change(item, id, name, *value, id in again and name in _MATERIAL[kind]))
    return found


def _paired(item: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Any]]:
    for id in dict.fromkeys([*before, *after]):
        if before.get(id) != after.get(id):
            yield item, id, before.get(id), after.get(id)


def _leaves(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield name, (before.get(name), after.get(name))


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """One level: texts by language, storage keys by medium and name, lists without their order."""
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict):
            flat |= {f"{name}.{language}": text for language, text in inner.items()}
        elif name == "storage":
            for key in inner:
                about = {n: v for n, v in key.items() if n not in ("name", "medium", "service")}
                flat[f"storage {key['medium']} {key['name']}"] = about
        elif isinstance(inner, list):
            flat[name] = sorted(inner)
        else:
            flat[name] = inner
    return flat


def photograph(browser: Any, made: Sequence[Rendering], schemes: Sequence[str], progress: Progress) -> Iterator[Picture]:
    """Each page in each window and colour scheme, drawn without asking anybody for anything."""
    origin = "http://notice.localhost/"
    for scheme in schemes:
        context = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
        try:
            page = context.new_page()
            for rendering in made:
                page.unroute_all()
                page.route("**/*", _answers(origin, rendering.page))
                for width, height in WIDTHS.items():
                    page.set_viewport_size({"width": width, "height": height})
                    page.goto(origin, wait_until="load")
                    if rendering.layer == "panel":
                        long = page.evaluate("document.documentElement.scrollHeight")
                        page.set_viewport_size({"width": width, "height": max(height, min(TALLEST, long))})
                    yield Picture(rendering.language, rendering.layer, width, scheme, page.screenshot())
                    progress.step()
        finally:
            context.close()


def _answers(origin: str, body: bytes) -> Callable[[Any], None]:
    def answer(route: Any) -> None:
        if route.request.url == origin:
            route.fulfill(body=body, content_type="text/html; charset=utf-8")
        else:
            route.abort()

    return answer


def snapshot(store: Store, site: Site, browser: Any) -> tuple[Snapshot, list[Picture], int | None]:
    """Take pictures of the site's present notice, keep them, and log their list: the list, the pictures, its place in the log (None where
    the very same were there). Raises NoticeError, StoreError."""
    made = shown.renderings(site)
    if not made:
        raise NoticeError(f"{site.name}: another consent tool asks on this site; there is nothing of Volens to take pictures of.")
    schemes = [scheme for scheme in SCHEMES if site.theme.scheme in ("auto", scheme)]
    store.keep_notice(site.name, site.notice)
    with Progress("pictures", len(made) * len(WIDTHS) * len(schemes)) as progress:
        pictures = list(photograph(browser, made, schemes, progress))
    kept, index = shown.keep_shown(store, site, made, pictures)
    return kept, pictures, index


# ---------------------------------------------------------------- the command


def run_list(store: Store, site: Site, *, as_json: bool, out: TextIO) -> int:
    """``volens notice list``."""
    found = versions(store, site.name)
    if as_json:
        told = [
            {
                "digest": v.notice.digest,
                "short": v.notice.short,
                "asked_since": v.asked,
                "current": v.notice == site.notice,
                "languages": list(v.notice.languages),
                "purposes": list(v.notice.purpose),
                "services": list(v.notice.service),
                "snapshots": [{"time": minute, "sha256": digest} for minute, digest in v.snapshots],
            }
            for v in found
        ]
        print(json.dumps({"format": "volens-notices/1", "site": site.name, "notices": told}, ensure_ascii=False, indent=2), file=out)
        return 0
    if not found:
        print(f"{site.name}: no notice was kept yet. One is when the site starts, and by volens notice snapshot.", file=out)
        return 0
    print(f"{'DIGEST':16}  {'ASKED SINCE':17}  {'PURPOSES':>8}  {'SERVICES':>8}  {'PAGES':>5}  {'PICTURES':>8}  LANGUAGES", file=out)
    for v in found:
        kept = [one for _, one in snapshots(store, v, site.name)]
        pages, pictures = (len({d for one in kept for d in getattr(one, n).values()}) for n in ("renderings", "pictures"))
        line = f"{v.notice.short}  {v.asked or 'before the log':17}  {len(v.notice.askable):8}  {len(v.notice.services_asked):8}"
        now = "  (now)" if v.notice == site.notice else ""
        print(f"{line}  {pages:5}  {pictures:8}  {' '.join(v.notice.languages)}{now}", file=out)
    return 0


def run_show(
    store: Store, site: Site, digest: str, *, language: str, layer: str, on: str, path: Path | None, as_json: bool, out: TextIO
) -> int:
    """``volens notice show``."""
    version = named(versions(store, site.name), digest)
    if as_json:
        data = (json.dumps(version.notice.to_json(), ensure_ascii=False, indent=2) + "\n").encode()
    else:
        found = show(store, site, version, language, layer, on)
        data = found.page
        if found.kept:
            print(f"kept {found.kept}, SHA-256 {found.digest}", file=sys.stderr)
        else:
            print(
                "This version was asked before its pages were kept: this is how today's Volens draws its texts and services. "
                "It is no proof of how they looked.",
                file=sys.stderr,
            )
    _write(data, path, out)
    return 0


def run_diff(store: Store, site: Site, a: str, b: str, *, as_json: bool, out: TextIO) -> int:
    """``volens notice diff``; ends with 1 where the two differ, as diff does."""
    found = versions(store, site.name)
    first, second = named(found, a).notice, named(found, b).notice
    changes, again = diff(first, second), asked_again(first, second)
    if as_json:
        told = {
            "format": "volens-notice-diff/1",
            "before": first.digest,
            "after": second.digest,
            "asked_again": sorted(again),
            "changes": [change.to_json() for change in changes],
        }
        print(json.dumps(told, ensure_ascii=False, indent=2), file=out)
        return int(bool(changes))
    for change in changes:
        print(change.text(), file=out)
    if not changes:
        print("The two are the same.", file=out)
    elif again:
        print(f"\nWho had answered {first.short} is asked again about: {', '.join(sorted(again))}.", file=out)
    else:
        print(f"\nNobody is asked again: answers to {first.short} hold for {second.short}.", file=out)
    return int(bool(changes))


def run_snapshot(store: Store, site: Site, *, folder: Path | None, as_json: bool, out: TextIO) -> int:
    """``volens notice snapshot``."""
    try:
        with check.opened() as browser:
            kept, pictures, index = snapshot(store, site, browser)
    except check.NoBrowserError as error:
        print(f"volens notice snapshot: {error}. Nothing was kept.", file=sys.stderr)
        return 2
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for p in pictures:
            (folder / f"{site.notice.short}-{p.language}-{p.layer}-{p.width}-{p.scheme}.png").write_bytes(p.image)
        (folder / f"{site.notice.short}.json").write_bytes(kept.to_bytes())
    if as_json:
        told = {
            "format": "volens-snapshot-taken/1",
            "notice": kept.notice,
            "sha256": kept.digest,
            "index": index,
            "pictures": len(pictures),
        }
        print(json.dumps(told), file=out)
    else:
        where = f"entry {index} of the log" if index is not None else "in the log already"
        print(f"{site.notice.short}: {len(pictures)} pictures kept, their list {kept.digest} is {where}.", file=out)
    return 0


def _write(data: bytes, path: Path | None, out: TextIO) -> None:
    if path is not None:
        path.write_bytes(data)
    else:
        out.write(data.decode())
        out.flush()
