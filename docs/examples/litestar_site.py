"""A Litestar site behind Volens: `uvicorn litestar_site:app --port 8080`. http://site.localhost:8080/"""

import asyncio
from html import escape
from pathlib import Path
from typing import Annotated, Any

from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import UploadFile
from litestar.di import Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.params import Body
from litestar.response import Redirect, Stream

from volens import Grant
from volens.litestar import consent, protect

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

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
File = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]


def hidden(request: Request) -> str:
    from litestar.utils.scope.state import ScopeState

    return f'<input type="hidden" name="_csrf_token" value="{ScopeState.from_scope(request.scope).csrf_token}">'


@get("/", media_type=MediaType.HTML)
async def front(request: Request, consent: Grant) -> Response[str]:
    film = "<p>The film:</p>" if consent.allows("video") else "<p>A picture of the film.</p>"
    answer = Response(PAGE.format(film=film, token=hidden(request)), media_type=MediaType.HTML)
    answer.set_cookie("_ga", "GA1.1.1", max_age=3600)  # personnalisation: withheld until it is allowed
    return answer


@get("/consent.json")
async def told(request: Request, consent: Grant) -> dict[str, Any]:
    asked = ("technique", "reseaux-sociaux", "video", "personnalisation")
    return {purpose: consent.allows(purpose) for purpose in asked} | {"cookies": sorted(request.cookies)}


@get("/sign-in", media_type=MediaType.HTML)
async def sign_in(request: Request) -> str:
    return SIGN_IN.format(token=hidden(request))


@post("/sign-in")
async def signed_in(request: Request, data: Form) -> Response[Any]:
    if (data["username"], data["password"]) != ("ada", "lovelace"):
        return Response(SIGN_IN.format(token=hidden(request)), media_type=MediaType.HTML, status_code=401)
    request.set_session({"user": "ada"})
    return Redirect("/account", status_code=303)


@get("/account")
async def account(request: Request) -> Response[Any]:
    if "user" not in request.session:
        return Redirect("/sign-in", status_code=303)
    return Response(f"<!doctype html><title>Account</title><h1>{escape(request.session['user'])}</h1>", media_type=MediaType.HTML)


@post(["/comments", "/notes"], media_type=MediaType.HTML, status_code=200)
async def said(data: Form) -> str:
    return f"<!doctype html><title>Said</title><p>{escape(data['text'])}</p>"


@post("/upload")
async def upload(data: File) -> dict[str, Any]:
    file: UploadFile = data["file"]
    return {"bytes": len(await file.read()), "name": file.filename}


@get("/old")
async def old() -> Redirect:
    return Redirect("/", status_code=303)


@get("/live")
async def live() -> Stream:
    async def parts():
        yield "<!doctype html><html lang=en><title>Live</title><h1>Live</h1>" + TRACKER
        for _ in range(100):
            yield "<p>still open</p>"
        await asyncio.sleep(0.1)
        yield "<p>the end"

    return Stream(parts(), media_type=MediaType.HTML)


@get("/file")
async def file() -> Response[bytes]:
    return Response(
        bytes(range(256)) * 1000,
        media_type="application/octet-stream",
        headers={"Content-Disposition": 'attachment; filename="data.bin"'},
    )


@get("/boom")
async def boom() -> None:
    raise RuntimeError("on purpose")


@websocket("/ws")
async def socket(socket: WebSocket, consent: Grant) -> None:
    await socket.accept()
    await socket.send_json({"video": consent.allows("video")})
    await socket.close()


def missing(request: Request, error: Exception) -> Response[str]:
    return Response("<!doctype html><title>Not here</title><h1>Not here</h1>" + TRACKER, media_type=MediaType.HTML, status_code=404)


def broken(request: Request, error: Exception) -> Response[str]:
    return Response("<!doctype html><title>Our mistake</title><h1>Our mistake</h1>" + TRACKER, media_type=MediaType.HTML, status_code=500)


app = Litestar(
    [front, told, sign_in, signed_in, account, said, upload, old, live, file, boom, socket],
    dependencies={"consent": Provide(consent, sync_to_thread=False)},
    csrf_config=CSRFConfig(secret="only-for-this-example"),
    middleware=[ServerSideSessionConfig().middleware],
    exception_handlers={NotFoundException: missing, RuntimeError: broken},
)
protect(app, Path(__file__).with_name("site.toml"))
