"""A process of its own that counts: what the tests of several workers, of a kill and of a full disk start.

python counting.py gateway FOLDER REQUESTS     answers as many page views through a gateway
python counting.py for-ever FILE               counts until it is killed, and says how many by when
python counting.py small-disk FILE BYTES       counts where the file may not grow beyond so many bytes
"""

from __future__ import annotations

import resource
import signal
import sys
import time
from datetime import date
from pathlib import Path

from volens.audience.counts import Counts
from volens.audience.view import View

TODAY = date(2026, 11, 22)


def through_gateway(folder: Path, requests: int) -> None:
    from tests.audience.making import GOOGLEBOT, HTML, PAGE, counting, fields
    from tests.web.making import request

    made = counting(folder)
    kinds = [
        fields(),
        fields(referer=b"https://www.google.com/"),
        fields(accept_language=b"en"),
        fields(user_agent=GOOGLEBOT),
        fields(dnt=b"1"),
    ]
    for number in range(requests):
        visit = made.visit(request("GET", f"/page/{number % 40}", kinds[number % 5]))
        visit.whole(200, list(HTML), PAGE)
    made.close()


def for_ever(file: Path) -> None:
    counts = Counts(file, lambda: TODAY)
    number = 0
    while True:
        for _ in range(50):
            counts.add("site", View(f"/{number % 7}", "(none)", "fr", "phone"))
            number += 1
        print(number, time.monotonic(), flush=True)
        time.sleep(0.005)


def small_disk(file: Path, size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    counts = Counts(file, lambda: TODAY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    slowest = 0.0
    for number in range(20_000):
        begun = time.perf_counter()
        counts.add("site", View(f"/a-rather-long-path-for-page-{number}", "(none)", "fr", "phone"))
        slowest = max(slowest, time.perf_counter() - begun)
        if number % 2000 == 0:
            time.sleep(0.6)
    print(f"{slowest:.3f}", flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    counts.close()


if __name__ == "__main__":
    do, path = sys.argv[1], Path(sys.argv[2])
    if do == "gateway":
        through_gateway(path, int(sys.argv[3]))
    elif do == "for-ever":
        for_ever(path)
    else:
        small_disk(path, int(sys.argv[3]))
