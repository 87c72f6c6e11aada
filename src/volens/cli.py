"""The command ``volens``: one table of subcommands; each declares its options, calls one function, and prints what it says."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeAlias

from volens.errors import ConfigError, VolensError

DEFAULT = "volens.toml"

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


# ------------------------------------------------------------------------ options that several commands have


def _named(commands: Actions, name: str, help: str) -> argparse.ArgumentParser:
    """A command, which says at the head of its own ``--help`` what it says in the list of all."""
    return commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=Path(DEFAULT), metavar="FILE", help=f"the site's configuration (default {DEFAULT})")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for machines")


def _browser(parser: argparse.ArgumentParser, use: str, without: str) -> None:
    """``arguments.browser``: True or False as asked for, None where it is used if there is one."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--browser", dest="browser", action="store_true", default=None, help=f"{use} in Chromium, fail where there is none")
    group.add_argument("--no-browser", dest="browser", action="store_false", help=without)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it as 2026-11-22") from None


def _serving(parser: argparse.ArgumentParser) -> None:
    """What whoever listens is told."""
    parser.add_argument("--listen", metavar="HOST:PORT", help="where to listen (default 127.0.0.1:8080)")
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"the site's configuration (default {DEFAULT} where it exists)")
    parser.add_argument("--unconfigured", action="store_true", help="run without configuration on an address others can reach")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument("--trust", action="append", metavar="NETWORK", help="a front whose X-Forwarded-* are believed; repeatable")
    parser.add_argument("--access-log", action="store_true", help="a line a request, without address or query")
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="json: one object a line, nothing of a person in it")


# ------------------------------------------------------------------------ the commands, each with its options


def _init_options(init: argparse.ArgumentParser) -> None:
    init.add_argument("url", metavar="URL", help="the site's first page")
    init.add_argument("--pages", type=int, default=10, metavar="N", help="own pages to visit (default 10)")
    init.add_argument("--out", type=Path, default=Path(DEFAULT), metavar="FILE", help=f"the file to write (default {DEFAULT})")
    init.add_argument("--force", action="store_true", help="write over a file that is there")
    init.add_argument("--controller", default="", metavar="NAME", help="who answers for the site: a person or a company")
    init.add_argument("--contact", default="", metavar="ADDRESS", help="an e-mail address, or a page, where rights are exercised")
    _browser(init, "visit", "visit by plain requests")
    init.add_argument(
        "--resolve", action="append", default=[], metavar="HOST=ADDRESS", help="where a host is that the DNS does not know yet; repeatable"
    )
    _json(init)


def _init(arguments: argparse.Namespace) -> int:
    from volens.init import run

    return run(
        arguments.url,
        arguments.out,
        pages=arguments.pages,
        browser=arguments.browser,
        force=arguments.force,
        json_=arguments.json,
        controller=arguments.controller,
        contact=arguments.contact,
        resolve=arguments.resolve,
        shown=sys.stdout,
        told=sys.stderr,
    )


