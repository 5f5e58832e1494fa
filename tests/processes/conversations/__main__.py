"""`python -m tests.processes.conversations [name …] [--rules] [--quiet]`: play them and tell how many are done.

`--rules` answers without the model, `--quiet` shows only the conversations that are not done.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.processes.conversations.runner import conversing, play
from tests.processes.conversations.script import load, names


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.processes.conversations")
    parser.add_argument("names", nargs="*", default=names())
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, conversing(Path(folder), model=not wanted.rules) as system:
        began = time.monotonic()
        outcomes = []
        for name in wanted.names:
            outcomes.append(outcome := play(system, name, load(name)))
            print(outcome if not (wanted.quiet and outcome.done) else f"{name}: done", flush=True)
    done, wrong = sum(outcome.done for outcome in outcomes), sum(bool(outcome.wrong) for outcome in outcomes)
    print(f"{done} of {len(outcomes)} done, {wrong} with a wrong call, {time.monotonic() - began:.0f} s")
    return 0 if done == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
