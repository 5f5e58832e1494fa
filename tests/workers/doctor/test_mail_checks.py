"""The mail server is asked up to the mail itself; Slack's address is only looked at."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Settings
from tests.workers.doctor.conftest import one, plain, told
from tests.workers.doctor.mail_server import PASSWORD, USER, Mailbox, authenticate, mail_server, make_certificate
from tests.workers.http_server import closed_port
from workers.doctor.check import State
from workers.doctor.mail_checks import MAIL, SLACK, TEST_SUBJECT, check


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextmanager
def secure_server(certificate: tuple[Path, Path]) -> Iterator[tuple[Mailbox, int]]:
    """STARTTLS, then a login."""
    key, cert = certificate
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    with mail_server(tls_context=tls, require_starttls=True, authenticator=authenticate, auth_required=True) as server:
        yield server


def with_mail(port: int, **more: Any) -> Settings:
    who = {"ALERT_EMAIL_FROM": "asistente@ejemplo.bo", "ALERT_EMAIL_TO": "enfermeria@ejemplo.bo"}
    return plain(**({"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port} | who | more))


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[1]))


def test_tls_and_login_are_tried_and_no_mail_is_sent(certificate: tuple[Path, Path]) -> None:
    with secure_server(certificate) as (mailbox, port):
        settings = with_mail(port, SMTP_USER=USER, SMTP_PASSWORD=PASSWORD)
        told(one(check(settings, tls=trusting(certificate)), MAIL), State.OK, "connected, TLS, logged in")
    assert mailbox.mails == []


def test_a_test_mail_is_sent_when_asked_for() -> None:
    with mail_server() as (mailbox, port):
        told(one(check(with_mail(port, SMTP_STARTTLS=False), True), MAIL), State.OK, "connected, test mail sent")
    [mail] = mailbox.mails
    assert (mail["Subject"], mail["To"]) == (TEST_SUBJECT, "enfermeria@ejemplo.bo")
    assert "es una prueba" in mail.get_content()


def test_a_recipient_that_is_refused_is_found_by_the_test_mail() -> None:
    with mail_server() as (_, port):
        settings = with_mail(port, SMTP_STARTTLS=False, ALERT_EMAIL_TO="nadie@ejemplo.bo")
        found = one(check(settings, True), MAIL)
    told(found, State.FAILED, "refuses the test mail", "correct ALERT_EMAIL_TO")
    assert "nadie@" not in found.found


def test_a_wrong_password_is_a_failure(certificate: tuple[Path, Path]) -> None:
    with secure_server(certificate) as (_, port):
        settings = with_mail(port, SMTP_USER=USER, SMTP_PASSWORD="otra-clave")
        found = one(check(settings, tls=trusting(certificate)), MAIL)
    told(found, State.FAILED, "refuses the login (535)", "correct SMTP_USER and SMTP_PASSWORD")


def test_a_server_without_starttls_is_a_failure() -> None:
    with mail_server() as (_, port):
        found = one(check(with_mail(port)), MAIL)
    told(found, State.FAILED, "offers no STARTTLS", "use the port for STARTTLS (587)")


def test_a_certificate_that_nobody_knows_is_a_failure(certificate: tuple[Path, Path]) -> None:
    with secure_server(certificate) as (_, port):
        found = one(check(with_mail(port)), MAIL)
    told(found, State.FAILED, "its TLS certificate is not accepted", "the name that stands in the certificate")


def test_nobody_there_is_a_failure() -> None:
    found = one(check(with_mail(closed_port())), MAIL)
    told(found, State.FAILED, "the connection is refused", "correct SMTP_HOST and SMTP_PORT")
    unknown = one(check(with_mail(587, SMTP_HOST="mail.invalid")), MAIL)
    told(unknown, State.FAILED, "its name cannot be resolved")


def test_without_a_server_mail_is_off() -> None:
    told(one(check(plain()), MAIL), State.OFF, "SMTP_HOST is not set")
    told(one(check(plain()), SLACK), State.OFF, "SLACK_WEBHOOK_URL is not set")


@pytest.mark.parametrize(
    ("url", "state", "part"),
    [
        ("https://hooks.slack.com/services/T000/B000/abcdef", State.OK, "right form"),
        ("http://hooks.slack.com/services/T000/B000/abcdef", State.FAILED, "no https address"),
        ("https://hooks.slack.com/services/T000", State.FAILED, "not a whole webhook address"),
        ("https://chat.ejemplo.bo/hooks/abcdef", State.WARNING, "chat.ejemplo.bo"),
    ],
)
def test_slacks_address_is_judged_by_its_form(url: str, state: State, part: str) -> None:
    found = one(check(plain(SLACK_WEBHOOK_URL=url)), SLACK)
    told(found, state, part)
    assert "abcdef" not in found.found