def _demo_options(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--port", type=int, default=8000, metavar="N", help="port of the site (default 8000)")
    demo.add_argument("--no-volens", action="store_true", help="the same site without Volens")
    demo.add_argument("--tour", action="store_true", help="print the address of the tour through the fourteen promises")


def _demo(arguments: argparse.Namespace) -> int:
    try:
        from volens_demo import run
    except ImportError:
        print("volens demo: the demonstration is not installed. Use the source tree, or a package that has it.", file=sys.stderr)
        return 2
    run(arguments.port, volens=not arguments.no_volens, tour=arguments.tour)
    return 0


def _proxy_options(proxy: argparse.ArgumentParser) -> None:
    where = proxy.add_mutually_exclusive_group()
    where.add_argument("--upstream", metavar="URL", help="where the site listens: http://127.0.0.1:8600")
    where.add_argument("--folder", type=Path, metavar="DIR", help="the site is this folder of files")
    _serving(proxy)


def _serve_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("folder", type=Path, metavar="DIR", help="the folder")
    serve.set_defaults(upstream=None)
    _serving(serve)


def _proxy(arguments: argparse.Namespace) -> int:
    if not arguments.folder:
        return _serve_before(arguments)
    from volens.web.folder import serving

    if not arguments.folder.is_dir():
        print(f"volens {arguments.command}: {arguments.folder} is no folder. Name the one that holds the pages.", file=sys.stderr)
        return 2
    with serving(arguments.folder) as arguments.upstream:
        return _serve_before(arguments)


def _serve_before(arguments: argparse.Namespace) -> int:
    """Volens before ``arguments.upstream``, until it is told to stop."""
    from volens.catalog import Catalog
    from volens.config import load, outside
    from volens.web.live import Opened
    from volens.web.proxy import Gateway, serve
    from volens.web.runtime import open_unconfigured

    path: Path | None = arguments.config or (Path(DEFAULT) if Path(DEFAULT).exists() and not arguments.unconfigured else None)
    loaded = load(path, Catalog.packaged()) if path is not None else None
    if loaded is not None and arguments.folder:
        outside(loaded, arguments.folder)
    listen = arguments.listen or (loaded.listen if loaded else "127.0.0.1:8080")
    upstream = arguments.upstream or (loaded.upstream if loaded else "")
    if not upstream:
        print(
            "volens proxy: --upstream is missing. Say where the site listens: --upstream http://127.0.0.1:8600, or --folder DIR",
            file=sys.stderr,
        )
        return 2
    if loaded is None and not arguments.unconfigured and not _on_loopback(listen):
        print(
            f"volens proxy: {listen} can be reached by others, and there is no {DEFAULT}. Write one (volens check says what), "
            "or say --unconfigured to run a demonstration whose records prove nothing.",
            file=sys.stderr,
        )
        return 2
    for warning in loaded.warnings if loaded else ():
        print(f"{path}: {warning}", file=sys.stderr)
    if loaded is None:
        import tempfile

        folder = Path(tempfile.mkdtemp(prefix="volens-"))
        how = "no configuration: a demonstration. Accepting equals the raw page; records are not valid as proof."
        factory: Callable[[], Gateway] = lambda: open_unconfigured(folder)
    else:
        how = f"configuration {path}"

        def factory() -> Gateway:
            opened = Opened(loaded)
            opened()  # what is wrong with keys or ledger is told at once
            return opened

    trusted = arguments.trust or (list(loaded.trusted) if loaded and loaded.trusted else None)
    serve(
        factory,
        upstream=upstream,
        listen=listen,
        workers=arguments.workers,
        trusted=trusted,
        access_log=arguments.access_log,
        ready=lambda address: print(f"volens {arguments.command}: {address} -> {arguments.folder or upstream}, {how}", flush=True),
    )
    return 0


def _on_loopback(listen: str) -> bool:
    """Whether HOST:PORT can be reached from this machine alone."""
    import ipaddress

    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _build_options(build: argparse.ArgumentParser) -> None:
    build.add_argument("folder", type=Path, metavar="DIR", help="the pages")
    build.add_argument("out", type=Path, metavar="OUT", help="where they are written; made anew each time")
    _config(build)
    build.add_argument("--server", default="", metavar="URL", help="where volens serve DIR answers those who choose; the pages then ask")
    _json(build)


def _build(arguments: argparse.Namespace) -> int:
    from volens.build import build, nginx_files
    from volens.catalog import Catalog
    from volens.config import load

    built = build(load(arguments.config, Catalog.packaged()), arguments.folder, arguments.out, server=arguments.server)
    nginx = [str(path) for path in nginx_files(arguments.out.resolve())]
    if arguments.json:
        print(
            json.dumps(
                {"format": "volens-build/1", "pages": built.pages, "files": built.files, "asks": bool(arguments.server), "nginx": nginx}
            )
        )
    else:
        asks = f"ask, and {arguments.server} answers" if arguments.server else "ask nothing: what needs a yes is withheld from everyone"
        print(f"{arguments.out}: {built.pages} pages of {built.files} files. They {asks}.")
        print(f"Header fields are in _headers and .htaccess, and for nginx in {' and '.join(nginx)}.")
    return 0


def _wordpress_options(wordpress: argparse.ArgumentParser) -> None:
    wordpress.add_argument("folder", metavar="FOLDER", type=Path, help="where WordPress lies: the folder that holds wp-content")
    wordpress.add_argument("--name", required=True, metavar="HOST", help="the host visitors go to: www.example.org")
    wordpress.add_argument("--controller", required=True, metavar="NAME", help="who answers for the site: a person or a company")
    wordpress.add_argument("--contact", required=True, metavar="ADDRESS", help="an e-mail address, or a page, where rights are exercised")
    wordpress.add_argument(
        "--config", type=Path, default=Path(DEFAULT), metavar="FILE", help=f"the file to write, unless it is there (default {DEFAULT})"
    )


def _wordpress(arguments: argparse.Namespace) -> int:
    from volens.wordpress import install

    for path in install(arguments.folder, arguments.config, arguments.name, arguments.controller, arguments.contact):
        print(f"written: {path}")
    return 0


def _check_options(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        "config", nargs="?", type=Path, default=Path(DEFAULT), metavar="FILE", help=f"the site's configuration (default {DEFAULT})"
    )
    _json(check)
    check.add_argument("--preview", type=Path, metavar="DIR", help="draw every screen in every state, as pictures with an index.html")
    check.add_argument("--page", metavar="FILE|URL", help="a page as the site sends it: which consent tools it carries")
    check.add_argument("--cdn", metavar="URL", help="ask for a page as visitors in six states: whether a cache in front mixes them up")
    _browser(check, "measure the notice", "do not measure")


def _check(arguments: argparse.Namespace) -> int:
    if arguments.cdn:
        from volens import cdn

        return cdn.run(arguments.cdn, json=arguments.json, out=sys.stdout)
    from volens.check import run

    return run(
        arguments.config, json=arguments.json, browser=arguments.browser, folder=arguments.preview, page=arguments.page, out=sys.stdout
    )


def _catalog_options(catalog: argparse.ArgumentParser) -> None:
    catalog.add_argument("query", metavar="HOST|URL|NAME", help="a host, an address, a storage name or a service")
    _json(catalog)


def _catalog(arguments: argparse.Namespace) -> int:
    from volens.catalog import Catalog, describe, describe_text

    catalog = Catalog.packaged()
    found = describe(arguments.query, catalog)
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        print(describe_text(found))
    return 0 if found["sources"] else 1


def _bypass_options(bypass: argparse.ArgumentParser) -> None:
    bypass.add_argument("state", nargs="?", choices=("on", "off"), help="without it: what holds, and since when")
    bypass.add_argument("--reason", default="", metavar="TEXT", help="why, for the log")
    _config(bypass)
    _json(bypass)


def _bypass(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from volens.catalog import Catalog
    from volens.config import load
    from volens.web.live import bypass_state, set_bypass

    path = Path(load(arguments.config, Catalog.packaged()).bypass)
    if arguments.state is not None:
        set_bypass(path, arguments.state, arguments.reason, datetime.now(UTC))
    found = bypass_state(path)
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        since = f" since {found['time']}, by {found['by']}" if found["time"] else ""
        why = f": {found['reason']}" if found["reason"] else ""
        print(f"bypass {found['bypass']}{since}{why}. {'Pages pass as they are.' if found['bypass'] == 'on' else 'Volens is in force.'}")
    return 0


def _hosts_options(hosts: argparse.ArgumentParser) -> None:
    hosts.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "own", "service", "deny"),
        help="list: what was found (without an action too); own: HOST is the site's own; service: visitors are asked about it; "
        "deny: never, whatever the choice",
    )
    hosts.add_argument("host", nargs="?", metavar="HOST", help="the host that is decided about")
    hosts.add_argument("--name", default="", help="of a service that the catalog does not know, or that stands in the configuration")
    hosts.add_argument("--purpose", action="append", default=[], metavar="ID", help="what the service is for; repeatable")
    hosts.add_argument("--since", type=int, default=30, metavar="DAYS", help="how far back to look (default 30; kept for 90)")
    _config(hosts)
    _json(hosts)


