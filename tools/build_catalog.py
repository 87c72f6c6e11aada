"""Write src/volens/data/catalog/services.json and storage.json from pinned sources and additions.toml.

    python tools/build_catalog.py \\
        --third-party-web   node_modules/third-party-web/dist/entities.json \\
        --tarteaucitron     node_modules/tarteaucitronjs/tarteaucitron.services.js \\
        --cookie-database   open-cookie-database.csv [--check]

``--check`` writes nothing and fails where the committed files are not what would be written. The three sources are
pinned by version and SHA-256 below: another byte is an error, a new version a change of this file. Nothing is
executed and nothing is fetched; tarteaucitron's services are read with regular expressions.

Who wins where sources speak of the same host: additions.toml, then third-party-web, then tarteaucitron; but where
tarteaucitron knows a service as one that needs consent and third-party-web files its host as neutral, the host is
tarteaucitron's (``SHARED`` names the hosts that many services share, which say nothing about any one of them).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import re
import sys
import tomllib
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]  # only here: what is read off the patterns is written into the data
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from volens.catalog import DELIVERY, PURPOSES, Catalog

DATA = Path(__file__).resolve().parent.parent / "src" / "volens" / "data" / "catalog"

SOURCES: dict[str, dict[str, str]] = {
    "third-party-web": {
        "version": "0.30.0",
        "file": "npm third-party-web, dist/entities.json",
        "sha256": "1ca06273a900b4bc206310d26d281459b89e367609505f8f69b1ce6e32bf7245",
        "licence": "MIT",
    },
    "tarteaucitron": {
        "version": "1.34.0",
        "file": "npm tarteaucitronjs, tarteaucitron.services.js",
        "sha256": "05302462f1c06045c4127de1b7899fab694d86656c81472043f8b430bd0bdb95",
        "licence": "MIT",
    },
    "open-cookie-database": {
        "version": "2264 names",
        "file": "github jkwakman/Open-Cookie-Database, open-cookie-database.csv",
        "sha256": "0a8d78901ae55d859e34f7cc760262819af4c764b4f9bc3bbdeea2296e31f156",
        "licence": "Apache-2.0",
    },
    "volens": {"version": "1", "file": "additions.toml", "licence": "the product's own"},
}

SHARED = frozenset(
    (
        "www.google.com",
        "policies.google.com",
        "apis.google.com",
        "accounts.google.com",
        "docs.google.com",
        "www.gstatic.com",
        "ajax.googleapis.com",
        "maps.googleapis.com",
        "js.stripe.com",
        "www.intercom.com",
        "www.woopra.com",
        "advertise.bingads.microsoft.com",
        "userlike-cdn-widgets.s3-eu-west-1.amazonaws.com",
        "*.min.js",
    )
)

GENERIC = re.compile(
    r"[a-z0-9]{1,6}|[A-Z0-9]{1,2}|(?i:[a-z]?[-_]?(?:session|user|visitor|client|auth|login|access|refresh)[-_]?(?:id|token|key|name)?)"
)
"""Names that any program may use: a list that files one of them under advertising speaks of its own host, not of the
site that Volens stands before. Known, but not judged by (purpose "")."""

STORAGE_PURPOSE = {"Marketing": "publicite", "Analytics": "personnalisation", "Personalization": "personnalisation"}
"""Open Cookie Database's words. Functional, Security, Necessary: said by the tool's vendor, so no built-in purpose
vouches for them; what is exempt is written in additions.toml, name by name."""

UNIT = {
    "second": 1 / 86400,
    "sec": 1 / 86400,
    "minute": 1 / 1440,
    "min": 1 / 1440,
    "hour": 1 / 24,
    "day": 1,
    "week": 7,
    "month": 365 / 12,
    "year": 365,
}


def read(source: str, path: Path) -> str:
    """The pinned file's text."""
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SOURCES[source]["sha256"]:
        raise SystemExit(
            f"{path}: SHA-256 {found} is not the pinned {source} {SOURCES[source]['version']}; give that file, or change the pin."
        )
    return data.decode("utf-8-sig")


def slug(name: str, taken: set[str]) -> str:
    """An identifier as a notice wants them, unique."""
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:36].strip("-") or "unnamed"
    if not base[0].isalpha():
        base = "s-" + base[:34]
    found, n = base, 2
    while found in taken:
        found, n = f"{base}-{n}", n + 1
    taken.add(found)
    return found


