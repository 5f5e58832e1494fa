"""bandit, detect-secrets and hadolint find nothing, or each exception is explained beside it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BASELINE = ROOT / ".secrets.baseline"
# Data, pictures and hashes: nobody writes a password there, and they take minutes.
UNREAD = re.compile(r"\.(npz|png|safetensors|jsonl|lock|baseline)$|^training/data/|/data/|^requirements-")
# What the baseline may hold, and why it is no secret. A new find elsewhere is one until somebody has explained it here.
NO_SECRETS = {
    "tests/": "made up for tests: keys of servers that live as long as a test",
    "benchmarks/": "made up, as in tests",
    "demo/": "of the demo: public on purpose, on loopback only; settings refuses them nowhere else",
    "deploy/settings/demo": "of the demo in Compose",
    "deploy/kubernetes/base/": "names of Kubernetes' secrets, not their contents",
    "docs/kubernetes.md": "an example address with a password that says so",
    "shared/setting_changes.py": "the old name of a setting, and advice",
    "workers/model/bundled/training.json": "the SHA-256 of the training data",
}


def test_bandit_finds_nothing() -> None:
    folders = ["webhook", "workers", "shared", "scheduler", "demo", "deploy"]
    command = [BIN / "bandit", "-q", "-r", "-c", "bandit.yaml", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_each_exception_from_bandit_says_why() -> None:
    lines = (ROOT / "bandit.yaml").read_text(encoding="utf-8").splitlines()
    skipped = yaml.safe_load("\n".join(lines))["skips"]
    assert len([line for line in lines if re.match(r"  - B\d{3} # .{20,}", line)]) == len(skipped)
    for folder in ("webhook", "workers", "shared", "scheduler", "demo", "deploy"):
        for file in (ROOT / folder).rglob("*.py"):
            for line in file.read_text(encoding="utf-8").splitlines():
                if "# nosec" in line:
                    assert re.search(r"# nosec B\d{3} - .{10,}", line), (file, line)


def test_no_secret_lies_in_a_file() -> None:
    """Newly found but no secret? detect-secrets scan FILES --baseline .secrets.baseline, and a reason in NO_SECRETS."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [name for name in listed.splitlines() if not UNREAD.search(name) and (ROOT / name).exists()]
    done = subprocess.run(
        [BIN / "detect-secrets", "scan", *files], cwd=ROOT, capture_output=True, timeout=150, check=True
    )
    found, known = _secrets(json.loads(done.stdout)), _secrets(json.loads(BASELINE.read_text(encoding="utf-8")))
    assert not found - known, sorted(found - known)
    for name, *_ in known:
        assert any(name.startswith(place) for place in NO_SECRETS), name


def test_every_reason_is_still_needed() -> None:
    known = {name for name, *_ in _secrets(json.loads(BASELINE.read_text(encoding="utf-8")))}
    for place in NO_SECRETS:
        assert any(name.startswith(place) for name in known), place


def test_a_secret_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        'PASSWORD = "hunter2hunter2"\nTOKEN = "' + "xoxb" + '-1234567890-1234567890-abcdefghijklmn"\n'
    )
    command = [BIN / "detect-secrets", "scan", "--all-files", str(tmp_path / "a.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=True)
    assert {kind for _, kind, _ in _secrets(json.loads(done.stdout))} >= {"Secret Keyword", "Slack Token"}


def _secrets(scan: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(file, kind, hash): lines may move."""
    return {(name, one["type"], one["hashed_secret"]) for name, all_ in scan["results"].items() for one in all_}
