"""Log lines as JSON, one object a line, for programs that gather them. Of an error its kind and place are told, never its words:
those may quote what a visitor or the application sent.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime


class Json(logging.Formatter):
    """``time``, ``level``, ``logger``, ``message``; of an error also ``error`` and ``at``; an access line has its own fields."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.name == "volens.access" and len(record.args or ()) == 1:
            told |= json.loads(record.getMessage())
        elif record.name.partition(".")[0] == "volens":
            told["message"] = record.getMessage()
        else:
            told["message"] = str(record.msg)  # of others only what the program wrote: no address, no field
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = record.exc_info[0].__name__
            told["at"] = [f"{f.name} ({f.filename.rpartition('/')[2]}:{f.lineno})" for f in traceback.extract_tb(record.exc_info[2])][-8:]
        return json.dumps(told, ensure_ascii=True)
