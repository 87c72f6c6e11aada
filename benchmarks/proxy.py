"""What enforcement costs the proxy: against itself with enforcement off, and nginx as the ceiling.

    python benchmarks/proxy.py [--seconds 4] [--rounds 3] [--kilobytes 200] [--out FILE]

One upstream (uvicorn) serves saved articles near 200 KB; the three proxies, one worker each, take turns in front of it under wrk. *Not
seen*: every answer differs by a comment. *Seen*: one article again and again. CPU is each proxy's own.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bench
import middleware

NGINX = """worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.error;
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; upstream app {{ server 127.0.0.1:{upstream}; keepalive 64; }}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_set_header Host $http_host; proxy_buffers 32 16k; }} }} }}
"""


@contextlib.contextmanager
def nginx(upstream: int, folder: Path) -> Iterator[tuple[int, int]]:
    port = bench.free_port()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, upstream=upstream, port=port))
    with bench.running([shutil.which("nginx") or "nginx", "-c", str(file), "-p", str(folder)], port, folder / "nginx.log") as process:
        yield process.pid, port


@contextlib.contextmanager
def launched(kind: str, upstream: int, folder: Path, *given: str) -> Iterator[tuple[int, int]]:
    port = bench.free_port()
    command = [sys.executable, str(Path(__file__).parent / "launch.py"), kind, *given, f"http://127.0.0.1:{upstream}", f"127.0.0.1:{port}"]
    with bench.running(command, port, folder / f"{kind}.log") as process:
        yield process.pid, port


def main() -> None:
    parser = bench.parser(__doc__, "proxy")
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kilobytes", type=int, default=200, help="size of the articles")
    options = parser.parse_args()
    for program in ("wrk", "nginx"):
        if not shutil.which(program):
            sys.exit(f"{program} is not installed.")
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as open_ones:
        folder = Path(temporary)
        config = folder / "volens.toml"
        shutil.copy(bench.ROOT / "demo" / "volens.toml", config)
        for number, body in enumerate(middleware.articles(options.kilobytes * 1000)):
            (folder / f"{number}.html").write_bytes(body)
        _, upstream = open_ones.enter_context(middleware.served("bare", "uvicorn", folder))
        servers = {
            "nginx": open_ones.enter_context(nginx(upstream, folder)),
            "off": open_ones.enter_context(launched("passing", upstream, folder)),
            "volens": open_ones.enter_context(launched("configured", upstream, folder, str(config))),
        }
        told = middleware.compare(servers, options.seconds, options.rounds, middleware.request_script(folder))
    middleware.show(told)
    figures = middleware.against(told, "off", "volens")
    figures |= {f"{name}_seen_requests_per_second": told["seen"][name]["rps"] for name in servers}
    print(bench.table([["figure", "value"], *map(list, figures.items())]))
    about = {"nginx": bench.version("nginx", "-v"), "seconds": options.seconds, "rounds": options.rounds}
    bench.write(options.out, {"format": "volens-benchmark-proxy/1", **bench.facts(), **about, "figures": figures, **told})


if __name__ == "__main__":
    main()
