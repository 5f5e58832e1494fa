"""Secrets as files, as Compose and Kubernetes hand them over, and logs kept in a folder."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import logs
from shared.settings import Settings


def read(folder: Path) -> Settings:
    return Settings(_env_file=None, _secrets_dir=folder)


def test_a_file_named_like_the_setting_is_its_value(tmp_path: Path) -> None:
    (tmp_path / "WHATSAPP_ACCESS_TOKEN").write_text("EAAG-token\n")
    (tmp_path / "REDIS_PASSWORD").write_text("p@ss")
    settings = read(tmp_path)
    assert settings.WHATSAPP_ACCESS_TOKEN is not None
    assert settings.WHATSAPP_ACCESS_TOKEN.get_secret_value() == "EAAG-token"
    assert settings.redis_url == "redis://:p%40ss@127.0.0.1:6379/0"


def test_the_environment_wins_over_a_file_unless_it_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "PATIENT_ID_KEY").write_text("of the file")
    monkeypatch.setenv("PATIENT_ID_KEY", "of the environment")
    assert read(tmp_path).patient_id_key == b"of the environment"
    monkeypatch.setenv("PATIENT_ID_KEY", "")
    assert read(tmp_path).patient_id_key == b"of the file"


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_sets_nothing(tmp_path: Path, content: str) -> None:
    for name in ("OPS_BASIC_AUTH", "SLACK_WEBHOOK_URL", "CELERY_BROKER_URL"):
        (tmp_path / name).write_text(content)
    settings = read(tmp_path)
    assert settings.OPS_BASIC_AUTH is None
    assert settings.SLACK_WEBHOOK_URL is None
    assert settings.broker_url == settings.redis_url


def test_flower_gets_the_password_of_the_file_where_env_has_an_empty_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scheduler.app import guard_flower

    (tmp_path / "FLOWER_BASIC_AUTH").write_text("ana:secreta")
    monkeypatch.setattr("os.environ", {"FLOWER_BASIC_AUTH": ""})
    guard_flower(read(tmp_path))
    assert os.environ["FLOWER_BASIC_AUTH"] == "ana:secreta"


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers, root.level = handlers, level


def test_kept_logs_are_the_same_lines_and_are_turned_over(
    tmp_path: Path, root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    logs.setup("INFO", tmp_path / "logs", "worker")
    for number in range(200):
        root_logger.info("turn done", extra={"number": number, "to": "+59170123456"})
    kept = sorted((tmp_path / "logs").glob("worker.log*"))
    assert len(kept) == logs.FILES
    assert all(file.stat().st_size < 2300 for file in kept)  # the line that goes over ends the file
    last = json.loads((tmp_path / "logs" / "worker.log").read_text().splitlines()[-1])
    assert (last["event"], last["number"], last["to"]) == ("turn done", 199, "***")
