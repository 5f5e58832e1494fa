"""deploy/nginx in a real nginx with TLS, in front of a real webhook and a real Flower."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from demo import processes
from demo.redis_server import free_port
from tests.deploy.nginx import Authority, Nginx
from tests.processes.system import APP_SECRET, System, started
from tests.webhook.conftest import envelope, text_message

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]
LIMIT = 3 * 1024 * 1024


@pytest.fixture(scope="module", autouse=True)
def _nginx_is_there() -> None:
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("nginx and openssl are needed: apt-get install nginx-light openssl")
        pytest.skip("no nginx or openssl on PATH: apt-get install nginx-light openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "Test CA")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    with started(folder, OPS_BASIC_AUTH="ana:secreta", FLOWER_BASIC_AUTH="ana:secreta") as running:
        yield running


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, authority: Authority, system: System) -> Iterator[Nginx]:
    flower_port = free_port()
    environment = system.environment | {"FLOWER_URL_PREFIX": "flower"}
    system.start(processes.flower(environment, system.folder, flower_port))
    system.wait_for(lambda: requests.get(f"http://127.0.0.1:{flower_port}/flower/healthcheck", timeout=2).ok)
    folder = tmp_path_factory.mktemp("nginx") / "nginx"
    server = Nginx(folder, authority, webhook=f"127.0.0.1:{system.port}", flower=f"127.0.0.1:{flower_port}").start()
    yield server
    server.stop()


def ask(nginx: Nginx, method: str, path: str, **options: Any) -> requests.Response:
    url = f"https://localhost:{nginx.https}{path}"
    given = {"verify": str(nginx.authority.file), "timeout": 20, "allow_redirects": False} | options
    return requests.request(method, url, **given)


def browser_of(nginx: Nginx) -> requests.Session:
    """Keeps its connection and its cookies."""
    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE would win over what is verified with
    session.verify = str(nginx.authority.file)
    return session


def post(nginx: Nginx, body: bytes, **options: Any) -> requests.Response:
    signature = "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": signature, "Content-Type": "application/json"}
    return ask(nginx, "POST", "/webhook/whatsapp", data=body, headers=headers, **options)


def raw(connection: socket.socket, request: str) -> bytes:
    """Send and read until the server closes."""
    connection.sendall(request.encode())
    answer = b""
    try:
        while part := connection.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
    return answer


def raw_tls(nginx: Nginx, request: str, name: str = "localhost") -> bytes:
    """The same over TLS: paths and host as written, which `requests` would tidy up."""
    context = ssl.create_default_context(cafile=str(nginx.authority.file))
    with (
        socket.create_connection(("127.0.0.1", nginx.https), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=name) as tls,
    ):
        return raw(tls, request)


@pytest.mark.parametrize("meta", ["off", "optional"])
def test_nginx_finds_nothing_wrong(tmp_path: Path, authority: Authority, meta: str) -> None:
    said = Nginx(tmp_path / "nginx", authority, meta=meta).check()
    assert "syntax is ok" in said
    assert "test is successful" in said
    assert "warn" not in said
    assert "emerg" not in said


def test_a_signed_message_is_accepted_and_a_forged_one_is_not(nginx: Nginx, system: System) -> None:
    accepted = post(nginx, envelope(text_message(701)))
    assert accepted.status_code == 200
    assert accepted.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert any(system.store.scan_iter("seen:*"))
    forged = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert ask(nginx, "POST", "/webhook/whatsapp", data=b"{}", headers=forged).status_code == 401


def test_old_tls_is_refused_and_nginx_does_not_tell_its_version(nginx: Nginx) -> None:
    context = ssl.create_default_context(cafile=str(nginx.authority.file))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", nginx.https), timeout=10) as connection, pytest.raises(ssl.SSLError):
        context.wrap_socket(connection, server_hostname="localhost")
    answer = ask(nginx, "GET", "/nothing")
    assert answer.headers["Server"] == "nginx"
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_burst_of_meta_is_not_limited(nginx: Nginx) -> None:
    with browser_of(nginx) as session:
        url = f"https://localhost:{nginx.https}/webhook/whatsapp"
        statuses = {session.post(url, data=b"{}", timeout=20).status_code for _ in range(150)}
    assert statuses == {401}


def test_people_are_limited(nginx: Nginx) -> None:
    with browser_of(nginx) as session:
        url = f"https://localhost:{nginx.https}/health/ready"
        statuses = [session.get(url, timeout=20).status_code for _ in range(60)]
    assert statuses[0] == 200
    assert 429 in statuses


def test_bodies_over_three_megabytes_are_refused_and_others_reach_the_webhook(nginx: Nginx, system: System) -> None:
    assert post(nginx, b"x" * (LIMIT + 1)).status_code == 413
    assert post(nginx, b"x" * LIMIT).status_code == 200  # signed and not to be read: kept aside, as the webhook does
    assert ask(nginx, "POST", "/chat", data=b"x" * 70_000).status_code == 413
    assert system.store.llen("unreadable") == 1


def test_plain_http_leads_to_https_but_for_the_challenge_of_the_certificate(nginx: Nginx) -> None:
    plain = f"http://localhost:{nginx.http}"
    answer = requests.get(f"{plain}/ops?a=1", allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://localhost/ops?a=1")
    challenge = nginx.folder / "acme" / ".well-known" / "acme-challenge" / "token-1"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("token-1.key")
    assert requests.get(f"{plain}/.well-known/acme-challenge/token-1", timeout=10).text == "token-1.key"


def test_another_host_name_gets_no_answer(nginx: Nginx) -> None:
    request = "GET /health/ready HTTP/1.1\r\nHost: other.example.org\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", nginx.http), timeout=10) as plain:
        assert raw(plain, request) == b""
    assert raw_tls(nginx, request) == b""
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        raw_tls(nginx, request, name="other.example.org")


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/health",
        "/model",
        "/",
        "/reminders/claim",
        "/ops/../metrics",
        "/%6detrics",
        "//metrics",
        "/flower/metrics",
        "/flower/%6detrics",
        "/flower/api/workers",
    ],
)
def test_what_is_inside_stays_inside(nginx: Nginx, path: str) -> None:
    answer = raw_tls(nginx, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404")


def test_flower_asks_for_its_password(nginx: Nginx) -> None:
    assert ask(nginx, "GET", "/flower").headers["Location"].endswith("/flower/")
    assert ask(nginx, "GET", "/flower/").status_code == 401
    assert ask(nginx, "GET", "/flower/", auth=("ana", "otra")).status_code == 401
    page = ask(nginx, "GET", "/flower/", auth=("ana", "secreta"))
    assert page.status_code == 200
    style = next(found for found in re.findall(r'href="([^"]+\.css[^"]*)"', page.text))
    assert style.startswith("/flower/")
    assert ask(nginx, "GET", style, auth=("ana", "secreta")).status_code == 200


def test_the_operators_page_asks_for_its_password_and_streams(nginx: Nginx) -> None:
    assert ask(nginx, "GET", "/ops").headers["Location"].startswith("/ops/entrar")
    assert ask(nginx, "GET", "/ops/events").status_code == 401
    with browser_of(nginx) as session:
        home = f"https://localhost:{nginx.https}"
        form = session.get(f"{home}/ops/entrar", timeout=10).text
        hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        entered = session.post(
            f"{home}/ops/entrar",
            data=hidden | {"user": "ana", "password": "secreta"},
            timeout=10,
            allow_redirects=False,
        )
        assert entered.status_code == 303, entered.text
        assert "Secure" in entered.headers["Set-Cookie"]
        with session.get(f"{home}/ops/events", stream=True, timeout=10) as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
            assert next(lines) == "event: change"  # now, while the stream goes on
            told = json.loads(next(lines).removeprefix("data: "))
    assert told["order"]


def test_with_metas_certificate_only_meta_reaches_the_webhook(
    tmp_path: Path, authority: Authority, system: System
) -> None:
    stranger, meta = authority.issue("stranger.example.org"), authority.issue("client.webhooks.fbclientcerts.com")
    false_friend = authority.issue("client.webhooks.fbclientcerts.com.example.org")
    server = Nginx(tmp_path / "nginx", authority, meta="optional", webhook=f"127.0.0.1:{system.port}").start()
    try:
        body = envelope(text_message(702))
        assert post(server, body).status_code == 403
        for shown in (stranger, false_friend):
            assert post(server, body, cert=tuple(map(str, shown))).status_code == 403
        assert post(server, body, cert=tuple(map(str, meta))).status_code == 200
        assert ask(server, "GET", "/health/ready").status_code == 200  # staff need none
    finally:
        server.stop()


def test_with_the_webhook_gone_meta_is_told_to_come_again(tmp_path: Path, authority: Authority) -> None:
    server = Nginx(tmp_path / "nginx", authority, webhook=f"127.0.0.1:{free_port()}").start()
    try:
        assert post(server, envelope(text_message(703))).status_code == 502
        asked = requests.get(f"http://127.0.0.1:{server.inside}/health", timeout=10)
        assert asked.status_code == 502
        challenge = {"hub.mode": "subscribe", "hub.verify_token": "geheim-token", "hub.challenge": "1"}
        assert ask(server, "GET", "/webhook/whatsapp", params=challenge).status_code == 502
        assert ask(server, "GET", "/avisos/geheim-link").status_code == 502
        assert '"path":"/avisos/..."' in server.log()
        assert "geheim" not in server.log()
    finally:
        server.stop()
