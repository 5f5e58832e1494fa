"""deploy/kubernetes: read by the schemas of Kubernetes and KEDA, and our own rules about what Kustomize makes of it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject

from shared.settings import Settings
from tests.deploy import kubernetes
from tests.deploy.kubernetes import Document, Rendered
from tests.deploy.test_files import YAMLLINT

VERSIONS = ("1.30", "1.34")  # the oldest and the newest of Kubernetes that we promise
OURS = ("webhook", "worker", "beat", "flower")
SECRET_SETTINGS = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
COMPOSE: Document = yaml.safe_load((kubernetes.ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
needs_kustomize = pytest.mark.skipif(kubernetes.kustomize() is None, reason="neither kubectl nor kustomize on PATH")


@pytest.fixture(scope="module", params=kubernetes.OVERLAYS)
def overlay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    if kubernetes.kustomize() is None:
        pytest.skip("neither kubectl nor kustomize on PATH: the files themselves are checked all the same")
    return kubernetes.render(tmp_path_factory.mktemp("kustomize"), request.param)


def valid(document: Document) -> None:
    """Fail when Kubernetes (or KEDA) would refuse this document, or would not know one of its keys."""
    if document["apiVersion"] == "keda.sh/v1alpha1":
        assert document["kind"] == "ScaledObject"
        # These models drop what they do not know: what was dropped shows in the way back.
        known = ScaledObject.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert known == document
        return
    for version in VERSIONS:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize(("file", "document"), kubernetes.source_documents())
def test_every_file_is_what_kubernetes_knows(file: str, document: Document) -> None:
    valid(document)


@pytest.mark.parametrize("key", ["replicaz", "minReplicaCont"])
def test_a_key_that_nobody_knows_is_found(key: str) -> None:
    kind = "ScaledObject" if key.startswith("min") else "Deployment"
    document = next(d for _, d in kubernetes.source_documents() if d["kind"] == kind)
    broken = document | {"spec": document["spec"] | {key: 1}}
    with pytest.raises((kubernetes_validate.ValidationError, AssertionError)):
        valid(broken)


def test_yamllint_finds_nothing() -> None:
    files = [
        str(file) for file in (*kubernetes.FOLDER.rglob("*.yaml"), kubernetes.ROOT / "deploy/redis/kustomization.yaml")
    ]
    rules = YAMLLINT | {"rules": {**YAMLLINT["rules"], "octal-values": "disable"}}  # type: ignore[dict-item]
    command = [str(Path(sys.executable).parent / "yamllint"), "--strict", "-d", json.dumps(rules), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_every_document_of_an_overlay_is_what_kubernetes_knows(overlay: Rendered) -> None:
    for document in overlay.documents:
        valid(document)
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "assistant"


def test_every_process_is_there_with_the_image_and_command_of_compose(overlay: Rendered) -> None:
    assert set(overlay.workloads()) - {"redis"} == set(OURS)
    for name, container in overlay.containers():
        image, _, tag = container["image"].rpartition(":")
        assert tag not in ("", "latest"), name
        assert "${" not in image
        expected = COMPOSE[name]["image"].partition(":")[0]
        assert image.rpartition("/")[2] == expected.rpartition("/")[2]
        if name != "redis":
            assert container.get("command") == COMPOSE[name].get("command")


def test_every_container_is_looked_at_and_limited_as_in_compose(overlay: Rendered) -> None:
    for name, container in overlay.containers():
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert {"exec", "httpGet"} & set(container[probe]), (name, probe)
            assert container[probe]["timeoutSeconds"], (name, probe)
        with_gpu = "nvidia.com/gpu" in container["resources"]["limits"]
        limits = COMPOSE["worker-gpu" if with_gpu else name]["deploy"]["resources"]["limits"]
        assert cores(container["resources"]["limits"]["cpu"]) == float(limits["cpus"]), name
        assert container["resources"]["limits"]["memory"] == limits["memory"], name
        assert cores(container["resources"]["requests"]["cpu"]) <= float(limits["cpus"])
        assert container["resources"]["requests"]["memory"]


def cores(quantity: str) -> float:
    return float(quantity.removesuffix("m")) / 1000 if quantity.endswith("m") else float(quantity)


def test_no_process_is_root_or_can_change_its_files(overlay: Rendered) -> None:
    for name, pod in overlay.pods().items():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == 10001, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
    for name, container in overlay.containers():
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }, name
    namespace = overlay.of_kind("Namespace")["assistant"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_services_cannot_disturb_the_settings(overlay: Rendered) -> None:
    """A Service named redis would set REDIS_PORT=tcp://…, which is one of our settings."""
    for name, pod in overlay.pods().items():
        assert pod["spec"]["enableServiceLinks"] is False, name


