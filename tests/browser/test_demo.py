"""`make demo` as its user meets it: ready, a browser that books, moves and cancels, Ctrl-C that leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from demo.redis_server import free_port

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 150


@dataclass
class Demo:
    """The running demo and what it printed."""

    process: subprocess.Popen[str]
    printed: list[str] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)

    def url(self) -> str:
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"^ready (\S+)", "".join(self.printed), re.MULTILINE)
            if found:
                return found[1]
            time.sleep(0.1)
        pytest.fail("the demo did not become ready:\n" + "".join(self.printed))

    def family(self) -> set[int]:
        """Ids of all processes that descend from the demo (Linux)."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(stat.parent.name)] = int(fields[1])
        found = {self.process.pid}
        while True:
            more = {pid for pid, parent in parents.items() if parent in found} - found
            if not more:
                return found - {self.process.pid}
            found |= more


def is_alive(pid: int) -> bool:
    """Still running; a zombie that nobody has collected yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    ports = {name: str(free_port()) for name in ("PORT", "SIMULATOR_PORT", "FLOWER_PORT")}
    environment = {k: v for k, v in os.environ.items() if k != "DEMO"} | ports | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running = Demo(process)
    threading.Thread(target=running.read, daemon=True).start()
    yield running
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=60)
    if process.stdout:
        process.stdout.close()


@pytest.fixture
def page(browser: Any, demo: Demo) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1360, "height": 820})
    page.set_default_timeout(30_000)
    page.goto(f"{demo.url()}/?paciente=59170000003")
    yield page
    page.close()


def say(page: Any, text: str) -> None:
    page.get_by_test_id("message-input").fill(text)
    page.get_by_test_id("send-button").click()


def last_reply(page: Any, holding: str) -> Any:
    """The newest bubble of the centre that holds this text."""
    bubble = page.locator('[data-testid="bubble"].in').filter(has_text=holding).last
    bubble.wait_for()
    return bubble


def visits(page: Any, status: str) -> int:
    return int(page.locator(f'[data-testid="agenda-row"][data-phone="+59170000003"][data-status="{status}"]').count())


def test_a_patient_books_moves_and_cancels_on_the_page_and_the_agenda_follows(page: Any) -> None:
    rows = page.locator('[data-testid="agenda-row"][data-phone="+59170000003"]')
    assert rows.count() == 0

    say(page, "Quiero una cita el próximo martes a las 10 para recoger mis pastillas")
    last_reply(page, "martes").get_by_role("button", name="Confirmar").click()
    last_reply(page, "CC-")
    page.locator('[data-testid="agenda-row"][data-phone="+59170000003"][data-status="scheduled"]').wait_for()
    assert "T10:00" in str(rows.first.get_attribute("data-datetime"))

    say(page, "cambieme la cita para el jueves a las 3 de la tarde porfa")
    last_reply(page, "jueves").get_by_role("button", name="Confirmar").click()
    page.locator('[data-testid="agenda-row"][data-phone="+59170000003"][data-datetime*="T15:00"]').wait_for()
    assert visits(page, "cancelled") == 0
    assert rows.count() == 1

    say(page, "ya no voy a poder ir, cancele mi cita")
    last_reply(page, "cancelar").get_by_role("button", name="Sí, cancelar").click()
    last_reply(page, "cancelada")
    page.locator('[data-testid="agenda-row"][data-phone="+59170000003"][data-status="cancelled"]').wait_for()
    page.locator('[data-testid="tick"][data-state="read"]').first.wait_for()
    if shots := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{shots}/demo.png")


def test_ctrl_c_stops_everything_and_leaves_nothing(demo: Demo) -> None:
    demo.url()
    family = demo.family()
    assert len(family) >= 7  # redis, webhook and its two workers, worker, beat, flower, simulator
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(timeout=60) == 0
    deadline = time.monotonic() + 5  # what was just ended may still wait to be collected by init
    while (left := {pid for pid in family if is_alive(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()
