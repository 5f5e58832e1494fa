"""Docker and Compose as the tests call them: one project of its own, with its own ports. Used by test_compose_up.

DOCKER and COMPOSE name the programs (default: docker, docker compose); BUILD_ARGS are added to each `docker build`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCKER = shlex.split(os.environ.get("DOCKER", "docker"))
COMPOSE = shlex.split(os.environ.get("COMPOSE", "docker compose"))
PROFILES = ("demo", "gpu", "n8n", "rabbitmq", "monitoring", "n8n-import", "certbot", "tools")
IMAGES = {
    "canada-webhook": ("Dockerfile.webhook", "webhook"),
    "canada-simulator": ("Dockerfile.webhook", "simulator"),
    "canada-worker": ("Dockerfile.worker", "worker"),
}
VERSION = "test"


def run(command: list[str], timeout_s: float = 900, **options: Any) -> str:
    """Run in the repository's root and return what it wrote; a failure shows both outputs."""
    done = subprocess.run(command, cwd=ROOT, timeout=timeout_s, text=True, capture_output=True, **options)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def missing() -> str | None:
    """None when an engine and Compose answer, else a sentence on what is not there."""
    for program, question in ((DOCKER, ["info"]), (COMPOSE, ["version"])):
        if shutil.which(program[0]) is None:
            return f"{program[0]} is not installed"
        asked = subprocess.run([*program, *question], capture_output=True, text=True, check=False)
        if asked.returncode:
            return f"{shlex.join(program)} {question[0]} fails: {asked.stderr.strip()[-200:]}"
    return None


def build() -> dict[str, int]:
    """Build the images with the engine's own builder; returns their sizes in bytes."""
    extra = shlex.split(os.environ.get("BUILD_ARGS", ""))
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    for image, (file, target) in IMAGES.items():
        tag = ["-t", f"{image}:{VERSION}"]
        run([*DOCKER, "build", *extra, "-f", file, "--target", target, *tag, "."], env=environment)
    return {image: size(f"{image}:{VERSION}") for image in IMAGES}


def size(image: str) -> int:
    return int(run([*DOCKER, "image", "inspect", "-f", "{{.Size}}", image]))


@dataclass
class Project:
    """The demo under a name of its own. `ports` are those of this machine: http, https, demo."""

    name: str
    ports: dict[str, int]
    profiles: tuple[str, ...] = ("demo",)
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environment = {
            **os.environ,
            "VERSION": VERSION,
            "SERVER_NAME": "",
            "HTTP_PORT": f"127.0.0.1:{self.ports['http']}",
            "HTTPS_PORT": f"127.0.0.1:{self.ports['https']}",
            "DEMO_PORT": str(self.ports["demo"]),
            "COMPOSE_PROFILES": ",".join(self.profiles),
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE": shlex.join(COMPOSE),
        }

    def __call__(self, *arguments: str, timeout_s: float = 900) -> str:
        """`docker compose ARGUMENTS` of this project."""
        return run([*COMPOSE, *arguments], timeout_s=timeout_s, env=self.environment)

    def script(self, *command: str) -> str:
        """A script of deploy/, which calls Compose itself."""
        return run(list(command), env=self.environment)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine knows of each container, by service; one of several replicas."""
        ids = self("ps", "-aq").split()
        known = json.loads(run([*DOCKER, "inspect", *ids]))
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in known}

    def down(self) -> None:
        self("down", "-v", "--remove-orphans", "--timeout", "20")
