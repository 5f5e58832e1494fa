"""A wish that a person has to carry out stands on the call list with its day and hour."""

from __future__ import annotations

import csv
import io
import json

import redis
from flask.testing import FlaskClient

from tests.ops_world import World


def test_a_wish_is_shown_and_stands_in_the_file(staff: FlaskClient, world: World, client: redis.Redis) -> None:
    line = {"patient": world.ids["mario"], "kind": "handoff", "why": "sin_registro", "at": world.now_ms}
    client.hset("calls", "h:p:n1:schedule", json.dumps(line | {"wish": "2030-08-05T09:30:00-04:00"}))
    page = staff.get("/ops/llamadas?motivo=sin_registro").text
    assert "Pide una cita y no figura en el sistema" in page
    assert "Pide: <strong>lunes 5 de agosto, 9:30</strong>" in page
    file = staff.get("/ops/llamadas.csv?motivo=sin_registro").data.decode("utf-8-sig")
    [head, row] = csv.reader(io.StringIO(file), delimiter=";")
    assert dict(zip(head, row, strict=True))["pide"] == "lunes 5 de agosto, 9:30"
