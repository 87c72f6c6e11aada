"""Reading profiles, kept on the newspaper's own server: they exist while the reader allows it, and go when Volens says so.

A profile lies under the SHA-256 of a random cookie, which is also how Volens names the reader when they change their mind. After a
withdrawal the newspaper never sees that cookie again: without being told, it could not even find what to erase.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence

COOKIE = "profil_lecture"
PURPOSE = "personnalisation"


def _place(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


class Profiles:
    """Counts of articles read, by section, for at most a thousand readers."""

    def __init__(self) -> None:
        self.kept: OrderedDict[str, Counter[str]] = OrderedDict()
        self.keys: Sequence[bytes] = ()
        """What Volens signs with; without it nothing it might say is believed."""

    def of(self, cookie: str) -> Counter[str]:
        """The profile of a reader; empty for one without."""
        return Counter(self.kept.get(_place(cookie), Counter())) if cookie else Counter()

    def note(self, cookie: str, section: str) -> str:
        """Count one more article; the reader's cookie, a new one where they have none."""
        cookie = cookie or secrets.token_urlsafe(16)
        counts = self.kept.setdefault(_place(cookie), Counter())
        counts[section] = min(99, counts[section] + 1)
        while len(self.kept) > 1000:
            self.kept.popitem(last=False)
        return cookie

    def told(self, headers: Mapping[str, str], body: bytes) -> bool:
        """What Volens says of a choice: a profile that is no longer allowed goes. False for what is not from Volens, or old."""
        name, when = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        signed = f"{name}.{when}.".encode() + body
        right = [b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")) for key in self.keys]
        given = headers.get("webhook-signature", "").encode().split(b" ")
        if not any(hmac.compare_digest(one, other) for one in right for other in given):
            return False
        if not when.isdigit() or abs(time.time() - int(when)) > 300:
            return False
        data = json.loads(body)["data"]
        if data["visitor"] is not None and not data["purposes"].get(PURPOSE):
            self.kept.pop(data["visitor"], None)
        return True
