"""A FastAPI site behind Volens: `uvicorn fastapi_site:app --port 8080`. http://site.localhost:8080/
The same works for Starlette: only the paths' functions are written in FastAPI's way."""

import asyncio
import os
import secrets
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Request, UploadFile, WebSocket
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware

from volens.fastapi import Granted, consent, protect

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>The bridge</title>
<h1>The bridge is open</h1>
{film}
<iframe src="https://www.youtube.com/embed/dQw4w9WgXcQ" width="560" height="315"></iframe>
<script src="https://www.google-analytics.com/analytics.js"></script>
<volens-gate path="/comments" id="write"></volens-gate>
<form method="post" action="/comments">{token}<textarea name="text"></textarea><button>Publish</button></form>
<form method="post" action="/notes">{token}<input name="text"><button>Note it</button></form>
<form method="post" action="/upload" enctype="multipart/form-data">{token}<input type="file" name="file"><button>Send</button></form>
<p><a href="/_volens/panel">Your choices</a></p>"""
SIGN_IN = """<!doctype html><html lang="en"><title>Sign in</title><h1>Sign in</h1><form method="post">
{token}<input name="username"><input type="password" name="password"><button>Sign in</button></form>"""
TRACKER = '<script src="https://www.google-analytics.com/analytics.js"></script>'
STARTED: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI):
    STARTED.append("yes")
    yield
    STARTED.clear()


app = FastAPI(lifespan=lifespan)
protect(app, Path(__file__).with_name("site.toml"))  # anywhere in the program: what is added later stands inside all the same
app.add_middleware(GZipMiddleware)
app.add_middleware(SessionMiddleware, secret_key=os.environ.get("SECRET_KEY", "only-for-this-example"), session_cookie="session")


def hidden(request: Request) -> str:
    return f'<input type="hidden" name="token" value="{request.session.setdefault("token", secrets.token_hex(16))}">'


def same(request: Request, token: Annotated[str, Form()] = "") -> None:
    if not token or token != request.session.get("token"):
        raise HTTPException(403)


@app.get("/", response_class=HTMLResponse)
def front(request: Request, consent: Granted):
    film = "<p>The film:</p>" if consent.allows("video") else "<p>A picture of the film.</p>"
    answer = HTMLResponse(PAGE.format(film=film, token=hidden(request)))
    answer.set_cookie("_ga", "GA1.1.1", max_age=3600)  # personnalisation: withheld until it is allowed
    return answer


@app.get("/consent.json")
async def told(request: Request, granted: Granted):
    asked = ("technique", "reseaux-sociaux", "video", "personnalisation")
    return {purpose: granted.allows(purpose) for purpose in asked} | {"cookies": sorted(request.cookies)}


@app.get("/sign-in", response_class=HTMLResponse)
def sign_in(request: Request):
    return SIGN_IN.format(token=hidden(request))


@app.post("/sign-in", dependencies=[Depends(same)])
def signed_in(request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]):
    if (username, password) != ("ada", "lovelace"):
        return HTMLResponse(SIGN_IN.format(token=hidden(request)), 401)
    request.session["user"] = username
    return RedirectResponse("/account", 303)


@app.get("/account")
def account(request: Request):
    if "user" not in request.session:
        return RedirectResponse("/sign-in", 303)
    return HTMLResponse(f"<!doctype html><title>Account</title><h1>{escape(request.session['user'])}</h1>")


@app.post("/comments", response_class=HTMLResponse, dependencies=[Depends(same)])
@app.post("/notes", response_class=HTMLResponse, dependencies=[Depends(same)])
def said(text: Annotated[str, Form()]):
    return f"<!doctype html><title>Said</title><p>{escape(text)}</p>"


@app.post("/upload", dependencies=[Depends(same)])
async def upload(file: UploadFile):
    return {"bytes": len(await file.read()), "name": file.filename}


@app.get("/old")
def old():
    return RedirectResponse("/", 303)


@app.get("/live")
def live():
    async def parts():
        yield "<!doctype html><html lang=en><title>Live</title><h1>Live</h1>" + TRACKER
        for _ in range(100):
            yield "<p>still open</p>"
        await asyncio.sleep(0.1)
        yield "<p>the end"

    return StreamingResponse(parts(), media_type="text/html")


@app.get("/file")
def file():
    return Response(
        bytes(range(256)) * 1000,
        media_type="application/octet-stream",
        headers={"Content-Disposition": 'attachment; filename="data.bin"'},
    )


app.head("/file")(file)


@app.get("/boom")
def boom():
    raise RuntimeError("on purpose")


@app.websocket("/ws")
async def socket(socket: WebSocket, granted: Granted):
    await socket.accept()
    await socket.send_json({"video": granted.allows("video"), "started": STARTED == ["yes"]})
    await socket.close()


inner = FastAPI()


@inner.get("/consent.json")
def inside(request: Request):
    return {"video": consent(request).allows("video")}


app.mount("/inner", inner)


@app.exception_handler(404)
async def missing(request: Request, error: Exception):
    return HTMLResponse("<!doctype html><title>Not here</title><h1>Not here</h1>" + TRACKER, 404)


@app.exception_handler(Exception)
async def broken(request: Request, error: Exception):
    return HTMLResponse("<!doctype html><title>Our mistake</title><h1>Our mistake</h1>" + TRACKER, 500)
