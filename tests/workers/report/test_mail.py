"""The whole report as it arrives: through a real mail server, parsed again, opened in a browser on a phone's width."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import re
import ssl
import subprocess
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import redis
from PIL import Image

from shared.settings import Settings
from tests.shared.alerts.mail import Mailbox, mail_server
from tests.workers.report.conftest import Office, mailing
from tests.workers.report.simulated_week import MONDAY, MORNING_AFTER, SimulatedWeek, Truth

PICTURE = Path(__file__).parents[3] / "docs" / "report.png"
MAX_PICTURE_BYTES = 300_000
NUMBER_IN_REDIS = "59170000001"


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


def fill(client: redis.Redis, settings: Settings, days: int = 8) -> SimulatedWeek:
    """A simulated week, and what is open on the morning after."""
    week = SimulatedWeek(settings, days)
    week.write(client)
    for n in range(7):
        client.hset("calls", f"r_{n}", "{}")
    now_ms = MORNING_AFTER.timestamp() * 1000
    client.zadd("handoffs", {"p_a": now_ms + 1000, "p_b": now_ms + 2000, "p_over": now_ms - 1000})
    client.hset("address:p_a", "number", NUMBER_IN_REDIS)
    return week


def part(mail: EmailMessage, kind: str) -> EmailMessage:
    [found] = [p for p in mail.walk() if p.get_content_type() == kind]
    assert isinstance(found, EmailMessage)
    return found


def sheet(mail: EmailMessage) -> dict[str, list[str]]:
    content = part(mail, "text/csv").get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))
    assert rows[0] == ["nombre", "hoy", "semana anterior", "media 7 días"]
    assert all(len(row) == 4 for row in rows)
    return {row[0]: row[1:] for row in rows[1:]}


def number(text: str) -> float:
    return float(text.replace(",", "."))


def test_the_mail_arrives_through_tls_and_says_what_happened(
    client: redis.Redis, settings: Settings, certificate: tuple[Path, Path]
) -> None:
    key, cert = certificate
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(cert, key)
    week = fill(client, settings)
    with mail_server(tls_context=server_tls, require_starttls=True) as (mailbox, port):
        office = Office(mailing(settings, port), client)
        daily = office.daily(SMTP_STARTTLS=True, tls=ssl.create_default_context(cafile=str(cert)))
        assert daily.ring()
        assert not office.daily(SMTP_STARTTLS=True).ring()
    [mail] = mailbox.mails
    assert mail["Subject"] == "Informe diario del asistente: lunes 23 de noviembre"
    assert mail["To"] == "administracion@ejemplo.bo, direccion@ejemplo.bo"
    assert office.staff.opened == []
    check_structure(mail)
    check_figures(mail, week)
    check_private(mail, client)


def check_structure(mail: EmailMessage) -> None:
    """Text or page with its pictures, and the spreadsheet beside them; every picture is used and is a PNG."""
    assert mail.get_content_type() == "multipart/mixed"
    kinds = [p.get_content_type() for p in mail.walk() if not p.is_multipart()]
    assert kinds == ["text/plain", "text/html", *["image/png"] * 4, "text/csv"]
    page = part(mail, "text/html").get_content()
    used = set(re.findall(r'src="cid:([^"]+)"', page))
    pictures = [p for p in mail.walk() if p.get_content_type() == "image/png"]
    assert {str(p["Content-ID"]).strip("<>") for p in pictures} == used
    for picture in pictures:
        content = picture.get_payload(decode=True)
        assert isinstance(content, bytes)
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
            assert (image.format, image.width > 1000) == ("PNG", True)
    assert len(re.findall(r"<img ", page)) == len(re.findall(r'<img [^>]*alt="[^"]{20,}"', page)) == 4
    assert not re.findall(r"""(?:src|href)=["'](?!cid:)|url\(|@import|<script|<link""", page)
    assert page.count("<table width") == page.count("<thead>") == page.count("<caption")
    assert page.count('scope="row"') > 40
    assert len(mail.as_bytes()) < 300_000


def check_figures(mail: EmailMessage, week: SimulatedWeek) -> None:
    rows, truth = sheet(mail), week.truth
    today, before = truth[MONDAY], truth[MONDAY - dt.timedelta(days=7)]
    seven = [truth[MONDAY - dt.timedelta(days=back)] for back in range(1, 8)]

    def same(name: str, count: Any) -> None:
        said = [number(text) for text in rows[name]]
        assert said[0] == pytest.approx(count(today), abs=0.01), name
        assert said[1] == pytest.approx(count(before), abs=0.01), name
        assert said[2] == pytest.approx(sum(count(day) for day in seven) / 7, abs=0.01), name

    same("Mensajes: Mensajes recibidos", lambda day: day.messages)
    same("Mensajes: Pacientes distintos", lambda day: len(day.patients))
    same("Mensajes: Más de 10 min sin respuesta", lambda day: len(day.late))
    same("Mensajes: Dados por perdidos", lambda day: day.given_up)
    same("Señales de peligro: Avisos de peligro", lambda day: day.alarms.total())
    same("Señales de peligro: Emergencia", lambda day: day.alarms["emergencia"])
    same("Citas: Agendadas", lambda day: day.visits["schedule"])
    same("Citas: Canceladas", lambda day: day.visits["cancel"])
    same("Recordatorios: Leídos", lambda day: day.reminders["read"])
    same("Lista de llamadas: Recordatorio: sin permiso del paciente", lambda day: day.reminder_calls["no_consent"])
    same("Qué querían los pacientes: Pedir una cita", lambda day: day.intents["agendar_cita"])
    same("Cómo se les entendió: Sin certeza", lambda day: day.sources["fallback"])
    same("Personas y permisos: Bajas de avisos", lambda day: day.optouts)
    assert rows["Lista de llamadas: Pendientes ahora"] == ["7", "", ""]  # of earlier days it is not known
    assert rows["Personas y permisos: Con una persona a cargo ahora"] == ["2", "", ""]
    check_text(mail, today)


