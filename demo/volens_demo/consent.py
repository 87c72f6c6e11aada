"""What the application reads of a visitor's choice: the ``Volens-Consent`` header, and nothing else.

The header is an RFC 9651 dictionary of booleans, ``technique, audience, reseaux-sociaux=?0``. It is all an upstream in any
language needs: a name that is true is granted, whatever is absent or odd isn't.
"""

from __future__ import annotations

import re

HEADER = "Volens-Consent"
_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)(?:=\?([01]))?")


def granted(header: str) -> frozenset[str]:
    """The purposes granted by the header; the empty set for one that cannot be read (RFC 9651, 3.2: the field is then ignored)."""
    answers: dict[str, bool] = {}
    for member in header.split(",") if header.strip() else ():
        found = _MEMBER.fullmatch(member.strip())
        if not found:
            return frozenset()
        answers[found[1]] = found[2] != "0"  # the last of equal keys counts
    return frozenset(name for name, answer in answers.items() if answer)
