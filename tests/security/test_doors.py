"""Every route of the webhook process: who may use it, and by what it is held. A new one must be named here."""

from __future__ import annotations

from flask import Flask

from tests.webhook.ops.test_login import PAGES, POSTS

# Outside /ops: route and method -> what it asks for.
HELD_BY = {
    ("/webhook/whatsapp", "GET"): "the verify token",
    ("/webhook/whatsapp", "POST"): "Meta's signature over the raw bytes",
    ("/chat", "POST"): "CHAT_API_KEY",
    ("/chat/", "POST"): "CHAT_API_KEY",
    ("/reminders/claim", "POST"): "CHAT_API_KEY; nginx does not pass it on",
    ("/avisos/<token>", "GET"): "a signed link; tells nothing of the patient",
    ("/avisos/<token>", "POST"): "a signed link",
    ("/health", "GET"): "nginx does not pass it on",
    ("/health/live", "GET"): "nginx does not pass it on",
    ("/health/ready", "GET"): "nobody: a word, for watchers outside",
    ("/model", "GET"): "nginx does not pass it on",
    ("/metrics", "GET"): "nginx does not pass it on",
}
BEFORE_THE_LOGIN = {("/ops/entrar", "GET"), ("/ops/entrar", "POST"), ("/ops/static/<path:filename>", "GET")}
TRIED_APART = {("/ops/events", "GET"), ("/ops/llamadas.csv", "GET")}  # answer 401, not with a redirect


def test_every_route_is_held_by_something(app: Flask) -> None:
    routes = {(rule.rule, method) for rule in app.url_map.iter_rules() for method in rule.methods - {"HEAD", "OPTIONS"}}
    ops = {route for route in routes if route[0].startswith("/ops")}
    assert routes - ops == set(HELD_BY)
    tried = {(f"/ops{path}", "POST") for path in POSTS}
    tried |= {(f"/ops{path}".replace("p_1", "<patient>"), "GET") for path in PAGES}
    assert ops == tried | BEFORE_THE_LOGIN | TRIED_APART
