"""Danger alerts reach a real SMTP server (TLS, login), Slack and the backend, and never hold their caller."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from shared.alerts import DANGER_LIMIT_S, Alerts, Post
from shared.identity import patient_id
from shared.settings import Settings
from tests.shared.alerts.mail import mail_server, nothing, with_email
from tests.workers.http_server import Answer, closed_port, script, serving

AT = dt.datetime(2026, 11, 23, 14, 5, tzinfo=dt.UTC)
NUMBER = "+59170000001"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return key, cert


def refuse(*_: object) -> None:
    raise ConnectionError("canario")


def test_danger_reaches_the_mailbox_without_number_or_name() -> None:
    with mail_server() as (mailbox, port):
        assert Alerts(with_email(port)).danger("ideacion_suicida", "emergencia", AT, NUMBER)
    [mail] = mailbox.mails
    text = mail.get_content()
    assert mail["To"] == "enfermeria@ejemplo.bo, jefa@ejemplo.bo"
    assert mail["Subject"] == "EMERGENCIA: señal de peligro de un paciente"
    assert "ideacion suicida" in text
    assert "23/11/2026 10:05" in text  # the clinic's clock
    assert patient_id(b"clave", "59170000001") in text
    assert "70000001" not in mail.as_string()


def test_mail_goes_through_tls_and_login(certificate: tuple[Path, Path]) -> None:
    key, cert = certificate
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(cert, key)
    trust = ssl.create_default_context(cafile=str(cert))
    logins: list[tuple[bytes, bytes]] = []

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"clave del correo")

    options = {"tls_context": server_tls, "require_starttls": True, "authenticator": check, "auth_required": True}
    with mail_server(**options) as (mailbox, port):
        login = {"SMTP_STARTTLS": True, "SMTP_USER": "asistente", "SMTP_PASSWORD": "clave del correo"}
        assert Alerts(with_email(port, **login), tls=trust).danger("hemoptisis", "emergencia", AT, NUMBER)
        assert not Alerts(with_email(port, **login)).danger("hemoptisis", "emergencia", AT, NUMBER)  # not trusted
        wrong = with_email(port, **(login | {"SMTP_PASSWORD": "otra"}))
        assert not Alerts(wrong, tls=trust).danger("hemoptisis", "emergencia", AT, NUMBER)
    assert len(mailbox.mails) == 1
    assert logins[0] == (b"asistente", b"clave del correo")


def test_slack_gets_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(script(Answer(body=b"ok"), Answer(404, b"no_service"))) as server:
        alerts = Alerts(Settings(_env_file=None, SLACK_WEBHOOK_URL=f"{server.url}/services/secreto"))
        assert alerts.channels() == ["slack"]
        assert alerts.danger("respiratorio", "mismo_dia", AT, "BO.1349120865530274")
        assert not alerts.danger("respiratorio", "mismo_dia", AT, "BO.1349120865530274")
    text = server.asked[0].body["text"]
    assert "Atender hoy mismo" in text
    assert "1349120865530274" not in text


def test_the_backend_gets_what_it_needs_to_call_the_patient() -> None:
    told: list[tuple[object, ...]] = []
    alerts = Alerts(nothing(), post=lambda *told_: told.append(told_))
    assert alerts.channels() == ["backend"]
    assert alerts.danger("hemoptisis", "emergencia", AT, NUMBER)
    assert told == [(NUMBER, "hemoptisis", "emergencia", AT)]


def test_one_channel_is_enough_and_a_hung_one_holds_nobody() -> None:
    release = threading.Event()

    def hang(*_: object) -> None:
        release.wait(30)

    with mail_server() as (mailbox, port):
        alerts = Alerts(with_email(port), post=hang)
        begin = time.monotonic()
        assert alerts.danger("hemoptisis", "emergencia", AT, NUMBER)
        assert time.monotonic() - begin < DANGER_LIMIT_S
        assert len(mailbox.mails) == 1
        release.set()
        assert alerts.wait(5)


def test_a_failed_channel_does_not_hide_a_slower_one_that_works() -> None:
    with mail_server() as (mailbox, port):
        assert Alerts(with_email(port), post=refuse).danger("hemoptisis", "emergencia", AT, NUMBER)
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("post", [None, refuse])
def test_nobody_reached_is_false_and_never_an_exception(post: Post | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = with_email(closed_port()) if post else nothing()
    assert not Alerts(settings, post=post).danger("hemoptisis", "emergencia", AT, NUMBER)
    assert "canario" not in caplog.text
    assert "70000001" not in caplog.text


def test_the_answer_waits_one_second_at_most() -> None:
    release = threading.Event()
    alerts = Alerts(nothing(), post=lambda *_: release.wait(30))
    begin = time.monotonic()
    assert not alerts.danger("hemoptisis", "emergencia", AT, NUMBER)
    assert DANGER_LIMIT_S - 0.1 < time.monotonic() - begin < DANGER_LIMIT_S + 1
    release.set()
    assert alerts.wait(5)


def test_the_configured_channels_are_named() -> None:
    settings = with_email(25, SLACK_WEBHOOK_URL="https://hooks.example/x")
    assert Alerts(settings, post=refuse).channels() == ["backend", "email", "slack"]
    assert Alerts(nothing()).channels() == []


def test_the_first_rung_says_who_is_told_and_each_gets_a_link_of_their_own() -> None:
    with mail_server() as (mailbox, port):
        settings = with_email(
            port, ALERT_LADDER="0 email jefa@ejemplo.bo; 10 slack", PUBLIC_URL="https://tb.ejemplo.bo"
        )
        alerts = Alerts(settings)
        assert alerts.channels() == ["email"]
        assert alerts.danger("hemoptisis", "emergencia", AT, NUMBER, alarm_id="a_1")
        assert alerts.wait(5)
    texts = {mail["To"]: mail.get_content() for mail in mailbox.mails}
    assert sorted(texts) == ["enfermeria@ejemplo.bo, jefa@ejemplo.bo", "jefa@ejemplo.bo"]
    links = {to: text.split("https://tb.ejemplo.bo/avisos/")[1].split()[0] for to, text in texts.items()}
    assert len(set(links.values())) == 2


def test_without_a_public_address_the_alert_says_where_to_acknowledge() -> None:
    with mail_server() as (mailbox, port):
        assert Alerts(with_email(port)).danger("hemoptisis", "emergencia", AT, NUMBER, alarm_id="a_1")
    assert "página de operadores" in mailbox.mails[0].get_content()
