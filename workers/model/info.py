"""What was loaded, as the worker publishes it to Redis for GET /model. Built by `loader`; imports no torch."""

from __future__ import annotations

import datetime as dt

from shared.messages import Frozen


class ModelInfo(Frozen):
    name: str  # as in MODEL_NAME; "bundled" for the one that came with the code
    revision: str | None = None  # commit on the Hub
    device: str
    precision: str
    threads: int
    parameters: int
    context_length: int  # tokens
    load_s: float
    memory_mb: float  # resident set of the process after loading
    tagged: bool  # writes the tagged answer; else bare sentences or JSON
    chat_template: bool
    gate: str | None = None  # what the release gate found, such as "25 of 25 right"
    since: dt.datetime