def test_every_setting_is_one_of_ours_and_can_be_read(overlay: Rendered) -> None:
    values = overlay.generated("ConfigMap", "settings")["data"]
    for name, container in overlay.containers():
        own = {variable["name"]: variable["value"] for variable in container.get("env", [])}
        assert set(values) | set(own) <= set(Settings.model_fields), name
        assert not SECRET_SETTINGS & (set(values) | set(own)), name
        if name in OURS:
            maps = [source["configMapRef"]["name"] for source in container["envFrom"]]
            assert maps == [overlay.generated("ConfigMap", "settings")["metadata"]["name"]]
            Settings(_env_file=None, _secrets_dir=None, **values | own)


def test_secrets_are_files_and_each_process_gets_its_own_only(overlay: Rendered) -> None:
    secret = overlay.generated("Secret", "secrets")
    assert set(secret["data"]) == SECRET_SETTINGS
    assert all(base64.b64decode(value) == b"" for value in secret["data"].values())  # the example holds none
    for name, pod in overlay.pods().items():
        (volume,) = [v["secret"] for v in pod["spec"]["volumes"] if "secret" in v]
        assert volume["secretName"] == secret["metadata"]["name"]
        items = {item["key"] for item in volume["items"]}
        assert all(item["key"] == item["path"] for item in volume["items"])
        assert items - {"REDIS_URL"} == set(COMPOSE[name].get("secrets", [])), name
        (container,) = pod["spec"]["containers"]
        assert {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True} in container["volumeMounts"]


