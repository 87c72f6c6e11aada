"""P3: after a refusal only technical storage is read: what lay there from before is seen by neither the application nor a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from visitor import Visitor

from tests.running import until

OLD = ("_ga", "_ga_COURRIER", "_fbp", "__regie_uid", "profil_lecture")


def before(demo: Any) -> dict[str, Any]:
    """A device on which an earlier visit left things."""
    cookies = [
        {
            "name": name,
            "value": "ancien",
            "domain": "courrier.localhost",
            "path": "/",
            "expires": -1,
            "httpOnly": name == "profil_lecture",
            "secure": False,
            "sameSite": "Lax",
        }
        for name in (*OLD, "langue")
    ]
    cookies[-1]["value"] = "en"
    return {
        "cookies": cookies,
        "origins": [
            {"origin": demo.url, "localStorage": [{"name": "mesure_session", "value": "ancien"}, {"name": "theme", "value": "sombre"}]}
        ],
    }


@pytest.mark.parametrize("refused", [False, True], ids=["no choice", "refused"])
def test_neither_the_application_nor_a_script_sees_what_lay_there(visitors: Callable[..., Visitor], demo: Any, refused: bool) -> None:
    visitor = visitors(storage_state=before(demo))
    assert set(OLD) <= visitor.cookies(), "the device holds what it should"
    visitor.open()
    if refused:
        visitor.refuse()
        visitor.open()
    told = visitor.told()["cookies"]
    assert not set(OLD) & set(told), told
    assert not {"volens", "volens-record"} & set(told), "ours must not become the identifier the visitor refused"
    seen = visitor.page.evaluate(
        "() => ({cookie: document.cookie, local: localStorage.getItem('mesure_session'), keys: Object.keys(localStorage)})"
    )
    assert not any(name in seen["cookie"] for name in OLD), seen["cookie"]
    assert seen["local"] is None and "mesure_session" not in seen["keys"]


def test_what_is_technical_is_read_on(visitors: Callable[..., Visitor], demo: Any) -> None:
    visitor = visitors(storage_state=before(demo))
    visitor.open().refuse()
    visitor.open("/boutique")
    assert visitor.told()["cookies"].get("langue") == "en"
    assert visitor.page.evaluate("document.documentElement.lang") == "en"
    assert visitor.page.evaluate("localStorage.getItem('theme')") == "sombre"


def test_withheld_cookies_expire_on_sight_after_a_refusal(visitors: Callable[..., Visitor], demo: Any) -> None:
    visitor = visitors(storage_state=before(demo))
    visitor.open().refuse()
    visitor.open("/").open("/article/rex")
    assert until(lambda: not set(OLD) & visitor.cookies()), visitor.cookies()