def _hosts(arguments: argparse.Namespace) -> int:
    from volens import hosts

    if arguments.action == "list":
        hosts.show(arguments.config, max(1, arguments.since), sys.stdout, as_json=arguments.json)
        return 0
    if not arguments.host:
        print(f"volens hosts {arguments.action}: HOST is missing. Name one, as volens hosts lists it.", file=sys.stderr)
        return 2
    done = hosts.decide(arguments.config, arguments.action, arguments.host, name=arguments.name, purposes=tuple(arguments.purpose))
    if arguments.json:
        told = {"format": "volens-hosts-written/1", "said": done.said, "backup": str(done.backup) if done.backup else None}
        print(json.dumps({**told, "warnings": [str(warning) for warning in done.warnings]}, ensure_ascii=False))
        return 0
    print(done.said)
    for warning in done.warnings:
        if arguments.host in str(warning):
            print(f"  {warning}")
    return 0


def _witness_options(witness: argparse.ArgumentParser) -> None:
    witness.add_argument(
        "action",
        nargs="?",
        default="run",
        choices=("run", "init", "add", "key", "report"),
        help="run: answer until stopped (without an action too); init: write witness.toml and make the key; add: one more log; "
        "key: what publishers are told; report: what was refused",
    )
    witness.add_argument("key", nargs="?", default="", metavar="KEY", help="of the log to add: a line of its /_volens/log/keys")
    witness.add_argument("--name", default="", help="init: how the witness is called: temoin.example.org")
    witness.add_argument("--log", action="append", default=[], metavar="KEY", help="init: the key of a log it signs for; repeatable")
    witness.add_argument("--listen", default="", metavar="HOST:PORT", help="init: where it listens (default 127.0.0.1:8460)")
    witness.add_argument(
        "--config", type=Path, default=Path("witness.toml"), metavar="FILE", help="its configuration (default witness.toml)"
    )
    _json(witness)


