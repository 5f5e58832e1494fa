"""Every command, script and option that the documents name is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from shared.alerts.kinds import KINDS
from shared.settings import Settings
from workers.whatsapp.error_codes import class_of

ROOT = Path(__file__).parents[2]
DOCS = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / ".env.example"])
TROUBLES = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
_MODULE = re.compile(r"python3? -m ([\w.]*\w)([^`\n|]*)")
_MAKE = re.compile(r"(?:^|`|&& |\$ )make ([a-z][a-z0-9-]*)", re.MULTILINE)
_OURS = {folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").is_file()}


def source(module: str) -> str:
    """The program text of a module that is run with -m."""
    found = importlib.util.find_spec(module)
    assert found is not None, module
    if found.submodule_search_locations:
        found = importlib.util.find_spec(f"{module}.__main__")
        assert found is not None, module
    assert found.origin
    text = Path(found.origin).read_text(encoding="utf-8")
    assert "__main__" in text or found.name.endswith("__main__"), module
    return text


def named_modules(text: str) -> list[tuple[str, str]]:
    return [(module, rest) for module, rest in _MODULE.findall(text) if module.partition(".")[0] in _OURS]


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_what_a_document_tells_to_run_is_there(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for module, _ in named_modules(text):
        source(module)
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for target in _MAKE.findall(text):
        assert target in targets, target
    for script in re.findall(r"\bdeploy/[\w/-]+\.sh", text):
        assert (ROOT / script).is_file(), script


def test_the_options_of_our_tools_are_there() -> None:
    asked = [(m, option) for m, rest in named_modules(TROUBLES) for option in re.findall(r"--[a-z-]+", rest)]
    assert len(asked) > 3
    for module, option in asked:
        assert f'"{option}"' in source(module), (module, option)


def test_the_advice_of_incidents_names_what_is_there() -> None:
    for kind in KINDS.values():
        for module, _ in named_modules(kind.advice):
            source(module)


def test_troubleshooting_has_a_row_for_every_incident_but_those_of_people() -> None:
    rows = [line for line in TROUBLES.splitlines() if line.startswith("| ") and not line.startswith("| symptom")]
    assert len(rows) >= 25
    assert all(line.count(" | ") == 2 for line in rows)
    told_elsewhere = {  # the mail itself says all there is to do
        "spool_full",
        "template_quality",
        "template_category",
        "number_quality",
        "turn_failed",
        "send_refused",
        "account_alert",
    }
    for kind in KINDS:
        if not kind.startswith("handoff_") and kind not in told_elsewhere:
            assert f"`{kind}`" in TROUBLES, kind


def test_its_settings_and_codes_are_known() -> None:
    compose = {"SERVER_NAME", "META_CLIENT_CERTIFICATE"}
    for name in re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=\w+)?`", TROUBLES):
        assert name in Settings.model_fields or name in compose, name
    section = TROUBLES.partition("## Meta refuses")[2].partition("\n## ")[0]
    for cell in re.findall(r"^\| ([^|]*) \|", section, re.MULTILINE):
        for code in re.findall(r"\b(?:190|10|368|1\d{5}|80007)\b", cell):
            assert class_of(int(code)) is not None, code
