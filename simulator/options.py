"""What the simulator is started with: one frozen record built from the environment. Read by `__main__` and tests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Options:
    """The defaults are those of `make demo`; the other processes get the same values."""

    host: str = "127.0.0.1"
    port: int = 8080
    backend_port: int | None = None  # serve the backend at the root of a second port as well
    backend: Literal["contract", "seguimiento"] = "contract"  # which of the two stands there
    webhook_url: str = "http://127.0.0.1:8000/webhook/whatsapp"
    access_token: str = "demo-token"  # noqa: S105 - accepted by the simulator only
    app_secret: str = "demo-app-secret"  # noqa: S105
    verify_token: str = "demo-verify-token"  # noqa: S105
    phone_number_id: str = "200000000000002"
    display_phone_number: str = "59122000000"
    account_id: str = "100000000000001"
    backend_token: str | None = None
    database: str = ":memory:"
    seed: bool = True


def from_environment(environ: Mapping[str, str] | None = None) -> Options:
    """Read the options; an empty variable counts as absent.

    Raises:
        ValueError: if a port is not a number.
    """
    env = {name: value for name, value in (environ if environ is not None else os.environ).items() if value}
    default = Options()
    backend_port = env.get("SIMULATOR_BACKEND_PORT")
    return Options(
        host=env.get("SIMULATOR_HOST", default.host),
        port=int(env.get("SIMULATOR_PORT", default.port)),
        backend_port=int(backend_port) if backend_port else None,
        backend="seguimiento" if env.get("SIMULATOR_BACKEND") == "seguimiento" else default.backend,
        webhook_url=env.get("WEBHOOK_URL", default.webhook_url),
        access_token=env.get("WHATSAPP_ACCESS_TOKEN", default.access_token),
        # During a rotation the setting holds several secrets; Meta signs with one of them.
        app_secret=env.get("WHATSAPP_APP_SECRET", default.app_secret).split(",")[0].strip(),
        verify_token=env.get("WHATSAPP_VERIFY_TOKEN", default.verify_token),
        phone_number_id=env.get("WHATSAPP_PHONE_NUMBER_ID", default.phone_number_id),
        account_id=env.get("WHATSAPP_BUSINESS_ACCOUNT_ID", default.account_id),
        backend_token=env.get("SEGUIMIENTO_TOKEN"),
        database=env.get("SIMULATOR_DB", default.database),
    )
