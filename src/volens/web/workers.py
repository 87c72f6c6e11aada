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


def supervise(
    work: Callable[[socket.socket, int | None, Callable[[], None]], None],
    sockets: Sequence[socket.socket],
    workers: int,
    grace: float,
    before: Handed | None = None,
    *,
    restarts: bool = False,
) -> None:
    """Runs ``work(socket, pipe, started)`` in each worker until SIGTERM or SIGINT; the pipe ends when this process does, however it dies.

    ``before``: whose workers stop once ours have ``started``. ``restarts``: whether SIGHUP makes this process the program anew.
    """
    read_end, write_end = os.pipe()
    heard, tells = os.pipe()
    os.set_blocking(heard, False)
    old = before or Handed()
    begun, relieved = 0, not old.workers
    relief = time.monotonic() + PATIENCE
    stopping = False
    running: dict[int, tuple[int, float]] = {}

    def started() -> None:
        os.write(tells, b"1")

    def fork(index: int) -> None:
        pid = os.fork()
        if pid:
            running[pid] = (index, time.monotonic())
            return
        code = 1
        try:
            os.close(write_end)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            if restarts:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent's alone
            for pipe in (heard, *old.pipes):
                os.close(pipe)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
            work(sockets[index % len(sockets)], read_end, started)
            code = 0
        except ConfigError as error:
            log.error("%s", error)
            code = _UNUSABLE
        except BaseException:
            log.exception("worker %d ended with an error", index)
        finally:
            logging.shutdown()
            os._exit(code)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *((signal.SIGHUP,) if restarts else ()))
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    if restarts:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # blocked: it is waited for
    try:
        for index in range(workers):
            fork(index)
        deadline = 0.0
        failure = 0
        again: list[tuple[float, int]] = []
        while running or (again and not stopping):
            now = time.monotonic()
            for item in [item for item in again if item[0] <= now]:
                again.remove(item)
                if not stopping:
                    fork(item[1])
            found = signal.sigtimedwait(numbers, 0.2)
            if not relieved:
                with suppress(BlockingIOError):
                    begun += len(os.read(heard, 1024))
                if begun >= workers or time.monotonic() > relief:
                    relieved = True
                    for pid in old.workers:
                        os.kill(pid, signal.SIGUSR1)
            if found is not None and found.si_signo == signal.SIGHUP:
                if not stopping and relieved and tried():
                    log.info("restarting: the new program takes over")
                    logging.shutdown()
                    become(sockets, [*running, *old.workers], [write_end, *old.pipes])
            elif found is not None and found.si_signo != signal.SIGCHLD and not stopping:
                stopping, deadline = True, time.monotonic() + 2 * grace + 5
                for pid in (*running, *old.workers):
                    os.kill(pid, signal.SIGTERM)
            while running:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                if pid in old.workers:
                    old.workers.discard(pid)
                    if not old.workers:
                        for pipe in old.pipes:
                            os.close(pipe)
                        old.pipes.clear()
                    continue
                index, since = running.pop(pid, (-1, 0.0))
                if index < 0 or stopping:
                    continue
                code = os.waitstatus_to_exitcode(status)
                if code == _UNUSABLE:
                    stopping, deadline, failure = True, time.monotonic() + grace, code
                    for other in running:
                        os.kill(other, signal.SIGTERM)
                    continue
                log.error("worker %d ended (%d) and is started again", index, code)
                again.append((time.monotonic() + (0.0 if time.monotonic() - since > 5 else 1.0), index))
            if stopping and time.monotonic() > deadline:
                for pid in running:
                    os.kill(pid, signal.SIGKILL)
        if failure:
            raise SystemExit(failure)
    finally:
        for pipe in (read_end, write_end, heard, tells, *old.pipes):
            os.close(pipe)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