def _witness(arguments: argparse.Namespace) -> int:
    from volens import witness

    return witness.run(
        arguments.action,
        arguments.config,
        name=arguments.name,
        logs=arguments.log,
        listen=arguments.listen or witness.LISTEN,
        key=arguments.key,
        as_json=arguments.json,
    )


def _part(parts: Actions, name: str, help: str) -> argparse.ArgumentParser:
    """An action on the notices or on the ledger of one site."""
    part = _named(parts, name, help)
    _config(part)
    _json(part)
    return part


def _notice_options(notice: argparse.ArgumentParser) -> None:
    parts = notice.add_subparsers(dest="action", metavar="ACTION", required=True)
    _part(parts, "list", "every version, since when it was asked, and what was kept of it")
    show = _part(parts, "show", "a version as visitors saw it, whatever Volens has become since")
    show.add_argument("digest", metavar="DIGEST", help="the version's digest, or how it begins")
    show.add_argument("--language", default="", metavar="TAG", help="which language (default: the notice's first)")
    show.add_argument("--layer", choices=("first", "panel"), default="first", help="which layer (default first)")
    show.add_argument("--on", default="", metavar="DAY", help="as it was drawn on that day, 2026-11-22 (default: the last way)")
    show.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: standard output)")
    diff = _part(parts, "diff", "what a later version says differently, and who is asked again because of it")
    diff.add_argument("before", metavar="A", help="the digest of the earlier one, or how it begins")
    diff.add_argument("after", metavar="B", help="that of the later one")
    snapshot = _part(parts, "snapshot", "pictures of the present version in Chromium: two widths, light and dark, every language")
    snapshot.add_argument("--out", type=Path, metavar="DIR", help="write the pictures there, too")


