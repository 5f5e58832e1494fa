"""`make doctor`: checks what an installation needs and says what to do.

Run: python -m workers.doctor [--json] [--send-test-mail]

Exit codes: 0 all good, 1 something failed, 2 only warnings, 64 wrong arguments.
"""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial
from typing import NoReturn

from shared.settings import Settings
from workers.doctor import (
    backend_checks,
    clock_checks,
    mail_checks,
    model_checks,
    queue_checks,
    redis_checks,
    seguimiento_checks,
    settings_checks,
    whatsapp_checks,
)
from workers.doctor.check import exit_code
from workers.doctor.report import clean, json_line, line, secrets_of, summary
from workers.doctor.runner import Group, run_all

USAGE = 64  # EX_USAGE of sysexits.h: argparse's own 2 means "only warnings" here


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def groups(settings: Settings, send_test_mail: bool) -> list[Group]:
    """Everything that is checked once the settings are readable, in the order of the lines."""
    return [
        Group("settings", partial(settings_checks.check, settings)),
        Group("redis", partial(redis_checks.check, settings)),
        Group("broker", partial(redis_checks.check_broker, settings)),
        Group("workers", partial(queue_checks.check, settings)),
        Group("model", partial(model_checks.check, settings)),
        *whatsapp_checks.groups(settings),
        *backend_checks.groups(settings),
        *seguimiento_checks.groups(settings),
        Group("e-mail", partial(mail_checks.check, settings, send_test_mail)),
        Group("clock", partial(clock_checks.check, settings)),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = _Parser(prog="python -m workers.doctor", description="Check what the installation needs.")
    parser.add_argument("--json", action="store_true", help="one JSON object a line: name, state, found, advice")
    parser.add_argument("--send-test-mail", action="store_true", help="also send one mail to ALERT_EMAIL_TO")
    options = parser.parse_args(arguments)
    logging.getLogger().addHandler(logging.NullHandler())  # the lines below say what the clients would log
    settings, checks = settings_checks.load()
    show = json_line if options.json else line
    for check in checks:
        print(show(check), flush=True)
    if settings is not None:
        secrets = secrets_of(settings)
        for check in run_all(groups(settings, options.send_test_mail)):
            checks.append(clean(check, secrets))
            print(show(checks[-1]), flush=True)
    if not options.json:
        print(summary(checks) + ("" if settings else "; nothing else can be checked before the settings are readable"))
    return exit_code(checks)


if __name__ == "__main__":
    raise SystemExit(main())