def tarteaucitron(text: str) -> list[dict[str, Any]]:
    """key, type, name, uri, cookies and the hosts that stand whole in its strings, for each service."""
    parts = re.split(r"^tarteaucitron\.services\.(\w+)\s*=", text, flags=re.MULTILINE)
    found = []
    for key, block in zip(parts[1::2], parts[2::2], strict=True):

        def word(name: str, block: str = block) -> str:
            match = re.search(rf"""["']?\b{name}["']?\s*:\s*(["'])(.*?)(?<!\\)\1""", block)
            return match[2] if match else ""

        cookies = re.search(r"""["']?cookies["']?\s*:\s*\[([^\]]*)\]""", block)
        code = re.sub(r"""["']?uri["']?\s*:.*|^\s*//.*$""", "", block, flags=re.MULTILINE)
        host = r"[a-z0-9][a-z0-9.-]*\.[a-z]{2,}"
        hosts = set(re.findall(rf"""["'](?:https?:)?//({host})(?=[/?#"'])""", code))
        hosts |= {"*." + name for name in re.findall(rf"""\+\s*["']\.({host})(?=[/?#"'])""", code)}
        found.append(
            {
                "key": key,
                "type": word("type"),
                "name": word("name"),
                "uri": word("uri"),
                "cookies": re.findall(r"""(?:^|,)\s*["']([A-Za-z0-9_.-]+)["']\s*(?=,|$)""", cookies[1]) if cookies else [],
                "hosts": sorted(hosts - SHARED),
                "frame": "<iframe" in code,
            }
        )
    return found


