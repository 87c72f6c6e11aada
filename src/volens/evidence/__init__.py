"""``volens evidence``: for an authority that asks, everything that proves consent over some days, in one file that explains itself.

A ZIP with a report in French and one in English, and what the reports say in the form that machines check: notices and how they were
drawn, counts, checkpoints with cosignatures, a sample that nobody chose. It is checked, by the verifier that shares nothing with what
wrote the ledger, before it is handed out.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TextIO

from volens import verify as verifier
from volens.config import Loaded
from volens.custody import DONE, FOUND
from volens.errors import StoreError, many
from volens.evidence.material import SAMPLE, Material, gather
from volens.evidence.report import reports, tallies, whole
from volens.ledger import archive
from volens.ledger.store import Store
from volens.progress import Progress


def checked(folder: Path, material: Material) -> verifier.Outcome:
    """What is in the file, cold: by ``volens verify``, with the keys that the site has."""
    paths = [folder / name for name in material.files if name.startswith(("log/checkpoint-", "log/consistency", "samples/"))]
    paths += [folder / name for name in ("archive.jsonl.gz",) if (folder / name).exists()]
    return verifier.verify(paths, verifier.trust([str(folder / "log/keys.txt")], []))


class DoesNotHold(StoreError):
    """What would have been handed out does not hold."""

    def __init__(self, outcome: verifier.Outcome) -> None:
        self.outcome = outcome
        faults = [fault for verdict in (*outcome.verdicts, outcome.between) for fault in (*verdict.faults, *verdict.gaps)]
        told = f"{faults[0].place}: {faults[0].said}. {faults[0].means}" if faults else ""
        super().__init__(f"the evidence does not hold, so it was not written. {told} Look closer: volens ledger verify.")


def make(
    store: Store, loaded: Loaded, since: date, until: date, path: Path, made: datetime, *, sample: int = SAMPLE, records: bool = False
) -> Material:
    """The file at ``path``, whole or not at all. Raises StoreError, DoesNotHold, and archive.Unwritable."""
    material = gather(store, loaded, since, until, made, sample)
    material.files |= reports(material)
    try:
        with tempfile.TemporaryDirectory(prefix=".volens-", dir=path.parent) as name:
            folder = Path(name)
            for place, data in material.files.items():
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (folder / place).write_bytes(data)
            every = sorted(material.files)
            if records:
                with Progress("entries written", material.head.size) as progress:
                    archive.write(store, loaded.site.name, material.keys, folder / "archive.jsonl.gz", made, progress.to)
                every = sorted([*every, "archive.jsonl.gz"])
            outcome = checked(folder, material)
            if outcome.status == verifier.WRONG:
                raise DoesNotHold(outcome)
            sums = "".join(f"{_sha256(folder / place)}  {place}\n" for place in every)
            (folder / "SHA256SUMS").write_text(sums, "utf-8")
            draft = folder / "evidence.zip"
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as packed:
                for place in ("SHA256SUMS", *every):
                    info = zipfile.ZipInfo(place, made.astimezone(UTC).timetuple()[:6])
                    info.compress_type = zipfile.ZIP_STORED if place.endswith((".png", ".gz")) else zipfile.ZIP_DEFLATED
                    info.external_attr = 0o644 << 16
                    with (folder / place).open("rb") as file, packed.open(info, "w", force_zip64=True) as into:
                        while data := file.read(1 << 20):
                            into.write(data)
            os.replace(draft, path)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise archive.Unwritable(f"{path}: cannot be written: {error.strerror or error}.") from error
    return material


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(
    store: Store, loaded: Loaded, since: date, until: date, path: Path | None, *, sample: int, records: bool, as_json: bool, out: TextIO
) -> int:
    """The command."""
    path = path or Path(f"evidence-{loaded.site.name}-{since}-{until}.zip")
    if since > until:
        raise StoreError(f"--from {since} is after --to {until}: turn them round.")
    try:
        material = make(store, loaded, since, until, path, datetime.now(UTC), sample=sample, records=records)
    except DoesNotHold as error:
        if as_json:
            print(json.dumps({"format": "volens-evidence/1", "file": None, "check": error.outcome.to_json()}, ensure_ascii=False), file=out)
        else:
            verifier.say(error.outcome, out)
        print(f"volens evidence: {error}", file=sys.stderr)
        return FOUND
    seen = whole(tallies(material, "day").values())
    if as_json:
        told = {
            "format": "volens-evidence/1",
            "file": str(path),
            "sha256": _sha256(path),
            "site": loaded.site.name,
            "from": since.isoformat(),
            "to": until.isoformat(),
            "entries": [material.first, material.end],
            "notices": [one.notice.digest for one in material.versions],
            "answers": {name: getattr(seen, name) for name in ("all", "some", "no", "withdrawn")},
            "sample": [one.index for one in material.drawn if one.record is not None],
        }
        print(json.dumps(told, ensure_ascii=False, indent=2), file=out)
    else:
        records_ = sum(one.record is not None for one in material.drawn)
        print(
            f"{path}: {many(len(material.versions), 'notice')}, {many(seen.answers, 'answer')}, a sample of {many(records_, 'record')};"
            " checked, and it holds.",
            file=out,
        )
        print(f"Tell whoever receives it its SHA-256 by another way: {_sha256(path)}", file=out)
    return DONE
