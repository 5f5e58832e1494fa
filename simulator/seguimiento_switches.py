"""What can be switched at the present backend's stand-in while it runs, and what it counts."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Switches(BaseModel):
    """Everything that can be switched while it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zone: str = "UTC"  # the container's TZ: changing it moves every stored time
    table_delay_s: float = Field(default=0, ge=0)  # before GET /cita answers
    takes_own_id: bool = True  # a client's `id` becomes the row's; an accident of the present release
    dies_saving: bool = False  # whether the row was saved when a state kills the process
    down_s: float = Field(default=2, ge=0)  # how long a dead process answers nobody
    n8n: Literal["ok", "refused"] = "ok"
    bare: bool = False  # releases before December 2025: every failure is a bare 500


class Counters(BaseModel):
    """What must never be called, and how often the process died."""

    recordatorio: int = 0
    riesgo_salud: int = 0
    update_assistant: int = 0
    deaths: int = 0
