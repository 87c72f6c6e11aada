"""A visitor for the tests of a Django site: the test client, and what it answers Volens.

    class VideoTest(TestCase):
        client_class = volens.django.test.Client

        def test_a_video_plays_once_allowed(self):
            self.client.allow("video")
            self.assertContains(self.client.get("/"), "<iframe")

Ledger and keys are in a temporary folder from the first client on: the site's own see nothing of a test.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.test import AsyncClient as DjangoAsyncClient
from django.test import Client as DjangoClient

from volens import testing
from volens.django import configuration

_folder: tempfile.TemporaryDirectory[str] | None = None


def set_aside() -> None:
    """Keep what tests record in a temporary folder, for the rest of this process."""
    global _folder
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="volens-test-", ignore_cleanup_errors=True)
        opened = configuration.opened()
        opened.move(testing.aside(opened.loaded, Path(_folder.name)))


def _arguments(answer: testing.Answer) -> dict[str, Any]:
    return {"path": answer.path, "data": answer.body, "content_type": answer.content_type, "headers": dict(answer.headers)}


def _took(client: DjangoClient | DjangoAsyncClient, response: Any) -> None:
    testing.taken(response.status_code, response.content)
    for name, value in testing.twins(morsel.OutputString() for morsel in response.cookies.values()):
        client.cookies[name] = value
        if not value:
            del client.cookies[name]


class Client(DjangoClient):
    """``django.test.Client`` of a visitor who can answer. A new one has not answered."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        set_aside()

    def accept(self) -> None:
        """*Accept all*."""
        _took(self, self.post(**_arguments(testing.accepted(configuration.opened()))))

    def refuse(self) -> None:
        """*Refuse all*; after a grant, its withdrawal."""
        _took(self, self.post(**_arguments(testing.refused(configuration.opened()))))

    def allow(self, *purposes: str) -> None:
        """These purposes with all their services, and no others; raises ValueError for one the notice doesn't ask for."""
        _took(self, self.post(**_arguments(testing.allowed(configuration.opened(), *purposes))))


class AsyncClient(DjangoAsyncClient):
    """The same for ``async def`` tests: ``await client.allow("video")``."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        set_aside()

    async def accept(self) -> None:
        """*Accept all*."""
        _took(self, await self.post(**_arguments(testing.accepted(configuration.opened()))))

    async def refuse(self) -> None:
        """*Refuse all*; after a grant, its withdrawal."""
        _took(self, await self.post(**_arguments(testing.refused(configuration.opened()))))

    async def allow(self, *purposes: str) -> None:
        """These purposes with all their services, and no others."""
        _took(self, await self.post(**_arguments(testing.allowed(configuration.opened(), *purposes))))
