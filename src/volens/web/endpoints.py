"""The reserved path: what is answered below it, and by whom. Plain request in, reply out (or one that waits for the ledger)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from volens.choice import RECORD_COOKIE, host_only
from volens.enforce.headers import get
from volens.enforce.url import Target, resolve, text_of
from volens.findings import REPORT
from volens.foreign import Tools
from volens.ledger.record import Record
from volens.policy import Decision
from volens.site import Gate
from volens.web.admin import Admin
from volens.web.asked import Asked, Fields, local
from volens.web.choosing import Choosing
from volens.web.embeds import Embeds
from volens.web.logfiles import LogFiles
from volens.web.messages import Reply, Waiting
from volens.web.observe import reported
from volens.web.proofs import Proofs
from volens.web.rate import Rate
from volens.web.replies import NO_STORE, file_reply, json_reply, see, unread_by_opener, wants_json
from volens.web.rights import Rights, shown
from volens.web.screens import Screens
from volens.web.verify_page import verify_page
from volens.web.watch import Watch

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

log = logging.getLogger("volens")

REPORTS = (20.0, 200.0)
"""Browsers' reports that a process reads a second, and at once; further ones are answered and dropped."""
_DIALOG = re.compile(r"panel-([a-z]{2,3})-[0-9a-f]{8}\.js")


