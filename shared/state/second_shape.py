"""From the second shape of the keys to the third (`shared.state.schema`).

In the second, `sent:{wamid}` and the field `wamid` of `delivery:{id}` spelled Meta's message id, and with it the
patient's number. Since the third, what patients wrote and where they are reached may be encrypted, which a worker of
the former release would take for unreadable; `shared.state.reseal` encrypts what is there.
"""

from __future__ import annotations

import contextlib

import redis

from shared.state.at_rest import sent_key
from shared.state.first_shape import handfuls


def to_third(client: redis.Redis) -> None:
    """Hash Meta's ids; what is hashed already stays as it is."""
    for keys in handfuls(client, "sent:wamid.*"):
        for key in keys:
            with contextlib.suppress(redis.ResponseError):  # it ran out in between
                client.rename(key, sent_key(key.removeprefix("sent:")))
    for keys in handfuls(client, "delivery:*"):
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hdel(key, "wamid")
            pipe.execute()
