"""What a visitor sees of Volens: notice, band, panel, policy page, placeholder, gate page, messages (DESIGN §2, §5).

Everything is text in, markup out: no request, no clock; one module per screen. No markup here carries a style or an event
attribute, so two hashes (of ``style`` and ``page_style``) are all a Content-Security-Policy needs.
"""

from volens.web.screens.dialog import DialogScreen
from volens.web.screens.gate import GateScreen
from volens.web.screens.message import MessageScreen
from volens.web.screens.notice import BACK, Dress, NoticeScreen
from volens.web.screens.panel import switched
from volens.web.screens.placeholder import PlaceholderScreen
from volens.web.screens.policy import PolicyScreen
from volens.web.screens.words import Html, Words, html, packaged_texts

__all__ = ["BACK", "Dress", "Html", "Screens", "Words", "html", "packaged_texts", "switched"]


class Screens(DialogScreen, NoticeScreen, PolicyScreen, PlaceholderScreen, GateScreen, MessageScreen):
    """Every screen of one site."""

    BACK = BACK
