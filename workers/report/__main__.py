"""`make report`: the daily report by hand.

Run: python -m workers.report [--date 2026-11-23] [--to FOLDER_OR_FILE.html] [--send]

Writes the page and the spreadsheet, or with --send mails them to REPORT_EMAIL_TO, also when that day's was sent before.
Exit codes: 0 done, 64 wrong arguments, 69 Redis or the mail server cannot be reached, 75 the mail may have gone out.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path

import redis

from shared.settings import ProcessRole, Settings, load
from shared.state import store
from workers.report import mail, once
from workers.report.daily import write
from workers.report.mail import MailNotSentError, MailUnknownError
from workers.report.page import Report

FOLDER = Path("var") / "reports"
USAGE, UNAVAILABLE, UNSURE = 64, 69, 75  # of sysexits.h


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m workers.report", description="Write or send a daily report.")
    parser.add_argument(
        "--date", type=dt.date.fromisoformat, help="the day, such as 2026-11-23; yesterday unless given"
    )
    parser.add_argument("--to", type=Path, default=FOLDER, help=f"folder, or file that ends with .html; {FOLDER}")
    parser.add_argument("--send", action="store_true", help="mail it to REPORT_EMAIL_TO instead")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:
        return USAGE if end.code else 0
    settings = load(ProcessRole.TOOL)
    now = dt.datetime.now(dt.UTC)
    today = now.astimezone(settings.timezone).date()
    day = options.date or today - dt.timedelta(days=1)
    if day > today:
        print(f"{day} has not begun yet.", file=sys.stderr)
        return USAGE
    if options.send and not (mail.recipients(settings) and settings.SMTP_HOST):
        print("Set REPORT_EMAIL_TO and SMTP_HOST to send it.", file=sys.stderr)
        return USAGE
    try:
        client = store.connect(settings, max_connections=2)
        report = write(client, settings, day, now)
        return _send(client, settings, report, now) if options.send else _save(report, options.to)
    except redis.RedisError as error:
        print(f"Redis cannot be reached: {type(error).__name__}.", file=sys.stderr)
        return UNAVAILABLE


def _save(report: Report, to: Path) -> int:
    page = to if to.suffix == ".html" else to / f"{report.file_name}.html"
    sheet = page.with_suffix(".csv")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report.html_for_file, encoding="utf-8")
    sheet.write_bytes(report.csv)
    print(page)
    print(sheet)
    return 0


def _send(client: redis.Redis, settings: Settings, report: Report, now: dt.datetime) -> int:
    try:
        refused = mail.send(settings, mail.build(settings, report, now))
    except MailNotSentError as error:
        print(f"The mail was not sent: {error}.", file=sys.stderr)
        return UNAVAILABLE
    except MailUnknownError as error:
        print(f"The mail may have been sent: {error}.", file=sys.stderr)
        return UNSURE
    if report.whole:
        once.mark_sent(client, report.day)
    print(f"Sent to {len(mail.recipients(settings)) - refused} addresses.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
