"""Open incidents on the command line: `python -m shared.alerts` lists them, `... close KIND` ends one by hand.

By hand, because Meta does not always say that a restriction has ended.
"""

from __future__ import annotations

import sys

import redis

from shared.alerts import Alerts, wording
from shared.alerts.kinds import kind_of, title_of
from shared.settings import load
from shared.state.incidents import RedisIncidents
from shared.state.store import connect

_USAGE, _UNAVAILABLE = 64, 69


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 done, 1 no such incident, 64 wrong arguments, 69 Redis does not answer."""
    if arguments and (arguments[0] != "close" or len(arguments) != 2):
        print("python -m shared.alerts [close KIND]", file=sys.stderr)
        return _USAGE
    settings = load()
    client = connect(settings)
    try:
        if arguments:
            alerts = Alerts(settings, client=client)
            closed = alerts.incidents.close_by_hand(arguments[1])
            alerts.wait(15)
            return 0 if closed else 1
        for incident in RedisIncidents(client).listed():
            since = wording.clock(incident.opened_ms, settings.timezone)
            print(
                f"{incident.kind}\t{kind_of(incident.kind).sort}\t{since}\t{incident.count}\t{title_of(incident.kind)}"
            )
    except redis.RedisError:
        print("Redis does not answer.", file=sys.stderr)
        return _UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
