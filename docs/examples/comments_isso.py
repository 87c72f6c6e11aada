"""A page with Isso, behind Volens: `python comments_isso.py 8080`, then http://site.localhost:8080/. Needs `pip install isso`.

Here one process serves page and engine; elsewhere a front server passes /isso/ on to Isso, which changes nothing.
"""

import sys
from pathlib import Path

from isso import config
from isso import make_app as isso_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from volens import Consent

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>The bridge</title>
<h1>The bridge is open</h1><h2>Comments</h2>
<volens-gate path="/isso/new" id="write"></volens-gate>
<section id="isso-thread" data-isso-id="/" data-title="The bridge"></section>
<script data-isso="/isso/" data-isso-lang="en" src="/isso/js/embed.min.js"></script>"""


def engine(database: str, site: str):
    settings = config.load(config.default_file())
    settings.set("general", "dbpath", database)
    settings.set("general", "host", site)
    settings.set("general", "notify", "")
    settings.set("guard", "enabled", "false")  # in this example everybody comes from one address
    return isso_app(settings)


def site(environ, start_response):
    return Response(PAGE, mimetype="text/html")(environ, start_response)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    database = str(Path(sys.argv[2] if len(sys.argv) > 2 else ".", "comments.db"))
    both = DispatcherMiddleware(site, {"/isso": engine(database, f"http://site.localhost:{port}")})
    app = Consent(both, Path(__file__).with_suffix(".toml"))
    server = make_server("127.0.0.1", port, app, threaded=True)
    print(f"http://site.localhost:{port}/", flush=True)
    server.serve_forever()
