"""The stub internet and the browser before it, once a session; a clean page of the site for each test."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator

import pytest
from guarded_site import CHROMIUM, SITE, Internet, Site, serve
from playwright.sync_api import BrowserContext, sync_playwright


@pytest.fixture(scope="session")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    net = Internet()
    folder = tmp_path_factory.mktemp("tls")
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=stub".split()
    subprocess.run([*made, "-keyout", str(folder / "k.pem"), "-out", str(folder / "c.pem")], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "c.pem", folder / "k.pem")
    tls.sni_callback = lambda _s, name, _c: net.names.append(name.lower()) if name else None
    plain, secure = serve(net, None), serve(net, tls)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                udp.recv(2048)
            except OSError:
                return
            net.packets += 1

    threading.Thread(target=listen, daemon=True).start()
    net.http, net.https, net.udp = plain.server_address[1], secure.server_address[1], udp.getsockname()[1]
    yield net
    plain.shutdown()
    secure.shutdown()
    udp.close()


@pytest.fixture(scope="session")
def browser(internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    profile = tmp_path_factory.mktemp("profile")
    (profile / "Default").mkdir()
    preferences = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}, "net": {"network_prediction_options": 0}}
    (profile / "Default" / "Preferences").write_text(json.dumps(preferences))
    rules = f"MAP *:443 127.0.0.1:{internet.https}, MAP *:80 127.0.0.1:{internet.http}, MAP * 127.0.0.1"
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            ignore_https_errors=True,
            ignore_default_args=["--disable-background-networking", "--disable-back-forward-cache"],
            args=[
                *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update", "--disable-sync"),
                *("--ignore-certificate-errors", "--mute-audio", f"--host-resolver-rules={rules}"),
            ],
        )
        yield context
        context.close()


@pytest.fixture
def site(internet: Internet, browser: BrowserContext) -> Iterator[Site]:
    internet.clear()
    page = browser.new_page()
    yield Site(internet, page)
    cdp = browser.new_cdp_session(page)
    cdp.send("Storage.clearDataForOrigin", {"origin": f"https://{SITE}", "storageTypes": "all"})
    for other in browser.pages:
        if other is not browser.pages[0]:
            other.close()
    browser.clear_cookies()
