"""Takes one patient out of the spool, for `python -m workers.erase`; what is others' in the same body stays."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from typing import Any

from shared.identity import canonical_number, looks_like_user_id, patient_id
from shared.settings import Settings
from shared.spool.files import Body, UnreadableFile
from shared.spool.folder import Spool, SpoolError

WAIT_S = 30.0  # for the process that replays; it gives way between its passes
# Fields of an item in which Meta names a person.
_NAMES = ("from", "from_user_id", "wa_id", "user_id", "recipient_id", "recipient_user_id")
_SYSTEM_NAMES = ("wa_id", "new_wa_id", "user_id", "previous_user_id", "customer")
_ITEMS = ("messages", "statuses", "contacts")
_LOOKS_LIKE_A_NAME = re.compile(r"\+?\d{8,15}|[A-Z]{2}\.(?:ENT\.)?[0-9A-Za-z]{1,128}")

log = logging.getLogger(__name__)


def erase_from_spool(settings: Settings, identifiers: Iterable[str]) -> int:
    """Remove what one person wrote, and statuses of what was written to them.

    Args:
        settings: SPOOL_DIR and the keys.
        identifiers: all that is known of the person: phone numbers, user ids, opaque patient ids (`p_…`).

    Returns:
        The number of bodies that were changed or removed; 0 also when this host has no spool.

    Raises:
        SpoolError: the folder cannot be written, or was in use for too long.
    """
    spool = Spool.from_settings(settings)
    if not spool.folder.is_dir():
        return 0
    spool.open()
    person = _Person(settings.patient_id_key, identifiers)
    touched = 0
    with spool.replaying(WAIT_S) as mine:
        if not mine:
            raise SpoolError(f"SPOOL_DIR: {spool.folder} is being replayed; try again in a minute.")
        for path in spool.paths():
            try:
                before = spool.read_path(path)
            except UnreadableFile:
                log.warning("a file of the spool cannot be read; it goes after eight days", extra={"file": path.name})
                continue
            after = [person.without(body) for body in before]
            changed = sum(one != other for one, other in zip(before, after, strict=True))
            if changed:
                spool.rewrite(path, [body for body in after if body is not None])
                touched += changed
    return touched


class _Person:
    """Recognises one person in Meta's JSON, by whatever name."""

    def __init__(self, key: bytes, identifiers: Iterable[str]) -> None:
        self._key = key
        self._ids = {one if one.startswith("p_") else self._opaque(one) for one in identifiers} - {None}

    def without(self, body: Body) -> Body | None:
        """The body without this person; itself when they are not in it, None when nothing is left."""
        text = body.content.decode("utf-8", "replace")
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            return None if any(self._is(name) for name in _LOOKS_LIKE_A_NAME.findall(text)) else body
        values = [value for value in _values(content) if self._cut(value)]
        if not values:
            return body
        if not any(value.get(name) for value in _values(content) for name in value if name not in _ENVELOPE):
            return None
        try:
            return Body(body.received_ms, json.dumps(content).encode())
        except RecursionError:
            return None  # nested deeper than can be written: the person's right goes before an odd body's

    def _cut(self, value: dict[str, Any]) -> bool:
        cut = False
        for name in _ITEMS:
            items = value.get(name)
            if isinstance(items, list):
                value[name] = [item for item in items if not self._wrote(item)]
                cut = cut or len(value[name]) < len(items)
        return cut

    def _wrote(self, item: object) -> bool:
        if not isinstance(item, dict):
            return False
        system = item.get("system")
        named = [item.get(name) for name in _NAMES]
        if isinstance(system, dict):
            named += [system.get(name) for name in _SYSTEM_NAMES]
        return any(self._is(str(name)) for name in named if name)

    def _is(self, name: str) -> bool:
        """Meta writes numbers with their country code and without plus."""
        return self._opaque("+" + name if name.isdigit() else name) in self._ids

    def _opaque(self, name: str) -> str | None:
        known = name if looks_like_user_id(name) else canonical_number(name)
        return patient_id(self._key, known) if known else None


_ENVELOPE = ("messaging_product", "metadata", "contacts")  # what a change holds beside its items


def _values(content: dict[str, Any]) -> list[dict[str, Any]]:
    entries = content.get("entry")
    changes = [
        change
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("changes"), list)
        for change in entry["changes"]
    ]
    return [change["value"] for change in changes if isinstance(change, dict) and isinstance(change.get("value"), dict)]
