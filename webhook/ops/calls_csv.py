"""The call list as a file for a spreadsheet (pure): UTF-8 with BOM and semicolons, as Excel in Spanish opens it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from shared.alerts.wording import clock
from webhook.ops import wording
from webhook.ops.lists import Call
from webhook.ops.patients import Patient

HEADER = ("numero", "motivo", "cita", "ref", "desde", "pide")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(calls: Iterable[Call], patients: Mapping[str, Patient], now_ms: int, zone: ZoneInfo) -> bytes:
    """One row per call. The number stands without its plus, which a spreadsheet would take for a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADER)
    for call in calls:
        patient = patients.get(call.patient)
        row = (
            patient.number.removeprefix("+") if patient else "",
            wording.why(call.why),
            wording.visit(call.start, now_ms, zone) if call.start else "",
            call.ref,
            clock(call.at_ms, zone) if call.at_ms else "",
            wording.visit(call.wish, now_ms, zone) if call.wish else "",
        )
        writer.writerow([defused(cell) for cell in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def defused(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + cell if cell.startswith(_FORMULA) else cell