class Endpoints:
    """Answers below the reserved path."""

    def __init__(self, gateway: Gateway, rate: Rate | None = None) -> None:
        self._gateway, self._pages = gateway, gateway.pages
        self.rate = rate or Rate()
        """How often each address may answer."""
        self._reports = Rate(*REPORTS)
        self._admin = Admin(gateway, self.rate)
        self._watch = Watch(gateway, self._admin)
        self._rights = Rights(gateway)
        self._proofs = Proofs(gateway, self._rights.reader)
        self._log = LogFiles(gateway)
        self._embeds = Embeds(gateway)
        self._choosing = Choosing(gateway, self.rate, self._embeds, self._proofs)
        self._routes: dict[str, Callable[[Asked], Reply | Waiting]] = {
            "choice": self._choosing.choice,
            "choice.json": self._choice_json,
            "panel": self._panel,
            "band": self._band,
            "policy": self._policy,
            "policy.json": self._policy,
            "rights": self._shown_rights,
            "forget": self._choosing.forget,
            "embed/frame": self._embeds.frame,
            "embed/script": self._embeds.script,
            "out": self._out,
            "report": self._report,
            "health": self._health,
            "ready": self._watch.ready,
            "metrics": self._watch.metrics,
            "verify": verify_page,
        }

    def answer(self, asked: Asked) -> Reply | Waiting:
        """The reply for a path below the prefix; 404 where there is nothing."""
        path = asked.request.target.partition(b"?")[0].decode("latin-1")
        name = path[len(asked.site.prefix) :]
        route = self._routes.get(name)
        if route is not None:
            allowed = (
                ("POST",) if name in ("choice", "report") else ("GET", "HEAD", "POST") if name in ("out", "forget") else ("GET", "HEAD")
            )
            if asked.request.method not in allowed:
                return self._pages.refused(asked, 405, "method", (b"allow", ", ".join(allowed).encode()))
            return route(asked)
        if name == "admin" or name.startswith("admin/"):
            return self._admin.answer(asked, name)
        logged = self._log.answer(asked, name[4:]) if name.startswith("log/") else None
        if logged is not None:
            return logged
        if name.startswith("receipt/"):
            return self._proofs.answer(asked, name[8:]) or self._pages.nothing(asked)
        if asked.request.method not in ("GET", "HEAD"):
            return self._pages.nothing(asked)
        found = self._gateway.assets.files.get(name)
        if found is not None:
            return file_reply(asked.request, *found, kept=name not in [f"{stem}.js" for stem in self._gateway.assets.names])
        tool = Tools.packaged().files.get(name)
        if tool is not None:
            return file_reply(asked.request, tool.stand_in.encode(), "text/javascript; charset=utf-8", kept=True)
        panel = _DIALOG.fullmatch(name)
        if panel and panel[1] in asked.site.notice.languages:
            now, data = self._screens(asked).dialog(panel[1])
            return file_reply(asked.request, data, "text/javascript; charset=utf-8", kept=name == now)
        return self._pages.nothing(asked)

    def _screens(self, asked: Asked) -> Screens:
        return self._gateway.screens(asked.site)

    def _panel(self, asked: Asked) -> Reply:
        fields = asked.query
        if asked.site.theirs is not None:  # one notice: theirs
            back = quote(local(fields.get("back")), safe="/")
            return see(f"{asked.site.prefix}policy?language={asked.language_in(fields)}&back={back}#theirs")
        text = self._screens(asked).panel(
            asked.grant,
            asked.language_in(fields),
            local(fields.get("back")),
            choice_text=asked.choice.text() if asked.choice else "",
            objects=asked.request.objection,
        )
        return self._pages.page(asked.site, 200, text)

    def _band(self, asked: Asked) -> Reply:
        """What stands in every page, for one that stays while the choice changes."""
        fields = asked.query
        body = self._screens(asked).dress(asked.grant, asked.language_in(fields)).body
        return self._pages.page(asked.site, 200, "<!DOCTYPE html>" + body.replace(Screens.BACK, escape(local(fields.get("back")))))

    def _policy(self, asked: Asked) -> Reply:
        """The page, or its JSON twin: by its own address or by Accept."""
        fields = asked.query
        language, screens = asked.language_in(fields), self._screens(asked)
        if asked.request.target.partition(b"?")[0].endswith(b".json") or wants_json(asked.request.pairs):
            told = screens.policy_json(asked.grant, language, record_id=shown(asked), objects=bool(asked.request.objection))
            reply = json_reply(200, told)
        else:
            text = screens.policy(
                asked.grant,
                language,
                local(fields.get("back")),
                choice_text=asked.choice.text() if asked.choice else "",
                record_id=shown(asked),
                objects=asked.request.objection,
            )
            reply = self._pages.page(asked.site, 200, text)
        vary = (b"vary", b"Accept, Cookie, Sec-GPC, DNT, Accept-Language")
        return unread_by_opener(replace(reply, pairs=[*(p for p in reply.pairs if p[0] != b"vary"), vary]))

    def _report(self, asked: Asked) -> Reply:
        """What a browser says our policy refused. Whatever is sent, the answer is the same, and says nothing."""
        findings, pairs = self._gateway.findings, asked.request.pairs
        from_here = (get(pairs, b"sec-fetch-site") or b"same-origin").strip().lower() == b"same-origin"
        if findings is not None and from_here and not self._reports.allows("", time.monotonic()):
            try:
                findings.add(asked.site.name, REPORT, reported(asked.content_type, asked.request.body, asked.host))
            except Exception:
                log.exception("a report could not be read")
        return Reply(204, [NO_STORE])

    def _shown_rights(self, asked: Asked) -> Reply | Waiting:
        """What is kept of the choice, shown to whom it is about (GDPR 15; R20)."""
        fields = asked.query

        def make(recorded: Record | None, unavailable: bool) -> Reply:
            text = self._screens(asked).rights(
                asked.grant,
                asked.language_in(fields),
                local(fields.get("back")),
                choice_text=asked.choice.text() if asked.choice else "",
                record_id=shown(asked),
                record_name=host_only(RECORD_COOKIE, asked.request.scheme),
                recorded=recorded,
                unavailable=unavailable,
            )
            return unread_by_opener(self._pages.page(asked.site, 200, text))

        return self._rights.recorded(asked, make)

    def _choice_json(self, asked: Asked) -> Reply | Waiting:
        """The same as a file (GDPR 20)."""
        language = asked.language_in(asked.query)

        def make(recorded: Record | None, unavailable: bool) -> Reply:
            reply = unread_by_opener(json_reply(200, self._rights.taken(asked, language, recorded, unavailable)))
            name = re.sub(r"[^\w.-]", "-", asked.site.name, flags=re.ASCII)
            return replace(reply, pairs=[*reply.pairs, (b"content-disposition", f'attachment; filename="choice-{name}.json"'.encode())])

        return self._rights.recorded(asked, make)

    def _health(self, asked: Asked) -> Reply:
        return json_reply(200, {"ok": True})

    def _out(self, asked: Asked) -> Reply:
        """A form of the site's page that leads to a host not allowed: said plainly, and sent only by the visitor's own press."""
        query = asked.query
        target = resolve(query.get("u")[:8192], Target(asked.request.scheme, asked.host, "/"))
        if target.scheme not in ("http", "https") or not target.host:
            return self._pages.nothing(asked)
        method = asked.request.method
        fields = (
            Fields.read(asked.content_type, asked.request.body) if method == "POST" else Fields([p for p in query.pairs if p[0] != "u"])
        )
        text = self._screens(asked).leaving(
            text_of(target), asked.language_in(query), "post" if method == "POST" else "get", fields.pairs, local(query.get("back"))
        )
        reply = self._pages.page(asked.site, 200, text)
        source = f"{target.scheme}://{target.host}" + (f":{target.port}" if target.port else "")
        pairs = [(k, v.replace(b"form-action 'self'", b"form-action 'self' " + source.encode("latin-1"))) for k, v in reply.pairs]
        return Reply(200, pairs, reply.body)

    def gate(self, asked: Asked, gate: Gate, decision: Decision) -> Reply:
        """403: what to allow and why, with what was typed (P4)."""
        request = asked.request
        if wants_json(request.pairs):
            value = {
                "type": "about:blank",
                "title": "Forbidden",
                "status": 403,
                "detail": f"This needs the purpose {gate.purpose!r}, which the visitor has not granted.",
                "purpose": gate.purpose,
                "reason": decision.reason.value,
                "panel": asked.site.prefix + "panel",
            }
            return json_reply(403, value, "application/problem+json")
        if asked.site.theirs is not None:
            return self._pages.page(asked.site, 403, self._screens(asked).problem("theirs", asked.language, back=asked.came_from))
        # What another site's page wrote the visitor did not type: our button must not send it as if they had.
        method = "GET" if asked.written_elsewhere else request.method
        fields = Fields.read(asked.content_type, request.body) if method not in ("GET", "HEAD") else Fields([])
        back = asked.came_from
        text = self._screens(asked).gate(
            gate,
            decision,
            asked.language,
            method,
            local(request.target.decode("latin-1")),
            fields.pairs,
            grant=asked.grant,
            back=back,
            token=self._pages.token(asked) if not asked.tells_origin else "",
            files_lost=fields.files,
        )
        return self._pages.page(asked.site, 403, text)
