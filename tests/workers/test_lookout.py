"""Danger that no bell has brought: found by the worker itself, and answered without another bell."""

from __future__ import annotations

import threading

import pytest

from shared.celery_app import TaskName
from shared.state import inbox
from tests.workers.fakes import Clinic
from workers.lookout import look, search


def finish(clinic: Clinic) -> None:
    """Let the threads end what they have in hand."""
    clinic.services.searches.shutdown(wait=True)
    clinic.services.urgent.shutdown(wait=True)


def make_late(clinic: Clinic) -> None:
    """The doorbell has had its time."""
    clinic.client.zincrby("fresh", -1000, clinic.patient)


def test_who_no_bell_was_rung_for_is_searched_and_answered_without_any_bell(clinic: Clinic) -> None:
    clinic.says("no puedo respirar")
    make_late(clinic)
    assert look(clinic.services) == 1
    finish(clinic)
    assert "AHORA" in clinic.received()[0]
    assert not clinic.bells.of(TaskName.TRIAGE) + clinic.bells.of(TaskName.DELIVER_OUTBOX)
    assert clinic.client.zscore("fresh", clinic.patient) is None


def test_a_bell_that_is_in_time_is_left_to_do_it(clinic: Clinic) -> None:
    clinic.says("no puedo respirar")
    assert look(clinic.services) == 0


def test_while_staff_are_told_nobody_else_tells_them(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.says("no puedo respirar")
    make_late(clinic)
    begun, heard = threading.Event(), threading.Event()
    tell = clinic.alerts.danger

    def slowly(*words: str, **more: str) -> bool:
        begun.set()
        heard.wait(10)
        return tell(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(clinic.alerts, "danger", slowly)
    first = threading.Thread(target=search, args=(clinic.services, [clinic.patient]))
    first.start()
    begun.wait(10)
    assert look(clinic.services) == 0
    heard.set()
    first.join()
    finish(clinic)
    assert len(clinic.alerts.dangers) == 1
    assert len(clinic.received()) == 1


def test_what_comes_after_a_search_is_looked_for_at_once(clinic: Clinic) -> None:
    clinic.says("hola")
    make_late(clinic)
    assert look(clinic.services) == 1
    clinic.services.searches.shutdown(wait=True)
    clinic.says("no puedo respirar")
    make_late(clinic)
    assert clinic.client.exists(f"rung:{clinic.patient}") == 0
    assert inbox.unsearched(clinic.client, [clinic.patient])[clinic.patient]