def test_mounts_have_volumes_and_volumes_have_what_they_name(overlay: Rendered) -> None:
    for name, document in overlay.workloads().items():
        pod = document["spec"]["template"]
        claims = {c["metadata"]["name"] for c in document["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounted = {m["name"] for c in pod["spec"]["containers"] for m in c["volumeMounts"]}
        assert mounted == set(volumes) | claims, name
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in overlay.of_kind("ConfigMap")
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in overlay.of_kind("PersistentVolumeClaim")


def test_selectors_find_their_pods_and_ports_are_open(overlay: Rendered) -> None:
    for name, document in overlay.workloads().items():
        assert overlay.selected(document["spec"]["selector"]) == {name}
        for spread in document["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert overlay.selected(spread["labelSelector"]) == {name}
    ports = {name: {p["name"]: p["containerPort"] for p in c.get("ports", [])} for name, c in overlay.containers()}
    for name, service in overlay.of_kind("Service").items():
        assert overlay.selected({"matchLabels": service["spec"]["selector"]}) == {name}
        assert all(ports[name][p["targetPort"]] == p["port"] for p in service["spec"]["ports"])
    for name, budget in overlay.of_kind("PodDisruptionBudget").items():
        assert overlay.selected(budget["spec"]["selector"]) == {name}
        assert budget["spec"]["maxUnavailable"] == 1  # with minAvailable a single worker's host could never be emptied
    for policy in overlay.of_kind("NetworkPolicy").values():
        assert overlay.selected(policy["spec"]["podSelector"])
    targets = [hpa["spec"]["scaleTargetRef"] for hpa in overlay.of_kind("HorizontalPodAutoscaler").values()]
    targets += [scaled["spec"]["scaleTargetRef"] for scaled in overlay.of_kind("ScaledObject").values()]
    for target in targets:
        assert "replicas" not in overlay.of_kind("Deployment")[target["name"]]["spec"]


def test_the_ingress_passes_on_what_nginx_does_and_only_to_the_webhook(overlay: Rendered) -> None:
    (ingress,) = overlay.of_kind("Ingress").values()
    assert ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"]
    (rule,) = ingress["spec"]["rules"]
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    public = overlay.generated("ConfigMap", "settings")["data"]["PUBLIC_URL"]
    assert public == f"https://{rule['host']}"
    service = {"name": "webhook", "port": {"name": "http"}}
    assert all(path["backend"] == {"service": service} for path in rule["http"]["paths"])
    paths = {path["path"] for path in rule["http"]["paths"]}
    assert paths == {"/webhook/whatsapp", "/avisos", "/ops", "/chat", "/health/ready"}


def test_the_network_lets_through_what_is_needed_and_no_more(overlay: Rendered) -> None:
    has_redis = "redis" in overlay.workloads()
    for source in overlay.workloads():
        assert overlay.may_reach(source, "redis", 6379) == (has_redis and source != "redis"), source
        assert overlay.may_reach(source, "webhook", 8000) == (source == "worker"), source
        assert not overlay.may_reach(source, "flower", 5555), source
    outside = {
        name
        for policy in overlay.of_kind("NetworkPolicy").values()
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
        for name in overlay.selected(policy["spec"]["podSelector"])
    }
    assert outside == {"webhook", "worker"}
    nothing = overlay.of_kind("NetworkPolicy")["nothing"]["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_times_are_those_of_the_images(overlay: Rendered) -> None:
    dockerfile = (kubernetes.ROOT / "Dockerfile.worker").read_text(encoding="utf-8")
    check = json.loads(re.findall(r"HEALTHCHECK .*\n\s+CMD (\[.*\])", dockerfile)[0])
    worker = overlay.pods()["worker"]["spec"]
    (container,) = worker["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["exec"]["command"] == check
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] == 600
    assert worker["terminationGracePeriodSeconds"] == 90
    deployments = overlay.of_kind("Deployment")
    assert deployments["beat"]["spec"]["replicas"] == 1
    assert deployments["beat"]["spec"]["strategy"] == {"type": "Recreate"}
    assert deployments["webhook"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_redis_starts_with_the_files_of_compose(overlay: Rendered) -> None:
    if "redis" not in overlay.workloads():
        assert overlay.generated("ConfigMap", "settings")["data"]["REDIS_HOST"] != "redis"
        return
    files = overlay.generated("ConfigMap", "redis-start")["data"]
    for name, text in files.items():
        assert text == (kubernetes.ROOT / "deploy" / "redis" / name).read_text(encoding="utf-8")
    assert set(files) == {"redis.conf", "start.sh"}
    assert "maxmemory-policy noeviction" in files["redis.conf"]
    assert "/etc/redis/redis.conf" in files["start.sh"]  # where the ConfigMap is mounted
    (container,) = overlay.pods()["redis"]["spec"]["containers"]
    assert container["command"] == ["sh", "/etc/redis/start.sh"]
    assert {"name": "start", "mountPath": "/etc/redis", "readOnly": True} in container["volumeMounts"]


@needs_kustomize
def test_the_gpu_overlay_asks_for_a_gpu_and_its_pool(tmp_path: Path) -> None:
    rendered = kubernetes.render(tmp_path, "gpu")
    worker: dict[str, Any] = rendered.pods()["worker"]["spec"]
    (container,) = worker["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"].endswith("-cuda")
    assert {"name": "MODEL_DEVICE", "value": "cuda"} in container["env"]
    assert {"name": "MODEL_CACHE_DIR", "value": "/app/models"} in container["env"]
    assert worker["nodeSelector"]
    assert worker["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


@needs_kustomize
def test_workers_grow_with_the_age_that_metrics_shows(tmp_path: Path) -> None:
    scaled = kubernetes.render(tmp_path, "large").of_kind("ScaledObject")["worker"]["spec"]
    (trigger,) = scaled["triggers"]
    documented = (kubernetes.ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    name, queue = re.fullmatch(r'max\((\w+)\{queue="(\w+)"\}\)', trigger["metadata"]["query"]).groups()  # type: ignore[union-attr]
    assert f"| `{name}` | gauge | `queue` |" in documented
    assert f"`{queue}` (patients" in documented
    assert scaled["minReplicaCount"] >= 1
    assert trigger["metricType"] == "Value"
