"""Volens around a FastAPI application: what ``volens.starlette`` has, and the dependency ``Granted``.

@app.get("/")
def front(consent: Granted):
    return {"film": consent.allows("video")}
"""

from typing import Annotated

from fastapi import Depends

from volens.policy import Grant
from volens.starlette import accept as accept
from volens.starlette import allow as allow
from volens.starlette import consent as consent
from volens.starlette import context as context
from volens.starlette import protect as protect
from volens.starlette import refuse as refuse
from volens.starlette import set_aside as set_aside

Granted = Annotated[Grant, Depends(consent)]
"""The visitor's Grant, as a parameter of a path function, of a web socket's too."""
