"""HTTP sessions of the two partners, and one request that ends in a response or in an error of ours.

Used by `workers.appointments` and `workers.whatsapp.client`. What matters to both is whether the request had left us
when it failed: before, it may be repeated; after, it may have been done.
"""

from __future__ import annotations

import http.cookiejar
import ipaddress
import logging
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError
from urllib3.poolmanager import PoolManager

from shared.errors import OutcomeUnknown, RetryLater

CONNECT_TIMEOUT_S = 3.05  # just over 3 s, the time of TCP's second try
POOL_SIZE = 32
# Node closes idle connections after 5 s, and the Graph API at some time: a request written into a closing connection is
# lost with its outcome unknown, so a connection that rested longer than this is not used again.
IDLE_S = 4.0
TIMED_OUT, HUNG_UP = "timed_out", "hung_up"  # codes of OutcomeUnknown

# urllib3 writes paths (with phone numbers) at DEBUG and in some warnings.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class _Fresh:
    """Says when a failure came before anything was written, and when the connection has rested too long."""

    _last_used = 0.0

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except (OSError, HTTPError) as error:  # DNS, TCP and TLS alike: the request was not written
            raise NewConnectionError(self, f"cannot connect ({type(error).__name__})") from error  # type: ignore[arg-type]

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._last_used = time.monotonic()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self) -> Any:
        response = super().getresponse()  # type: ignore[misc]
        self._last_used = time.monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        rested = time.monotonic() - self._last_used
        return rested < IDLE_S and bool(super().is_connected)  # type: ignore[misc]


class _HTTPConnection(_Fresh, HTTPConnection):
    pass


class _HTTPSConnection(_Fresh, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        _use_our_pools(manager)
        return manager


def _use_our_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


class _Bearer(requests.auth.AuthBase):
    """Our token, also where a `.netrc` names the same host: requests would prefer that one."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def open_session(base_url: str, token: str | None, session: requests.Session | None = None) -> requests.Session:
    """Build the session of one partner; nothing is contacted. Safe for many threads.

    A session that is passed in keeps its own connections (a test's, for example) and only gets our headers.
    """
    if session is None:
        session = requests.Session()
        adapter = _Adapter(pool_connections=4, pool_maxsize=POOL_SIZE, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        # A proxy of the environment is for the world outside: on this machine it would only be in the way.
        session.trust_env = not _is_this_machine(base_url)
    session.auth = _Bearer(token)
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))  # a jar is shared by the threads
    session.headers.update({"Accept": "application/json", "User-Agent": "tb-assistant"})
    return session


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def request(
    session: requests.Session, method: str, url: str, *, partner: str, timeout: tuple[float, float], **kwargs: Any
) -> requests.Response:
    """Do one request; redirects are not followed. The response may have any status.

    Args:
        partner: its name in error messages, which hold neither address nor body.
        timeout: seconds to connect, seconds to wait for the next bytes.
        kwargs: `json`, `params` or `headers`, as `requests` takes them.

    Raises:
        RetryLater: nothing was written (name not found, refused, no TLS): it certainly was not done.
        OutcomeUnknown: it was written and no whole answer came (timeout, connection reset).
    """
    try:
        return session.request(method, url, timeout=timeout, allow_redirects=False, **kwargs)
    except requests.RequestException as error:
        what = f"{partner}: {type(error).__name__}"
        # `from None`: the library's message holds the path, and the path may hold a number.
        if _was_not_written(error):
            raise RetryLater(f"{what}, not reached", code="unreachable") from None
        code = TIMED_OUT if isinstance(error, requests.Timeout) else HUNG_UP
        raise OutcomeUnknown(f"{what}, no answer", code=code) from None


def _was_not_written(error: requests.RequestException) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    return isinstance(cause, NewConnectionError | ConnectTimeoutError)


def decoded(response: requests.Response) -> object:
    """The JSON of a response; None when it is HTML, empty or cut."""
    try:
        body: object = response.json()
    except (ValueError, RecursionError):
        return None
    return body
