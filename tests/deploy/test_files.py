"""Dockerfiles, compose.yaml and the scripts, read by the checkers that know them, and our own rules about them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import Settings
from tests.deploy import compose

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ONCE = {"certificate", "doctor", "backup", "restore", "n8n-import"}  # run and end
YAMLLINT = {
    "extends": "default",
    "rules": {
        "line-length": {"max": 130},
        "document-start": "disable",
        "braces": {"max-spaces-inside": 1},
        "comments": {"min-spaces-from-content": 1},
    },
}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """The services with anchors resolved, as they stand in the file."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


def check(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_finds_nothing() -> None:
    check(str(BIN / "hadolint"), "Dockerfile.webhook", "Dockerfile.worker")


def test_yamllint_finds_nothing() -> None:
    files = [str(file) for file in (ROOT / "deploy").rglob("*.yml")]
    check(str(BIN / "yamllint"), "--strict", "-d", json.dumps(YAMLLINT), "compose.yaml", *files)


def test_compose_knows_every_key() -> None:
    check(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_the_shell_finds_no_fault_in_the_scripts() -> None:
    for script in [*(ROOT / "deploy").rglob("*.sh")]:
        check("sh", "-n", str(script))
        assert os.access(script, os.X_OK), script


@pytest.mark.parametrize("file", ["Dockerfile.webhook", "Dockerfile.worker"])
def test_dockerfiles_need_no_newer_builder_and_run_without_root(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    for newer in ("# syntax", "<<", "COPY --link"):
        assert newer not in text
    last = text.rpartition("\nFROM ")[2]
    assert "\nUSER 10001\n" in last
    assert "\nHEALTHCHECK " in last
    assert '\nCMD ["' in last  # as a list: SIGTERM reaches the process, not a shell


def test_no_secret_can_get_into_an_image() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"  # everything stays out but what is named
    named = {rule.removeprefix("!") for rule in rules[1:] if rule.startswith("!")}
    assert not named & {".env", "deploy", "var", "models", ".git"}


def test_only_nginx_and_the_demo_page_publish_ports(services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert set(published) == {"nginx", "simulator"}
    assert services["simulator"]["profiles"] == ["demo"]
    assert all(port.startswith("127.0.0.1:") for port in published["simulator"])


def test_every_service_is_locked_down_limited_and_looked_at(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped"), name
        if name not in ONCE:
            limits = service["deploy"]["resources"]["limits"]
            assert limits["cpus"], name
            assert limits["memory"], name
        if name not in ONCE | {"certbot", "simulator"}:  # the simulator's is in its image; certbot only sleeps
            assert service["healthcheck"]["test"], name


def test_acknowledging_goes_before_answering_where_cores_are_short(services: dict[str, dict[str, Any]]) -> None:
    favoured = {name: service["cpu_shares"] for name, service in services.items() if "cpu_shares" in service}
    assert favoured == {"nginx": 4096, "webhook": 4096, "redis": 4096}


def test_no_process_of_ours_is_process_1(services: dict[str, dict[str, Any]]) -> None:
    """The kernel gives process 1 no signal that it has no handler for: a SIGTERM of its first second would be lost."""
    ours = {name for name, service in services.items() if service["image"].startswith("canada-")} - {"certificate"}
    assert {"webhook", "worker", "beat", "flower"} < ours
    assert {name for name in ours if services[name].get("init") is not True} == set()


def test_the_seed_server_s_limits(services: dict[str, dict[str, Any]]) -> None:
    limits = {name: services[name]["deploy"]["resources"]["limits"] for name in ("worker", "redis")}
    assert limits == {"worker": {"cpus": "2", "memory": "4G"}, "redis": {"cpus": "0.5", "memory": "512M"}}
    assert services["worker"]["healthcheck"]["start_period"] == "600s"


def test_nginx_waits_for_no_model(services: dict[str, dict[str, Any]]) -> None:
    assert set(services["nginx"]["depends_on"]) == {"certificate", "webhook"}
    assert services["nginx"]["depends_on"]["webhook"]["condition"] == "service_started"
    assert set(services["webhook"]["depends_on"]) == {"redis"}


def test_secrets_are_files_and_named_like_the_settings(services: dict[str, dict[str, Any]]) -> None:
    whole = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    for name, secret in whole["secrets"].items():
        assert secret["file"] == f"deploy/secrets/${{SERVER_NAME:-demo}}/{name}"
        assert (ROOT / "deploy" / "secrets" / "demo" / name).exists(), name
    for service in ("webhook", "worker", "beat", "flower"):
        assert set(services[service]["secrets"]) <= set(Settings.model_fields)
    hidden = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    given = set(whole["secrets"]) | {"REDIS_URL"}  # the address is put together from the three parts
    assert hidden <= given


def test_secrets_of_a_server_are_made_once_and_random(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    script = tmp_path / "secrets.sh"
    script.write_text((ROOT / "deploy" / "secrets.sh").read_text(encoding="utf-8"))

    def made(name: str, *more: str) -> dict[str, str]:
        check("sh", str(script), name, *more)
        folder = tmp_path / "secrets" / name
        assert folder.stat().st_mode & 0o777 == 0o700
        return {file.name: file.read_text() for file in folder.iterdir()}

    first = made("one.example.org")
    assert set(first) == {file.name for file in (ROOT / "deploy" / "secrets" / "demo").iterdir()}
    assert made("one.example.org") == first
    other = made("two.example.org", "--rabbitmq")
    assert not {value for value in first.values() if value} & set(other.values())
    assert other["CELERY_BROKER_URL"].strip().startswith("amqp://assistant:")
    assert Settings(_env_file=None, _secrets_dir=tmp_path / "secrets" / "two.example.org").broker_url.startswith("amqp")


def test_compose_itself_reads_every_profile() -> None:
    try:
        subprocess.run([*compose.COMPOSE, "version"], capture_output=True, check=True, timeout=30)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no Compose here: the schema was checked above")
    for profile in compose.PROFILES:
        check(*compose.COMPOSE, "--profile", profile, "config", "-q")
