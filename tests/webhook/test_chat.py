"""POST /chat: who may ask, what is refused, and that the caller gets his reply and nobody else's."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from shared.settings import Settings
from webhook import chat
from webhook.app import create_app

HEADERS = {"Authorization": "Bearer chat-key"}
ASKED = {"user_id": "+59170123456", "messages": [{"role": "user", "content": "hola"}]}


@pytest.fixture
def worker(client: redis.Redis) -> Any:
    """Answers every chat message as a worker's commit does."""
    stop = threading.Event()

    def answer() -> None:
        answered: set[str] = set()
        while not stop.wait(0.01):
            for key in list(client.scan_iter("inbox:*")):
                for row in client.lrange(key, 0, -1):
                    message = json.loads(row.partition("|")[2])
                    if message["id"] not in answered:
                        answered.add(message["id"])
                        reply = {"response": f"eco {message['text']}", "intent": "saludo", "buttons": []}
                        client.rpush(f"answer:{message['id']}", json.dumps(reply))

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("path", ["/chat", "/chat/"])
@pytest.mark.usefixtures("worker")
def test_the_caller_gets_the_reply(path: str, web: FlaskClient) -> None:
    answered = web.post(path, json=ASKED, headers=HEADERS)
    assert answered.status_code == 200
    assert answered.json["response"] == "eco hola"
    assert answered.json["user_id"] == "+59170123456"
    assert answered.json["conversation_id"].startswith("p_")


@pytest.mark.usefixtures("worker")
def test_all_spellings_of_a_number_are_one_patient(web: FlaskClient) -> None:
    spellings = ["+59170123456", "59170123456", "70123456"]
    answers = [web.post("/chat", json=ASKED | {"user_id": s}, headers=HEADERS).json for s in spellings]
    assert [a["user_id"] for a in answers] == spellings
    assert len({a["conversation_id"] for a in answers}) == 1


@pytest.mark.usefixtures("worker")
def test_a_repeated_request_with_a_key_is_one_message(web: FlaskClient, client: redis.Redis) -> None:
    headers = HEADERS | {"Idempotency-Key": "abc"}
    first, second = (web.post("/chat", json=ASKED, headers=headers) for _ in range(2))
    assert first.json == second.json
    assert [a.headers.get("Idempotency-Replayed") for a in (first, second)] == [None, "true"]
    assert sum(client.llen(key) for key in client.scan_iter("inbox:*")) == 1


@pytest.mark.usefixtures("worker")
def test_earlier_turns_travel_with_the_message(web: FlaskClient, client: redis.Redis) -> None:
    turns = [{"role": "user", "content": "hola"}, {"role": "assistant", "content": "dígame"}]
    web.post("/chat", json=ASKED | {"messages": [*turns, {"role": "user", "content": "cita"}]}, headers=HEADERS)
    row = next(client.lindex(key, 0) for key in client.scan_iter("inbox:*"))
    assert json.loads(row.partition("|")[2])["seed"] == [["user", "hola"], ["assistant", "dígame"]]


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
@pytest.mark.usefixtures("worker")
def test_only_the_last_message_counts_whatever_its_role(role: str, web: FlaskClient) -> None:
    """As the old assistant read it."""
    turns = [{"role": "user", "content": "hola"}, {"role": role, "content": "cita", "timestamp": "2026-11-23T09:00:00"}]
    asked = ASKED | {"messages": turns, "max_tokens": None, "temperature": None, "session": "n8n"}
    answered = web.post("/chat/", json=asked, headers=HEADERS)
    assert (answered.status_code, answered.json["response"]) == (200, "eco cita")


def test_over_the_limit_is_a_429_that_says_when(
    app_settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "LIMITED_WAIT_S", 0.2)
    monkeypatch.setattr(chat, "WAIT_S", 0.2)
    web = create_app(app_settings.model_copy(update={"RATE_LIMIT_PER_MINUTE": 2})).test_client()
    statuses = [web.post("/chat", json=ASKED, headers=HEADERS) for _ in range(3)]
    assert [answer.status_code for answer in statuses] == [504, 504, 429]
    assert 50 <= int(statuses[-1].headers["Retry-After"]) <= 60
    other = ASKED | {"user_id": "70123457"}
    assert web.post("/chat", json=other, headers=HEADERS).status_code == 504


@pytest.mark.usefixtures("worker")
def test_what_is_answered_at_once_passes_the_limit(app_settings: Settings, client: redis.Redis) -> None:
    """A danger sign: triage does not wait for the minute to pass."""
    web = create_app(app_settings.model_copy(update={"RATE_LIMIT_PER_MINUTE": 1})).test_client()
    answers = [web.post("/chat", json=ASKED, headers=HEADERS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer no"}, {"Authorization": "Bearer ñ"}])
def test_a_wrong_key_is_refused(header: dict[str, str], web: FlaskClient) -> None:
    headers = {k: v.encode().decode("latin-1") for k, v in header.items()}
    assert web.post("/chat", json=ASKED, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        ASKED | {"user_id": "nobody"},
        ASKED | {"messages": []},
        ASKED | {"messages": [{"role": "user", "content": "  "}]},
        ASKED | {"messages": [{"role": "robot", "content": "x"}]},
        ASKED | {"max_tokens": 0},
        ASKED | {"temperature": "hot"},
    ],
    ids=str,
)
def test_an_unreadable_request_is_a_problem_in_words(body: object, web: FlaskClient) -> None:
    answered = web.post("/chat", json=body, headers=HEADERS)
    assert answered.status_code == 422
    assert answered.mimetype == "application/problem+json"
    assert answered.json["title"] == "unreadable request"


def test_without_a_key_in_the_settings_the_route_is_off(app_settings: Settings, client: redis.Redis) -> None:
    app: Flask = create_app(app_settings.model_copy(update={"CHAT_API_KEY": None}))
    answered = app.test_client().post("/chat", json=ASKED, headers=HEADERS)
    assert (answered.status_code, answered.json["title"]) == (503, "disabled")


def test_a_worker_that_does_not_answer_is_a_504_and_the_message_is_kept(
    web: FlaskClient, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "WAIT_S", 0.2)
    assert web.post("/chat", json=ASKED, headers=HEADERS).status_code == 504
    assert sum(client.llen(key) for key in client.scan_iter("inbox:*")) == 1


def test_waiting_callers_leave_threads_for_meta(web: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "WAIT_S", 1.0)
    statuses: list[int] = []

    def call() -> None:
        statuses.append(app.test_client().post("/chat", json=ASKED, headers=HEADERS).status_code)

    threads = [threading.Thread(target=call) for _ in range(chat.AT_ONCE + 3)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [503] * 3 + [504] * chat.AT_ONCE
    assert time.monotonic() - began < 10
