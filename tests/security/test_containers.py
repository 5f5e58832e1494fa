"""Containers: no root but where a reason is given, no rights, nothing to write on but named places, pinned images."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.security.patterns import ROOT

# Images that run as somebody else by themselves.
OWN_USER = {
    "canada-webhook": "USER 10001",
    "canada-worker": "USER 10001",
    "canada-simulator": "USER 10001",
    "n8nio/n8n": "node",
    "prom/prometheus": "nobody",
    "grafana/grafana": "472",
}
# Root with every right taken away, and why.
ROOT_BECAUSE = {
    "nginx": "binds ports 80 and 443 and reads the key; its workers are no root",
    "certificate": "writes into a fresh volume, which belongs to root; ends at once",
    "certbot": "writes the same volume, and the key must belong to root",
}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


def test_nobody_is_root_without_a_reason(services: dict[str, dict[str, Any]]) -> None:
    roots = set()
    for name, service in services.items():
        user = str(service.get("user", ""))
        image = service["image"].rpartition(":")[0].replace("${VERSION", "").rstrip(":")
        if user.startswith("0") or not (user or image in OWN_USER):
            roots.add(name)
    assert roots == set(ROOT_BECAUSE)


def test_nobody_gains_rights(services: dict[str, dict[str, Any]]) -> None:
    added = {name: set(service["cap_add"]) for name, service in services.items() if "cap_add" in service}
    assert added == {"nginx": {"CHOWN", "SETGID", "SETUID", "NET_BIND_SERVICE"}}
    for name, service in services.items():
        for wide in ("privileged", "pid", "ipc", "network_mode", "devices", "userns_mode"):
            assert wide not in service, (name, wide)
        assert "/var/run/docker.sock" not in str(service.get("volumes")), name
        for volume in service.get("volumes", []):
            assert not volume.startswith((".", "/")) or volume.endswith(":ro"), (name, volume)


def test_redis_and_databases_are_reached_from_inside_only(services: dict[str, dict[str, Any]]) -> None:
    whole = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert whole["networks"]["inside"]["internal"] is True
    for name in ("redis", "rabbitmq", "postgres", "prometheus"):
        assert set(services[name]["networks"]) <= {"inside", "n8n"}, name
        assert "ports" not in services[name]


def test_images_name_their_version(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert tag != "latest" or service["image"].startswith("canada-"), name
        assert ":" in service["image"], name
