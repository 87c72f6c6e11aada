"""``volens check``: the configuration's mistakes, and whether refusing is as easy as accepting on the screen itself.

The first layer and the panel are drawn in Chromium, with nothing configured but the site's own file, and measured: each
button's kind, size, type, colours, contrast and place, what lies over it, which switches are on (RULES R04 to R07, R32).
A word list cannot see a pale button. Without a browser the file is checked all the same, and what could not be measured
is said.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from json import dumps
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

from turbohtml import parse

from volens import config, preview
from volens.catalog import Catalog
from volens.choice import Signals
from volens.config import Loaded
from volens.errors import ConfigError, KeyFileError, Mistake, many
from volens.foreign import Tools
from volens.languages import BUTTONS, shipped
from volens.ledger import keyring
from volens.ledger.publish import standing, words
from volens.policy import grant
from volens.theme import contrast

SIZES: Mapping[int, int] = {320: 640, 360: 740, 768: 1024, 1280: 800, 1920: 1080}
"""Width and height of the windows measured, in CSS pixels."""

SCHEMES = ("light", "dark")

MAX_PAGE = 8 << 20
"""Bytes of a page whose consent tools are looked for."""

LEAST_CONTRAST = 5.0
"""Of a button's words on their ground (R06)."""

SHARE = 0.35
"""How much of a 360 by 740 phone the first layer may cover (DESIGN §2)."""

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")

SAME = {
    "size": "letters of {0} against {1}",
    "weight": "weight {0} against {1}",
    "family": "font {0} against {1}",
    "slant": "{0} against {1}",
    "capitals": "capitals {0} against {1}",
    "line": "decoration {0} against {1}",
    "spacing": "letter spacing {0} against {1}",
    "colour": "colour {0} against {1}",
    "ground": "background {0} against {1}",
    "border": "border {0} against {1}",
    "shadow": "shadow {0} against {1}",
    "opacity": "opacity {0} against {1}",
}
"""What the three buttons share, and how a difference is told: the button's, then that of *accept*."""

