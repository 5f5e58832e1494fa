"""docs/security.md: each claim names a test or file that holds it, and what it names is there."""

from __future__ import annotations

import re

import pytest

from tests.fuzz.targets import TARGETS
from tests.security.patterns import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
_NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+|bandit\.yaml|\.secrets\.baseline)(?:::(\w+))?`")
CLAIMS = [line for line in TEXT.split("## Not held")[0].splitlines() if line.startswith("|")][2:]


def test_every_claim_names_its_proof() -> None:
    assert len(CLAIMS) > 20
    for claim in CLAIMS:
        cells = claim.strip("|").split(" | ")
        assert len(cells) == 4, claim
        assert re.search(r"`tests/", cells[3]), claim


@pytest.mark.parametrize(("file", "name"), sorted(set(_NAMED.findall(TEXT))))
def test_what_is_named_is_there(file: str, name: str) -> None:
    path = ROOT / file
    assert path.exists(), file
    if name:
        assert re.search(rf"^def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE), f"{file}::{name}"


def test_the_targets_are_counted() -> None:
    assert len(TARGETS) == 11
    assert sum(target.inputs for target in TARGETS.values()) >= 1_000_000
