"""Who wrote: numbers in one spelling, and keyed hashes that stand for patients and messages everywhere else.

Pure and cheap (a few microseconds): the webhook calls it for every message. A hash cannot be turned back into a number
without PATIENT_ID_KEY; numbers are few enough to be guessed one by one, so an unkeyed hash would hide nothing.
"""

from __future__ import annotations

import functools
import hashlib
import re

from shared.messages import Identity

_BOLIVIA = "591"
_LOCAL_MOBILE_DIGITS = 8  # Bolivian mobiles: 8 digits that begin with 6 or 7
_SEPARATORS = str.maketrans("", "", " \t\u00a0\u202f-.()/")
# Meta, "Business-scoped user IDs": country, optional ENT, up to 128 letters and digits; kept whole.
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[0-9A-Za-z]{1,128}")
_DIGEST_BYTES = 12  # 24 hex digits


def canonical_number(raw: str) -> str | None:
    """Write a phone number as digits with country code, no plus: `59170123456`; None when it is not a number.

    Eight digits beginning with 6 or 7 and without a plus are a Bolivian mobile. Other countries are kept as they are.
    """
    text = raw.strip().translate(_SEPARATORS)
    international = text.startswith("+")
    digits = text[1:] if international else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    if not international and digits.startswith("00"):
        digits, international = digits[2:], True
    if not international and len(digits) == _LOCAL_MOBILE_DIGITS and digits[0] in "67":
        return _BOLIVIA + digits
    shortest = 7 if international else 9  # without plus, fewer digits cannot hold a country code and a number
    if digits.startswith("0") or not shortest <= len(digits) <= 15:
        return None
    return digits


def looks_like_user_id(text: str) -> bool:
    """Say whether this is a business-scoped user id such as `BO.1349120865530274`."""
    return _USER_ID.fullmatch(text) is not None


def patient_id(key: bytes, identity_part: str) -> str:
    """Hash a canonical number or a user id into the opaque id used in Redis keys, Celery arguments and logs."""
    return "p_" + _digest(key, "patient:", identity_part)


def message_id(key: bytes, raw: str) -> str:
    """Hash Meta's message id, which encodes a phone number, into ours."""
    return "m_" + _digest(key, "message:", raw)


def candidate_ids(key: bytes, identity: Identity) -> tuple[str, ...]:
    """Patient ids of all that is known of a person, the surest first: user id, then number. () when nothing is."""
    parts = (identity.user_id, identity.number)
    return tuple(patient_id(key, part) for part in parts if part)


def _digest(key: bytes, domain: str, text: str) -> str:
    # surrogatepass: a broken id from outside must get a hash too, not an exception.
    data = (domain + text).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES, key=_short(key)).hexdigest()


@functools.lru_cache(maxsize=8)
def _short(key: bytes) -> bytes:
    """BLAKE2b takes keys up to 64 bytes; a longer one is hashed first, none of it is dropped."""
    return key if len(key) <= hashlib.blake2b.MAX_KEY_SIZE else hashlib.blake2b(key).digest()
