"""``volens build DIR OUT``: a folder of pages made into one that any web server can serve, with what is not granted withheld.

No server of ours answers there, so nothing can be recorded and nothing granted (docs/decisions): the pages are those of a
visitor who has refused, and do not ask. With ``server`` they ask, and who answers is sent to a running ``volens serve``.
"""

from __future__ import annotations

import mimetypes
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from urllib.parse import quote

from volens.catalog import Catalog
from volens.config import Loaded, outside
from volens.enforce.exchange import WHOLE, Exchange, Learnt, Memo
from volens.enforce.headers import Pairs
from volens.errors import ConfigError, Mistake
from volens.foreign import Tools
from volens.ledger.sqlite import SqliteStore
from volens.web.gateway import Gateway
from volens.web.keys import new_key
from volens.web.messages import Request

MARK = "volens-build.txt"
"""A file that says a folder was made by ``build`` and may be made again."""
_PAGES = ("text/html", "application/xhtml+xml")
_KEPT = ("content-security-policy", "permissions-policy", "referrer-policy", "x-dns-prefetch-control")
"""Header fields of a page that the web server must send."""
_FORM = re.compile(r'<form method="post" action="[^"]*choice".*?</form>', re.DOTALL)
_GUARD = re.compile(rb"<script data-volens=")
_ODD = re.compile(r'[\x00-\x1f\x7f"\\$*?\[\]{}]')
"""What in a page's name would end a line or a string of a web server's configuration, or stand for other pages."""

_Headers = Mapping[str, Mapping[str, str]]
"""Header fields by page."""


@dataclass(frozen=True)
class Built:
    """What was made."""

    pages: int
    files: int
    headers: _Headers


def build(loaded: Loaded, source: Path, out: Path, *, server: str = "") -> Built:
    """Make ``out`` of ``source``. Raises ConfigError where ``out`` holds something else, or lies in ``source``.

    ``server``: the address of a ``volens serve`` that answers those who choose; the pages then ask.
    """
    source, out = source.resolve(), out.resolve()
    if not source.is_dir():
        raise ConfigError(str(source), (Mistake("DIR", "is no folder.", "Name the folder that holds the pages."),))
    outside(loaded, source)
    if out == source or source in out.parents or out in source.parents:
        raise ConfigError(str(out), (Mistake("OUT", f"lies in {source}, or holds it.", "Name a folder beside it."),))
    if out.exists() and any(out.iterdir()) and not (out / MARK).is_file():
        raise ConfigError(str(out), (Mistake("OUT", "holds files that volens build has not made.", "Name another, or empty it."),))
    with tempfile.TemporaryDirectory(prefix="volens-build-") as folder:
        store = SqliteStore(Path(folder) / "volens.db")
        gateway = Gateway(replace(loaded.site, hook=None, audience=None), Catalog.packaged(), store, [new_key()])
        made = Path(folder) / "out"
        made.mkdir()
        try:
            built = _written(gateway, loaded, source, made, asks=bool(server))
        finally:
            gateway.close()
        (made / MARK).write_text("Made by volens build: made anew each time, so change nothing here.\n")
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        _headers(made, out, built, server, loaded.site.prefix)
        shutil.copytree(made, out)
    return built


def _written(gateway: Gateway, loaded: Loaded, source: Path, made: Path, *, asks: bool) -> Built:
    headers: dict[str, dict[str, str]] = {}
    count = 0
    for file in sorted(source.rglob("*")):
        name = file.relative_to(source)
        if (
            any(part.startswith(".") and part != ".well-known" for part in name.parts)
            or not file.is_file()
            or source not in file.resolve().parents
        ):
            continue
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        count += 1
        if not kind.startswith("text/") and kind not in _PAGES:
            shutil.copyfile(file, made / name)
            continue
        pairs, body = _page(gateway, loaded, "/" + name.as_posix(), kind, file.read_bytes(), asks=asks)
        if kind in _PAGES:
            found = {key.decode().lower(): value.decode("latin-1") for key, value in pairs if key.decode().lower() in _KEPT}
            headers["/" + name.as_posix()] = found
            body = _GUARD.sub((_first(pairs, found) + b"<script data-volens=").replace(b"\\", b"\\\\"), body, count=1)
        (made / name).write_bytes(body)
    own = made / loaded.site.prefix.strip("/")
    own.mkdir(parents=True, exist_ok=True)
    for served, (data, _) in gateway.assets.files.items():
        (own / served).write_bytes(data)
    for served, tool in Tools.packaged().files.items():  # what stands in for a consent tool
        (own / served).write_text(tool.stand_in, "utf-8")
    return Built(len(headers), count, headers)


