"""What each page shows, what it shows when there is nothing, and that nothing of a patient runs as code."""

from __future__ import annotations

import csv
import io
import json

import pytest
import redis
from flask.testing import FlaskClient

from shared.conversation import Role
from shared.settings import Settings
from shared.state.alarms import Alarm
from shared.state.incidents import RedisIncidents
from tests.ops_world import World
from webhook.ops.lists import told_whom

EMPTY = {
    "/ops/alertas": "Ninguna señal de peligro",
    "/ops/llamadas": "Nadie espera una llamada.",
    "/ops/derivaciones": "Ningún paciente está derivado",
    "/ops/bajas": "Nadie se dio de baja.",
    "/ops/cartas": "No hay mensajes apartados.",
    "/ops": "Ningún proceso contesta a los pacientes",
}


@pytest.mark.parametrize("path", EMPTY)
def test_an_empty_list_says_so(path: str, staff: FlaskClient) -> None:
    shown = staff.get(path)
    assert shown.status_code == 200
    assert EMPTY[path] in shown.text


def test_the_first_page_tells_health_and_what_waits(staff: FlaskClient, world: World, client: redis.Redis) -> None:
    text = staff.get("/ops").text
    assert 'data-status="ok"' in text
    assert "Todo funciona" in text
    assert "El sistema de citas rechazó una operación" in text  # an open incident, with what to do
    assert "Compare la cita del paciente en el sistema" in text
    assert "revisión 5f1c2ab" in text
    assert "El último volvió hace 2 min" in text
    client.delete("worker:worker@a")
    down = staff.get("/ops").text
    assert 'data-status="down"' in down
    assert "Hay pacientes sin respuesta" in down


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        ("backend_down", "degraded", "Revise SEGUIMIENTO_SERVICE_URL"),
        ("template_paused:recordatorio", "degraded", "Una plantilla no se puede usar (recordatorio)"),
        ("credentials", "down", "nada se envía hasta entonces"),
        ("turn_failed", "ok", "Falló una respuesta"),
        ("handoff_pedido", "ok", "pacientes derivados"),
    ],
)
def test_health_is_never_told_better_than_the_open_incidents(
    kind: str, status: str, says: str, staff: FlaskClient, world: World, client: redis.Redis
) -> None:
    RedisIncidents(client).open(kind, "x", world.now_ms, settle_ms=0, unsteady_ms=0)
    text = staff.get("/ops").text
    assert f'data-status="{status}"' in text
    assert says in text
    assert "Un paciente pide hablar" not in text  # counted among the calls


def test_an_alarm_shows_number_words_and_who_was_told(staff: FlaskClient, world: World) -> None:
    text = staff.get("/ops/alertas").text
    for part in (
        "Sangre al toser",
        "Emergencia",
        "+591 7000 0001",
        "tosiendo sangre",
        "hace 6 min",
        "Se avisó a: sistema de citas.",
    ):
        assert part in text
    assert "Atendida por enf.quispe en 9 min" in text
    assert text.index("Sangre al toser") < text.index("Señal del hígado")