PROBE = r"""
(labels) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (css) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = css;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => {
    const a = top[3] + under[3] * (1 - top[3]);
    return a ? [0, 1, 2].map((i) => (top[i] * top[3] + under[i] * under[3] * (1 - top[3])) / a).concat(a) : [0, 0, 0, 0];
  };
  const up = (node) => node.assignedSlot || node.parentElement || node.getRootNode().host || null;
  const all = [];
  const walk = (root) => {
    for (const node of root.querySelectorAll("*")) {
      all.push(node);
      if (node.shadowRoot) walk(node.shadowRoot);
    }
  };
  walk(document);
  const shown = (node) => {
    const box = node.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && node.checkVisibility({ visibilityProperty: true });
  };
  const words = (node) => (node.innerText ?? node.value ?? "").replace(/\s+/g, " ").trim() || (node.value ?? "").trim();
  const press = "button, a[href], input[type=submit], input[type=button], [role=button], [role=link], [onclick], summary, [tabindex]";
  const stop = "button, a[href], input:not([type=hidden]), select, textarea, summary, [tabindex]";
  const pressable = all.filter((node) => node.matches(press));
  const stops = all.filter((node) => shown(node) && node.tabIndex >= 0 && node.matches(stop));
  const describe = (node) => {
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    let ground = [0, 0, 0, 0];
    let opacity = 1;
    let picture = "";
    let paragraph = false;
    for (let at = node; at; at = up(at)) {
      const s = getComputedStyle(at);
      opacity *= parseFloat(s.opacity);
      if (ground[3] < 1) {
        if (s.backgroundImage !== "none") picture = s.backgroundImage.slice(0, 60);
        ground = over(ground, rgba(s.backgroundColor));
      }
      if (s.filter !== "none" || s.mixBlendMode !== "normal") picture = s.filter + " " + s.mixBlendMode;
      if (at !== node && at.matches("p, li, dd, blockquote")) paragraph = true;
    }
    const own = rgba(style.backgroundColor);
    ground = over(ground, [255, 255, 255, 1]);
    const colour = over([...rgba(style.color).slice(0, 3), rgba(style.color)[3] * opacity], ground);
    let covered = "";
    for (const [x, y] of [[0.5, 0.5], [0.1, 0.2], [0.9, 0.2], [0.1, 0.8], [0.9, 0.8]]) {
      let found = document.elementFromPoint(box.left + box.width * x, box.top + box.height * y);
      while (found && found.shadowRoot) {
        const inner = found.shadowRoot.elementFromPoint(box.left + box.width * x, box.top + box.height * y);
        if (!inner || inner === found) break;
        found = inner;
      }
      let at = found;
      while (at && at !== node) at = up(at);
      if (!at) covered = found ? found.localName + (found.id ? "#" + found.id : "") : "the edge of the window";
    }
    const side = (name) => {
      const [width, line, ink] = ["Width", "Style", "Color"].map((what) => style["border" + name + what]);
      return [width, line, parseFloat(width) ? rgba(ink).join() : ""].join(" ");
    };
    return {
      words: words(node), tag: node.localName, role: node.getAttribute("role") ?? "",
      disabled: node.disabled === true || node.getAttribute("aria-disabled") === "true",
      hidden: node.closest("[aria-hidden=true], [inert]") !== null, stop: stops.indexOf(node),
      left: box.left, top: box.top, width: box.width, height: box.height,
      inside: box.left >= -0.5 && box.top >= -0.5 && box.right <= innerWidth + 0.5 && box.bottom <= innerHeight + 0.5,
      colourRgb: colour.slice(0, 3), groundRgb: ground.slice(0, 3), picture, paragraph, covered,
      size: style.fontSize, weight: style.fontWeight, family: style.fontFamily, slant: style.fontStyle, capitals: style.textTransform,
      line: style.textDecorationLine, spacing: style.letterSpacing, colour: rgba(style.color).join(), ground: own.join(),
      border: ["Top", "Right", "Bottom", "Left"].map(side).join(", "), shadow: style.boxShadow, opacity: opacity.toFixed(2),
    };
  };
  const buttons = {};
  for (const [name, label] of Object.entries(labels)) {
    const found = pressable.filter((node) => shown(node) && words(node) === label);
    buttons[name] = found.length ? describe(found[0]) : null;
  }
  const on = all.filter((node) => shown(node) || node.matches("input")).filter((node) =>
    (node.matches("input[type=checkbox], input[type=radio]") && node.checked && !node.disabled) ||
    (node.matches("[role=switch], [role=checkbox], [role=radio], [aria-pressed]") && !node.matches("input") &&
      ["aria-checked", "aria-pressed"].some((name) => node.getAttribute(name) === "true") &&
      node.getAttribute("aria-disabled") !== "true"))
    .map((node) => node.getAttribute("aria-label") || node.labels?.[0]?.innerText || node.name || node.id || node.localName);
  let layer = 0;
  const accept = pressable.find((node) => shown(node) && words(node) === labels.accept);
  for (let at = accept; at; at = up(at)) {
    if (at.matches("[role=region], dialog, [role=dialog], aside, section")) {
      layer = at.getBoundingClientRect().height * at.getBoundingClientRect().width / (innerWidth * innerHeight);
      break;
    }
  }
  return { buttons, on, layer, wider: document.documentElement.scrollWidth > innerWidth + 1 };
}
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing measured that makes refusing harder, or that should be looked at."""

    rule: str
    found: str
    remedy: str
    fatal: bool = True


class NoBrowserError(Exception):
    """There is nothing to measure with; the text says what is missing."""


