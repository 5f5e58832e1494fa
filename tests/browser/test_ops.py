"""The operators' page as a nurse meets it: a real webhook process, headless Chromium, a day's worth of patients.

UPDATE_PICTURES=1 saves docs/ops.png and docs/ops-phone.png.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.messages import Delivery
from shared.state import alarms
from tests.ops_world import World, fill
from tests.processes.system import PATIENT_ID_KEY, System, started, texts

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(240)]

DOCS = Path(__file__).parents[2] / "docs"
AUTH = "enfermera:secreta"
# On pictures it is always around eleven in the morning.
_HOURS = (dt.datetime.now(dt.UTC).hour - 11 + 12) % 24 - 12
ZONE = f"Etc/GMT{_HOURS:+d}" if os.environ.get("UPDATE_PICTURES") else "America/La_Paz"
PHONE = {"width": 390, "height": 844}
PAGES = ("", "/alertas", "/llamadas", "/derivaciones", "/bajas", "/cartas", "/fichas", "/recorrido")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(
        tmp_path_factory.mktemp("ops"), OPS_BASIC_AUTH=AUTH, BURST_WAIT_MS="0", CENTER_TIMEZONE=ZONE
    ) as running:
        yield running


@pytest.fixture
def world(system: System) -> World:
    system.store.flushall()
    return fill(system.store, PATIENT_ID_KEY.encode(), ZoneInfo(ZONE))


def open_page(browser: Any, system: System, viewport: dict[str, int], **options: Any) -> Any:
    """A browser of its own, logged in."""
    context = browser.new_context(viewport=viewport, locale="es-BO", reduced_motion="reduce", **options)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(f"{system.url}/ops")
    page.get_by_label("Usuario").fill("enfermera")
    page.get_by_label("Contraseña").fill("secreta")
    page.get_by_role("button", name="Entrar").click()
    page.get_by_test_id("health").wait_for()
    return page


@pytest.fixture
def desk(browser: Any, system: System, world: World) -> Iterator[Any]:
    page = open_page(browser, system, {"width": 1200, "height": 900})
    yield page
    page.context.close()


@pytest.fixture
def phone(browser: Any, system: System, world: World) -> Iterator[Any]:
    page = open_page(browser, system, PHONE, has_touch=True, is_mobile=True)
    yield page
    page.context.close()


def test_health_is_told_at_a_glance_and_changes_by_itself(desk: Any, system: System) -> None:
    health = desk.get_by_test_id("health")
    assert health.get_attribute("data-status") == "ok"
    assert "Todo funciona" in health.inner_text()
    desk.get_by_text("Se actualiza sola").wait_for()
    system.store.delete("worker:worker@a")
    desk.locator('[data-testid="health"][data-status="down"]').wait_for()
    assert "Ningún proceso contesta a los pacientes" in desk.get_by_test_id("health").inner_text()


def test_an_alarm_is_acknowledged_and_another_one_appears_without_a_reload(
    desk: Any, system: System, world: World
) -> None:
    desk.get_by_role("link", name="Alertas", exact=False).first.click()
    open_alarm = desk.locator(f'[data-id="{world.ids["open_alarm"]}"]')
    assert "tosiendo sangre" in open_alarm.inner_text()
    assert desk.title().startswith("(1) ")
    open_alarm.get_by_role("button", name="Atendido").click()
    desk.get_by_text("Alerta atendida").wait_for()
    assert desk.get_by_role("button", name="Atendido").count() == 0
    taken = alarms.read(system.store, world.ids["open_alarm"])
    assert taken is not None
    assert taken.by == "enfermera"

    desk.get_by_text("Se actualiza sola").wait_for()
    desk.evaluate("window.notReloaded = true")
    message = world.writes("ana", "no puedo respirar bien", 0, "59178880044")
    new_alarm = world.alarm("ana", message, "respiratorio", "emergencia", 0)
    desk.locator(f'[data-id="{new_alarm}"]').get_by_text("no puedo respirar bien").wait_for()
    assert desk.get_by_test_id("alarm").first.get_attribute("data-id") == new_alarm
    assert desk.evaluate("window.notReloaded") is True
    assert desk.title().startswith("(1) ")


def test_a_call_is_done_and_the_list_comes_as_a_file(desk: Any, system: System) -> None:
    desk.goto(f"{system.url}/ops/llamadas")
    before = desk.get_by_test_id("call").count()
    with desk.expect_download() as waited:
        desk.get_by_role("link", name="Descargar lista").click()
    assert waited.value.suggested_filename.endswith(".csv")
    desk.locator('[data-id="r_mario"]').get_by_role("button", name="Hecho").click()
    desk.get_by_text("Llamada hecha").wait_for()
    assert desk.get_by_test_id("call").count() == before - 1
    assert not system.store.hexists("calls", "r_mario")


def test_writing_is_not_disturbed_by_news_and_the_words_lie_in_the_outbox(
    desk: Any, system: System, world: World
) -> None:
    patient = world.ids["elena"]
    desk.goto(f"{system.url}/ops/derivaciones")
    desk.get_by_text("Se actualiza sola").wait_for()
    card = desk.locator(f'[data-id="{patient}"]')
    card.get_by_label("Escribir al paciente").fill("La llamo a las 4. Enf. Quispe")
    world.writes("elena", "gracias, espero", 0, "59176543210")
    desk.locator(f'[data-piece="{patient}"].stale').wait_for()  # there is news, and the box is left alone
    assert card.get_by_label("Escribir al paciente").input_value() == "La llamo a las 4. Enf. Quispe"
    card.get_by_role("button", name="Enviar por WhatsApp").click()
    desk.get_by_text("Mensaje en camino").wait_for()
    [raw] = system.store.lrange(f"outbox:{patient}:normal", 0, -1)
    delivery = Delivery.from_json(raw.partition("|")[2])
    assert (delivery.reply.text, delivery.through_handoff) == ("La llamo a las 4. Enf. Quispe", True)
    shown = desk.locator(f'[data-id="{patient}"]').inner_text()
    assert "gracias, espero" in shown
    assert "en camino" in shown


def test_a_handoff_is_answered_by_a_person_and_returned_to_the_assistant(
    desk: Any, system: System, world: World
) -> None:
    worker = system.start_worker()
    number = "59170000007"
    system.says(number, "quiero hablar con una persona")
    system.reply(number)
    desk.goto(f"{system.url}/ops/derivaciones")
    card = desk.get_by_test_id("handoff").filter(has_text="+591 7000 0007")
    card.get_by_label("Escribir al paciente").fill("Soy la enfermera, dígame")
    card.get_by_role("button", name="Enviar por WhatsApp").click()
    assert texts(system.reply(number)) == "Soy la enfermera, dígame"
    desk.get_by_test_id("handoff").filter(has_text="+591 7000 0007").get_by_role(
        "button", name="Devolver al asistente"
    ).click()
    desk.get_by_text("Devuelto").wait_for()
    assert desk.get_by_test_id("handoff").filter(has_text="+591 7000 0007").count() == 0
    system.says(number, "¿cuáles son los horarios?")
    assert "8:00" in texts(system.reply(number))
    worker.stop()


def test_on_a_phone_every_page_fits_and_every_button_can_be_hit(phone: Any, system: System, world: World) -> None:
    for path in (*PAGES, f"/paciente/{world.ids['rosa']}", f"/recorrido?id={world.ids['first_message']}"):
        phone.goto(f"{system.url}/ops{path}")
        wide = phone.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
        small = phone.evaluate(
            "[...document.querySelectorAll('button, .button, .tabs a, .chips a, .tel')]"
            ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 43).map(e => e.textContent)"
        )
        assert small == [], path
    phone.get_by_role("link", name="Más").click()
    phone.get_by_role("link", name="Bajas").click()
    phone.get_by_role("heading", name="Bajas").wait_for()
    row = phone.locator(f'[data-id="{world.ids["hugo"]}"]')
    row.get_by_text("Reactivar…").click()
    row.get_by_label("Sí, el paciente lo pidió").check()
    row.get_by_role("button", name="Reactivar", exact=True).click()
    phone.get_by_text("Reactivado").wait_for()


def test_without_javascript_everything_can_be_done(browser: Any, system: System, world: World) -> None:
    page = open_page(browser, system, PHONE, java_script_enabled=False)
    assert page.get_by_role("link", name="Actualizar").is_visible()
    page.goto(f"{system.url}/ops/alertas")
    page.get_by_role("button", name="Atendido").click()
    assert page.get_by_text("Alerta atendida").is_visible()
    page.context.close()


def test_the_page_asks_nobody_else_and_breaks_no_rule_of_its_own(desk: Any, system: System, world: World) -> None:
    asked, complained = [], []
    desk.on("request", lambda request: asked.append(request.url))
    desk.on("console", lambda message: complained.append(message.text) if message.type == "error" else None)
    desk.on("pageerror", lambda error: complained.append(str(error)))
    for path in (*PAGES, f"/paciente/{world.ids['rosa']}"):
        desk.goto(f"{system.url}/ops{path}")
        desk.wait_for_load_state("load")
    assert complained == []
    assert all(url.startswith(system.url) for url in asked)


def test_an_open_page_does_not_hold_up_a_stop(browser: Any, tmp_path: Path) -> None:
    with started(tmp_path, OPS_BASIC_AUTH=AUTH) as system:
        page = open_page(browser, system, PHONE)
        page.get_by_text("Se actualiza sola").wait_for()
        webhook = system.running[-1]
        began = time.monotonic()
        webhook.stop(timeout_s=30)
        assert time.monotonic() - began < 10  # gunicorn's graceful_timeout is 30 s
        page.get_by_text("Sin conexión").wait_for()
        page.context.close()


@pytest.mark.skipif(not os.environ.get("UPDATE_PICTURES"), reason="UPDATE_PICTURES=1 makes the pictures of the guide")
def test_pictures(desk: Any, phone: Any, system: System, world: World) -> None:
    desk.set_viewport_size({"width": 1200, "height": 1120})
    desk.get_by_text("Se actualiza sola").wait_for()
    desk.screenshot(path=str(DOCS / "ops.png"), full_page=True)
    phone.goto(f"{system.url}/ops/alertas")
    phone.get_by_text("Se actualiza sola").wait_for()
    phone.screenshot(path=str(DOCS / "ops-phone.png"))
    if folder := os.environ.get("SCREENSHOTS"):
        for path in (*PAGES, f"/paciente/{world.ids['elena']}", f"/recorrido?id={world.ids['first_message']}"):
            for page, name in ((desk, "desk"), (phone, "phone")):
                page.goto(f"{system.url}/ops{path}")
                page.screenshot(
                    path=f"{folder}/{name}-{path.split('?')[0].strip('/').replace('/', '-') or 'estado'}.png",
                    full_page=name == "desk",
                )