@pytest.mark.parametrize(
    ("rung", "channels", "told"),
    [
        (0, {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/x"}, ""),
        (1, {}, "sistema de citas"),
        (1, {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/x"}, "Slack"),
        (5, {"SMTP_HOST": "mail", "ALERT_EMAIL_FROM": "a@b", "ALERT_EMAIL_TO": "c@d"}, "correo del equipo, jefa@x.org"),
    ],
)
def test_who_was_told_is_who_could_be_reached(rung: int, channels: dict[str, str], told: str) -> None:
    settings = Settings(_env_file=None, DEMO=True, ALERT_LADDER="0 email slack; 10 jefa@x.org", **channels)
    alarm = Alarm("a_1", "p_1", "hemoptisis", "emergencia", "", 0, rung)
    assert told_whom(settings, alarm) == told


def test_an_alarm_of_two_days_ago_is_not_listed(staff: FlaskClient, world: World, client: redis.Redis) -> None:
    client.zadd("raised", {world.ids["open_alarm"]: world.now_ms - 2 * 86_400_000})
    assert "Sangre al toser" not in staff.get("/ops/alertas").text


def test_calls_are_said_in_words_and_filtered(staff: FlaskClient, world: World) -> None:
    text = staff.get("/ops/llamadas").text
    for part in ("+591 7222 0011", "No le llegó el recordatorio (2)", "mañana 10:30", "CC-0095"):
        assert part in text
    filtered = staff.get("/ops/llamadas?motivo=failed").text
    assert "+591 7444 0033" in filtered
    assert "+591 7222 0011" not in filtered


def test_the_list_of_calls_as_a_file_holds_no_formula(staff: FlaskClient, world: World, client: redis.Redis) -> None:
    line = {"patient": world.ids["mario"], "why": "=cmd|' /C calc'!A0", "at": world.now_ms, "ref": "@SUM(A1)"}
    client.hset("calls", "r_evil", json.dumps(line | {"start": "+1"}))
    answer = staff.get("/ops/llamadas.csv")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig")), delimiter=";"))
    assert rows[0] == ["numero", "motivo", "cita", "ref", "desde", "pide"]
    assert len(rows) == 1 + client.hlen("calls")
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert any(row[0] == "591 7222 0011" and row[3] == "'@SUM(A1)" for row in rows)
    only = staff.get("/ops/llamadas.csv?motivo=failed").data.decode("utf-8-sig")
    assert only.count("\r\n") == 2


def test_what_a_patient_writes_never_becomes_code(staff: FlaskClient, world: World) -> None:
    attack = '<script>alert(1)</script><img src=x onerror="alert(2)">'
    world.said("rosa", (Role.PATIENT, attack, 1))
    world.writes("elena", attack, 1, "59176543210")
    for path in ("/ops/alertas", "/ops/derivaciones", f"/ops/paciente/{world.ids['rosa']}"):
        text = staff.get(path).text
        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_a_handoff_whose_key_is_gone_is_not_listed(staff: FlaskClient, world: World, client: redis.Redis) -> None:
    assert "+591 7654 3210" in staff.get("/ops/derivaciones").text
    client.delete(f"handoff:{world.ids['elena']}")
    assert "+591 7654 3210" not in staff.get("/ops/derivaciones").text


def test_a_patient_has_a_page_and_nobody_has_none(staff: FlaskClient, world: World) -> None:
    text = staff.get(f"/ops/paciente/{world.ids['rosa']}").text
    assert "+591 7000 0001" in text
    assert f"/ops/recorrido?id={world.ids['first_message']}" in text
    assert "<title>Paciente ·" in text  # no number in the browser's history
    assert staff.get("/ops/paciente/p_nobody").status_code == 404
    assert staff.get("/ops/paciente/handoffs").status_code == 404


def test_the_story_of_a_message_is_told_in_words(staff: FlaskClient, world: World) -> None:
    text = staff.get(f"/ops/recorrido?id={world.ids['first_message']}").text
    for part in (
        "El paciente lo escribió",
        "Señal de peligro (Sangre al toser)",
        "Un proceso lo tomó",
        "6 min después",
    ):
        assert part in text
    assert "tosiendo" not in text
    for unknown in ("m_0", "cualquier cosa", "<b>"):
        assert "No se sabe nada de ese código" in staff.get("/ops/recorrido", query_string={"id": unknown}).text


def test_unsigned_cards_are_listed_with_their_text(staff: FlaskClient) -> None:
    text = staff.get("/ops/fichas").text
    assert text.count('data-testid="unsigned-card"') > 20
    assert "Se previene y se cura con el tratamiento completo" in text
    assert "reviewed_by" in text


def test_odd_lines_in_redis_break_no_page(staff: FlaskClient, world: World, client: redis.Redis) -> None:
    patient = world.ids["elena"]
    client.hset("calls", "odd", "no json")
    client.hset("calls", "list", "[1]")
    client.rpush(f"inbox:{patient}", "x|y")
    client.set(f"conversation:{patient}", "{")
    client.rpush(f"written:{patient}", "{}")
    client.lpush("dead", "no json", json.dumps({"delivery": "d_1", "entry": "d_1|{}"}))
    client.zadd("optouts", {"p_gone": 1})
    for path in EMPTY:
        assert staff.get(path).status_code == 200
    assert staff.get("/ops/llamadas.csv").status_code == 200
