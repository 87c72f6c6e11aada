"""Debian's own PHP and WordPress, started by hand on free ports, in a folder that goes afterwards; ``volens proxy`` before it."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.running import free_port, listens, until

ROOT = Path(__file__).parents[2]
WORDPRESS = Path("/usr/share/wordpress")
THEME = WORDPRESS / "wp-content/themes/twentytwentyone"
PLUGIN = ROOT / "src/volens/data/wordpress/volens.php"
ADMIN = ("claire", "un mot de passe assez long")
PACKAGES = (
    "wordpress wordpress-l10n wordpress-theme-twentytwentyone php php-fpm php-cli php-mysql php-gd php-xml php-mbstring "
    "mariadb-server nginx"
)
_SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"


def program(*patterns: str) -> str:
    """The first of these programs that is installed, or "". A name may end in ``*``, as Debian's php-fpm8.2."""
    for pattern in patterns:
        for folder in _SBIN.split(":"):
            found = sorted(Path(folder).glob(pattern))
            if found:
                return str(found[-1])
    return ""


def missing() -> str:
    """What of Debian's WordPress is not here; "" where all is."""
    lacking = [name for name in ("php-fpm*", "mariadbd", "mariadb-install-db", "nginx") if not program(name)]
    lacking += [str(path) for path in (WORDPRESS / "wp-load.php", THEME, WORDPRESS / "wp-content/languages/fr_FR.mo") if not path.exists()]
    return f"not installed: {', '.join(lacking)}. On Debian, as root: apt-get install --no-install-recommends {PACKAGES}" if lacking else ""


