"""The workflow files themselves, read without n8n: part of the normal suite."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Settings
from shared.texts import Texts
from tests.n8n.n8n import DEPLOY, example_environment
from workers.dialogue.buttons import visit_payload

FILES = sorted((DEPLOY / "workflows").glob("*.json"))
OFF = ("4-reminders.json", "5-analytics.json")


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_can_be_imported_and_keeps_no_executions(path: Path) -> None:
    flow = load(path)
    assert flow["id"]
    assert flow["active"] is False
    kept = [flow["settings"][name] for name in ("saveDataSuccessExecution", "saveDataErrorExecution")]
    assert kept == ["none", "none"]
    names = [node["name"] for node in flow["nodes"]]
    linked = {
        name for outs in flow["connections"].values() for out in outs["main"] for name in (o["node"] for o in out)
    }
    assert linked | set(flow["connections"]) == set(names)
    assert len(names) == len(set(names))


def test_the_import_publishes_all_but_those_that_are_off() -> None:
    script = (DEPLOY / "import.sh").read_text(encoding="utf-8")
    published = {load(path)["id"] for path in FILES if load(path)["id"] in script}
    assert published == {load(path)["id"] for path in FILES if path.name not in OFF}


def test_every_variable_that_the_files_read_is_in_the_example() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in [*FILES, DEPLOY / "credentials.json"])
    assert set(re.findall(r"\$env\.([A-Z0-9_]+)", text)) <= set(example_environment())


def test_the_example_holds_no_secret() -> None:
    secrets = [name for name in example_environment() if re.search(r"SECRET|TOKEN|PASSWORD|KEY$|SLACK", name)]
    assert {example_environment()[name] for name in secrets} == {""}


def test_the_credential_is_read_from_the_environment() -> None:
    (mail,) = json.loads((DEPLOY / "credentials.json").read_text(encoding="utf-8"))
    assert all(value.startswith("={{ ") and "$env." in value for value in mail["data"].values())


def test_the_apology_is_our_own_sentence() -> None:
    flow = load(DEPLOY / "workflows" / "3-errors.json")
    node = next(node for node in flow["nodes"] if node["name"] == "Disculparse con el paciente")
    settings = Settings(_env_file=None)
    sentence = Texts.load(settings).get("fallo")
    parts = re.split(f"{re.escape(settings.CENTER_PHONE)}|{re.escape(settings.EMERGENCY_PHONE)}", sentence)
    assert len(parts) == 3
    assert all(part in node["parameters"]["jsonBody"] for part in parts)


def test_the_reminders_payloads_are_those_of_our_own() -> None:
    code = (DEPLOY / "workflows" / "4-reminders.json").read_text(encoding="utf-8")
    assert (
        visit_payload("asistire", "17").replace("asistire", "${action}").replace("17", "${visit.appointment_id}")
        in code
    )
