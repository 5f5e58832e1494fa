"""`docker` and `docker compose` as deploy/update.sh calls them: containers are rows of a JSON file, calls are noted.

Run: python fake_engine.py docker ARGUMENTS… | compose ARGUMENTS…. The file is named by FAKE_ENGINE.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

FILE = Path(os.environ["FAKE_ENGINE"])


def main(program: str, arguments: list[str]) -> int:
    world: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    world["calls"].append(f"{program} {' '.join(arguments)}")
    while arguments[:1] == ["--profile"]:
        arguments = arguments[2:]
    code = (docker if program == "docker" else compose)(world, arguments)
    for service in ("worker", "webhook"):
        alive = [row["version"] for row in world["containers"] if row["service"] == service and row["running"]]
        world["history"].append([service, sorted(alive)])
    FILE.write_text(json.dumps(world), encoding="utf-8")
    return code


def docker(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments[:2] == ["image", "inspect"]:
        return 0 if arguments[2] in world["images"] else 1
    row = next(row for row in world["containers"] if row["id"] == arguments[-1])
    if arguments[0] == "inspect":
        print("running " + world["health"] if row["running"] else "exited unhealthy")
    elif arguments[0] == "stop":
        row["running"] = False
    else:
        assert arguments[0] == "rm"
        assert not row["running"]
        world["containers"].remove(row)
    return 0


def compose(world: dict[str, Any], arguments: list[str]) -> int:
    version, command = os.environ.get("VERSION", ""), arguments[0]
    if command == "config":
        print(world["config_problem"])
        return 1 if world["config_problem"] else 0
    if command == "ps":
        for row in world["containers"]:
            if row["service"] == arguments[-1] and (row["running"] or "-aq" in arguments):
                print(row["id"])
    elif command == "rm":
        for row in list(world["containers"]):
            if row["service"] in arguments and ("-fs" in arguments or not row["running"]):
                world["containers"].remove(row)
    elif command == "run":
        return run(world, arguments, version)
    elif command == "up":
        up(world, arguments, version)
    return 0


def run(world: dict[str, Any], arguments: list[str], version: str) -> int:
    if "workers.migrate" not in arguments:
        return int(world["doctor"])
    if "--check" in arguments:
        return int(world["knows"][version])
    world["knows"] = {name: 0 if name == version else 78 for name in world["knows"]}
    return 0


def up(world: dict[str, Any], arguments: list[str], version: str) -> None:
    """Only --scale: containers that ended are started again, missing ones are made of the present image."""
    for asked in (one for before, one in pairwise(arguments) if before == "--scale"):
        service, _, wanted = asked.partition("=")
        rows = [row for row in world["containers"] if row["service"] == service]
        for row in rows:
            row["running"] = True
        for _ in range(int(wanted) - len(rows)):
            world["made"] += 1
            new = {"id": f"c{world['made']}", "service": service, "version": version, "running": True}
            world["containers"].append(new)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
