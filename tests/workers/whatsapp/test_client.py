"""The Graph API client against a real HTTP server: one POST, one result, and what is known when it fails."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.errors import AssistantError, BadCredentials, OutcomeUnknown, PartnerRefused, RetryLater
from shared.messages import Identity, Reply
from shared.settings import Settings
from tests.workers.http_server import Answer, Handler, HttpServer, closed_port, script, serving
from workers import connections
from workers.whatsapp import client as client_module
from workers.whatsapp.client import WhatsAppClient
from workers.whatsapp.payloads import build

TOKEN = "secreto-canario"
BODY = build(Reply(text="texto canario"), Identity(number="59170000001"), "d_1")
ACCEPTED = Answer(body={"messages": [{"id": "wamid.OUT", "message_status": "accepted"}]})


def settings(url: str) -> Settings:
    return Settings(
        _env_file=None, WHATSAPP_API_URL=url, WHATSAPP_ACCESS_TOKEN=TOKEN, WHATSAPP_PHONE_NUMBER_ID="200000000000002"
    )


@contextmanager
def graph(handler: Handler) -> Iterator[tuple[WhatsAppClient, HttpServer]]:
    with serving(handler) as server:
        client = WhatsAppClient(settings(server.url))
        try:
            yield client, server
        finally:
            client.close()


@pytest.fixture(autouse=True)
def _short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "READ_TIMEOUT_S", 0.3)
    monkeypatch.setattr(client_module, "MARK_TIMEOUT_S", (0.3, 0.3))


def test_a_send_returns_metas_message_id() -> None:
    with graph(script(ACCEPTED)) as (client, server):
        assert client.send(BODY) == "wamid.OUT"
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/v26.0/200000000000002/messages")
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.body == BODY


def test_connections_are_kept_until_they_have_rested_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with graph(script(ACCEPTED)) as (client, server):
        client.send(BODY)
        client.send(BODY)
        monkeypatch.setattr(connections, "IDLE_S", 0.0)
        client.send(BODY)
    first, second, third = (asked.client_port for asked in server.asked)
    assert first == second != third


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(400, {"error": {"code": 131056}}), RetryLater),
        (Answer(400, {"error": {"code": 131047}}), PartnerRefused),
        (Answer(401, {"error": {"code": 190}}), BadCredentials),
        (Answer(500, {"error": {"code": 131000}}), OutcomeUnknown),
        (Answer(200, {"error": {"code": 131047}}), PartnerRefused),
        (Answer(502, b"<html>Bad gateway</html>"), OutcomeUnknown),
        (Answer(504, b""), OutcomeUnknown),
        (Answer(429, b"", {"Retry-After": "3"}), RetryLater),
        (Answer(302, b"", {"Location": "http://127.0.0.1:9/"}), PartnerRefused),
        (Answer(200, b"<html>Inicie su sesion</html>"), OutcomeUnknown),
        (Answer(200, {"messages": []}), OutcomeUnknown),
        (Answer(200, {"messages": [{"id": 7}]}), OutcomeUnknown),
        (Answer(200, []), OutcomeUnknown),
        (Answer(then="hang up"), OutcomeUnknown),
        (Answer(then="never"), OutcomeUnknown),
    ],
)
def test_every_failure_is_one_of_our_errors_and_is_not_repeated(answer: Answer, expected: type[AssistantError]) -> None:
    with graph(script(answer)) as (client, server), pytest.raises(AssistantError) as caught:
        client.send(BODY)
    assert type(caught.value) is expected
    assert len(server.asked) == 1


def test_a_refused_connection_is_certainly_not_sent() -> None:
    client = WhatsAppClient(settings(f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(RetryLater) as caught:
        client.send(BODY)
    assert caught.value.partner_down
    client.close()


def test_a_name_that_does_not_resolve_is_certainly_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("NO_PROXY", "*")
    client = WhatsAppClient(settings("http://no-existe.invalid"))
    with pytest.raises(RetryLater):
        client.send(BODY)
    client.close()


def test_a_failed_handshake_is_certainly_not_sent() -> None:
    """The other side speaks no TLS: nothing of the message was written."""
    with serving(script(ACCEPTED)) as server:
        client = WhatsAppClient(settings(server.url.replace("http:", "https:")))
        with pytest.raises(RetryLater):
            client.send(BODY)
        client.close()
    assert server.asked == []


def test_a_kept_connection_that_the_other_side_closed_is_noticed_before_writing() -> None:
    with graph(script(Answer(body=ACCEPTED.body, then="close after"))) as (client, server):
        for _ in range(5):
            assert client.send(BODY) == "wamid.OUT"
            assert server.closed.acquire(timeout=5)
    assert len(server.asked) == 5


def test_a_read_mark_never_raises_and_is_quick() -> None:
    with graph(script(Answer(body={"success": True}), Answer(400, {"error": {"code": 131009}}))) as (client, server):
        assert client.mark_read("wamid.A")
        assert not client.mark_read("wamid.A", typing=False)
    assert server.asked[0].body["typing_indicator"] == {"type": "text"}
    assert "typing_indicator" not in server.asked[1].body
    with graph(script(Answer(then="never"))) as (client, _):
        begin = time.monotonic()
        assert not client.mark_read("wamid.A")
        assert time.monotonic() - begin < 2


def test_neither_body_nor_number_nor_token_reach_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answers = (ACCEPTED, Answer(400, {"error": {"code": 100, "message": "texto canario"}}), Answer(then="hang up"))
    with graph(script(*answers)) as (client, _):
        client.send(BODY)
        for _ in range(2):
            with pytest.raises(AssistantError) as caught:
                client.send(BODY)
            logging.getLogger("prueba").error("falló", exc_info=caught.value)
        client.mark_read("wamid.canario")
    for secret in ("canario", "59170000001", "200000000000002"):
        assert secret not in caplog.text
