"""The address of a Redis behind Sentinel: `sentinel://:password@host:26379,host2:26379,host3:26379/mymaster` (pure).

`shared.settings` checks it, `shared.state.store` and `shared.celery_app` connect by it. The login is that of Redis;
Sentinels that ask for a password of their own get it by `?sentinel_password=…`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from redis.backoff import NoBackoff
from redis.retry import Retry

SCHEME = "sentinel://"
PORT = 26379
_FORM = re.compile(r"sentinel://(?:(?P<login>[^/?]*)@)?(?P<hosts>[^/?@]+)(?:/(?P<master>[^/?]*))?(?:\?(?P<more>.*))?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?")


@dataclass(frozen=True)
class Sentinels:
    """Whom to ask for the present master, and how to log in there."""

    nodes: tuple[tuple[str, int], ...]
    master: str
    username: str | None = None
    password: str | None = None
    sentinel_password: str | None = None

    def shown(self) -> str:
        """The address without passwords."""
        return SCHEME + ",".join(_written(*node) for node in self.nodes) + f"/{self.master}"

    def broker_url(self) -> str:
        """The same as Celery writes it; the master's name and the Sentinels' password go into its options."""
        login = f"{quote(self.username or '', safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        return ";".join(f"{SCHEME}{login}{_written(*node)}/0" for node in self.nodes)

    def asking(self, timeout_s: float) -> dict[str, Any]:
        """How a Sentinel is asked: once, then the next one. redis-py by itself would ask a dead one ten times."""
        return {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "password": self.sentinel_password,
            "retry": Retry(NoBackoff(), 0),
        }


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_sentinel(url: str) -> bool:
    return url.startswith(SCHEME)


def parse(url: str) -> Sentinels:
    """Read the address.

    Raises:
        ValueError: it has another form; the message does not repeat it, it may hold a password.
    """
    match = _FORM.fullmatch(url)
    hosts = [_HOST.fullmatch(host.strip()) for host in match["hosts"].split(",")] if match else []
    if not match or not all(hosts):
        raise ValueError("must look like sentinel://:password@host:26379,host2:26379,host3:26379/mymaster")
    username, _, password = (match["login"] or "").partition(":")
    more = parse_qs(match["more"] or "")
    if more.keys() - {"sentinel_password"}:
        raise ValueError("may have ?sentinel_password=… behind the master's name and nothing else")
    return Sentinels(
        nodes=tuple((host[1].strip("[]"), int(host[2] or PORT)) for host in hosts if host),
        master=match["master"] or "mymaster",
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_password=more.get("sentinel_password", [None])[0],
    )
