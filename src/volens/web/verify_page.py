"""The page that checks a receipt in the visitor's own browser, at ``verify``: it stands alone, and may connect to nobody, us included.

The same file is printed by ``volens verify --page``. Whoever does not trust the site takes it from elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from importlib.resources import files

from volens.web.asked import Asked
from volens.web.messages import Reply
from volens.web.replies import file_reply

_POLICY = re.compile(rb'http-equiv="?Content-Security-Policy"? content="([^"]+)"')


@cache
def _page() -> tuple[bytes, bytes]:
    """The file, and the policy that it carries, which the header repeats with what only a header can say."""
    data = (files("volens") / "static" / "verify.html").read_bytes()
    found = _POLICY.search(data)
    if found is None:
        raise ValueError("static/verify.html carries no policy.")
    return data, found[1] + b"; frame-ancestors 'none'"


def verify_page(asked: Asked) -> Reply:
    """The reply; the same for everybody."""
    data, policy = _page()
    reply = file_reply(asked.request, data, "text/html; charset=utf-8", kept=False)
    more = [
        (b"content-security-policy", policy),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-robots-tag", b"noindex"),
    ]
    return replace(reply, pairs=[*reply.pairs, *more])
