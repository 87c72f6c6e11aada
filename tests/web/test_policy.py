"""The policy page and its JSON twin: everything that is declared, and nothing else (P11, P13)."""

from __future__ import annotations

from itertools import chain
from typing import Any

from screens_site import GATE, NOTICE


def test_the_policy_page_names_who_answers_and_what_is_asked(show: Any) -> None:
    text = show("/_volens/policy").locator("main").inner_text()
    for needed in (
        "Le Quai",
        "donnees@lequai.example",
        "12 quai de la Fosse",
        "dpo@lequai.example",
        "améliorer le service",
        "CNIL",
        "Changer vos choix",
    ):
        assert needed in text
    assert all(name in text for name in chain((s.name for s in NOTICE.services), (p.title["fr"] for p in NOTICE.purposes)))
    assert GATE.purpose in NOTICE.purpose