def _page(gateway: Gateway, loaded: Loaded, path: str, kind: str, body: bytes, *, asks: bool) -> tuple[Pairs, bytes]:
    """One file as a visitor without a choice has it."""
    site = loaded.site
    host = next((name for name in site.notice.scope if not name.startswith("*")), site.name)
    document = b"document" if kind in _PAGES else b"empty"
    pairs: Pairs = [(b"host", host.encode()), (b"accept", b"text/html"), (b"sec-fetch-dest", document)]
    visit = gateway.visit(Request("GET", quote(path).encode(), pairs, "https", host, ""))
    state = visit._state
    if not asks:
        place = state.place
        state = replace(
            state,
            dress=lambda language: "",
            area=(lambda path, id, language: "") if state.area else None,
            place=(lambda withheld: _FORM.sub("", place(withheld))) if place else None,
        )
    exchange = Exchange(state, Memo(), Learnt())
    exchange.ask(pairs, quote(path).encode())
    head: Pairs = [(b"content-type", kind.encode())]
    if len(body) <= WHOLE:
        _, head, body = exchange.whole(200, head, body)
        return head, body
    _, head = exchange.head(200, head)
    return head, exchange.feed(body) + exchange.finish()


def _first(pairs: Pairs, found: Mapping[str, str]) -> bytes:
    """What must stand before all else in a page whose web server says neither its encoding nor its policy: the guard is longer than
    the 1024 bytes in which a browser looks for the encoding."""
    kind = next((value.decode("latin-1") for key, value in pairs if key.lower() == b"content-type"), "")
    charset = re.search(r"charset=\"?([\w.:-]+)", kind, re.IGNORECASE)
    said = f'<meta charset="{charset[1]}"/>' if charset else ""
    if policy := found.get("content-security-policy"):
        said += f'<meta http-equiv="Content-Security-Policy" content="{escape(_in_page(policy))}"/>'
    return said.encode("ascii", "xmlcharrefreplace")


def _in_page(policy: str) -> str:
    """Without what a policy in a page may not say (CSP3 4.3)."""
    parts = [part.strip() for part in policy.split(";")]
    return "; ".join(part for part in parts if part and part.split()[0] not in ("frame-ancestors", "report-uri", "sandbox", "report-to"))


def _headers(made: Path, out: Path, built: Built, server: str, prefix: str) -> None:
    """The same header fields as three web servers read them; a page with an odd name has them in itself only."""
    headers = {page: fields for page, fields in built.headers.items() if not _ODD.search(page)}
    _for_hosts(made, headers)
    _for_apache(made, headers)
    _for_nginx(out, headers, server, prefix)


def _for_hosts(made: Path, headers: _Headers) -> None:
    lines = ["# For Netlify, Cloudflare Pages and others that read this file. Made by volens build."]
    for page, fields in headers.items():
        for path in dict.fromkeys((page, page.removesuffix("index.html") if page.endswith("/index.html") else page)):
            lines += [path, *(f"  {name.title()}: {value}" for name, value in fields.items())]
    (made / "_headers").write_text("\n".join(lines) + "\n")


def _for_apache(made: Path, headers: _Headers) -> None:
    folders: dict[str, list[str]] = {}
    for page, fields in headers.items():
        folder, _, name = page.rpartition("/")
        lines = [f'    Header always set {field.title()} "{value}"' for field, value in fields.items()]
        folders.setdefault(folder, []).append("\n".join([f'<Files "{name}">', *lines, "</Files>"]))
    for folder, parts in folders.items():
        text = "# For Apache, with mod_headers and AllowOverride FileInfo. Made by volens build.\n" + "\n".join(parts) + "\n"
        (made / folder.strip("/") / ".htaccess").write_text(text)


def _for_nginx(out: Path, headers: _Headers, server: str, prefix: str) -> None:
    """Where there is a ``server``, it answers below the reserved path, and who has answered."""
    names = {name: f"$volens_{name.replace('-', '_')}" for name in sorted({name for fields in headers.values() for name in fields})}
    outer = ["# For nginx, in http { }: include this file; in server { }: include the other. Made by volens build."]
    for name, variable in names.items():
        outer += [f"map $uri {variable} {{", '    default "";']
        outer += [f'    "{page}" "{_escaped(fields[name])}";' for page, fields in headers.items() if name in fields]
        outer.append("}")
    inner = [f"add_header {name.title()} {variable} always;" for name, variable in names.items()]
    if server:
        outer += [
            'map "$http_cookie;$http_sec_gpc" $volens_answered {',
            "    default 0;",
            '    "~*(^|[; ])volens=" 1;',
            '    "~;1$" 1;',
            "}",
        ]
        passing = (
            f"proxy_pass {server}; proxy_http_version 1.1; proxy_set_header Host $http_host; "
            "proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;"
        )
        inner += [
            'add_header Vary "Cookie, Sec-GPC" always;',
            "error_page 418 = @volens;",
            "if ($volens_answered) { return 418; }",
            f"location {prefix} {{ {passing} }}",
            f"location @volens {{ {passing} }}",
        ]
    for file, lines in zip(nginx_files(out), (outer, inner), strict=True):
        file.write_text("\n".join(lines) + "\n")


def nginx_files(out: Path) -> tuple[Path, Path]:
    """Where the parts of nginx's configuration are written, beside the folder, since what is in it is published: for ``http { }``,
    and for ``server { }``."""
    return out.with_name(out.name + ".nginx-http.conf"), out.with_name(out.name + ".nginx-server.conf")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
