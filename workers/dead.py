"""Dead letters on the command line: python -m workers.dead list | show ID | replay ID… | replay --all | drop ID…

`unreadable` lists webhook bodies that could not be read; `unreadable --replay` posts them, signed, to our own webhook
(CANARY_URL), which reads them with the present code: what is still unreadable comes back to the list. No text is shown.
"""

from __future__ import annotations

import argparse
import base64
import getpass
import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import redis
import requests
from tqdm import tqdm

from shared.cipher import Cipher
from shared.settings import ProcessRole, Settings, load
from shared.state import dead, store
from shared.state.dead import Letter, Refusal
from workers.canary import post_signed

ALL = 10_000  # as many as are kept
_SHOW_PROGRESS_AFTER_S = 1.0
_REFUSALS = {
    Refusal.STATUS: "Meta took it and could not deliver; its text is not kept. Call the patient, or drop the letter",
    Refusal.CHAT: "it came by POST /chat and its caller waits no longer",
    Refusal.UNREADABLE: "the present code cannot read it",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 not (all) done, 2 Redis or the webhook is unreachable."""
    asked = _parser().parse_args(arguments)
    settings = load(ProcessRole.TOOL)
    client = store.connect(settings, timeout_s=10)
    try:
        return _run(client, settings, asked)
    except redis.RedisError as error:
        print(f"Redis is unreachable: {type(error).__name__}", file=sys.stderr)
        return 2
    except requests.RequestException as error:
        print(f"The webhook at CANARY_URL is unreachable: {type(error).__name__}", file=sys.stderr)
        return 2
    finally:
        client.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.dead", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="newest first")
    listing.add_argument("--limit", type=int, default=100)
    commands.add_parser("show", help="one letter").add_argument("ids", nargs=1, metavar="ID")
    replaying = commands.add_parser("replay", help="put letters back where they were")
    which = replaying.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", default=[], metavar="ID")
    which.add_argument("--all", action="store_true")
    commands.add_parser("drop", help="take letters off the list for good").add_argument("ids", nargs="+", metavar="ID")
    bodies = commands.add_parser(dead.UNREADABLE, help="webhook bodies that could not be read")
    bodies.add_argument("--replay", action="store_true", help="read them again with the present code")
    return parser


def _run(client: redis.Redis, settings: Settings, asked: argparse.Namespace) -> int:
    if asked.command == "list":
        return _list(client, asked.limit, settings.timezone)
    if asked.command == "show":
        return _show(client, asked.ids[0], settings.timezone)
    if asked.command == "replay":
        return _replay_all(client) if asked.all else _replay(client, asked.ids)
    if asked.command == "drop":
        return _drop(client, asked.ids)
    return _replay_bodies(client, settings) if asked.replay else _list_bodies(client, settings.timezone)


def _list(client: redis.Redis, limit: int, zone: tzinfo) -> int:
    letters = dead.list_letters(client, limit)
    for letter in letters:
        print(line(letter, zone))
    print(f"{len(letters)} of {client.llen(dead.KEY)} dead letters", file=sys.stderr)
    return 0


def line(letter: Letter, zone: tzinfo) -> str:
    """One letter as a line: id, when, kind, why, patient, how many messages, whether it can be put back (pure)."""
    code = f" {letter.code}" if letter.code else ""
    count = f"{len(letter.messages)} message(s)"
    can = "" if letter.refusal is None else f"  cannot be put back ({letter.refusal})"
    when = _local(letter.at, zone)
    return f"{letter.id}  {when}  {letter.kind:<8}  {letter.why}{code}  {letter.patient or '-'}  {count}{can}"


def _show(client: redis.Redis, letter_id: str, zone: tzinfo) -> int:
    letter = dead.find(client, letter_id)
    if letter is None:
        return _missing(letter_id)
    print(f"id        {letter.id}")
    print(f"when      {_local(letter.at, zone)}")
    print(f"kind      {letter.kind}")
    print(f"why       {letter.why} {letter.code}".rstrip())
    print(f"patient   {letter.patient or '-'}")
    print(f"messages  {' '.join(letter.messages) or '-'}")
    print(f"delivery  {letter.delivery or '-'}")
    print(f"replay    {'possible' if letter.refusal is None else 'no: ' + _REFUSALS[letter.refusal]}")
    return 0


def _replay(client: redis.Redis, ids: Iterable[str]) -> int:
    missed = 0
    for letter_id in ids:
        letter = dead.find(client, letter_id)
        if letter is None:
            missed += _missing(letter_id)
        elif letter.refusal is not None:
            print(f"{letter_id} cannot be put back: {_REFUSALS[letter.refusal]}", file=sys.stderr)
            missed += 1
        elif dead.replay(client, letter_id, by=_operator()):
            print(f"{letter_id} put back")
        else:
            print(f"{letter_id} was put back by somebody else, or the reply arrived after all", file=sys.stderr)
            missed += 1
    return 1 if missed else 0


def _replay_all(client: redis.Redis) -> int:
    """All that can be put back; each finds its place in time, so their order does not matter."""
    letters = dead.list_letters(client, ALL)
    able = [letter for letter in letters if letter.refusal is None]
    done = sum(dead.replay(client, letter.id, by=_operator()) for letter in _watched(able, "letters"))
    print(f"{done} put back, {len(letters) - done} left")
    return 0


def _drop(client: redis.Redis, ids: Iterable[str]) -> int:
    missed = 0
    for letter_id in ids:
        if dead.drop(client, letter_id, by=_operator()):
            print(f"{letter_id} dropped")
        else:
            missed += _missing(letter_id)
    return 1 if missed else 0


def _list_bodies(client: redis.Redis, zone: tzinfo) -> int:
    rows: Any = client.lrange(dead.UNREADABLE, 0, -1)
    for raw in rows:
        kept = read_body(raw, store.cipher_of(client))
        when = _local(kept[1], zone) if kept else "-"
        size = f"{len(kept[0])} bytes  {kept[2]}" if kept else "cannot be unpacked"
        print(f"{when}  {size}")
    print(f"{len(rows)} unreadable bodies", file=sys.stderr)
    return 0


def _replay_bodies(client: redis.Redis, settings: Settings) -> int:
    """Post each body to the webhook and take it off the list once the webhook has it, oldest first.

    A body that is unreadable still is kept again by the webhook, so the list never loses one. Messages that were
    accepted meanwhile are recognised by their ids.
    """
    if not settings.app_secrets:
        print("WHATSAPP_APP_SECRET is not set: a body cannot be signed", file=sys.stderr)
        return 2
    rows: Any = client.lrange(dead.UNREADABLE, 0, -1)
    before, taken = len(rows), 0
    for raw in _watched(list(reversed(rows)), "bodies"):
        kept = read_body(raw, store.cipher_of(client))
        if kept is None:
            continue
        answer = post_signed(settings, kept[0])
        if not answer.ok:
            print(f"the webhook answered {answer.status_code}: stopped", file=sys.stderr)
            break
        client.lrem(dead.UNREADABLE, -1, raw)
        taken += 1
    left = client.llen(dead.UNREADABLE)
    print(f"{taken} of {before} posted, {left} unreadable now")
    return 0 if left == 0 else 1


def read_body(raw: str, cipher: Cipher) -> tuple[bytes, datetime | None, str] | None:
    """Body, when it came and why it was kept; None when the line is broken."""
    try:
        kept = json.loads(raw)
        at = datetime.fromisoformat(kept["at"]).astimezone(UTC)
        return zlib.decompress(base64.b64decode(cipher.open(kept["zlib"]))), at, str(kept.get("why", ""))
    except (ValueError, KeyError, TypeError, zlib.error):
        return None


def _watched(items: Sequence[Any], what: str) -> Iterable[Any]:
    """Items with a progress bar on stderr, once they take long."""
    return tqdm(items, unit=f" {what}", file=sys.stderr, leave=False, delay=_SHOW_PROGRESS_AFTER_S)


def _missing(letter_id: str) -> int:
    print(f"{letter_id} is not there: put back, dropped, or never", file=sys.stderr)
    return 1


def _local(at: datetime | None, zone: tzinfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if at else f"{'-':<19}"


def _operator() -> str:
    """Who is at the keyboard, for the audit."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "terminal"


if __name__ == "__main__":
    raise SystemExit(main())
