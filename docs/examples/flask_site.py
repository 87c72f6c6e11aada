"""A Flask site behind Volens: `flask --app flask_site run --port 8080`, or `waitress-serve flask_site:app`, or `gunicorn flask_site:app`.
http://site.localhost:8080/"""

import io
import os
import secrets
import time

from flask import Flask, abort, g, redirect, render_template_string, request, send_file, session

from volens.flask import protect

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>The bridge</title>
<h1>The bridge is open</h1>
{% if consent.allows("video") %}<p>The film:</p>{% else %}<p>A picture of the film.</p>{% endif %}
<iframe src="https://www.youtube.com/embed/dQw4w9WgXcQ" width="560" height="315"></iframe>
<script src="https://www.google-analytics.com/analytics.js"></script>
{{ volens_gate("/comments", id="write") }}
{% set token %}<input type="hidden" name="token" value="{{ session.token }}">{% endset %}
<form method="post" action="/comments">{{ token }}<textarea name="text"></textarea><button>Publish</button></form>
<form method="post" action="/notes">{{ token }}<input name="text"><button>Note it</button></form>
<form method="post" action="/upload" enctype="multipart/form-data">{{ token }}<input type="file" name="file"><button>Send</button></form>
<p><a href="{{ volens_panel() }}">Your choices</a></p>"""
SIGN_IN = """<!doctype html><html lang="en"><title>Sign in</title><h1>Sign in</h1><form method="post">
<input type="hidden" name="token" value="{{ session.token }}"><input name="username"><input type="password" name="password">
<button>Sign in</button></form>"""
TRACKER = '<script src="https://www.google-analytics.com/analytics.js"></script>'

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "only-for-this-example")


@app.before_request
def token():
    if "token" not in session:
        session["token"] = secrets.token_hex(16)
    if request.method == "POST" and request.form.get("token") != session["token"]:
        abort(403)


@app.get("/")
def front():
    answer = app.make_response(render_template_string(PAGE))
    answer.set_cookie("_ga", "GA1.1.1", max_age=3600)  # personnalisation: withheld until it is allowed
    return answer


@app.get("/consent.json")
def told():
    asked = ("technique", "reseaux-sociaux", "video", "personnalisation")
    return {purpose: g.consent.allows(purpose) for purpose in asked} | {"cookies": sorted(request.cookies)}


@app.route("/sign-in", methods=["GET", "POST"])
def sign_in():
    if (request.form.get("username"), request.form.get("password")) == ("ada", "lovelace"):
        session["user"] = "ada"
        return redirect("/account")
    return render_template_string(SIGN_IN)


@app.get("/account")
def account():
    return (
        render_template_string("<!doctype html><title>Account</title><h1>{{ session.user }}</h1>")
        if "user" in session
        else redirect("/sign-in")
    )


@app.post("/comments")
@app.post("/notes")
def said():
    return render_template_string("<!doctype html><title>Said</title><p>{{ request.form.text }}</p>")


@app.post("/upload")
def upload():
    file = request.files["file"]
    return {"bytes": len(file.read()), "name": file.filename}


@app.get("/old")
def old():
    return redirect("/")


@app.get("/live")
def live():
    def parts():
        yield "<!doctype html><html lang=en><title>Live</title><h1>Live</h1>" + TRACKER
        for _ in range(100):
            yield "<p>still open</p>"
        time.sleep(0.1)
        yield "<p>the end"

    return parts()


@app.get("/file")
def file():
    return send_file(io.BytesIO(bytes(range(256)) * 1000), as_attachment=True, download_name="data.bin")


@app.get("/boom")
def boom():
    raise RuntimeError("on purpose")


@app.errorhandler(404)
def missing(error):
    return "<!doctype html><title>Not here</title><h1>Not here</h1>" + TRACKER, 404


@app.errorhandler(500)
def broken(error):
    return "<!doctype html><title>Our mistake</title><h1>Our mistake</h1>" + TRACKER, 500


protect(app, "site.toml")
