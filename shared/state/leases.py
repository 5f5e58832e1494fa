"""Short leases on a patient, renewed together by one thread while their holders work.

A lease is a key with a random token. A holder that was paused too long loses it: every script that changes something
asks for the token, so a late holder is refused, not trusted.
"""

from __future__ import annotations

import threading
import uuid

import redis

_RENEW = """
for i, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[i] then redis.call('PEXPIRE', key, ARGV[#KEYS + 1]) end
end
return 1
"""
_GIVE_BACK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Leases:
    """All leases of this process. `start()` begins the renewing thread."""

    def __init__(self, client: redis.Redis, lease_s: float = 10) -> None:
        """`lease_s`: seconds without renewal after which somebody else may take over."""
        self._client = client
        self._lease_ms = round(lease_s * 1000)
        self._renew_s = lease_s / 3
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew_for_ever, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._renew_s + 1)

    def take(self, name: str) -> str | None:
        """Take the lease `lease:{name}`; returns its token, or None if somebody holds it."""
        token = uuid.uuid4().hex
        key = f"lease:{name}"
        # The client may repeat a SET whose answer was lost: finding our own token then means that we hold it.
        taken = self._client.set(key, token, nx=True, px=self._lease_ms) or self._client.get(key) == token
        if not taken:
            return None
        with self._lock:
            self._held[key] = token
        return token

    def forget(self, name: str) -> None:
        """Stop renewing; the scripts that end a turn have deleted the key."""
        with self._lock:
            self._held.pop(f"lease:{name}", None)

    def give_back(self, name: str) -> None:
        """Let somebody else take it at once; nothing happens to one that is not ours any more."""
        key = f"lease:{name}"
        with self._lock:
            token = self._held.pop(key, None)
        if token is not None:
            self._client.eval(_GIVE_BACK, 1, key, token)

    def renew(self) -> None:
        with self._lock:
            held = dict(self._held)
        if held:
            self._client.eval(_RENEW, len(held), *held.keys(), *held.values(), self._lease_ms)

    def _renew_for_ever(self) -> None:
        while not self._stop.wait(self._renew_s):
            try:
                self.renew()
            except redis.RedisError:
                continue  # the lease runs out by itself; its holder will be refused
