"""Carries out what a fault says: waits, answers with an error, or hangs up. Used by both APIs inside a request."""

from __future__ import annotations

from flask import Response, jsonify, request

from simulator.faults import Fault
from simulator.meta_errors import MetaError
from simulator.server import HANG_UP
from simulator.world import World


def wait(world: World, seconds: float) -> None:
    """Let time pass; the end of the simulator ends it."""
    if seconds > 0:
        world.changes.closed.wait(seconds)


def hang_up() -> Response:
    """Close the connection without an answer (under another server than ours: answer an empty 502)."""
    close = request.environ.get(HANG_UP)
    if close is not None:
        close()
    return Response(status=502)


def error_answer(fault: Fault) -> Response:
    """Build the answer that the fault describes."""
    if fault.raw_body is not None:
        return Response(fault.raw_body, status=fault.status or 502, headers=fault.headers, mimetype="text/html")
    if fault.body_status is not None:
        body = {"statusCode": fault.body_status, "message": fault.details or "Error"}
        return _json(body, fault.status or 200, fault)
    if fault.body is not None:
        return _json(fault.body, fault.status or 200, fault)
    if fault.target == "backend":
        return _json({"error": fault.details or "unavailable"}, fault.status or 500, fault)
    error = MetaError(
        fault.code if fault.code is not None else 131000,
        fault.details or "",
        subcode=fault.subcode,
        status=fault.status,
    )
    return _json(error.to_json(transient=fault.transient), error.status, fault)


def _json(body: object, status: int, fault: Fault) -> Response:
    answer = jsonify(body)
    answer.status_code = status
    answer.headers.update(fault.headers)
    return answer