def check_text(mail: EmailMessage, today: Truth) -> None:
    text, page = part(mail, "text/plain").get_content(), part(mail, "text/html").get_content()
    assert f"Mensajes recibidos: {today.messages} " in text
    assert "- 7 pacientes en la lista de llamadas" in text
    for id_ in today.late[:20]:
        assert id_ in text
        assert id_ in page
    assert "Modelo que respondió: v4." in page


def check_private(mail: EmailMessage, client: redis.Redis) -> None:
    whole = "".join(str(p.get_content()) for p in mail.walk() if p.get_content_maintype() == "text")
    assert not re.search(r"p_[0-9a-f]{8}", whole)
    assert NUMBER_IN_REDIS[3:] not in whole
    stored = client.get(f"stats:{MONDAY}")
    assert isinstance(stored, str)
    assert not re.search(r"p_[0-9a-f]{8}|5917", stored)


@pytest.mark.browser
def test_it_reads_well_on_a_phone(client: redis.Redis, settings: Settings, browser: Any, tmp_path: Path) -> None:
    fill(client, settings, days=15)
    with mail_server() as (mailbox, port):
        assert Office(mailing(settings, port), client).daily().ring()
    [mail] = mailbox.mails
    page = part(mail, "text/html").get_content()
    for picture in mail.walk():
        if picture.get_content_type() == "image/png":
            name = str(picture["Content-ID"]).strip("<>")
            content = picture.get_payload(decode=True)
            assert isinstance(content, bytes)
            (tmp_path / f"{name}.png").write_bytes(content)
            page = page.replace(f"cid:{name}", f"{name}.png")
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    context = browser.new_context(viewport={"width": 390, "height": 844}, device_scale_factor=1.5)
    try:
        tab = context.new_page()
        requests: list[str] = []
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto((tmp_path / "report.html").as_uri())
        assert all(url.startswith("file:") for url in requests)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 390.5).length"
        assert tab.evaluate(wide) == 0
        assert tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        small = "Math.min(...[...document.querySelectorAll('p,td,th,li')].map(e => parseFloat(getComputedStyle(e).fontSize)))"  # noqa: E501
        assert tab.evaluate(small) >= 12
        if os.environ.get("UPDATE_PICTURES"):
            _save_picture(tab.screenshot(full_page=True))
        tab.set_viewport_size({"width": 1200, "height": 900})
        assert tab.evaluate("document.body.firstElementChild.getBoundingClientRect().width") <= 600
    finally:
        context.close()


def _save_picture(png: bytes) -> None:
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(128).save(PICTURE, optimize=True)
    assert PICTURE.stat().st_size < MAX_PICTURE_BYTES


def test_the_picture_in_the_docs_is_there_and_small() -> None:
    assert 20_000 < PICTURE.stat().st_size < MAX_PICTURE_BYTES


def test_the_first_report_of_all_has_nothing_to_compare_with(office: Office, mailbox: Mailbox) -> None:
    assert office.daily().ring()
    [mail] = mailbox.mails
    assert sheet(mail)["Mensajes: Mensajes recibidos"] == ["0", "", ""]
    assert "No queda nada pendiente" in part(mail, "text/html").get_content()
    assert {p.get_content_type() for p in mail.walk()} >= {"image/png"}


def test_comparisons_outlive_the_audit(office: Office, mailbox: Mailbox, settings: Settings) -> None:
    week = SimulatedWeek(settings, busy=40)
    week.write(office.client)
    assert office.daily().ring()
    kept = office.client.get(f"stats:{MONDAY}")
    office.client.delete("audit")
    office.now = MORNING_AFTER + dt.timedelta(days=7)
    assert office.daily().ring()
    messages = sheet(mailbox.mails[1])["Mensajes: Mensajes recibidos"]
    assert messages[:2] == ["0", str(week.truth[MONDAY].messages)]
    assert office.client.get(f"stats:{MONDAY}") == kept
    assert 399 * 86400 < int(office.client.ttl(f"stats:{MONDAY}")) <= 400 * 86400
