"""Who may see /ops: the password, the signed session cookie, the CSRF token, and how often one may guess.

The session key follows from PATIENT_ID_KEY and OPS_BASIC_AUTH: changing either one logs everybody out.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time

import redis
from flask import Flask, Request, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from shared.settings import Settings

PREFIX = "/ops"
HOURS = 12
FAILURES_PER_MINUTE = 5
_SALT = b"ops-session"


class OpsSessions(SecureCookieSessionInterface):
    """Flask's signed cookie for the paths of /ops only: the webhook's own requests pay nothing for it."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path != PREFIX and not request.path.startswith(PREFIX + "/"):
            return None
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        return is_https(request)


def is_https(asked: Request) -> bool:
    """The browser speaks TLS, with us or with the proxy before us."""
    return asked.is_secure or asked.headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower() == "https"


def session_key(settings: Settings) -> bytes:
    """32 bytes that sign the session cookie."""
    key = hashlib.blake2b(settings.patient_id_key).digest()
    auth = settings.OPS_BASIC_AUTH.get_secret_value() if settings.OPS_BASIC_AUTH else ""
    return hashlib.blake2b(auth.encode(), digest_size=32, key=key, salt=_SALT).digest()


def is_right(settings: Settings, user: str, password: str) -> bool:
    """Compare both with OPS_BASIC_AUTH in a time that tells nothing of either."""
    if settings.OPS_BASIC_AUTH is None:
        return False
    known_user, _, known_password = settings.OPS_BASIC_AUTH.get_secret_value().partition(":")
    same_user = hmac.compare_digest(_digest(user), _digest(known_user))
    same_password = hmac.compare_digest(_digest(password), _digest(known_password))
    return same_user and same_password


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass")).digest()


def begin(user: str) -> None:
    """Log in: a new session, nothing of the old one."""
    session.clear()
    session.permanent = True
    session["user"] = user
    session["until"] = time.time() + HOURS * 3600
    csrf_token()


def operator() -> str | None:
    """Who is logged in, or None."""
    user = session.get("user")
    return str(user) if user and time.time() < float(session.get("until", 0)) else None


def csrf_token() -> str:
    """The token that every form of this session carries."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def is_own_form(given: str) -> bool:
    """Whether a POST comes from a form that we gave to this session."""
    known = str(session.get("csrf", ""))
    return bool(known) and hmac.compare_digest(known.encode(), given.encode("utf-8", "replace"))


def address_of(asked: Request) -> str:
    """The browser's address: the one our own proxy added, when the connection comes from a private network."""
    direct = asked.remote_addr or ""
    forwarded = asked.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(forwarded)) if ipaddress.ip_address(direct).is_private else direct
    except ValueError:
        return direct


class Attempts:
    """Wrong passwords per minute and address. An attempt is counted before it is looked at, so none slips through."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def may_try(self, address: str) -> bool:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.incr(self._key(address))
            pipe.expire(self._key(address), 60, nx=True)
            count, _ = pipe.execute()
        return int(count) <= FAILURES_PER_MINUTE

    def was_right(self, address: str) -> None:
        """A right password is no failure, and forgives those before it."""
        self._client.delete(self._key(address))

    @staticmethod
    def _key(address: str) -> str:
        return "ops_failed:" + hashlib.blake2b(address.encode(), digest_size=12).hexdigest()


def prepare(app: Flask, settings: Settings) -> None:
    """Set the session of an application up."""
    app.secret_key = session_key(settings)
    app.session_interface = OpsSessions()
    app.config.update(
        SESSION_COOKIE_NAME="ops",
        SESSION_COOKIE_PATH=PREFIX,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=HOURS * 3600,
    )
