"""Several workers for one address: sockets, and a parent that keeps the workers alive.

Each worker has its own listening socket (SO_REUSEPORT: the kernel shares connections out fairly), bound and kept open by the parent. What
waits in a dead worker's socket is therefore not lost; the next worker takes it up.

On SIGHUP the parent becomes the program as it is installed now, with the configuration as it stands now: the same process, the same
sockets. Its new workers take connections before the old ones stop, which end each connection after the answer it waits for.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from volens.errors import ConfigError, Mistake

log = logging.getLogger("volens.proxy")


_HANDED = "VOLENS_HANDED"
"""Environment variable by which a program hands itself over: sockets, workers and pipes, by number."""
_TRIAL = "VOLENS_TRIAL"
"""Environment variable under which the program starts, says whether it could serve, and ends."""
PATIENCE = 30.0
"""Seconds within which new workers must take connections; then the old ones stop all the same."""


@dataclass
class Handed:
    """What the program that was in this process before has left."""

    sockets: list[socket.socket] = field(default_factory=list)
    workers: set[int] = field(default_factory=set)
    pipes: list[int] = field(default_factory=list)

    @classmethod
    def taken(cls) -> Handed:
        """From the environment, once."""
        try:
            told = json.loads(os.environ.pop(_HANDED, "") or "{}")
            sockets = [socket.socket(fileno=int(number)) for number in told.get("sockets", ())]
            return cls(sockets, {int(pid) for pid in told.get("workers", ())}, [int(pipe) for pipe in told.get("pipes", ())])
        except (ValueError, OSError, TypeError, AttributeError) as error:
            log.error("what was handed over cannot be used: %s", error)
            return cls()


def on_trial() -> bool:
    """Whether the program is only asked if it could serve."""
    return bool(os.environ.get(_TRIAL))


def tried() -> bool:
    """Whether the program as it is installed now, with the configuration as it stands now, could take over; the log says why not."""
    command = [sys.executable, *sys.orig_argv[1:]]
    environment = {name: value for name, value in os.environ.items() if name != _HANDED} | {_TRIAL: "1"}
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        log.error("no restart: %s. What runs goes on.", error)
        return False
    if done.returncode:
        log.error("no restart: the new program or configuration could not serve (%d). What runs goes on. %s",
                  done.returncode, done.stderr.strip()[-2000:])  # fmt: skip
    return not done.returncode


def become(sockets: Sequence[socket.socket], workers: Sequence[int] = (), pipes: Sequence[int] = ()) -> None:
    """This process as the program is installed now. Does not return."""
    numbers = [sock.fileno() for sock in sockets]
    for number in (*numbers, *pipes):
        os.set_inheritable(number, True)
    os.environ[_HANDED] = json.dumps({"sockets": numbers, "workers": list(workers), "pipes": list(pipes)})
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new program listens to it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def address(listen: str) -> tuple[str, int]:
    """HOST:PORT taken apart; raises ConfigError."""
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError("volens proxy", (Mistake("--listen", repr(listen), "Give HOST:PORT: 127.0.0.1:8080, 0.0.0.0:80, [::1]:8080."),))
    return host, int(port)


def listening(host: str, port: int, count: int, handed: Sequence[socket.socket] = ()) -> list[socket.socket]:
    """One bound socket a worker, or one for all where the system has no SO_REUSEPORT; raises ConfigError. Those ``handed`` over that
    are bound to this address are taken up, with all that waits in them."""
    shared = hasattr(socket, "SO_REUSEPORT") and count > 1
    found: list[socket.socket] = []
    try:
        family, kind, proto, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        for sock in handed:
            if sock.family == family and sock.getsockname()[0] == where[0] and port in (0, sock.getsockname()[1]):
                sock.setblocking(False)
                os.set_inheritable(sock.fileno(), False)
                found.append(sock)
            else:
                sock.close()
        if found and (not shared or not found[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)):
            return found  # nothing else may listen beside one that was bound alone
        if found:
            where = found[0].getsockname()
        for _ in range((count if shared else 1) - len(found)):
            sock = socket.socket(family, kind, proto)
            found.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(where)
            sock.listen(1024)
            sock.setblocking(False)
            where = sock.getsockname()
    except OSError as error:
        for sock in found:
            sock.close()
        raise ConfigError(
            "volens proxy",
            (Mistake("--listen", f"{host}:{port}: {error.strerror}.", "Choose an address and port of this machine that is free."),),
        ) from None
    return found


_UNUSABLE = 78
"""sysexits EX_CONFIG: a worker that cannot start will not start the next time either."""


Work = Callable[[socket.socket, int | None, Callable[[], None]], None]


def supervise(
    work: Work, sockets: Sequence[socket.socket], workers: int, grace: float, before: Handed | None = None, *, restarts: bool = False
) -> None:
    """Runs ``work(socket, pipe, started)`` in each worker until SIGTERM or SIGINT; the pipe ends when this process does, however it dies.

    ``grace``: seconds that answers under way may take at the end; after twice that and five more, workers are killed. ``before``: whose
    workers stop once ours have ``started``. ``restarts``: whether SIGHUP makes this process the program anew. Raises SystemExit with
    the status of a worker that could not start and will not the next time.
    """
    parent = _Parent(work, sockets, workers, grace, before or Handed(), restarts)
    try:
        parent.run()
    finally:
        parent.close()


class _Parent:
    """The process that holds the sockets and starts again whichever worker ends."""

    def __init__(self, work: Work, sockets: Sequence[socket.socket], workers: int, grace: float, old: Handed, restarts: bool) -> None:
        self._work, self._sockets, self._workers, self._grace, self._restarts = work, sockets, workers, grace, restarts
        self._old = old
        self._alive, self._lives = os.pipe()
        """Never written: what reads it learns that this process is no more."""
        self._heard, self._tells = os.pipe()
        """A byte for each of our workers that takes connections."""
        os.set_blocking(self._heard, False)
        self._begun, self._relieved = 0, not old.workers
        self._relief = time.monotonic() + PATIENCE
        self._running: dict[int, tuple[int, float]] = {}
        """Index and time of start of each worker, by its process."""
        self._again: list[tuple[float, int]] = []
        """When to start which worker again."""
        self._stopping = False
        self._deadline = 0.0
        self._failure = 0
        self._numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *((signal.SIGHUP,) if restarts else ()))
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        if restarts:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # blocked: it is waited for

    def run(self) -> None:
        """Until no worker is left, and none is to be started again."""
        for index in range(self._workers):
            self._fork(index)
        while self._running or (self._again and not self._stopping):
            self._start_again()
            found = signal.sigtimedwait(self._numbers, 0.2)
            self._relieve()
            if found is not None and found.si_signo == signal.SIGHUP:
                self._restart()
            elif found is not None and found.si_signo != signal.SIGCHLD and not self._stopping:
                self._stop(2 * self._grace + 5, *self._running, *self._old.workers)
            self._reap()
            if self._stopping and time.monotonic() > self._deadline:
                for pid in self._running:
                    os.kill(pid, signal.SIGKILL)
        if self._failure:
            raise SystemExit(self._failure)

    def close(self) -> None:
        """Give back pipes and signals."""
        for pipe in (self._alive, self._lives, self._heard, self._tells, *self._old.pipes):
            os.close(pipe)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)

    def _fork(self, index: int) -> None:
        pid = os.fork()
        if pid:
            self._running[pid] = (index, time.monotonic())
            return
        code = 1
        try:
            os.close(self._lives)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            if self._restarts:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent's alone
            for pipe in (self._heard, *self._old.pipes):
                os.close(pipe)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)
            self._work(self._sockets[index % len(self._sockets)], self._alive, self._started)
            code = 0
        except ConfigError as error:
            log.error("%s", error)
            code = _UNUSABLE
        except BaseException:
            log.exception("worker %d ended with an error", index)
        finally:
            logging.shutdown()
            os._exit(code)

    def _started(self) -> None:
        """In a worker: it takes connections."""
        os.write(self._tells, b"1")

    def _start_again(self) -> None:
        now = time.monotonic()
        for item in [item for item in self._again if item[0] <= now]:
            self._again.remove(item)
            if not self._stopping:
                self._fork(item[1])

    def _relieve(self) -> None:
        """Once our workers take connections, or have had time to, those of the program before stop."""
        if self._relieved:
            return
        with suppress(BlockingIOError):
            self._begun += len(os.read(self._heard, 1024))
        if self._begun >= self._workers or time.monotonic() > self._relief:
            self._relieved = True
            for pid in self._old.workers:
                os.kill(pid, signal.SIGUSR1)

    def _restart(self) -> None:
        """This process becomes the program anew, unless that could not serve."""
        if not self._stopping and self._relieved and tried():
            log.info("restarting: the new program takes over")
            logging.shutdown()
            become(self._sockets, [*self._running, *self._old.workers], [self._lives, *self._old.pipes])

    def _stop(self, seconds: float, *workers: int) -> None:
        """Ask these to end; who has not in so many seconds is killed."""
        self._stopping, self._deadline = True, time.monotonic() + seconds
        for pid in workers:
            os.kill(pid, signal.SIGTERM)

    def _reap(self) -> None:
        """Take note of every process that has ended: one of ours is started again, at once if it had run for a while."""
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            if pid in self._old.workers:
                self._forget(pid)
                continue
            index, since = self._running.pop(pid, (-1, 0.0))
            if index < 0 or self._stopping:
                continue
            code = os.waitstatus_to_exitcode(status)
            if code == _UNUSABLE:
                self._failure = code
                self._stop(self._grace, *self._running)
                continue
            log.error("worker %d ended (%d) and is started again", index, code)
            now = time.monotonic()
            self._again.append((now + (0.0 if now - since > 5 else 1.0), index))

    def _forget(self, pid: int) -> None:
        """A worker of the program before has ended; with the last of them, the pipes that told them of us are closed."""
        self._old.workers.discard(pid)
        if not self._old.workers:
            for pipe in self._old.pipes:
                os.close(pipe)
            self._old.pipes.clear()
