"""Writes requirements-webhook.txt and requirements-worker.txt: what each image installs, with the hash of every file.

Run by `make lock`, in the environment whose versions requirements.lock holds: python deploy/hashes.py
Versions come from requirements.lock, what needs what from the installed packages, hashes from the index that pip uses:
those of the wheels for Python 3.11 on Linux, x86-64 and ARM. torch stands in no such file: its wheel is chosen where it
is installed (CPU or CUDA), what it needs is here.
"""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
import tempfile
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
IMAGES = ("webhook", "worker")
NOT_HERE = ("torch", "nvidia-", "cuda-", "triton", "pip", "setuptools")  # chosen with torch, or of the venv
PLATFORMS = ("x86_64", "aarch64")


def pinned() -> dict[str, str]:
    """Canonical name -> version, of requirements.lock."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in pairs}


def needed(image: str) -> set[str]:
    """What the extra of this name asks for, and all that this needs, by the metadata of what is installed."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    waiting = [Requirement(line) for line in setup["options.extras_require"][image].split("\n") if line]
    found: set[str] = set()
    seen: set[str] = set()
    while waiting:
        asked = waiting.pop()
        key = f"{canonicalize_name(asked.name)}[{','.join(sorted(asked.extras))}]"
        if key in seen:
            continue
        seen.add(key)
        found.add(canonicalize_name(asked.name))
        for text in requires(asked.name) or []:
            one = Requirement(text)
            marker = one.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *asked.extras)):
                waiting.append(one)
    return {name for name in found if not name.startswith(NOT_HERE)}


def hashes(names: set[str], versions: dict[str, str], platform: str) -> dict[str, str]:
    """SHA-256 of the wheel that pip would take on this platform."""
    options = ["--python-version", "3.11", "--implementation", "cp", "--only-binary", ":all:", "--no-deps"]
    for minor in (5, 12, 17, 24, 27, 28, 31, 34, 35, 36):
        options += ["--platform", f"manylinux_2_{minor}_{platform}"]
    options += ["--platform", f"manylinux2014_{platform}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--target", folder, "--ignore-installed"]
        command += ["--report", str(report), *options, *(f"{name}=={versions[name]}" for name in sorted(names))]
        subprocess.run(command, check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    archives = {canonicalize_name(one["metadata"]["name"]): one["download_info"]["archive_info"] for one in found}
    return {name: archive["hashes"]["sha256"] for name, archive in archives.items()}


def main() -> None:
    versions = pinned()
    for image in IMAGES:
        names = needed(image)
        of_each = [hashes(names, versions, platform) for platform in PLATFORMS]
        lines = [f"# What Dockerfile.{image} installs, with --require-hashes. Written by `make lock`; not by hand."]
        for name in sorted(names):
            known = sorted({of_one[name] for of_one in of_each})
            lines.append(" \\\n    ".join([f"{name}=={versions[name]}", *(f"--hash=sha256:{one}" for one in known)]))
        (ROOT / f"requirements-{image}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"requirements-{image}.txt: {len(names)} packages")


if __name__ == "__main__":
    main()
