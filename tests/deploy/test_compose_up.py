"""`make test-compose`: the images are built and the demo runs in a real engine, behind nginx with TLS. Takes minutes.

Prints sizes and times, which docs/sizing.md tells. Skipped where no engine runs, and in `make test`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from demo.redis_server import free_port
from tests.deploy import compose
from tests.deploy.compose import PROFILES, Project

pytestmark = [
    pytest.mark.skipif(not os.environ.get("COMPOSE_TEST"), reason="builds images and takes minutes: make test-compose"),
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]
PATIENT = "59170000001"
SECRET = b"demo-app-secret"


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def wait_for(look: Callable[[], Any], timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except (requests.RequestException, urllib3.exceptions.HTTPError):
            pass
        time.sleep(0.2)
    raise AssertionError(f"not within {timeout_s} s")


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """Built, up and healthy; everything of it is removed at the end."""
    problem = compose.missing()
    if problem:
        pytest.skip(f"no engine: {problem}")
    began = time.monotonic()
    for image, size in compose.build().items():
        say(f"{image}: {size / 1e6:.0f} MB")
    say(f"built in {time.monotonic() - began:.0f} s")
    project = Project("canada-test", {name: free_port() for name in ("http", "https", "demo")})
    try:
        began = time.monotonic()
        project("up", "-d", "--no-build", "--wait", "--wait-timeout", "240")
        say(f"up and healthy in {time.monotonic() - began:.0f} s")
        yield project
    finally:
        project.down()


@pytest.fixture(scope="module")
def door(project: Project) -> Callable[..., requests.Response]:
    """A request through nginx by its own name; its certificate is signed by itself."""

    def ask(method: str, path: str, **options: Any) -> requests.Response:
        url = f"https://localhost:{project.ports['https']}{path}"
        return requests.request(method, url, verify=False, timeout=30, allow_redirects=False, **options)

    return ask


def message(text: str) -> bytes:
    """A text of the patient as Meta posts it."""
    written = {
        "from": PATIENT,
        "id": f"wamid.{uuid.uuid4().hex}",
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "59122000000", "phone_number_id": "200000000000002"},
        "contacts": [{"profile": {"name": "Rosa"}, "wa_id": PATIENT}],
        "messages": [written],
    }
    change = {"field": "messages", "value": value}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode()


def post(door: Callable[..., requests.Response], body: bytes) -> int:
    signature = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": signature, "Content-Type": "application/json"}
    return door("POST", "/webhook/whatsapp", data=body, headers=headers).status_code


def replies(project: Project, after: int) -> list[dict[str, Any]]:
    """What the simulated Meta was given for the patient."""
    url = f"http://127.0.0.1:{project.ports['demo']}/control/replies"
    asked = requests.get(url, params={"patient": PATIENT, "after": after, "timeout": 20}, timeout=40)
    return list(asked.json()["messages"])


def last_reply(project: Project) -> int:
    url = f"http://127.0.0.1:{project.ports['demo']}/control/messages"
    told = requests.get(url, params={"patient": PATIENT}, timeout=10).json()["messages"]
    return max((one["seq"] for one in told), default=0)


def is_answered(project: Project, door: Callable[..., requests.Response], text: str) -> bool:
    after = last_reply(project)
    assert wait_for(lambda: post(door, message(text)) == 200)
    return bool(replies(project, after))


def test_every_profile_is_valid() -> None:
    problem = compose.missing()
    if problem:
        pytest.skip(f"no engine: {problem}")
    for name in ("", "asistente.example.org"):
        for profile in PROFILES:
            command = [*compose.COMPOSE, "--profile", profile, "config", "-q"]
            compose.run(command, env=os.environ | {"SERVER_NAME": name, "COMPOSE_PROFILES": ""})


def test_a_signed_message_through_tls_is_answered_by_the_simulated_meta(
    project: Project, door: Callable[..., requests.Response]
) -> None:
    began = time.monotonic()
    assert is_answered(project, door, "¿Qué es la tuberculosis?")
    say(f"first message answered in {time.monotonic() - began:.1f} s")
    page = requests.get(f"http://127.0.0.1:{project.ports['demo']}/", timeout=10)
    assert page.status_code == 200
    wait_for(lambda: json.loads(inside(project, "/health"))["model_loaded"])
    say(f"the model answers after {time.monotonic() - began:.1f} s more")


def inside(project: Project, path: str) -> str:
    """What a webhook process answers to whoever is inside, whatever the status."""
    program = "import sys,urllib.request as u,urllib.error as e\ntry: print(u.urlopen(sys.argv[1]).read().decode())\n"
    program += "except e.HTTPError as x: print(x.read().decode())"
    return project("exec", "-T", "webhook", "python", "-c", program, f"http://127.0.0.1:8000{path}")


def test_only_what_is_meant_for_the_outside_is_reached(
    project: Project, door: Callable[..., requests.Response]
) -> None:
    assert door("GET", "/health/ready").status_code == 200
    for path in ("/metrics", "/health", "/model", "/", "/flower/metrics"):
        assert door("GET", path).status_code == 404, path
    assert door("GET", "/flower/").status_code == 401
    assert door("GET", "/flower/", auth=("demo", "demo")).status_code == 200
    assert door("GET", "/ops").headers["Location"].startswith("/ops/entrar")
    assert door("POST", "/webhook/whatsapp", data=b"x" * (3 * 1024 * 1024 + 1)).status_code == 413
    plain = requests.get(f"http://localhost:{project.ports['http']}/ops", allow_redirects=False, timeout=10)
    assert (plain.status_code, plain.headers["Location"]) == (301, "https://localhost/ops")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{project.ports['http']}/ops", timeout=10)


def test_containers_are_locked_down_and_only_nginx_and_the_demo_page_publish_ports(project: Project) -> None:
    known = project.containers()
    assert {"nginx", "webhook", "worker", "beat", "flower", "redis", "simulator"} <= set(known)
    for service, one in known.items():
        host = one["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        published = {port for port, there in (one["NetworkSettings"]["Ports"] or {}).items() if there}
        assert published == {"nginx": {"80/tcp", "443/tcp"}, "simulator": {"8080/tcp"}}.get(service, set()), service
    for service in ("webhook", "worker", "beat", "flower", "simulator", "redis"):
        user = project("exec", "-T", service, "id", "-u").strip()
        assert user != "0", service
        environment = " ".join(known[service]["Config"]["Env"])
        assert "demo-app-secret" not in environment, service
    kept = project("exec", "-T", "worker", "ls", "/app/logs").split()
    assert {"webhook.log", "worker.log"} <= set(kept)


def test_a_second_webhook_shares_the_load_and_one_may_die(
    project: Project, door: Callable[..., requests.Response]
) -> None:
    project("up", "-d", "--no-build", "--no-recreate", "--scale", "webhook=2", "--wait", "webhook")
    ids = project("ps", "-q", "webhook").split()
    assert len(ids) == 2
    time.sleep(6)  # nginx asks for the names again every five seconds
    assert all(post(door, message("hola")) == 200 for _ in range(10))
    compose.run([*compose.DOCKER, "pause", ids[0]])
    try:
        assert all(post(door, message("hola")) == 200 for _ in range(4))  # after 4 s the other is asked
    finally:
        compose.run([*compose.DOCKER, "unpause", ids[0]])


def test_wiped_and_restored_the_messages_are_there(
    project: Project, door: Callable[..., requests.Response], tmp_path: Path
) -> None:
    assert is_answered(project, door, "¿Cuándo es mi cita?")
    code = "import redis,pathlib;p=pathlib.Path('/run/secrets/REDIS_PASSWORD').read_text().strip();"
    code += "print(sorted(redis.Redis('redis',password=p,decode_responses=True).scan_iter('conversation:*')))"
    before = project("exec", "-T", "webhook", "python", "-c", code)
    assert "conversation:p_" in before
    saved = project.script("deploy/backup.sh", str(tmp_path))
    file = next(tmp_path.glob("redis-*.rdb"))
    say(saved.strip())
    project("stop", "worker", "beat", "webhook", "flower")
    project("kill", "redis")
    project("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "restore", "-c", "rm -rf /data/*")
    began = time.monotonic()
    project.script("deploy/restore.sh", str(file))
    say(f"restored in {time.monotonic() - began:.0f} s")
    wait_for(lambda: door("GET", "/health/ready").status_code == 200)
    assert project("exec", "-T", "webhook", "python", "-c", code) == before
    assert is_answered(project, door, "gracias")


def test_the_certificate_lasts_over_a_restart_and_a_stop_is_clean(
    project: Project, door: Callable[..., requests.Response]
) -> None:
    address = ("localhost", project.ports["https"])
    before = ssl.get_server_certificate(address)
    began = time.monotonic()
    project("stop")
    say(f"stopped in {time.monotonic() - began:.0f} s")
    codes = {service: one["State"]["ExitCode"] for service, one in project.containers().items()}
    assert all(code == 0 for code in codes.values()), codes
    began = time.monotonic()
    project("up", "-d", "--no-build", "--wait", "--wait-timeout", "240")
    say(f"up again in {time.monotonic() - began:.0f} s")
    assert ssl.get_server_certificate(address) == before
    assert is_answered(project, door, "hola")
