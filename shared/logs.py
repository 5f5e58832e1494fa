"""JSON logs on stderr, and in files where LOG_DIR says so. Every line of one message carries its id as `message`, a
turn's that of its first message; numbers are masked should one slip in.

`setup(level, folder, name)` is called once per process. Message text, names and tokens are never passed to a logger: a
test walks a canary patient through the whole system and searches every log.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

FILE_BYTES = 10_000_000
FILES = 5  # kept of each process, the one being written included

_bound: ContextVar[dict[str, str] | None] = ContextVar("bound", default=None)
_LONG_NUMBER = re.compile(r"(?<![\w.])\+?\d{8,15}(?![\w.])")
_WAMID = re.compile(r"wamid\.[\w=+/-]+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextmanager
def bind(**fields: str) -> Iterator[None]:
    """Add fields, such as the patient id, to every line logged inside; empty ones are left out."""
    token = _bound.set({**(_bound.get() or {}), **{name: value for name, value in fields.items() if value}})
    try:
        yield
    finally:
        _bound.reset(token)


def mask(text: str) -> str:
    """Replace phone numbers and WhatsApp message ids (they encode a number)."""
    return _WAMID.sub("wamid.***", _LONG_NUMBER.sub("***", text))


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": mask(record.getMessage()),
            **(_bound.get() or {}),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and not name.startswith("_"):
                line[name] = mask(value) if isinstance(value, str) else value
        if record.exc_info:
            line["error"] = mask(_safe_traceback(self.formatException(record.exc_info)))
        return json.dumps(line, ensure_ascii=False, default=str)


def _safe_traceback(text: str) -> str:
    """Keep where it happened; of a validation error drop the values it quotes: they are what a patient wrote."""
    return re.sub(r"input_value=.*", "input_value=***", text)


def _kept(folder: Path, name: str) -> logging.Handler:
    """Several processes, and containers, write to one file and turn it over together: a lock file makes that safe."""
    from concurrent_log_handler import ConcurrentRotatingFileHandler

    folder.mkdir(parents=True, exist_ok=True)
    return ConcurrentRotatingFileHandler(
        folder / f"{name}.log", maxBytes=FILE_BYTES, backupCount=FILES - 1, encoding="utf-8"
    )


def setup(level: str = "INFO", folder: Path | None = None, name: str = "assistant") -> None:
    """Send all logging of this process to stderr as JSON lines, and to `{name}.log` in the folder if there is one."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if folder:
        handlers.append(_kept(folder, name))
    for handler in handlers:
        handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = handlers
    root.setLevel(level)
    # These log addresses, bodies or task arguments below warning, or a line per doorbell.
    for name in (
        "urllib3",
        "requests",
        "werkzeug",
        "httpx",
        "httpcore",
        "kombu",
        "amqp",
        "filelock",
        "celery.worker.strategy",
        "celery.app.trace",
        "huggingface_hub",
    ):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
