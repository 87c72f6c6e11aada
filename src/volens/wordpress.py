"""What a WordPress needs to stand behind ``volens proxy``: its ``volens.toml`` and the plugin of one file."""

from __future__ import annotations

import json
import tempfile
from importlib import resources
from pathlib import Path

from volens.errors import VolensError

PLUGIN = "wp-content/mu-plugins/volens.php"
"""Where WordPress loads a plugin that nobody has to activate."""


def packaged(name: str) -> str:
    """The text of a file beside ``volens.php``."""
    return (resources.files("volens") / "data" / "wordpress" / name).read_text("utf-8")


def configuration(name: str, controller: str, contact: str) -> str:
    """``volens.toml`` for a WordPress under this host name."""
    said = packaged("volens.toml")
    for written, given in (("wordpress.localhost", name), ("Le Carnet", controller), ("claire@carnet.example", contact)):
        said = said.replace(json.dumps(written), json.dumps(given, ensure_ascii=False))  # a JSON string is a TOML basic string
    return said


def install(folder: Path, config: Path, name: str, controller: str, contact: str) -> list[Path]:
    """Writes the plugin into the WordPress in ``folder``, and ``config`` unless it is there; what was written."""
    if not (folder / "wp-includes").is_dir() and not (folder / "wp-content").is_dir():
        raise VolensError(f"{folder}: there is no WordPress here. Name the folder that holds wp-content.")
    written = []
    try:
        plugin = folder / PLUGIN
        plugin.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=plugin.parent, encoding="utf-8", delete=False) as draft:
            draft.write(packaged("volens.php"))
        Path(draft.name).chmod(0o644)
        Path(draft.name).replace(plugin)  # whoever may write there must not lead this, run as another, to a file elsewhere
        written.append(plugin)
        if not config.exists():
            config.write_text(configuration(name, controller, contact), "utf-8")
            written.append(config)
    except OSError as error:
        raise VolensError(f"{error.filename}: {error.strerror}. Run this as whoever may write there.") from error
    return written