@contextmanager
def _running(command: list[str], ready: Callable[[], bool], log: Path, **environment: str) -> Iterator[None]:
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment}, cwd=log.parent)
    try:
        if not until(lambda: ready() or process.poll() is not None, 60) or process.poll() is not None:
            pytest.fail(f"{command[0]} did not start: {log.read_text(errors='replace')[-3000:]}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(path: Path) -> Callable[[], bool]:
    def asked() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    return asked


@contextmanager
def web(folder: Path, root: Path) -> Iterator[int]:
    """php-fpm and nginx over the files in ``root``; the port."""
    port, root_user = free_port(), os.geteuid() == 0
    (folder / "fpm.conf").write_text(
        f"[global]\nerror_log = {folder}/fpm-error.log\ndaemonize = no\n[www]\nlisten = {folder}/php\n"
        + (f"user = {getpass.getuser()}\n" if root_user else "")
        + "pm = static\npm.max_children = 4\ncatch_workers_output = yes\nphp_admin_value[upload_max_filesize] = 8M\n"
        "php_admin_value[display_errors] = off\nphp_admin_value[log_errors] = on\n"
    )
    temporary = "".join(f"  {kind}_temp_path {folder}/nginx-{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        (f"user {getpass.getuser()};\n" if root_user else "")
        + f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx-error.log;\nevents {{ }}\n"
        f"http {{\n  include /etc/nginx/mime.types;\n  access_log off;\n  client_max_body_size 16m;\n{temporary}"
        f"  server {{\n    listen 127.0.0.1:{port};\n    root {root};\n    index index.php;\n"
        "    location / { try_files $uri $uri/ /index.php?$args; }\n"
        "    location ~ \\.php$ {\n      include /etc/nginx/fastcgi_params;\n"
        "      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\n      fastcgi_param HTTP_HOST $http_host;\n"
        f"      fastcgi_pass unix:{folder}/php;\n    }}\n  }}\n}}\n"
    )
    fpm = [program("php-fpm*"), "--nodaemonize", "--fpm-config", str(folder / "fpm.conf"), *(["-R"] if root_user else [])]
    nginx = [program("nginx"), "-p", str(folder), "-e", str(folder / "nginx-error.log"), "-c", str(folder / "nginx.conf")]
    with _running(fpm, _listens(folder / "php"), folder / "fpm.log"), _running(nginx, lambda: listens(port), folder / "nginx.log"):
        yield port


@contextmanager
def proxied(folder: Path, upstream: int, config: str) -> Iterator[str]:
    """``volens proxy`` with this ``volens.toml`` before a port; its address, under the first of its names."""
    folder.mkdir()
    (folder / "volens.toml").write_text(config, "utf-8")
    command = [sys.executable, "-m", "volens.cli", "proxy", "--config", str(folder / "volens.toml")]
    command += ["--upstream", f"http://127.0.0.1:{upstream}", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert process.stdout is not None
        said = re.search(r":(\d+) ->", process.stdout.readline())
        if said is None:
            pytest.fail((folder / "log").read_text())
        name = re.search(r'^names = \["(.*?)"', config, re.MULTILINE)
        assert name
        yield f"http://{name[1]}:{said[1]}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


def fetched(address: str, data: dict[str, str] | bytes | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
    """An answer without a browser: status, headers (names in lower case), text. Redirects are not followed."""
    parts = urllib.parse.urlsplit(address)
    body = urllib.parse.urlencode(data).encode() if isinstance(data, dict) else data
    request = urllib.request.Request(f"http://127.0.0.1:{parts.port}{address.partition(parts.netloc)[2] or '/'}", body)
    for name, value in {"Host": parts.netloc, **headers}.items():
        request.add_header(name.replace("_", "-"), value)

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(request, timeout=60) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as answer:
        return answer.code, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode("utf-8", "replace")


@dataclass(frozen=True)
class WordPress:
    """A WordPress that has been through its own installation page, in French."""

    port: int
    folder: Path
    socket: Path

    def wp(self, code: str) -> str:
        """What PHP prints within this WordPress."""
        script = f"$_SERVER['HTTP_HOST'] = 'wordpress.localhost'; require '{self.folder}/wp-load.php'; {code}"
        done = subprocess.run([program("php", "php8*"), "-r", script], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


CONFIG = """<?php
define('DB_NAME', 'wordpress'); define('DB_USER', %(user)r); define('DB_PASSWORD', ''); define('DB_HOST', %(host)r);
define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
foreach (array('AUTH_KEY','SECURE_AUTH_KEY','LOGGED_IN_KEY','NONCE_KEY',
               'AUTH_SALT','SECURE_AUTH_SALT','LOGGED_IN_SALT','NONCE_SALT') as $one) {
    define($one, str_repeat(strtolower($one), 4));
}
// The tests put several proxies before this one site: it answers under whatever name and port it is asked for.
define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']); define('WP_SITEURL', WP_HOME);
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true); define('AUTOMATIC_UPDATER_DISABLED', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) { define('ABSPATH', __DIR__ . '/'); }
require_once ABSPATH . 'wp-settings.php';
"""


@contextmanager
def wordpress(folder: Path) -> Iterator[WordPress]:
    """MariaDB, php-fpm, nginx and WordPress, installed through ``wp-admin/install.php``."""
    user, data, site = getpass.getuser(), folder / "data", folder / "site"
    left = lambda path, names: [n for n in names if n == ".htaccess" or (path.endswith("/languages") and "fr_FR" not in n)]
    shutil.copytree(WORDPRESS, site, ignore=left)
    (site / "wp-config.php").write_text(CONFIG % {"user": user, "host": f"localhost:{folder}/sql"})
    (site / "wp-content/mu-plugins").mkdir()
    shutil.copy(PLUGIN, site / "wp-content/mu-plugins")
    make = [program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db"]
    make += ["--auth-root-authentication-method=socket", f"--auth-root-socket-user={user}"]
    (folder / "tmp").mkdir()  # of its own: two that install at once take each other's temporary tables
    installed = subprocess.run(make, env={**os.environ, "TMPDIR": str(folder / "tmp")}, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    sql = [program("mariadbd"), "--no-defaults", f"--datadir={data}", f"--socket={folder}/sql", f"--user={user}", "--skip-networking"]
    sql += [f"--tmpdir={folder}/tmp"]
    sql += [f"--pid-file={folder}/sql.pid", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"]
    with ExitStack() as open_:
        open_.enter_context(_running(sql, _listens(folder / "sql"), folder / "sql.log"))
        client = [program("mariadb"), "--no-defaults", f"--socket={folder}/sql", f"--user={user}"]
        subprocess.run([*client, "-e", "CREATE DATABASE wordpress"], check=True, capture_output=True)
        port = open_.enter_context(web(folder, site))
        made = WordPress(port, site, folder / "sql")
        name, password = ADMIN
        status, _, page = fetched(
            f"http://wordpress.localhost:{port}/wp-admin/install.php?step=2",
            {
                "weblog_title": "Le Carnet",
                "user_name": name,
                "admin_password": password,
                "admin_password2": password,
                "admin_email": "claire@carnet.example",
                "language": "fr_FR",
            },
        )
        assert status == 200 and "Quel succès" in page, page[-3000:]
        yield made