def judge(seen: Mapping[str, Any], labels: Mapping[str, str], *, phone: bool = False) -> Iterator[Finding]:
    """What one drawing of the first layer shows, against R04–R07 and R32. ``seen``: what PROBE returned."""
    yield from _switches(seen)
    buttons = {name: seen["buttons"][name] for name in labels}
    for name, button in buttons.items():
        label = repr(labels[name])
        if button is None:
            yield Finding("R05", f"there is no button {label}.", "It must stand on the first layer, in view from the start.")
            continue
        if not button["inside"]:
            yield Finding(
                "R06", f"{label} is not wholly in the window.", "Shorten the texts: the three buttons must be in view without scrolling."
            )
        elif button["covered"]:
            yield Finding("R32", f"{label} is covered by {button['covered']}.", "Nothing may lie over a button.")
        if button["paragraph"]:
            yield Finding("R07", f"{label} stands inside running text.", "Make it a button beside the others.")
        if button["disabled"] or button["hidden"] or button["stop"] < 0:
            yield Finding("R05", f"{label} cannot be reached or pressed with a keyboard.", "Make it an ordinary button.")
        if button["picture"]:
            yield Finding(
                "R06",
                f"the ground of {label} is not a plain colour ({button['picture']}).",
                "Use plain colours, so that contrast can be told.",
            )
        else:
            ratio = contrast(button["colourRgb"], button["groundRgb"])
            if ratio < LEAST_CONTRAST:
                yield Finding(
                    "R06", f"the words of {label} have a contrast of {ratio:.1f}.", f"Choose colours with at least {LEAST_CONTRAST:.0f}."
                )
    accept, refuse = buttons.get("accept"), buttons.get("refuse")
    if accept is None:
        return
    for name, button in buttons.items():
        if name != "accept" and button is not None:
            yield from _unlike(button, accept, labels[name], labels["accept"], label_decides_width=name == "settings")
    if refuse is not None and refuse["stop"] > accept["stop"] + 1:
        yield Finding(
            "R05",
            f"{labels['refuse']!r} is reached {refuse['stop'] - accept['stop']} stops after {labels['accept']!r}.",
            "Put the two side by side.",
        )
    if phone and seen["layer"] > SHARE:
        found = f"the first layer covers {seen['layer']:.0%} of a 360 by 740 phone."
        yield Finding("R09", found, f"Shorten names and texts: {SHARE:.0%} leaves the headline in view.", fatal=False)
    if seen["wider"]:
        yield Finding("R43", "the page scrolls sideways.", "Shorten the longest word of the texts.", fatal=False)


def _switches(seen: Mapping[str, Any]) -> Iterator[Finding]:
    for name in seen["on"]:
        yield Finding("R04", f"{name!r} is on at first.", "Every switch starts off.")


def _unlike(
    button: Mapping[str, Any], accept: Mapping[str, Any], label: str, other: str, *, label_decides_width: bool
) -> Iterator[Finding]:
    """How ``button`` differs from *accept*. A longer name may make the third button larger, never smaller."""
    if (button["tag"], button["role"]) != (accept["tag"], accept["role"]):
        yield Finding(
            "R07",
            f"{label!r} is a {button['role'] or button['tag']}, {other!r} a {accept['role'] or accept['tag']}.",
            "Make them the same kind.",
        )
    differs = [how.format(button[what], accept[what]) for what, how in SAME.items() if button[what] != accept[what]]
    if differs:
        yield Finding("R06", f"{label!r} does not look like {other!r}: {'; '.join(differs)}.", "Give the three buttons one look.")
    for what in ("width", "height"):
        ratio = button[what] / accept[what]
        if ratio < 0.8 or (ratio > 1.25 and not label_decides_width):
            yield Finding("R06", f"{label!r} has {ratio:.0%} of the {what} of {other!r}.", "Make them the same size.")