def _notice(arguments: argparse.Namespace) -> int:
    from volens import custody, notices

    with custody.opened(arguments.config, new=arguments.action == "snapshot") as (loaded, store):
        site, said = loaded.site, {"as_json": arguments.json, "out": sys.stdout}
        if arguments.action == "list":
            return notices.run_list(store, site, **said)
        if arguments.action == "diff":
            return notices.run_diff(store, site, arguments.before, arguments.after, **said)
        if arguments.action == "snapshot":
            return notices.run_snapshot(store, site, folder=arguments.out, **said)
        how = {name: getattr(arguments, name) for name in ("language", "layer", "on")}
        return notices.run_show(store, site, arguments.digest, path=arguments.out, **how, **said)


def _evidence_options(evidence: argparse.ArgumentParser) -> None:
    evidence.add_argument("--from", dest="since", type=_day, required=True, metavar="DAY", help="from this day on, 2026-11-22 (UTC)")
    evidence.add_argument("--to", dest="until", type=_day, required=True, metavar="DAY", help="up to this day, included")
    evidence.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default evidence-SITE-FROM-TO.zip)")
    evidence.add_argument("--sample", type=int, default=20, metavar="N", help="records that the log's own fingerprint draws (default 20)")
    evidence.add_argument("--records", action="store_true", help="put the whole ledger in, as an archive")
    _config(evidence)
    _json(evidence)


def _evidence(arguments: argparse.Namespace) -> int:
    from volens import custody, evidence

    with custody.opened(arguments.config) as (loaded, store):
        which = {"sample": max(0, arguments.sample), "records": arguments.records}
        said = {"as_json": arguments.json, "out": sys.stdout}
        return evidence.run(store, loaded, arguments.since, arguments.until, arguments.out, **which, **said)


def _ledger_options(ledger: argparse.ArgumentParser) -> None:
    actions = ledger.add_subparsers(dest="action", metavar="ACTION", required=True)
    verify = _part(actions, "verify", "check every record, the tree over them, and what was signed and published of it")
    verify.add_argument(
        "--key", action="append", default=[], metavar="VKEY|FILE", help="the log's public key (default: the site's own file); repeatable"
    )
    verify.add_argument("--witness", action="append", default=[], metavar="VKEY|FILE", help="a witness that must have signed; repeatable")
    verify.add_argument(
        "--against", action="append", default=[], type=Path, metavar="FILE", help="a receipt or checkpoint that somebody holds; repeatable"
    )
    verify.add_argument("--processes", type=int, metavar="N", help="how many check (default: as many as the machine has)")
    _part(actions, "stats", "how much is there, by counts that are kept")
    _part(actions, "checkpoint", "the newest that was published, with the witnesses' signatures")
    export = _part(actions, "export", "everything as an archive, or records as a table")
    export.add_argument("--format", choices=("archive", "csv", "jsonl", "receipts"), default="archive", help="default archive")
    export.add_argument(
        "--out", type=Path, metavar="FILE", help="the file to write (an archive ending in .gz is packed; tables: standard output)"
    )
    export.add_argument("--service", default="", metavar="ID", help="who has allowed this service what, since when and until when")
    export.add_argument("--from", dest="since", type=_day, metavar="DAY", help="records from this day on, 2026-11-22 (UTC)")
    export.add_argument("--to", dest="until", type=_day, metavar="DAY", help="up to this day, included")
    backup = _part(actions, "backup", "everything as an archive, consistent while grants come in")
    backup.add_argument("file", type=Path, metavar="FILE", help="the file to write; packed where it ends in .gz")
    read = _part(
        actions, "import", "an archive into an empty ledger, which goes on as the same log; checked whole before anything is written"
    )
    read.add_argument("file", type=Path, metavar="FILE", help="the archive")
    read.add_argument("--other-key", action="store_true", help="go on although another key signs here than the one that signed the archive")
    show = _part(actions, "show", "all that is kept of one browser, with proofs")
    _whose(show)
    show.add_argument("--out", type=Path, metavar="FILE", help="write it for the person: records, notices and proofs")
    erase = _part(actions, "erase", "say what would be erased, or do it")
    whose = _whose(erase)
    whose.add_argument("--older-than", type=int, metavar="DAYS", help="every record of more than so many days")
    whose.add_argument("--retention", action="store_true", help="every record whose time is over by [retention]")
    erase.add_argument("--yes", action="store_true", help="do it")


