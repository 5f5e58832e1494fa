"""Ring by hand what Beat rings: `python -m scheduler.ring remind` (or follow_up, report, canary, sweep).

Harmless at any time: each task knows by itself whether there is something to do.
"""

from __future__ import annotations

import argparse
import sys

from kombu.exceptions import OperationalError

from scheduler.schedule import schedule
from shared.celery_app import Role, create_celery
from shared.settings import ProcessRole, load

NO_BROKER = 69  # EX_UNAVAILABLE of sysexits.h


def main(arguments: list[str] | None = None) -> int:
    settings = load(ProcessRole.SCHEDULER)
    table = schedule(settings)
    parser = argparse.ArgumentParser(prog="python -m scheduler.ring", description=__doc__)
    parser.add_argument("task", choices=sorted(table))
    entry = table[parser.parse_args(arguments).task]
    try:
        with create_celery(settings, Role.WEB) as celery:
            celery.send_task(entry["task"], **entry["options"])
    except OperationalError as error:
        print(
            f"The broker cannot be reached ({error}): is it running, and CELERY_BROKER_URL or REDIS_URL right?",
            file=sys.stderr,
        )
        return NO_BROKER
    print(f"rang {entry['task']}; a worker's log says what came of it")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
