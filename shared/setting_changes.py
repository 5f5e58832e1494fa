"""Settings that do nothing: names of other programs and releases, and names that are one slip away from ours.

Looked for once at the start of each process, in the environment and in `.env`. Names are told, never values.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

from dotenv import dotenv_values

from shared.settings import Settings

# A name that is not read any more, or never was, and what to do instead. To retire a setting: put its name here.
FORMER: dict[str, str] = {
    "WHATSAPP_TOKEN": "set WHATSAPP_ACCESS_TOKEN",
    "WHATSAPP_API_TOKEN": "set WHATSAPP_ACCESS_TOKEN",
    "ACCESS_TOKEN": "set WHATSAPP_ACCESS_TOKEN",
    "VERIFY_TOKEN": "set WHATSAPP_VERIFY_TOKEN",
    "WEBHOOK_VERIFY_TOKEN": "set WHATSAPP_VERIFY_TOKEN",
    "APP_SECRET": "set WHATSAPP_APP_SECRET",
    "PHONE_NUMBER_ID": "set WHATSAPP_PHONE_NUMBER_ID",
    "WHATSAPP_PHONE_ID": "set WHATSAPP_PHONE_NUMBER_ID",
    "WABA_ID": "set WHATSAPP_BUSINESS_ACCOUNT_ID",
    "HUGGINGFACE_TOKEN": "set HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN": "set HF_TOKEN",
    "MODEL_PATH": "set MODEL_NAME: it takes a folder as well as a Hub id",
    "APPOINTMENTS_URL": "set SEGUIMIENTO_SERVICE_URL",
    "TIMEZONE": "set CENTER_TIMEZONE",
}
# Read by Compose, gunicorn's image or n8n, not by us.
_OTHERS = frozenset(
    {
        "CERTBOT_EMAIL",
        "COMPOSE_PROFILES",
        "COMPOSE_PROJECT_NAME",
        "DEMO_PORT",
        "FLOWER_URL_PREFIX",
        "HTTPS_PORT",
        "HTTP_PORT",
        "META_CLIENT_CERTIFICATE",
        "N8N_HOST",
        "SERVER_NAME",
        "VERSION",
    }
)
_LIKE = 0.8  # of difflib: one or two letters, or one word of four
_FIRST_WORD_LIKE = 0.75
_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,60}")

log = logging.getLogger(__name__)


def remarks(names: Iterable[str]) -> list[str]:
    """A sentence for each of these names that looks like a setting and is none (pure)."""
    known = set(Settings.model_fields)
    told = []
    for name in sorted({name.upper() for name in names}):
        if name in known or name in _OTHERS or not _NAME.fullmatch(name):
            continue
        if name in FORMER:
            told.append(f"{name} is not read: {FORMER[name]}")
        elif meant := _meant(name, known):
            told.append(f"{name} is no setting; did you mean {meant}?")
    return told


def _meant(name: str, known: Iterable[str]) -> str | None:
    """The setting that this name is like, its first word too: CONTAINER_NAME is not CENTER_NAME."""
    for close in difflib.get_close_matches(name, known, n=3, cutoff=_LIKE):
        first = difflib.SequenceMatcher(None, name.partition("_")[0], close.partition("_")[0])
        if first.ratio() >= _FIRST_WORD_LIKE:
            return close
    return None


def warn(env_file: Path | None = None) -> None:
    """Log the remarks on the environment and on `.env`, which need not be there."""
    file = env_file or Path(str(Settings.model_config.get("env_file") or ".env"))
    named = dotenv_values(file, interpolate=False) if file.is_file() else {}
    for remark in remarks([*named, *os.environ]):
        log.warning(remark)