def chromium() -> str | None:
    """``VOLENS_CHROMIUM``, else the system's; None: Playwright's own, where it has one."""
    named = os.environ.get("VOLENS_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def opened() -> Iterator[Any]:
    """A Chromium; raises NoBrowserError with what is missing."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise NoBrowserError("Playwright for Python is not installed (pip install playwright)") from error
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        except Error as error:
            reason = str(error).strip().splitlines()[0]
            raise NoBrowserError(
                f"no Chromium could be started ({reason}); set VOLENS_CHROMIUM, or run 'playwright install chromium'"
            ) from error
        try:
            yield browser
        finally:
            browser.close()


ORIGIN = "http://check.localhost/"


def look(
    browser: Any, html: str, labels: Mapping[str, str], windows: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """What PROBE sees of ``html`` in each window (width, colour scheme). Nothing is fetched: every other address fails."""
    context = browser.new_context(reduced_motion="reduce")
    try:
        page = context.new_page()
        page.route(
            "**/*",
            lambda route: (
                route.fulfill(body=html, content_type="text/html; charset=utf-8") if route.request.url == ORIGIN else route.abort()
            ),
        )
        page.goto(ORIGIN, wait_until="load")
        for width, scheme in windows:
            page.set_viewport_size({"width": width, "height": SIZES[width]})
            page.emulate_media(color_scheme=scheme)
            yield width, scheme, page.evaluate(PROBE, dict(labels))
    finally:
        context.close()


def measure(browser: Any, html: str, labels: Mapping[str, str], *, panel: bool = False) -> tuple[Mistake, ...]:
    """What is wrong with a rendered notice, in every width and colour scheme; the same thing is told once.

    ``labels``: the names of accept, refuse and settings as they are shown. ``panel``: the second layer, of which only the
    switches are judged.
    """
    windows = [(360, "light")] if panel else [(width, scheme) for scheme in SCHEMES for width in SIZES]
    places: dict[Finding, list[str]] = {}
    for width, scheme, seen in look(browser, html, labels, windows):
        for finding in _switches(seen) if panel else judge(seen, labels, phone=width == 360):
            places.setdefault(finding, []).append(f"{width} px {scheme}")
    return tuple(
        Mistake("every width" if len(where) == len(windows) else ", ".join(where), f"{f.found[:-1]} ({f.rule}).", f.remedy, f.fatal)
        for f, where in places.items()
    )


def drawn(loaded: Loaded) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """(language, layer, page, labels) of what a visitor who has not answered is shown."""
    from volens.web.screens import Screens

    site = loaded.site
    screens = Screens(site, {})
    undecided = grant(site.notice, None, Signals(), datetime.now(UTC).date())
    article = "<h1>La Dourelle est sortie de son lit</h1>" + "<p>La rivière a gagné les rues basses dans la nuit.</p>" * 30
    for language in site.notice.languages:
        words = {**config.shipped_texts()[language], **{name: text[language] for name, text in site.notice.texts.items()}}
        body = screens.dress(undecided, language).body
        page = (
            f'<!DOCTYPE html><html lang="{escape(language)}"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
            f"<title>{escape(site.name)}</title></head>"
            f"<body>{body}{article}</body></html>"
        )
        labels = {name: " ".join(words[name].split()) for name in BUTTONS}
        yield language, "first layer", page, labels
        yield language, "panel", screens.panel(undecided, language, "/"), labels


def measured(loaded: Loaded) -> list[Mistake]:
    """Every screen of every language, in a browser; raises NoBrowserError."""

    def all_screens() -> list[Mistake]:
        with opened() as browser:
            return [
                replace(mistake, place=f"[screen {language}] {layer}, {mistake.place}")
                for language, layer, page, labels in drawn(loaded)
                for mistake in measure(browser, page, labels, panel=layer == "panel")
            ]

    if not loaded.site.notice.askable:
        return []
    with ThreadPoolExecutor(1) as thread:  # Playwright's synchronous face refuses a thread in which an event loop runs
        return thread.submit(all_screens).result()


def previewed(loaded: Loaded, folder: Path) -> dict[str, Any]:
    """Every screen in every state, as pictures in ``folder``; raises NoBrowserError."""

    def draw() -> int:
        with opened() as browser:
            return preview.draw(browser, loaded.site, folder, datetime.now(UTC).date())

    with ThreadPoolExecutor(1) as thread:  # as in ``measured``
        return {"index": str(folder / "index.html"), "pictures": thread.submit(draw).result()}


def run(
    path: Path, *, json: bool = False, browser: bool | None = None, folder: Path | None = None, page: str | None = None, out: TextIO
) -> int:
    """Check ``path`` and write what was found to ``out``. 0: it can be used; 1: it has mistakes; 2: it could not be checked.

    ``browser``: None measures where it can, True must, False doesn't. ``folder``: where every screen is drawn, if it is. ``page``: a
    file or an address whose consent tools are named.
    """
    loaded: Loaded | None = None
    unmeasured = ""
    try:
        loaded = config.load(path, Catalog.packaged())
        mistakes = [*loaded.warnings, *log_key_mistakes(loaded)]
    except ConfigError as error:
        mistakes = list(error.mistakes)
        unmeasured = "the screens were not measured: mend the file first"
    unread = loaded is None and not path.is_file()
    failed = False
    if browser is False:
        unmeasured = "the screens were not measured: --no-browser"
    elif loaded is not None:
        try:
            mistakes += measured(loaded)
        except NoBrowserError as error:
            unmeasured = f"the screens were not measured (size, weight, contrast and place of the buttons): {error}"
            failed = browser is True
    pictures: dict[str, Any] | None = None
    if folder is not None and loaded is not None:
        try:
            pictures = previewed(loaded, folder)
        except NoBrowserError as error:
            unmeasured, failed = unmeasured or f"nothing was drawn: {error}", True
        except OSError as error:
            unmeasured, failed = f"nothing was drawn: {folder} cannot be written ({error.strerror})", True
    carried: list[dict[str, str]] | None = None
    if page is not None:
        try:
            carried = carries(page)
        except (OSError, ValueError) as error:
            unmeasured, failed = unmeasured or f"the page was not looked at: {page} cannot be read ({error})", True
    fatal = [mistake for mistake in mistakes if mistake.fatal]
    status = 2 if unread else 1 if fatal else 2 if failed else 0
    report = {
        "format": "volens-check/1",
        "file": str(path),
        "status": status,
        "mistakes": [_told(mistake) for mistake in fatal],
        "warnings": [_told(mistake) for mistake in mistakes if not mistake.fatal],
        "measured": {"widths": list(SIZES), "schemes": list(SCHEMES)} if not unmeasured else None,
        "unmeasured": unmeasured,
        "preview": pictures,
        "tools": carried,
        "site": _site(loaded) if loaded else None,
    }
    out.write((dumps(report, ensure_ascii=False, indent=2) if json else _text(report)) + "\n")
    return status


def log_key_mistakes(loaded: Loaded) -> list[Mistake]:
    """What is wrong with the file of keys that sign the log, where there is one."""
    path = Path(loaded.log_key)
    try:
        there = keyring.describe(path, loaded.site.name)
    except KeyFileError as error:
        return [Mistake("[proof] key", str(error), "Without it nothing can be recorded.")]
    if there and path.exists() and path.stat().st_mode & 0o077:
        remedy = f"Let its owner alone read it: chmod 600 {path}"
        found = f"{path} can be read by other users of this machine: they could sign in the site's name."
        return [Mistake("[proof] key", found, remedy, False)]
    return []


def carries(page: str) -> list[dict[str, str]]:
    """The consent tools that a page's own markup gives away, and by what; scripts that it loads are not fetched."""
    if page.startswith(("http://", "https://")):
        with urlopen(Request(page, headers={"Accept": "text/html", "User-Agent": "volens-check"}), timeout=20) as answer:
            data, address = answer.read(MAX_PAGE), answer.url
    else:
        data, address = Path(page).read_bytes()[:MAX_PAGE], "http://page.invalid/"
    tools, found = Tools.packaged(), dict[str, str]()
    for node in parse(data.decode("utf-8", "replace")).find_all(True):
        source = str(node.attrs.get("src") or node.attrs.get("href") or "") if node.tag in ("script", "link", "iframe") else ""
        target = urlsplit(urljoin(address, source)) if source else None
        by = [(tools.host(target.hostname or "") or tools.path(target.path), source)] if target else []
        by.append((tools.element(str(node.attrs.get("id") or ""), _classes(node.attrs.get("class"))), f"<{node.tag}>"))
        if node.tag == "script" and not source:
            by.append((tools.inline(node.text), "an inline script"))
        for tool, where in by:
            if tool is not None:
                found.setdefault(tool.id, where[:200])
    return [{"id": id, "name": tools.all[id].name, "by": by} for id, by in sorted(found.items())]


def _classes(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")


def _told(mistake: Mistake) -> dict[str, str]:
    return {"place": mistake.place, "found": mistake.found, "remedy": mistake.remedy}


def _site(loaded: Loaded) -> dict[str, Any]:
    notice = loaded.site.notice
    return {
        "name": loaded.site.name,
        "notice": notice.digest,
        "asked": list(notice.askable),
        "exempt": [purpose.id for purpose in notice.purposes if purpose.exempt],
        "services": [service.id for service in notice.services],
        "gates": [gate.path for gate in loaded.site.gates],
        "languages": list(notice.languages),
        "unreviewed": list(loaded.unreviewed),
        "proof": {
            "witnesses": [witness.name for witness in loaded.site.proof.witnesses],
            "quorum": loaded.site.proof.quorum,
            "standing": words(standing(loaded.witnessed), loaded.site.proof.witnesses),
        },
    }


def _text(report: Mapping[str, Any]) -> str:
    """The report for people."""

    def listed(title: str, mistakes: list[dict[str, str]]) -> list[str]:
        return (
            [f"{many(len(mistakes), title)}:", *(f"  {m['place']}: {m['found']}\n      {m['remedy']}" for m in mistakes)]
            if mistakes
            else []
        )

    lines = [f"{report['file']}", *listed("mistake", report["mistakes"]), *listed("warning", report["warnings"])]
    site = report["site"]
    if site:
        lines.append(
            f"{site['name']} asks for {', '.join(site['asked']) or 'nothing'}; without asking: {', '.join(site['exempt']) or 'nothing'}."
        )
        counts = f"{len(site['services'])} service(s), {len(site['gates'])} gate(s)"
        lines.append(f"{counts}; in {', '.join(site['languages'])}; notice {site['notice'][:16]}.")
        if site["unreviewed"]:
            names = ", ".join(f"{shipped()[language].name} ({language})" for language in site["unreviewed"])
            lines.append(f"No speaker has read our texts yet in: {names}.")
            example = dumps([language for language in site["languages"] if language in site["unreviewed"]])
            lines.append(
                f"  Have one read the notice, the panel and the policy page, then write at the top of the file: reviewed = {example}."
            )
        if site["proof"]["witnesses"]:
            lines.append(f"Witnesses of the log, {site['proof']['quorum'] or 'none'} of them wanted under each checkpoint:")
            lines += [f"  {line}" for line in site["proof"]["standing"]]
        else:
            lines.append("No witness signs the log: what it proves is evident to everybody but you, who could rewrite it and sign it anew.")
            lines.append("  Ask a data protection officer or another publisher (docs/how-to/witness.md), and name them: [proof] witnesses.")
    if report["unmeasured"]:
        lines.append(f"Not measured: {report['unmeasured']}.")
    elif site:
        widths = ", ".join(map(str, report["measured"]["widths"]))
        verdict = "see above" if report["mistakes"] else "refusing is as easy as accepting"
        lines.append(f"Measured in Chromium at {widths} px, light and dark: {verdict}.")
    if report["tools"] is not None:
        named = [f"{tool['name']} (tool {tool['id']!r}): {tool['by']}" for tool in report["tools"]]
        lines += [
            "Consent tools that the page carries:" if named else "The page carries no known consent tool.",
            *(f"  {x}" for x in named),
        ]
        if named:
            lines.append('  notice = "volens" withholds them; notice = "theirs" lets one of them ask. See docs/how-to/another-notice.md.')
    if report["preview"]:
        lines.append(f"{report['preview']['pictures']} pictures of every screen: {report['preview']['index']}")
    lines.append({0: "It can be used.", 1: "It cannot be used yet.", 2: "It could not be checked."}[report["status"]])
    return "\n".join(lines)
