"""The canary: a test message that walks the whole road to a send that stops at our door (`workers.canary`).

Its sender is a reserved number, known by its patient id wherever it must be told from patients. What it found is in the
Redis hash `canary`: patient, period_s, started_ms (first launch, or the first after a long silence), tried_ms (when it
was rung last), sent_ms (last launch), message (its id), good_ms (last one that came through), took_ms (how long it
took).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from shared.identity import patient_id
from shared.settings import Settings

KEY = "canary"
# Country code 999 is reserved by the ITU and given to nobody: no telephone can have this number.
NUMBER = "999000000001"
# A plain question: rules, n-grams and model read it, a card answers it, nothing is booked.
TEXT = "¿Cuánto tiempo dura el tratamiento?"
LATE_PERIODS = 2


def canary_patient(settings: Settings) -> str:
    """The opaque patient id of the canary, to leave it out of reports and lists."""
    return _patient(settings.patient_id_key)


def is_canary(settings: Settings, patient: str) -> bool:
    """Whether this patient is the canary."""
    return patient == canary_patient(settings)


def age_s(fields: Mapping[str, str], now_ms: float) -> float | None:
    """Seconds since the last good canary, or since the first launch while none came back; None: none was launched."""
    known = [float(fields[name]) for name in ("good_ms", "started_ms") if name in fields]
    return max(0.0, now_ms - max(known)) / 1000 if known else None


def is_late(fields: Mapping[str, str], now_ms: float) -> bool:
    """Whether the last good canary is older than two periods.

    Args:
        fields: the Redis hash `canary`; {} while there was none.
        now_ms: the Redis server's clock.
    """
    age = age_s(fields, now_ms)
    return age is not None and "period_s" in fields and age > LATE_PERIODS * float(fields["period_s"])


@functools.lru_cache(maxsize=4)
def _patient(key: bytes) -> str:
    return patient_id(key, NUMBER)
