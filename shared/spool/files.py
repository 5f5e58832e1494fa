"""One file of the spool: its name, and the bodies in it (pure). Used by `shared.spool.folder`.

A file holds the bodies that shared one fsync: packed, compressed, encrypted. Its name says what the figures need, so
that nobody has to open it: place in the order, when its first body came, how many bodies.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from shared.cipher import Cipher
from shared.errors import UnreadableSecret

_NAME = re.compile(r"(\d{15})\.(\d{13})\.(\d+)")
_HEAD = struct.Struct(">QI")  # received, ms; length
_BLOCK = 4096  # what a small file takes on the disk


class UnreadableFile(Exception):
    """A file of the spool that is torn, damaged, or encrypted with a key that we no longer have."""


@dataclass(frozen=True, slots=True)
class Body:
    """A signed webhook body, as it came."""

    received_ms: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Size:
    """What lies in the spool."""

    files: int
    bodies: int
    bytes: int
    oldest_ms: int | None  # when the first of them came

    def age_s(self, now_s: float) -> float:
        """How long the oldest body has waited; 0 when nothing waits."""
        return 0.0 if self.oldest_ms is None else max(0.0, now_s - self.oldest_ms / 1000)


def name_of(place: int, bodies: Sequence[Body]) -> str:
    """The name under which these bodies are kept; names sort by place."""
    return f"{place:015d}.{min(body.received_ms for body in bodies):013d}.{len(bodies)}"


def read_name(name: str) -> tuple[int, int, int] | None:
    """Place, ms when the first body came, number of bodies; None when it is no file of ours."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def on_disk(length: int) -> int:
    """Bytes that a file of this length takes."""
    return -(-length // _BLOCK) * _BLOCK


def pack(bodies: Sequence[Body], cipher: Cipher) -> bytes:
    """The content of a file."""
    plain = b"".join(_HEAD.pack(body.received_ms, len(body.content)) + body.content for body in bodies)
    return cipher.encrypt(zlib.compress(plain, 1))


def unpack(data: bytes, cipher: Cipher) -> tuple[Body, ...]:
    """The bodies of a file.

    Raises:
        UnreadableFile: it is not whole, or no key fits.
    """
    try:
        plain = zlib.decompress(cipher.decrypt(data))
        bodies, at = [], 0
        while at < len(plain):
            received_ms, length = _HEAD.unpack_from(plain, at)
            at += _HEAD.size + length
            bodies.append(Body(received_ms, plain[at - length : at]))
    except (UnreadableSecret, zlib.error, struct.error) as error:
        raise UnreadableFile(type(error).__name__) from None
    return tuple(bodies)
