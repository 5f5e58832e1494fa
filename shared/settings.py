"""Every setting of the system: name, unit, default and check. The only place that reads the environment.

`load()` is called once per process, at its start. A wrong value stops the process with one sentence per setting.
"""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared import sentinels
from shared.setting_values import parse_ladder, parse_opening_hours, parse_quiet_hours

BUNDLED_MODEL = Path(__file__).resolve().parent.parent / "workers" / "model" / "bundled"
SECRETS = Path("/run/secrets")  # where Compose and Kubernetes put secrets: one file each, named like the setting
CONFIG_ERROR = 78  # EX_CONFIG of sysexits.h: restarting does not help, a person must change a setting


class ProcessRole(StrEnum):
    """Which process asks: each refuses to start without what it needs outside the demo."""

    WEBHOOK = "webhook"
    WORKER = "worker"
    SCHEDULER = "scheduler"
    TOOL = "tool"  # command-line tools that touch no partner


class Settings(BaseSettings):
    """Frozen; built from the environment, `.env` and the files in `SECRETS`; what is named first wins."""

    model_config = SettingsConfigDict(
        env_file=".env",
        secrets_dir=SECRETS if SECRETS.is_dir() else None,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
    )

    DEMO: bool = False  # relaxes the required secrets and sends unreviewed cards; set by `make demo`
    HOST: str = "127.0.0.1"  # the images set 0.0.0.0: only nginx reaches them
    PORT: int = Field(default=8000, ge=1, le=65535)

    REDIS_URL: SecretStr | None = None
    REDIS_HOST: str = "127.0.0.1"
    REDIS_PORT: int = Field(default=6379, ge=1, le=65535)
    REDIS_PASSWORD: SecretStr | None = None
    CELERY_BROKER_URL: SecretStr | None = None

    CONVERSATION_TTL: int = Field(default=3600, ge=60)  # seconds

    MODEL_NAME: str = str(BUNDLED_MODEL)
    MODEL_REVISION: str | None = None
    HF_TOKEN: SecretStr | None = None
    HF_ENDPOINT: str | None = None  # a mirror of the Hub; none is the Hub itself
    MODEL_CACHE_DIR: Path = Path("models")
    MODEL_DEVICE: Literal["auto", "cpu", "cuda"] = "auto"
    MODEL_PRECISION: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    MODEL_THREADS: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    MODEL_WAIT_S: float = Field(default=900, ge=0)

    WHATSAPP_ACCESS_TOKEN: SecretStr | None = None
    WHATSAPP_PHONE_NUMBER_ID: str | None = None
    WHATSAPP_BUSINESS_ACCOUNT_ID: str | None = None  # for `make doctor`: subscription and templates
    WHATSAPP_APP_SECRET: SecretStr | None = None  # comma list: the old and the new secret during a rotation
    WHATSAPP_VERIFY_TOKEN: SecretStr | None = None
    WHATSAPP_API_URL: str = "https://graph.facebook.com"
    WHATSAPP_API_VERSION: str = Field(default="v26.0", pattern=r"^v\d+\.\d+$")

    SEGUIMIENTO_SERVICE_URL: str = "http://localhost:3001"
    SEGUIMIENTO_TIMEOUT: float = Field(default=10, gt=0, le=60)  # seconds
    SEGUIMIENTO_TOKEN: SecretStr | None = None
    APPOINTMENTS_API: Literal["contract", "seguimiento"] = "contract"  # seguimiento: the centre's present backend
    SEGUIMIENTO_CLOCK: Literal["instant", "wall"] = "wall"  # what its times mean: true instants, or the centre's clock
    SEGUIMIENTO_STAFF_ID: str | None = Field(default=None, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    SEGUIMIENTO_MARKS_MISSED: bool = False  # whether the centre marks who did not come
    CHAT_API_KEY: SecretStr | None = None

    RATE_LIMIT_PER_MINUTE: int = Field(default=20, ge=1)
    BURST_WAIT_MS: int = Field(default=800, ge=0, le=60000)
    LATE_MESSAGE_HOURS: float = Field(default=6, ge=0)  # 0 = off
    WAIT_NOTICE_S: float = Field(default=120, ge=0)  # who waits for so long is told so, once; 0 = off
    LEASE_S: float = Field(default=10, ge=1, le=120)  # how long a worker that died keeps its patient
    SETTLE_S: float = Field(default=30, gt=0, le=600)  # an unknown send waits so long for its status

    REMINDER_HOURS_AHEAD: float = Field(default=24, ge=0, le=72)  # 0 = no reminders
    REMINDER_SAME_DAY_HOURS: float = Field(default=0, ge=0, le=12)  # a second reminder; 0 = off
    REMINDER_TEMPLATE: str = "recordatorio_cita"
    REMINDER_TEMPLATE_LANGUAGE: str = "es"
    MISSED_TEMPLATE: str = "cita_perdida"
    QUIET_HOURS: str = "21-7"  # nothing is sent unasked from 21:00 to 7:00 of the centre's time; 0-0 = off
    REMINDER_SPREAD_MINUTES: float = Field(default=60, ge=0, le=60)  # over which an hour's reminders are spread
    UNIQUE_USERS_PER_DAY: int = Field(default=250, ge=1)  # Meta's limit of our number, outside the 24 h window
    MESSAGES_PER_SECOND: int = Field(default=80, ge=2)  # Meta's throughput of our number, in and out

    ALERT_EMAIL_TO: str | None = None
    ALERT_EMAIL_FROM: str | None = None
    SMTP_HOST: str | None = None
    SMTP_PORT: int = Field(default=587, ge=1, le=65535)
    SMTP_USER: str | None = None
    SMTP_PASSWORD: SecretStr | None = None
    SMTP_STARTTLS: bool = True
    SLACK_WEBHOOK_URL: SecretStr | None = None
    ALERT_LADDER: str = "0 email slack"  # minutes and whom a danger alert goes to until somebody acknowledges it
    ALERT_REPEAT_MINUTES: float = Field(default=30, gt=0)  # after the last rung everybody is told again
    PUBLIC_URL: str | None = None  # where staff reach the webhook process, for the links in alerts
    REPORT_EMAIL_TO: str | None = None
    OPS_BASIC_AUTH: SecretStr | None = None  # user:password of /ops; none: the page is off

    CENTER_NAME: str = "Centro Médico Cañada del Carmen"
    CENTER_PHONE: str = "+591 3 000 0000"
    CENTER_ADDRESS: str | None = None
    EMERGENCY_PHONE: str = "168"
    OPENING_HOURS: str = "mon-fri 08:00-12:00 14:00-18:00; sat 08:00-12:00"
    CENTER_TIMEZONE: str = "America/La_Paz"
    SLOT_MINUTES: int = Field(default=30, ge=5, le=240)
    SLOT_CAPACITY: int = Field(default=1, ge=1)  # patients at one time; used where the backend does not count them

    ALLOW_UNREVIEWED_CARDS: bool = False
    PATIENT_ID_KEY: SecretStr | None = None
    ENCRYPTION_KEYS: SecretStr | None = None  # comma list of Fernet keys for patients' words at rest, the newest first
    FLOWER_BASIC_AUTH: SecretStr | None = None  # user:password
    LOG_LEVEL: Annotated[str, NoDecode] = "INFO"
    LOG_DIR: Path | None = None  # logs are also kept there, rotated; none: stderr only
    SPOOL_DIR: Path = Path("var/spool")  # where the webhook keeps bodies while Redis is away
    SPOOL_MAX_MB: int = Field(default=256, ge=1)
    AUDIT_DAYS: int = Field(default=30, ge=1)  # how long it is known what became of a message; no text
    CANARY_MINUTES: float = Field(default=5, ge=0)  # how often a test message walks the road; 0 = off
    CANARY_URL: str = "http://127.0.0.1:8000"  # where workers reach the webhook process
    OTEL_EXPORTER_OTLP_ENDPOINT: str | None = None  # traces are sent there

    @model_validator(mode="before")
    @classmethod
    def _empty_means_not_set(cls, given: Any) -> Any:
        """As in the environment: an empty secret file must not become an empty password."""
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given

    @field_validator("REDIS_URL", "CELERY_BROKER_URL")
    @classmethod
    def _known_scheme(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        schemes: tuple[str, ...] = ("redis", "rediss", "unix", "sentinel")
        if info.field_name == "CELERY_BROKER_URL":
            schemes += ("amqp", "amqps")
        url = value.get_secret_value() if value else ""
        if url and url.partition("://")[0] not in schemes:
            raise ValueError(f"must start with one of {', '.join(s + '://' for s in schemes)}")
        if sentinels.is_sentinel(url):
            sentinels.parse(url)
        return value

    @field_validator(
        "WHATSAPP_API_URL",
        "SEGUIMIENTO_SERVICE_URL",
        "HF_ENDPOINT",
        "PUBLIC_URL",
        "CANARY_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    )
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not re.match(r"^https?://[^/\s]+", value):
            raise ValueError("must be an address such as https://host")
        return value.rstrip("/")

    @field_validator("CENTER_TIMEZONE")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is not a time zone such as America/La_Paz") from error
        return value

    @field_validator("OPENING_HOURS")
    @classmethod
    def _readable_hours(cls, value: str) -> str:
        parse_opening_hours(value)
        return value

    @field_validator("QUIET_HOURS")
    @classmethod
    def _readable_quiet_hours(cls, value: str) -> str:
        parse_quiet_hours(value)
        return value

    @field_validator("ALERT_LADDER")
    @classmethod
    def _readable_ladder(cls, value: str) -> str:
        parse_ladder(value)
        return value

    @field_validator("OPS_BASIC_AUTH", "FLOWER_BASIC_AUTH")
    @classmethod
    def _user_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not all(value.get_secret_value().partition(":")[::2]):
            raise ValueError("must be user:password")
        return value

    @field_validator("ENCRYPTION_KEYS")
    @classmethod
    def _fernet_keys(cls, value: SecretStr | None) -> SecretStr | None:
        for key in _parts(value):
            if not re.fullmatch(r"[A-Za-z0-9_-]{43}=", key):
                raise ValueError("must be 32 random bytes as URL-safe base64, several separated by commas")
        return value

    @field_validator("LOG_LEVEL")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @model_validator(mode="after")
    def _email_is_whole(self) -> Settings:
        if self.SMTP_HOST and not (self.ALERT_EMAIL_FROM and self.ALERT_EMAIL_TO):
            raise ValueError("SMTP_HOST needs ALERT_EMAIL_FROM and ALERT_EMAIL_TO")
        return self

    @property
    def redis_url(self) -> str:
        if self.REDIS_URL:
            return self.REDIS_URL.get_secret_value()
        password = self.REDIS_PASSWORD.get_secret_value() if self.REDIS_PASSWORD else ""
        login = f":{quote(password, safe='')}@" if password else ""
        return f"redis://{login}{self.REDIS_HOST}:{self.REDIS_PORT}/0"

    @property
    def broker_url(self) -> str:
        return self.CELERY_BROKER_URL.get_secret_value() if self.CELERY_BROKER_URL else self.redis_url

    @property
    def patient_id_key(self) -> bytes:
        return self.PATIENT_ID_KEY.get_secret_value().encode() if self.PATIENT_ID_KEY else b"demo"

    @property
    def app_secrets(self) -> tuple[bytes, ...]:
        return tuple(part.encode() for part in _parts(self.WHATSAPP_APP_SECRET))

    @property
    def encryption_keys(self) -> tuple[str, ...]:
        return _parts(self.ENCRYPTION_KEYS)

    @cached_property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.CENTER_TIMEZONE)

    @property
    def may_send_unreviewed(self) -> bool:
        return self.DEMO or self.ALLOW_UNREVIEWED_CARDS


def _parts(value: SecretStr | None) -> tuple[str, ...]:
    """The members of a comma list, without the empty ones."""
    raw = value.get_secret_value() if value else ""
    return tuple(part.strip() for part in raw.split(",") if part.strip())


_REQUIRED: dict[ProcessRole, tuple[str, ...]] = {
    ProcessRole.WEBHOOK: ("WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN", "PATIENT_ID_KEY", "ENCRYPTION_KEYS"),
    ProcessRole.WORKER: ("WHATSAPP_ACCESS_TOKEN", "WHATSAPP_PHONE_NUMBER_ID", "PATIENT_ID_KEY", "ENCRYPTION_KEYS"),
    ProcessRole.SCHEDULER: (),
    ProcessRole.TOOL: (),
}


def missing(settings: Settings, role: ProcessRole) -> list[str]:
    """Name the settings that this process cannot do without; the demo needs only what its backend needs."""
    names = () if settings.DEMO else _REQUIRED[role]
    if role is ProcessRole.WORKER and settings.APPOINTMENTS_API == "seguimiento":
        names += ("SEGUIMIENTO_STAFF_ID",)
    return [name for name in names if not getattr(settings, name)]


def load(role: ProcessRole = ProcessRole.TOOL, **overrides: Any) -> Settings:
    """Read and check the settings; end the process with code 78 and a sentence for each that is wrong."""
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]) or "settings"
            print(f"{name}: {problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        raise SystemExit(CONFIG_ERROR) from None
    lacking = missing(settings, role)
    if lacking:
        print(f"Set {', '.join(lacking)}: the {role} does not start without (see .env.example).", file=sys.stderr)
        raise SystemExit(CONFIG_ERROR)
    return settings
