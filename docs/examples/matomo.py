"""A site with what stands for Matomo under its own name: the same cookies, addresses and lifetimes, and nothing kept but a list.

    python docs/examples/matomo.py 8600
    volens proxy --config docs/examples/matomo.toml --upstream http://127.0.0.1:8600 --listen 127.0.0.1:8080

Open http://journal.localhost:8080/, refuse, read on: ``_pk_id`` is set and read, and every page is in http://127.0.0.1:8600/matomo/visits.
"""

from __future__ import annotations

import json
import re
import sys
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

HOW_TO = Path(__file__).parents[1] / "how-to" / "matomo.md"
SNIPPET = re.findall(r"```html\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
"""The tracking code and the objection, as the how-to has them."""

PAGE = """<!DOCTYPE html><html lang="fr"><head><meta charset="utf-8"><title>Journal</title>
{tracking}</head><body><h1>{title}</h1><p><a href="/suite">Lire la suite</a></p>
{objection}<noscript><img src="/matomo/matomo.php?idsite=1&amp;rec=1" alt=""></noscript>
<script src="https://www.google-analytics.com/analytics.js"></script></body></html>"""

SCRIPT = """
(function () {
  var set = { id: 33955200, ses: 1800, site: 1, url: '' }, out = 'mtm_consent_removed';
  function read(name) {
    var found = document.cookie.split('; ').filter(function (c) { return c.indexOf(name + '=') === 0; })[0];
    return found ? found.slice(name.length + 1) : '';
  }
  function write(name, value, seconds) {
    document.cookie = name + '=' + value + '; path=/; SameSite=Lax; expires=' + new Date(Date.now() + seconds * 1000).toUTCString();
  }
  var does = {
    setTrackerUrl: function (url) { set.url = url; },
    setSiteId: function (id) { set.site = id; },
    setVisitorCookieTimeout: function (seconds) { set.id = seconds; },
    setSessionCookieTimeout: function (seconds) { set.ses = seconds; },
    optUserOut: function () { write('_pk_id.' + set.site + '.1fff', '', -1); write('_pk_ses.' + set.site + '.1fff', '', -1);
      write(out, '1', 9e8); },
    trackPageView: function () {
      if (read(out)) return;
      var now = Math.round(Date.now() / 1000), name = '_pk_id.' + set.site + '.1fff';
      var held = /^([0-9a-f]{16})\\.(\\d+)\\./.exec(read(name));
      var id = held ? held[1] : Math.random().toString(16).slice(2).padEnd(16, '0').slice(0, 16), made = held ? +held[2] : now;
      write(name, id + '.' + made + '.', set.id - (now - made));
      var fresh = !read('_pk_ses.' + set.site + '.1fff');
      write('_pk_ses.' + set.site + '.1fff', '1', set.ses);
      new Image(1, 1).src = set.url + '?idsite=' + set.site + '&rec=1&_id=' + id + '&new_visit=' + (fresh ? 1 : 0) +
        '&url=' + encodeURIComponent(location.href) + '&rand=' + Math.random();
    },
  };
  var waiting = window._paq || [];
  window._paq = { push: function (call) { if (does[call[0]]) does[call[0]].apply(null, call.slice(1)); } };
  waiting.forEach(window._paq.push);
})();
"""
"""What of ``matomo.js`` matters here: the life of ``_pk_id`` counts from its first day, visits do not prolong it."""


class Journal(BaseHTTPRequestHandler):
    """Pages, the script, and the end point that it tells."""

    protocol_version = "HTTP/1.1"
    visits: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/matomo/matomo.js":
            self._answer("text/javascript", SCRIPT)
        elif path == "/matomo/matomo.php":
            told = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            cookies = {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()}
            self.visits.append({"id": told.get("_id"), "page": urlsplit(told.get("url", "")).path, "cookies": cookies})
            self._answer("image/gif", "")
        elif path == "/matomo/visits":
            self._answer("application/json", json.dumps(self.visits))
        else:
            tracking, objection = SNIPPET
            self._answer("text/html; charset=utf-8", PAGE.format(title=f"Page {path}", tracking=tracking, objection=objection))

    def _answer(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: a log of addresses is what this site does without."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Journal).serve_forever()