def _whose(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Whose records: by one way and no more."""
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--receipt", type=Path, metavar="FILE", help="by the receipt that the visitor holds")
    whose.add_argument(
        "--record", default="", metavar="COOKIE", help="by the value of the visitor's cookie volens-record, or the record's id"
    )
    return whose


def _ledger(arguments: argparse.Namespace) -> int:
    from volens import custody

    action, said = arguments.action, {"as_json": arguments.json, "out": sys.stdout}
    with custody.opened(arguments.config, new=action == "import") as (loaded, store):
        if action == "verify":
            how = {"keys": arguments.key, "witnesses": arguments.witness, "against": arguments.against, "processes": arguments.processes}
            return custody.run_verify(loaded, store, **how, **said)
        if action == "stats":
            return custody.run_stats(loaded, store, **said)
        if action == "checkpoint":
            return custody.run_checkpoint(loaded, store, **said)
        if action == "import":
            return custody.run_import(loaded, store, arguments.file, other_key=arguments.other_key, **said)
        if action == "backup":
            return custody.run_backup(loaded, store, arguments.file, **said)
        if action == "export" and arguments.format == "archive" and not (arguments.service or arguments.since or arguments.until):
            if arguments.out is None:
                print(
                    "volens ledger export: an archive needs a file: --out FILE. A table may go to standard output: --format csv.",
                    file=sys.stderr,
                )
                return 2
            return custody.run_backup(loaded, store, arguments.out, **said)
        if action == "export":
            form = "jsonl" if arguments.format == "archive" else arguments.format
            which = {"service": arguments.service, "since": arguments.since, "until": arguments.until}
            return custody.run_export(loaded, store, form, arguments.out, **which, out=sys.stdout)
        if action == "show":
            return custody.run_show(loaded, store, arguments.receipt, arguments.record, path=arguments.out, **said)
        whose = {
            "receipt": arguments.receipt,
            "cookie": arguments.record,
            "days": arguments.older_than,
            "by_retention": arguments.retention,
        }
        return custody.run_erase(loaded, store, **whose, yes=arguments.yes, **said)


def _keys_options(keys: argparse.ArgumentParser) -> None:
    keys.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "add", "use", "drop", "rotate"),
        help="list: which signs, which verify (without an action too); add: a new one that verifies; use: the newest signs from now on; "
        "drop: the oldest goes; rotate: add and use",
    )
    keys.add_argument(
        "--log",
        action="store_true",
        help="the keys that sign the log instead: list, rotate (the one before vouches for the new one), drop (its secret goes)",
    )
    keys.add_argument("--force", action="store_true", help="drop a key although choices that only it proves are still valid")
    _config(keys)
    _json(keys)


def _keys(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from volens.catalog import Catalog
    from volens.config import load
    from volens.web import keys

    loaded = load(arguments.config, Catalog.packaged())
    if arguments.log:
        return _log_keys(arguments, Path(loaded.log_key), loaded.site.name)
    path = Path(loaded.keys)
    if arguments.action != "list":
        keys.change(path, arguments.action, datetime.now(UTC).date(), loaded.site.notice.months, force=arguments.force)
    found = keys.describe(path)
    if arguments.json:
        print(json.dumps(found, indent=2))
    for key in found if not arguments.json else ():
        made, until = (f", {name} {key[name]}" if key[name] else "" for name in ("made", "until"))
        print(f"{key['id']}  {key['does']}{made}{until}")
    return 0


def _log_keys(arguments: argparse.Namespace, path: Path, site: str) -> int:
    from volens.ledger import keyring

    if arguments.action != "list":
        keyring.change(path, site, arguments.action)
    found = keyring.describe(path, site)
    if arguments.json:
        print(json.dumps(found, indent=2))
    for key in found if not arguments.json else ():
        print(f"{key['key']}  {key['does']}")
    return 0


def _verify_options(verify: argparse.ArgumentParser) -> None:
    verify.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="what to check, also against each other; a folder is a copy of a log"
    )
    verify.add_argument("--key", action="append", default=[], metavar="VKEY|FILE", help="the log's public key; repeatable")
    verify.add_argument("--witness", action="append", default=[], metavar="VKEY|FILE", help="a witness that must have signed; repeatable")
    verify.add_argument("--quorum", type=int, metavar="N", help="how many of these witnesses must have (default: each)")
    verify.add_argument(
        "--archive", action="append", default=[], type=Path, metavar="FILE", help="a whole log to hold the others against; repeatable"
    )
    verify.add_argument("--processes", type=int, metavar="N", help="for whole logs (default: as many as the machine has)")
    verify.add_argument("--page", action="store_true", help="print a page that checks receipts and bundles in a browser, by itself")
    _json(verify)


def _verify(arguments: argparse.Namespace) -> int:
    from volens import verify

    if arguments.page:
        sys.stdout.write(verify.page())
        return 0
    paths = [*arguments.files, *arguments.archive]
    if not paths:
        print("volens verify: FILE is missing. Name a receipt, a bundle, checkpoints or an archive.", file=sys.stderr)
        return 2
    return verify.run(
        paths, arguments.key, arguments.witness, arguments.quorum, arguments.processes, as_json=arguments.json, out=sys.stdout
    )


# ------------------------------------------------------------------------ all of them


@dataclass(frozen=True)
class Command:
    """A subcommand: what it does in a line, what it may be told, and what runs it and gives the exit status."""

    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS: Mapping[str, Command] = {
    "init": Command("visit a site, tell what it loads and keeps, and propose its volens.toml", _init_options, _init),
    "demo": Command("a French news site behind Volens, with third parties, on this machine", _demo_options, _demo),
    "proxy": Command("a reverse proxy before any site", _proxy_options, _proxy),
    "serve": Command("a folder of pages as a site behind Volens", _serve_options, _proxy),
    "build": Command("a folder of pages that any web server can serve, with what is not granted withheld", _build_options, _build),
    "wordpress": Command("what a WordPress needs to stand behind the proxy: volens.toml and its plugin", _wordpress_options, _wordpress),
    "check": Command("every mistake of a configuration, and whether refusing is as easy as accepting", _check_options, _check),
    "catalog": Command("what the catalog knows of a host or a storage name, and from where", _catalog_options, _catalog),
    "bypass": Command("let pages pass as they are, in every running process, and end it; each time is logged", _bypass_options, _bypass),
    "hosts": Command(
        "list what pages were found to use, and write what is decided of a host into the configuration", _hosts_options, _hosts
    ),
    "witness": Command("sign what other people's logs say of themselves, each size once (C2SP tlog-witness)", _witness_options, _witness),
    "notice": Command(
        "every version of the notice that was ever asked: list, show as it was, compare, photograph", _notice_options, _notice
    ),
    "evidence": Command(
        "for an authority that asks: everything that proves consent over some days, in one file", _evidence_options, _evidence
    ),
    "ledger": Command("check, count, copy, hand out and erase what the ledger holds", _ledger_options, _ledger),
    "keys": Command("the keys that prove a grant: list, and replace them without voiding any", _keys_options, _keys),
    "verify": Command(
        "receipts, bundles, checkpoints, archives and copies of a log: whether what they say holds", _verify_options, _verify
    ),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="volens", description="Consent that is asked plainly, obeyed in every layer, and provable.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.options(_named(commands, name, command.help))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0 done, 1 found something wrong, 2 could not be done."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.version:
        from importlib.metadata import version

        print(version("volens"))
        return 0
    if arguments.command is None:
        parser.print_help()
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if getattr(arguments, "log_format", "") == "json":
        from volens.web.logs import Json

        for handler in logging.getLogger().handlers:
            handler.setFormatter(Json())
    try:
        return COMMANDS[arguments.command].run(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except VolensError as error:
        print(f"volens: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read has seen enough: | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
