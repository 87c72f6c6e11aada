"""``volens hosts``: what pages were found to use, and the decision about one host written into ``volens.toml``.

The file keeps its comments, its order and its line ends (tomlkit); what is written is read back and compared with what was
meant, then judged as any configuration is, before it takes the old one's place at once. The old one stays as ``.bak``.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import tomlkit
from tomlkit.exceptions import TOMLKitError

from volens.catalog import Catalog
from volens.config import load, parse
from volens.enforce.hosts import host_matches
from volens.errors import ConfigError, Mistake
from volens.findings import Findings
from volens.web.found import Row, rows

OWN, SERVICE, DENY = "own", "service", "deny"


def listed(path: Path, days: int) -> tuple[str, list[Row]]:
    """The site's name and what was found in so many days. Raises ConfigError, StoreError."""
    catalog = Catalog.packaged()
    loaded = load(path, catalog)
    today = datetime.now(UTC).date()
    if not Path(loaded.findings).exists():
        return loaded.site.name, []
    found = Findings(loaded.findings, lambda: today)
    return loaded.site.name, rows(loaded.site, catalog, found.read(loaded.site.name, today - timedelta(days=days - 1)), today)


def show(path: Path, days: int, out: TextIO, *, as_json: bool) -> None:
    """Print the list, for people or for machines."""
    site, found = listed(path, days)
    if as_json:
        told = {"format": "volens-hosts/1", "site": site, "days": days, "found": [row.to_json() for row in found]}
        print(json.dumps(told, ensure_ascii=False, indent=2), file=out)
        return
    if not found:
        print(f'{site}: nothing was found in {days} days. With mode = "observe" pages are looked at as visitors come.', file=out)
        return
    table = [("HOST OR NAME", "AS", "PAGES", "COUNT", "DECISION", "REASON", "KNOWN AS")]
    for row in found:
        known = row.known + (" (by reports alone)" if row.forged else "")
        table.append((row.name, ",".join(row.kinds), str(row.pages or "-"), str(row.count), row.decision, row.reason, known))
    widths = [min(60, max(len(line[column]) for line in table)) for column in range(6)]
    for line in table:
        cells = [
            cell.rjust(width) if column in (2, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        print("  ".join([*cells, line[6]]).rstrip(), file=out)
    if any(row.commands() for row in found):
        print("\nDecide: volens hosts own|service|deny HOST. The configuration keeps its comments, and holds at once.", file=out)


@dataclass(frozen=True, slots=True)
class Written:
    """What was done: the line to tell, the copy of the file before, and what the configuration warns of now."""

    said: str
    backup: Path | None
    warnings: tuple[Mistake, ...]


def decide(path: Path, action: str, host: str, *, name: str = "", purposes: tuple[str, ...] = ()) -> Written:
    """Write the decision about ``host`` into the file. Raises ConfigError, and then the file is as it was."""
    catalog = Catalog.packaged()
    path = path.resolve()
    load(path, catalog)  # one that has mistakes already is mended by hand
    raw = path.read_bytes()
    text = raw.decode("utf-8-sig")
    host = host.strip().lower().rstrip(".")
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise _wrong(path, host, f"cannot be written: {error}.", "Write it by hand.") from error
    before: dict[str, Any] = tomllib.loads(text)
    meant = deepcopy(before)
    _for_all((document, meant), lambda values: _change(values, path, action, host, name, purposes, catalog))
    if meant == before:
        return Written(f"{host}: {path.name} says so already.", None, ())
    made = tomlkit.dumps(document)
    if "\r\n" in text:
        made = re.sub(r"(?<!\r)\n", "\r\n", made)
    if tomllib.loads(made) != meant:  # never seen; a comment lost is a nuisance, a setting lost is not
        raise _wrong(path, host, "could not be written without changing something else.", "Write it by hand.")
    loaded = parse(made, str(path), catalog, base=path.parent)
    backup = path.with_name(path.name + ".bak")
    data = (b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b"") + made.encode()
    try:
        _replace(backup, raw, path)
        _replace(path, data, path)
    except OSError as error:
        raise _wrong(path, host, f"cannot be written: {error}.", "See that this user may write there; nothing was changed.") from error
    said = {OWN: "the site's own", SERVICE: "a service that visitors are asked about", DENY: "denied, whatever the choice"}[action]
    return Written(f"{host}: {said}. Written to {path}; what stood there is in {backup.name}.", backup, loaded.warnings)


def _for_all(documents: tuple[Any, ...], change: Callable[[Any], None]) -> None:
    for document in documents:
        change(document)


def _wrong(path: Path, host: str, found: str, remedy: str) -> ConfigError:
    return ConfigError(str(path), (Mistake(host or "host", found, remedy),))


def _change(values: Any, path: Path, action: str, host: str, name: str, purposes: tuple[str, ...], catalog: Catalog) -> None:
    """The same change to the document that is written and to the plain values it must come to."""
    if not host:
        raise _wrong(path, host, "no host.", "Name one, as the list does: volens hosts own cdn.example.org")
    if action != OWN and host in values.get("names", ()):
        raise _wrong(path, host, "is a name of the site itself.", "It is the site's own; there is nothing to decide.")
    if action != OWN:
        _without(values, "hosts", host)
    if action != DENY:
        _without(values, "deny", host)
    if action == SERVICE:
        _service(values, path, host, name, purposes, catalog)
    else:
        _with(values, "hosts" if action == OWN else "deny", host)


def _with(values: Any, key: str, host: str) -> None:
    if key not in values:
        values[key] = [host]
    elif host not in values[key]:
        values[key].append(host)


def _without(values: Any, key: str, host: str) -> None:
    if key in values and host in values[key]:
        values[key].remove(host)
        if not values[key]:
            del values[key]


def _service(values: Any, path: Path, host: str, name: str, purposes: tuple[str, ...], catalog: Catalog) -> None:
    entry = catalog.host(host.removeprefix("*."))
    entry = entry if entry is not None and not entry.shared else None
    named = _id(name)
    services = values.get("services", {})
    chosen = next((id for id in services if id == named or (name and str(services[id].get("name", "")) == name)), None)
    if chosen is None and not name and entry is not None:
        chosen = next((id for id in services if services[id].get("catalog", id) == entry.id), None)
        named = named or entry.id
    if chosen is not None:
        held = services[chosen]
        of_catalog = catalog.service(str(held.get("catalog", chosen)))
        if _covers(held.get("hosts", ()) if "hosts" in held or of_catalog is None else (*of_catalog.hosts, *of_catalog.needs), host):
            return
        if "hosts" not in held and of_catalog is not None:
            held["hosts"] = [*of_catalog.hosts, *of_catalog.needs, host]
        else:
            _with(held, "hosts", host)
        return
    if not named:
        raise _wrong(path, host, "the catalog does not know it.", 'Say whose it is and what for: --name "Widget" --purpose reseaux-sociaux')
    made: dict[str, Any] = {}
    if entry is not None and not name:
        if purposes:
            made["purposes"] = list(purposes)
        if not _covers((*entry.hosts, *entry.needs), host):
            made["hosts"] = [*entry.hosts, *entry.needs, host]
    else:
        if not purposes:
            raise _wrong(path, host, f"{name} has no purpose.", "Say what it is for: --purpose video, as often as there are purposes.")
        made = {"name": name, "purposes": list(purposes), "hosts": [host]}
    if "services" not in values:
        values["services"] = tomlkit.table(is_super_table=True) if isinstance(values, tomlkit.TOMLDocument) else {}
    if isinstance(values, tomlkit.TOMLDocument):
        table = tomlkit.table()
        for key, value in made.items():
            table[key] = value
        values["services"][named] = table
    else:
        values["services"][named] = made


def _covers(patterns: Iterable[str], host: str) -> bool:
    return any(host_matches(pattern, host) for pattern in patterns)


def _id(name: str) -> str:
    """A service's id made of its name: lower-case letters, digits and ``-``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9]+", "-", plain)).strip("-")[:40]


def _replace(path: Path, data: bytes, like: Path) -> None:
    """Put ``data`` at ``path`` at once, readable by whom ``like`` is."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            state = os.stat(like)
            os.fchmod(file.fileno(), state.st_mode & 0o7777)
            with suppress(PermissionError):
                os.fchown(file.fileno(), state.st_uid, state.st_gid)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