def services(entities: list[dict[str, Any]], tags: list[dict[str, Any]], own: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of services.json. A host pattern stands in exactly one row."""
    ids = [row["id"] for row in own["service"] if "id" in row]
    taken = set(ids)
    if len(taken) != len(ids):
        raise SystemExit("additions.toml: a service id stands there twice.")
    rows: list[dict[str, Any]] = []
    owner: dict[str, dict[str, Any]] = {}
    for entity in entities:  # the last entity that claims a domain has it, as in third-party-web's own table
        row: dict[str, Any] = {
            "id": slug(entity["name"], taken),
            "name": entity["name"],
            "category": entity["category"],
            "hosts": [],
            "sources": ["third-party-web"],
        }
        rows.append(row)
        owner.update(dict.fromkeys(map(str.lower, entity["domains"]), row))
    before = Catalog.of_rows([{**row, "hosts": [d for d, r in owner.items() if r is row]} for row in rows], [])

    for tag in tags:
        fresh = {"id": slug(tag["key"], taken), "name": tag["name"], "category": tag["type"], "hosts": [], "sources": ["tarteaucitron"]}
        if tag["uri"]:
            fresh["policy"] = tag["uri"]
        if tag["frame"]:
            fresh["embed"] = "frame"
        for host in tag["hosts"]:
            known = before.host(host.removeprefix("*."))
            if known and (known.kind == "tracker" or not PURPOSES.get(tag["type"])):
                row = next(r for r in rows if r["id"] == known.id)
                row["sources"] = sorted({*row["sources"], "tarteaucitron"})
                if tag["uri"]:
                    row.setdefault("policy", tag["uri"])
                if tag["frame"]:
                    row.setdefault("embed", "frame")
            elif host not in owner or owner[host]["sources"] == ["third-party-web"]:
                if known:
                    fresh["entity"] = known.entity
                owner[host] = fresh
        if fresh in owner.values():
            rows.append(fresh)

    row_of = {row["id"]: row for row in rows}
    for add in own["service"]:
        for one in [add] if "id" in add else [{**add, "hosts": [host]} for host in add["hosts"]]:
            row = {k: v for k, v in one.items() if k not in ("why", "group")}
            row |= {"hosts": [], "sources": ["volens"]}
            was = {host: row_of[e.id] for host in one["hosts"] if (e := before.host(host.removeprefix("*.")))}
            for host, old in was.items():
                if PURPOSES[old["category"]] and not PURPOSES.get(add["category"]):
                    raise SystemExit(f"additions.toml: {host} would become neutral, which {old['sources'][0]} knows as {old['category']}.")
            known_as = {old["name"] for old in was.values()}
            if "group" in one:
                if was and "embed" not in one and PURPOSES[next(iter(was.values()))["category"]]:
                    continue
                row["name"] = one["hosts"][0].removeprefix("*.")
                row["id"] = slug(row["name"], taken)
                row["entity"] = "" if "shared" in one or not known_as else known_as.pop()
            elif "entity" not in row and len(known_as) == 1:
                row["entity"] = known_as.pop()
            row["sources"] = sorted({"volens"}.union(*(old["sources"] for old in was.values())))
            for host in one["hosts"]:
                owner[host] = row
                if host.startswith("*.") and "shared" not in one:
                    for below in [
                        h for h, r in owner.items() if r["sources"] == ["tarteaucitron"] and ("." + h.removeprefix("*.")).endswith(host[1:])
                    ]:
                        row["sources"] = sorted({*row["sources"], "tarteaucitron"})
                        policy = owner.pop(below).get("policy")
                        if policy and "policy" not in row:
                            row["policy"] = policy
            rows.append(row)

    for host, row in sorted(owner.items()):
        row["hosts"].append(host)
    for need in own["needs"]:
        next(row for row in rows if row["id"] == need["id"])["needs"] = need["hosts"]
    for row in rows:
        if row["category"] not in PURPOSES and row["category"] != DELIVERY:
            raise SystemExit(f"{row['id']}: category {row['category']!r} has no place in volens.catalog.PURPOSES.")
    return sorted((r for r in rows if r["hosts"]), key=lambda r: r["id"])


def days(text: str) -> int | None:
    """A retention period in whole days, rounded up; 0 for the session; None where it cannot be told."""
    text = text.strip().lower()
    if "session" in text and not re.search(r"\d", text):
        return 0
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*(second|sec|minute|min|hour|day|week|month|year)s?", text)
    if not match:
        return None
    return math.ceil(round(float(match[1].replace(",", ".")) * UNIT[match[2]], 6))


def storage(table: list[dict[str, str]], tags: list[dict[str, Any]], own: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of storage.json. A pattern stands in exactly one row; a trailing ``*`` matches any rest."""
    rows: dict[str, dict[str, Any]] = {}
    for line in table:
        name = line["Cookie / Data Key name"].strip()
        if not name or name.strip("*") == "":
            continue
        wild = line["Wildcard match"] == "1" or name.endswith("*")
        name = name.rstrip("*")
        generic = bool(GENERIC.fullmatch(name))
        row: dict[str, Any] = {
            "pattern": name + ("*" if wild and not generic and len(name) > 2 else ""),
            "purpose": "" if generic else STORAGE_PURPOSE.get(line["Category"], ""),
            "service": line["Data Controller"].strip(),
            "platform": line["Platform"].strip(),
            "days": days(line["Retention period"]),
            "sources": ["open-cookie-database"],
            "description": re.sub(r"\s+", " ", line["Description"]).strip(),
        }
        rows.setdefault(row["pattern"], row)
    for tag in tags:
        for name in tag["cookies"]:
            found = rows.get(name) or rows.get(name + "*")
            if found:
                found["sources"] = sorted({*found["sources"], "tarteaucitron"})
            elif not GENERIC.fullmatch(name) and (purposes := PURPOSES.get(tag["type"])):
                rows[name] = {
                    "pattern": name,
                    "purpose": purposes[0],
                    "service": tag["name"],
                    "platform": tag["name"],
                    "sources": ["tarteaucitron"],
                }
    for group in own["storage"]:
        for name in (*group.get("names", ()), *group.get("script", ())):
            was = rows.get(name, {})
            rows[name] = {
                "pattern": name,
                "purpose": group.get("purpose", "technique"),
                "service": group["platform"],
                "platform": group["platform"],
                "days": was.get("days"),
                "sources": sorted({*was.get("sources", ()), "volens"}),
                "description": group.get("description") or was.get("description", ""),
            }
            if "reason" in group:
                rows[name]["exempt"] = group["reason"]
            if name in group.get("script", ()):
                rows[name]["script"] = True
            if name.endswith("*") and "reason" in group:  # a longer name that a source merely calls functional is no exception
                for longer in [n for n, row in rows.items() if n != name and n.startswith(name[:-1]) and not row["purpose"]]:
                    del rows[longer]
    return [{k: v for k, v in row.items() if v not in (None, "")} for _, row in sorted(rows.items())]


def lines(head: dict[str, Any], name: str, rows: list[dict[str, Any]]) -> str:
    """JSON with a row a line, so that a change can be read."""
    out = json.dumps(head, ensure_ascii=False, sort_keys=True, indent=1)[:-2]
    body = ",\n".join(json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for row in rows)
    return f'{out},\n "{name}": [\n{body}\n]}}\n'


REACH = 6
"""Characters of a beginning that are looked at."""
_CLASSES = {"CATEGORY_DIGIT": r"\d", "CATEGORY_WORD": r"\w"}


def _set(given: Any) -> str:
    """A set of characters as it is written."""
    out = ""
    for kind, what in given:
        text = _CLASSES[str(what)] if str(kind) == "CATEGORY" else "^" if str(kind) == "NEGATE" else ""
        out += text or "-".join(re.escape(chr(code)) for code in (what if isinstance(what, tuple) else (what,)))
    return f"[{out}]"


def beginnings(parts: Any) -> set[tuple[tuple[str, ...], bool]]:
    """(a pattern a character, whether all that follows is seen) of whatever a parsed pattern's matches can begin with."""
    found: set[tuple[tuple[str, ...], bool]] = {((), True)}
    for op, given in parts:
        more: set[tuple[tuple[str, ...], bool]]
        match str(op):
            case "LITERAL":
                more = {((re.escape(chr(given)),), True)}
            case "IN":
                more = {((_set(given),), True)}
            case "BRANCH":
                more = {one for branch in given[1] for one in beginnings(branch)}
            case "SUBPATTERN":
                more = beginnings(given[3])
            case "MAX_REPEAT" if given[:2] == (0, 1):
                more = beginnings(given[2]) | {((), True)}
            case "MAX_REPEAT" if given[0]:
                more = {(text, False) for text, _ in beginnings(given[2])}
            case _:
                more = {((), False)}
        longer = {(text + after, known and goes_on) for text, known in found if known for after, goes_on in more}
        found = {(text[:REACH], known and len(text) < REACH) for text, known in longer} | {one for one in found if not one[1]}
    return found


def _tree(texts: set[tuple[str, ...]]) -> str:
    """One pattern for all of them, each character tried once."""
    if () in texts:
        return ""
    rest: dict[str, set[tuple[str, ...]]] = {}
    for text in texts:
        rest.setdefault(text[0], set()).add(text[1:])
    branches = [first + _tree(after) for first, after in sorted(rest.items())]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def hints(patterns: list[str]) -> dict[str, str]:
    """What no path lacks that one of these matches: how a part of it begins, or (``within``) what stands somewhere in it.

    Read off the patterns as Python's own compiler reads them, so that it cannot differ from them; only faster to refuse.
    """
    found: dict[str, set[tuple[str, ...]]] = {"begins": set(), "within": set()}
    for pattern in patterns:
        parts = list(_parser.parse(pattern))
        for branch in parts[0][1][1] if len(parts) == 1 and str(parts[0][0]) == "BRANCH" else [parts]:
            for start in range(len(branch)):
                texts = {text for text, _ in beginnings(branch[start:])}
                if min(map(len, texts)) >= (3 if start else 2):
                    found["within" if start else "begins"] |= texts
                    break
            else:
                sys.exit(f"additions.toml: a path's pattern may match anything: {pattern}")
    return {"begins": "/" + _tree(found["begins"]), "within": _tree(found["within"])}


def build(third_party_web: Path, tac: Path, cookie_database: Path) -> dict[str, str]:
    """File name -> text."""
    entities = json.loads(read("third-party-web", third_party_web))
    tags = tarteaucitron(read("tarteaucitron", tac))
    table = list(csv.DictReader(io.StringIO(read("open-cookie-database", cookie_database))))
    own = tomllib.loads((DATA / "additions.toml").read_text(encoding="utf-8"))
    head = {"format": "volens-catalog/1", "sources": SOURCES}
    paths, labels = ([{k: v for k, v in row.items() if k != "why"} for row in own[kind]] for kind in ("path", "label"))
    return {
        "services.json": lines(
            {**head, "hints": hints([row["pattern"] for row in paths]), "labels": labels, "paths": paths},
            "services",
            services(entities, tags, own),
        ),
        "storage.json": lines(head, "storage", storage(table, tags, own)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--third-party-web", type=Path, required=True)
    parser.add_argument("--tarteaucitron", type=Path, required=True)
    parser.add_argument("--cookie-database", type=Path, required=True)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the committed files differ")
    args = parser.parse_args()
    differs = []
    for name, text in build(args.third_party_web, args.tarteaucitron, args.cookie_database).items():
        path = DATA / name
        if args.check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                differs.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if differs:
        print(f"{', '.join(differs)}: not what these sources give; run tools/build_catalog.py.", file=sys.stderr)
    return bool(differs)


if __name__ == "__main__":
    raise SystemExit(main())
