"""The manifests as the tests read them: the files themselves, and what Kustomize makes of each overlay.

Kustomize is that of `kubectl` or `kustomize` on PATH; pip and npm have no copy of it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("small", "large", "gpu")
Document = dict[str, Any]


def source_documents() -> list[tuple[str, Document]]:
    """(file, document) of every resource as it stands in the repository; no kustomization and no patch."""
    found = []
    for file in sorted(FOLDER.rglob("*.yaml")):
        if file.name != "kustomization.yaml" and "overlays" not in file.parts:
            documents = yaml.safe_load_all(file.read_text(encoding="utf-8"))
            found += [(str(file.relative_to(FOLDER)), document) for document in documents]
    return found


def kustomize() -> list[str] | None:
    """The command that renders a folder, or None where there is none."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


def render(folder: Path, overlay: str) -> Rendered:
    """Render an overlay in a copy under `folder`, with the example as its secrets."""
    command = kustomize()
    assert command
    shutil.copytree(ROOT / "deploy" / "kubernetes", folder / "kubernetes", dirs_exist_ok=True)
    shutil.copytree(ROOT / "deploy" / "redis", folder / "redis", dirs_exist_ok=True)
    where = folder / "kubernetes" / "overlays" / overlay
    shutil.copy(FOLDER / "secrets.env.example", where / "secrets.env")
    done = subprocess.run([*command, str(where)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr
    return Rendered([document for document in yaml.safe_load_all(done.stdout) if document])


@dataclass(frozen=True)
class Rendered:
    """All documents of one overlay."""

    documents: list[Document]

    def of_kind(self, kind: str) -> dict[str, Document]:
        """name -> document"""
        return {d["metadata"]["name"]: d for d in self.documents if d["kind"] == kind}

    def generated(self, kind: str, name: str) -> Document:
        """A ConfigMap or Secret whose name ends in Kustomize's hash."""
        (found,) = [d for full, d in self.of_kind(kind).items() if full.rpartition("-")[0] == name]
        return found

    def workloads(self) -> dict[str, Document]:
        return self.of_kind("Deployment") | self.of_kind("StatefulSet")

    def pods(self) -> dict[str, Document]:
        """workload -> the template of its pods"""
        return {name: document["spec"]["template"] for name, document in self.workloads().items()}

    def containers(self) -> Iterator[tuple[str, Document]]:
        for name, pod in self.pods().items():
            for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
                yield name, container

    def selected(self, selector: Document) -> set[str]:
        """The workloads whose pods a label selector finds."""
        return {name for name, pod in self.pods().items() if matches(selector, pod["metadata"]["labels"])}

    def may_reach(self, source: str, target: str, port: int) -> bool:
        """Whether the network policies let pods of one workload connect to those of another."""
        return self._allowed(source, "Egress", target, port) and self._allowed(target, "Ingress", source, port)

    def _allowed(self, subject: str, direction: str, other: str, port: int) -> bool:
        rules = [
            rule
            for policy in self.of_kind("NetworkPolicy").values()
            if subject in self.selected(policy["spec"]["podSelector"]) and direction in policy["spec"]["policyTypes"]
            for rule in policy["spec"].get(direction.lower(), [])
        ]
        peers = "to" if direction == "Egress" else "from"
        return any(
            other in self.selected(peer["podSelector"])
            for rule in rules
            if port in [p["port"] for p in rule["ports"]]
            for peer in rule[peers]
            if "podSelector" in peer and "namespaceSelector" not in peer
        )


def matches(selector: Document, labels: dict[str, str]) -> bool:
    """As the cluster reads a label selector; an empty one finds every pod."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return wanted and all(labels.get(expression["key"]) in expression["values"] for expression in expressions)
