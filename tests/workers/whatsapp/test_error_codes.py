"""Each of Meta's codes leads to the one thing we can do about it."""

from __future__ import annotations

import pytest

from shared.errors import AssistantError, BadCredentials, OutcomeUnknown, PartnerRefused, RetryLater
from workers.whatsapp.error_codes import CODES, PAIR_RATE, ErrorClass, class_of, classify, classify_status_error

_ERROR_OF_CLASS: dict[ErrorClass, type[AssistantError]] = {
    ErrorClass.WAIT: RetryLater,
    ErrorClass.AMBIGUOUS: OutcomeUnknown,
    ErrorClass.TEMPLATE: PartnerRefused,
    ErrorClass.RECIPIENT: PartnerRefused,
    ErrorClass.LATER: PartnerRefused,
    ErrorClass.BUG: PartnerRefused,
    ErrorClass.CREDENTIALS: BadCredentials,
    ErrorClass.POLICY: BadCredentials,
}


def graph_error(code: object, **more: object) -> dict[str, object]:
    return {"error": {"message": "texto del paciente", "code": code, "fbtrace_id": "Abc123", **more}}


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_table_has_its_error(code: int) -> None:
    error = classify(400, graph_error(code), {})
    assert type(error) is _ERROR_OF_CLASS[CODES[code][0]]
    assert error.code == code
    assert "Abc123" in str(error)
    assert "texto del paciente" not in str(error)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (131056, ErrorClass.WAIT),
        (130429, ErrorClass.WAIT),
        (131000, ErrorClass.AMBIGUOUS),
        (131047, ErrorClass.TEMPLATE),
        (131026, ErrorClass.RECIPIENT),
        (131049, ErrorClass.LATER),
        (132001, ErrorClass.BUG),
        (190, ErrorClass.CREDENTIALS),
        (131042, ErrorClass.POLICY),
        (200, ErrorClass.CREDENTIALS),
        (299, ErrorClass.CREDENTIALS),
        (2388299, ErrorClass.BUG),
        (999999, None),
    ],
)
def test_the_class_of_a_code(code: int, expected: ErrorClass | None) -> None:
    assert class_of(code) is expected


def test_an_unknown_object_is_a_matter_of_configuration() -> None:
    assert isinstance(classify(400, graph_error(100, error_subcode=33)), BadCredentials)
    assert isinstance(classify(400, graph_error(100, error_subcode=2494010)), PartnerRefused)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (502, None, OutcomeUnknown),
        (503, None, OutcomeUnknown),
        (500, {"error": "texto"}, OutcomeUnknown),
        (500, [1, 2], OutcomeUnknown),
        (429, None, RetryLater),
        (429, graph_error(987654), RetryLater),
        (401, None, BadCredentials),
        (400, graph_error(987654), PartnerRefused),
        (400, graph_error(987654, is_transient=True), OutcomeUnknown),
        (403, graph_error(987654), PartnerRefused),
        (500, graph_error(987654), OutcomeUnknown),
        (404, None, PartnerRefused),
        (301, None, PartnerRefused),
        (200, {"error": {}}, OutcomeUnknown),
        (None, None, OutcomeUnknown),
        (400, graph_error("131056"), RetryLater),
        (400, graph_error(True), PartnerRefused),
    ],
)
def test_answers_without_a_listed_code(status: int | None, body: object, expected: type[AssistantError]) -> None:
    assert type(classify(status, body, {})) is expected


@pytest.mark.parametrize(
    ("code", "headers", "after_s"),
    [
        (130429, {"Retry-After": "7"}, 7.0),
        (130429, {}, None),
        (130429, {"retry-after": "999999999"}, 86400.0),
        (
            130429,
            {"Date": "Mon, 23 Nov 2026 10:00:00 GMT", "Retry-After": "Mon, 23 Nov 2026 10:01:30 GMT"},
            90.0,
        ),
        (130429, {"Retry-After": "mañana"}, None),
        (4, {}, 60.0),
        (134101, {}, 600.0),
        (
            80007,
            {"X-Business-Use-Case-Usage": '{"1": [{"type": "whatsapp", "estimated_time_to_regain_access": 19}]}'},
            1140.0,
        ),
        (80007, {"x-business-use-case-usage": "[[["}, 60.0),
        (80007, {"x-business-use-case-usage": '{"1": [null, {"estimated_time_to_regain_access": "x"}]}'}, 60.0),
        (PAIR_RATE, {"X-Business-Use-Case-Usage": '{"1": [{"estimated_time_to_regain_access": 19}]}'}, None),
        (PAIR_RATE, {}, None),
    ],
)
def test_how_long_to_wait(code: int, headers: dict[str, str], after_s: float | None) -> None:
    error = classify(400, graph_error(code), headers)
    assert isinstance(error, RetryLater)
    assert error.after_s == after_s
    assert error.partner_down
    assert error.code == code


def test_a_failed_status_is_never_an_unknown_outcome() -> None:
    ambiguous = classify_status_error(131000)
    assert isinstance(ambiguous, RetryLater)
    assert not ambiguous.partner_down
    assert isinstance(classify_status_error(131047), PartnerRefused)
    assert isinstance(classify_status_error(130497), BadCredentials)
    assert isinstance(classify_status_error(PAIR_RATE), RetryLater)
    assert isinstance(classify_status_error(None), PartnerRefused)
    assert isinstance(classify_status_error(987654), PartnerRefused)


def test_a_trace_that_is_no_trace_is_not_repeated() -> None:
    assert "rosa" not in str(classify(400, graph_error(100, fbtrace_id="soy rosa, +59170000001")))
