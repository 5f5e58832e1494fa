"""`make fuzz`: atheris follows the branches of our code and keeps the inputs that reach new ones.

Run: python -m tests.fuzz.run [--inputs 1000000] [--only danger] [--minutes 600]

Each target runs in a process of its own, starts from the corpus in the repository and ends at its number of inputs; the
first input that breaks it is printed, kept in `var/fuzz` and ends the run with 1. A whole run takes a few hours on one
core. `--keep` then renews the corpus in the repository: at most 12 inputs a target that reached something new.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
FOUND = ROOT / "var" / "fuzz"
KEPT = 12
WATCHED = ("webhook", "shared", "workers.language", "workers.safety", "workers.understanding")


def _child(name: str, flags: list[str]) -> None:
    """In a process of its own: load the target under atheris and never come back."""
    import atheris

    with atheris.instrument_imports(include=list(WATCHED), enable_loader_override=False):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    target.run(b"")  # what is built once is not the first input's
    atheris.Setup([name, *flags], target.bounded)
    atheris.Fuzz()


def _fuzz(name: str, inputs: int, minutes: float, max_bytes: int) -> tuple[int, float, bool]:
    """One target; returns how many inputs ran, the seconds, and whether all was well."""
    grown = FOUND / "corpus" / name
    grown.mkdir(parents=True, exist_ok=True)
    flags = [
        f"-runs={inputs}",
        f"-max_total_time={round(minutes * 60)}",
        f"-max_len={max_bytes}",
        "-rss_limit_mb=2048",
        "-len_control=0",
    ]
    flags += ["-timeout=20", f"-artifact_prefix={FOUND}/{name}-", "-print_final_stats=1", "-verbosity=1"]
    command = [sys.executable, "-m", "tests.fuzz.run", "--child", name, *flags, str(grown), str(CORPUS / name)]
    seeds = random.Random(name)  # our inputs are choices: short ones say little
    for number in range(0 if any(grown.iterdir()) else 30):
        (grown / f"seed-{number}").write_bytes(seeds.randbytes(seeds.randint(8, max_bytes // 4)))
    began = time.monotonic()
    with (FOUND / f"{name}.log").open("w") as log:
        done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False)
    said = (FOUND / f"{name}.log").read_text(errors="replace")
    ran = re.findall(r"stat::number_of_executed_units:\s*(\d+)", said) or re.findall(r"Done (\d+) runs", said)
    if done.returncode:
        print(said[-3000:])
    return int(ran[-1]) if ran else 0, time.monotonic() - began, done.returncode == 0


def _keep(name: str) -> None:
    """Renew a target's corpus: of the inputs that reached something new a few, the short and the long alike."""
    inputs = sorted((FOUND / "corpus" / name).iterdir(), key=lambda file: (file.stat().st_size, file.name))
    shutil.rmtree(CORPUS / name, ignore_errors=True)
    (CORPUS / name).mkdir(parents=True)
    for file in inputs[:: -(-len(inputs) // KEPT)]:
        shutil.copy(file, CORPUS / name / file.name[:16])


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], sys.argv[3:])
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, help="of all targets together")
    parser.add_argument("--only", choices=list(TARGETS), action="append")
    parser.add_argument("--minutes", type=float, default=600, help="at most, for each target")
    parser.add_argument("--keep", action="store_true", help="renew the corpus in the repository")
    asked = parser.parse_args()
    FOUND.mkdir(parents=True, exist_ok=True)
    chosen = {name: TARGETS[name] for name in asked.only or TARGETS}
    whole = sum(target.inputs for target in chosen.values())
    table: dict[str, tuple[int, float, bool]] = {}
    for name, target in chosen.items():
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        table[name] = _fuzz(name, -(-(asked.inputs or whole) * target.inputs // whole), asked.minutes, target.max_bytes)
        ran, seconds, well = table[name]
        print(f"{name:12} {ran:>10,} inputs  {seconds:7.0f} s  {'no crash' if well else 'BROKEN'}", flush=True)
        if asked.keep and well:
            _keep(name)
    print(f"{'together':12} {sum(row[0] for row in table.values()):>10,} inputs")
    (FOUND / "result.json").write_text(json.dumps(table))
    return 0 if all(row[2] for row in table.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
