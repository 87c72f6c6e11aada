"""The visitor's copy of a record, with the proof that it is in the site's log (``docs/reference/ledger.md``)."""

from __future__ import annotations

import base64
import json
from binascii import b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from volens.errors import ProofError
from volens.ledger.record import Record
from volens.notice import Notice

RECEIPT = "volens-receipt/1"
BUNDLE = "volens-bundle/1"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One record, the bytes by chance in its commitment, its entry, and the path from that to a signed checkpoint."""

    record: Record
    salt: bytes
    entry: Mapping[str, Any]
    index: int
    """Which entry of the log, from 0."""
    proof: tuple[bytes, ...]
    """The inclusion proof, the lowest hash first (RFC 6962 §2.1.1)."""
    checkpoint: str
    """A signed note: the log's own signature, and those of its witnesses as far as they are known."""

    @classmethod
    def of(cls, record: Record, salt: bytes, entry: bytes, index: int, proof: Iterable[bytes], checkpoint: str) -> Receipt:
        """Of what a store keeps: the entry in canonical JSON."""
        return cls(record, salt, json.loads(entry), index, tuple(proof), checkpoint)

    @staticmethod
    def text(record: bytes, salt: bytes, entry: bytes, index: int, proof: Iterable[bytes], checkpoint: str) -> str:
        """The JSON of a receipt whose record and entry are at hand in canonical form."""
        steps = b",".join([b'"%b"' % b2a_base64(step, newline=False) for step in proof]).decode()
        return (
            f'{{"format":"{RECEIPT}","record":{record.decode()},"salt":"{salt.hex()}","entry":{entry.decode()},"index":{index},'
            f'"proof":[{steps}],"checkpoint":{_quoted(checkpoint)}}}'
        )

    def to_json(self) -> dict[str, Any]:
        """As it is given to the visitor."""
        return {
            "format": RECEIPT,
            "record": self.record.to_json(),
            "salt": self.salt.hex(),
            "entry": dict(self.entry),
            "index": self.index,
            "proof": [base64.b64encode(step).decode() for step in self.proof],
            "checkpoint": self.checkpoint,
        }

    @classmethod
    def from_json(cls, value: object) -> Receipt:
        """What ``to_json`` gave, checked for its form and for nothing else; raises ProofError, or RecordError for the record in it."""
        if not isinstance(value, Mapping) or value.get("format") != RECEIPT:
            raise ProofError(f"not a {RECEIPT} document.")
        try:
            return cls(
                Record.from_json(value["record"]),
                bytes.fromhex(value["salt"]),
                dict(value["entry"]),
                int(value["index"]),
                tuple(base64.b64decode(step, validate=True) for step in value["proof"]),
                str(value["checkpoint"]),
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ProofError(f"a {RECEIPT} document of another form: {error!r}.") from error
        except ValueError as error:
            if isinstance(error, ProofError) or type(error).__module__ == "volens.errors":
                raise
            raise ProofError(f"a {RECEIPT} document of another form: {error}.") from error


@lru_cache(16)  # one checkpoint for all of a group commit
def _quoted(checkpoint: str) -> str:
    return json.dumps(checkpoint, ensure_ascii=False)


def bundle(receipt: Receipt, notice: Notice, keys: Sequence[str]) -> dict[str, Any]:
    """The receipt with all that it names: the notice in full, and the public keys, which are the publisher's own word."""
    if receipt.record.notice != notice.digest:
        raise ProofError(f"the record answers notice {receipt.record.notice[:16]}, not {notice.short}.")
    return {"format": BUNDLE, "receipt": receipt.to_json(), "notice": notice.to_json(), "keys": list(keys)}
