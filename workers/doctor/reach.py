"""Why an address did not answer, in words, from an exception of whatever library (pure).

Only types and error numbers are read: the texts of these exceptions hold addresses, and those may hold a password.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

_DEPTH = 12


def why(error: BaseException) -> str:
    """Return for example "its name cannot be resolved" or "the connection is refused"."""
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its TLS certificate is not accepted"
        if isinstance(cause, socket.gaierror) or type(cause).__name__ == "NameResolutionError":
            return "its name cannot be resolved"
    for cause in chain:
        if isinstance(cause, ssl.SSLError):
            return "TLS failed"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection is refused"
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return "the connection was closed"
    if any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in chain):
        return "no answer in time"
    return f"it cannot be reached ({type(error).__name__})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that it came from: libraries keep it in different places."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _DEPTH:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
