"""An incident is told when it opens and when it closes, once for all processes, and never raises."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import redis

from demo.redis_server import RedisServer
from shared.alerts import Alerts
from shared.alerts.__main__ import main
from shared.alerts.kinds import KINDS, Sort, kind_of, title_of
from shared.state.incidents import Ending, RedisIncidents
from shared.state.store import connect, script
from tests.shared.alerts.conftest import Office, subject_of
from tests.shared.alerts.mail import nothing, with_email
from tests.workers.http_server import Answer, closed_port, serving
from tests.workers.http_server import script as answering

# redis_down alone is kept by each process: see test_watch.
CONDITIONS = sorted(kind for kind, row in KINDS.items() if row.sort is Sort.CONDITION and kind != "redis_down")
EVENTS = sorted(kind for kind, row in KINDS.items() if row.sort is Sort.EVENT)


def no_redis() -> redis.Redis:
    return connect(nothing().model_copy(update={"REDIS_PORT": closed_port()}))


@pytest.mark.parametrize("kind", CONDITIONS)
def test_a_condition_is_told_when_it_opens_and_when_it_closes(office: Office, kind: str) -> None:
    one, two = office.process(), office.process()
    assert one.incident(kind, "detalle 59170000001")
    assert not two.incident(kind, "otra vez")
    assert not one.incident(kind, "otra vez")
    [mail] = office.read()
    text = mail.get_content()
    assert subject_of(mail) == f"incidente abierto: {title_of(kind)}"
    assert KINDS[kind].advice in text
    assert "70000001" not in text
    office.pass_(minutes=25)
    two.incidents.refresh()
    assert two.resolve(kind)
    assert not one.resolve(kind)
    [mail] = office.read()
    assert subject_of(mail) == f"incidente cerrado: {title_of(kind)}"
    assert "Duró: 25 min" in mail.get_content()
    assert "Se vio: 3 veces" in mail.get_content()
    assert RedisIncidents(office.client).listed() == []


@pytest.mark.parametrize("kind", [*EVENTS, "algo_nuevo"])
def test_an_event_closes_by_itself_when_it_does_not_recur(office: Office, kind: str) -> None:
    one, two = office.process(), office.process()
    assert one.incident(kind, "")
    office.pass_(minutes=10)
    assert not two.incident(kind, "")
    office.pass_(minutes=4)
    one.incidents.tend()
    assert office.subjects() == [f"incidente abierto: {title_of(kind)}"]
    office.pass_(minutes=11)
    two.incidents.tend()
    one.incidents.tend()
    assert office.subjects() == [f"incidente cerrado: {title_of(kind)}"]


def test_an_event_seen_once_closes_without_a_word(office: Office) -> None:
    alerts = office.process()
    alerts.incident("dead_letter", "x")
    office.pass_(minutes=16)
    alerts.incidents.tend()
    assert office.subjects() == [f"incidente abierto: {title_of('dead_letter')}"]
    assert RedisIncidents(office.client).listed() == []


def test_an_open_condition_is_told_again_after_six_hours_by_one_process(office: Office) -> None:
    one, two = office.process(), office.process()
    one.incident("template_paused:aviso", "PAUSED")
    office.pass_(hours=5, minutes=59)
    one.incidents.tend()
    assert len(office.read()) == 1
    office.pass_(minutes=2)
    one.incidents.tend()
    two.incidents.tend()
    [mail] = office.read()
    assert subject_of(mail) == "sigue abierto: Una plantilla no se puede usar (aviso)"
    assert "6 h 1 min" in mail.get_content()
    office.pass_(hours=1)
    one.incidents.tend()
    assert office.read() == []


def test_hand_offs_that_keep_coming_are_told_each_quarter_of_an_hour(office: Office) -> None:
    alerts = office.process()
    for _ in range(4):
        alerts.incident("handoff_pedido", "x")
        alerts.incidents.tend()
        office.pass_(minutes=8)
    mails = office.read()
    assert [subject_of(mail).split(":")[0] for mail in mails] == ["incidente abierto", "sigue abierto"]
    assert "2 veces más" in mails[1].get_content()


def test_success_among_failures_closes_nothing(office: Office) -> None:
    one, two = office.process(), office.process()
    one.incident("backend_down", "ConnectTimeout")
    assert not one.resolve("backend_down")  # seen this very moment
    office.pass_(seconds=20)
    two.incident("backend_down", "ConnectTimeout")
    office.pass_(seconds=40)
    one.incidents.tend()
    assert len(office.read()) == 1  # nobody has seen it work since
    two.resolve("backend_down")
    assert office.subjects() == [f"incidente cerrado: {title_of('backend_down')}"]


def test_one_success_after_the_last_failure_is_enough(office: Office) -> None:
    alerts = office.process()
    alerts.incident("backend_down", "ConnectTimeout")
    office.pass_(seconds=10)
    assert not alerts.resolve("backend_down")
    office.pass_(seconds=10)
    alerts.incidents.tend()
    assert len(office.read()) == 1
    office.pass_(seconds=10)
    alerts.incidents.tend()
    [mail] = office.read()
    assert "Duró: menos de un minuto" in mail.get_content()


def test_what_comes_back_at_once_must_be_quiet_for_longer(office: Office) -> None:
    alerts = office.process()
    alerts.incident("credentials", "190")
    assert alerts.wait(10)  # mails are sent side by side: what is a minute apart in earnest must not overtake here
    office.pass_(seconds=30)
    assert alerts.resolve("credentials")
    assert alerts.wait(10)
    assert alerts.incident("credentials", "190")
    assert alerts.wait(10)
    office.pass_(minutes=1)
    assert not alerts.resolve("credentials")
    office.pass_(minutes=15)
    alerts.incidents.tend()
    assert [s.split(":")[0] for s in office.subjects()] == ["incidente abierto", "incidente cerrado"] * 2


def test_two_templates_are_two_incidents(office: Office) -> None:
    alerts = office.process()
    alerts.incident("template_paused:uno", "x")
    alerts.incident("template_paused:dos", "x")
    office.pass_(minutes=5)
    assert alerts.resolve("template_paused:uno")
    assert RedisIncidents(office.client).kinds() == {"template_paused:dos"}


def test_resolving_what_is_not_open_does_not_touch_redis(office: Office) -> None:
    alerts = office.process(no_redis())
    assert not alerts.resolve("backend_down")
    assert not office.process().resolve("backend_down", surely=True)


def test_an_incident_that_nobody_took_is_offered_again(office: Office) -> None:
    broken = Alerts(with_email(closed_port()), client=office.client, now_ms=office.clock)
    assert broken.incident("backend_down", "x")
    assert broken.wait(5)
    well = office.process()
    office.pass_(seconds=59)
    well.incidents.tend()
    assert office.read() == []
    office.pass_(seconds=1)
    well.incidents.tend()
    assert office.subjects() == [f"incidente abierto: {title_of('backend_down')}"]
    office.pass_(minutes=5)
    well.incidents.tend()
    assert office.read() == []


def test_without_redis_a_process_groups_by_itself_and_hands_over_later(office: Office, tmp_path: Path) -> None:
    server = RedisServer(tmp_path).start()
    client = connect(office.settings.model_copy(update={"REDIS_URL": None, "REDIS_PORT": server.port}))
    alerts = office.process(client)
    server.kill()
    assert alerts.incident("dead_letter", "x")
    assert not alerts.incident("dead_letter", "x")
    assert alerts.incident("backend_down", "x")
    assert not alerts.resolve("backend_down")
    assert len(office.read()) == 2
    server.start()
    alerts.incidents.refresh()
    assert alerts.incidents.open_kinds() == RedisIncidents(client).kinds() == {"dead_letter", "backend_down"}
    assert not alerts.incident("backend_down", "x")
    office.pass_(minutes=1)
    assert alerts.resolve("backend_down")
    assert office.subjects() == [f"incidente cerrado: {title_of('backend_down')}"]
    client.close()
    server.stop()


def test_nothing_raises_whatever_is_broken(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(answering(Answer(500, b"canario"))) as slack:
        settings = with_email(closed_port(), SLACK_WEBHOOK_URL=f"{slack.url}/secreto")
        alerts = Alerts(settings, client=no_redis(), now_ms=office.clock)
        assert alerts.incident("backend_down", "x")
        assert not alerts.resolve("backend_down", surely=True)
        alerts.incidents.tend(only_local=True)
        assert alerts.wait(5)
    assert len(slack.asked) == 1
    assert "incidente abierto" in slack.asked[0].body["text"]
    assert "secreto" not in caplog.text
    assert "ejemplo.bo" not in caplog.text


def test_without_a_channel_it_is_kept_and_logged(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    alerts = Alerts(nothing(), client=office.client, now_ms=office.clock)
    assert not alerts.incident("backend_down", "x")
    office.pass_(hours=7)
    alerts.incidents.tend()
    assert "incident" in caplog.text
    assert RedisIncidents(office.client).kinds() == {"backend_down"}


def test_the_scripts_may_run_twice(client: redis.Redis) -> None:
    """The client repeats a command whose answer was lost, perhaps after another process came between."""
    keys = ["incidents", "incident:x", "incident:x:closed"]
    opening = ["x", "t1", 1000, "d", 0, 0]
    assert script("incident_open")(client, keys, opening) == 1
    assert script("incident_open")(client, keys, ["x", "t2", 1001, "d", 0, 0]) == 0
    assert script("incident_open")(client, keys, opening) == 1
    assert client.hget("incident:x", "count") == "2"
    assert script("incident_claim")(client, ["incident:x"], ["t3", 1000, 2000]) == 1
    assert script("incident_claim")(client, ["incident:x"], ["t3", 1000, 2000]) == 1
    assert script("incident_claim")(client, ["incident:x"], ["t4", 1000, 2000]) == 0
    closing = ["x", "t5", 3000, "works", 0, 900]
    first = script("incident_close")(client, keys, closing)
    assert first
    assert script("incident_close")(client, keys, closing) == first
    assert script("incident_close")(client, keys, ["x", "t6", 3000, "works", 0, 900]) == []


def test_what_was_seen_again_meanwhile_is_not_closed_as_settled(client: redis.Redis) -> None:
    incidents = RedisIncidents(client)
    assert incidents.open("x", "d", 0, settle_ms=10, unsteady_ms=10)
    assert incidents.close("x", Ending.SETTLED, 1000) is None
    assert incidents.close("x", Ending.WORKS, 1000) is not None


def test_every_row_of_the_table_can_be_read_by_staff() -> None:
    assert kind_of("algo").sort is Sort.EVENT
    for kind, row in KINDS.items():
        assert row.title
        assert row.advice.endswith(".")
        assert title_of(kind) == row.title


def test_the_command_line_lists_and_closes(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = office.client.connection_pool.connection_kwargs["port"]
    for name, value in (office.settings.model_dump() | {"REDIS_PORT": port}).items():
        if name in ("REDIS_PORT", "SMTP_HOST", "SMTP_PORT", "SMTP_STARTTLS", "ALERT_EMAIL_TO", "ALERT_EMAIL_FROM"):
            monkeypatch.setenv(name, str(value))
    office.process().incident("account_restricted", "ACCOUNT_VIOLATION")
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("account_restricted\tcondition\t")
    assert main(["close", "account_restricted"]) == 0
    assert main(["close", "account_restricted"]) == 1
    assert main(["open"]) == 64
    monkeypatch.setenv("REDIS_PORT", str(closed_port()))
    assert main([]) == 69
    assert len(office.subjects()) == 2
