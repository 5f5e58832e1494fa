"""Encryption of what lies at rest: patients' words and addresses in Redis, webhook bodies in the spool.

Fernet (AES-128-CBC with HMAC-SHA256) under the keys of ENCRYPTION_KEYS: the first encrypts, each may decrypt, so that
a key is changed by putting a new one in front. Without keys (the demo) everything passes as it is. What was kept
before there were keys stays readable: no JSON and no phone number begins like a token. Called by `shared.state` and
the spool.
"""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.errors import UnreadableSecret
from shared.settings import Settings

_BEGINS = "gAAAAA"  # version byte 0x80 and a time before the year 2106, in base64


class Cipher:
    """Encrypts and decrypts with the keys of this installation; safe for threads."""

    def __init__(self, keys: tuple[str, ...] = ()) -> None:
        self._newest = Fernet(keys[0]) if keys else None
        self._all = MultiFernet([Fernet(key) for key in keys]) if keys else None

    @classmethod
    def from_settings(cls, settings: Settings) -> Cipher:
        """With the keys of ENCRYPTION_KEYS, the newest first; outside the demo there is one (`settings.missing`)."""
        return cls(settings.encryption_keys)

    @property
    def on(self) -> bool:
        return self._all is not None

    def encrypt(self, data: bytes) -> bytes:
        """A token under the newest key; the data themselves when there is none."""
        return self._all.encrypt(data) if self._all else data

    def decrypt(self, token: bytes) -> bytes:
        """What `encrypt` was given; data that are no token were never encrypted, and come back as they are.

        Raises:
            UnreadableSecret: no key of ours fits, or somebody changed the token.
        """
        if not token.startswith(_BEGINS.encode()):
            return token
        if self._all is None:
            raise UnreadableSecret("it is encrypted, and ENCRYPTION_KEYS is empty")
        try:
            return self._all.decrypt(token)
        except InvalidToken:
            raise UnreadableSecret("no key of ENCRYPTION_KEYS opens it: add the one it was written with") from None

    def rotate(self, token: bytes) -> bytes:
        """The same content under the newest key; unchanged if it is already, encrypted if it never was.

        Raises:
            UnreadableSecret: as `decrypt`; also when there are no keys and this is a token.
        """
        if self._newest is not None and token.startswith(_BEGINS.encode()):
            try:
                self._newest.decrypt(token)
            except InvalidToken:
                pass
            else:
                return token
        return self.encrypt(self.decrypt(token))

    def seal(self, text: str) -> str:
        """`encrypt` for text, as Redis keeps it."""
        return self.encrypt(text.encode()).decode() if self._all else text

    def open(self, text: str) -> str:
        """`decrypt` for text; raises what it raises."""
        return self.decrypt(text.encode()).decode() if text.startswith(_BEGINS) else text


CLEAR = Cipher()
