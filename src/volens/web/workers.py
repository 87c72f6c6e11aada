"""Several workers for one address: sockets, and a parent that keeps the workers alive.

Each worker has its own listening socket (SO_REUSEPORT: the kernel shares connections out fairly), bound and kept open by the parent. What
waits in a dead worker's socket is therefore not lost; the next worker takes it up.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence

from volens.errors import ConfigError, Mistake

log = logging.getLogger("volens.proxy")


def address(listen: str) -> tuple[str, int]:
    """HOST:PORT taken apart; raises ConfigError."""
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError("volens proxy", (Mistake("--listen", repr(listen), "Give HOST:PORT: 127.0.0.1:8080, 0.0.0.0:80, [::1]:8080."),))
    return host, int(port)


def listening(host: str, port: int, count: int) -> list[socket.socket]:
    """One bound socket a worker, or one for all where the system has no SO_REUSEPORT; raises ConfigError."""
    shared = hasattr(socket, "SO_REUSEPORT") and count > 1
    found: list[socket.socket] = []
    try:
        family, kind, proto, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        for _ in range(count if shared else 1):
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


def supervise(work: Callable[[socket.socket, int | None], None], sockets: Sequence[socket.socket], workers: int, grace: float) -> None:
    """Runs ``work(socket, pipe)`` in each worker until SIGTERM or SIGINT; the pipe ends when this process does, however it dies."""
    read_end, write_end = os.pipe()
    stopping = False
    running: dict[int, tuple[int, float]] = {}

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
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD))
            work(sockets[index % len(sockets)], read_end)
            code = 0
        except ConfigError as error:
            log.error("%s", error)
            code = _UNUSABLE
        except BaseException:
            log.exception("worker %d ended with an error", index)
        finally:
            logging.shutdown()
            os._exit(code)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
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
            if found is not None and found.si_signo != signal.SIGCHLD and not stopping:
                stopping, deadline = True, time.monotonic() + 2 * grace + 5
                for pid in running:
                    os.kill(pid, signal.SIGTERM)
            while running:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
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
        os.close(read_end)
        os.close(write_end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
