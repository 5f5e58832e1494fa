"""What the images install is pinned and hashed; torch alone is not, because its wheel differs by platform and index."""

from __future__ import annotations

import configparser
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.security.patterns import ROOT

IMAGES = ("webhook", "worker")


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in pairs}


def hashed(image: str) -> dict[str, tuple[str, list[str]]]:
    """Package -> version and hashes, of what an image installs."""
    text = (ROOT / f"requirements-{image}.txt").read_text(encoding="utf-8").replace(" \\\n", " ")
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            pin, *options = line.split()
            name, _, version = pin.partition("==")
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", option) for option in options), line
            found[canonicalize_name(name)] = (version, options)
    return found


@pytest.mark.parametrize("image", IMAGES)
def test_every_package_of_an_image_has_its_version_and_its_hashes(image: str) -> None:
    found, versions = hashed(image), locked()
    assert len(found) > 40
    for name, (version, hashes) in found.items():
        assert hashes, name
        assert versions[name] == version, f"{name}: run make lock"


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_that_an_image_needs_is_missing(image: str) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    asked = [Requirement(line) for line in setup["options.extras_require"][image].split("\n") if line]
    found = hashed(image)
    for one in asked:
        name = canonicalize_name(one.name)
        if name != "torch":
            assert name in found, f"{name}: run make lock"
            assert one.specifier.contains(found[name][0]), f"{name}: run make lock"
    assert "torch" not in found


@pytest.mark.parametrize("image", IMAGES)
def test_the_image_is_installed_by_hashes_and_only_torch_without(image: str) -> None:
    text = (ROOT / f"Dockerfile.{image}").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"pip install[^&]*", text)
    [ours] = [one for one in installs if "--require-hashes" in one]
    assert "--no-deps" in ours
    assert f"-r requirements-{image}.txt" in ours
    assert [one.split()[-1] for one in installs if one != ours] == (['"$torch"'] if image == "worker" else [])
