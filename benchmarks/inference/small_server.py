"""Row f: a worker's model of gpt2-large's size in a process that may hold 4 GB. Called by `benchmarks.engine`.

The child loads as `ModelHolder` does, but for the release gate, which random weights cannot pass, and answers eight
clients. Started three times: with an empty cache, again, and again with its files in the page cache (before the first
two they are put out of it). Under a cgroup of 4 GB (`systemd-run --scope -p MemoryMax=4G make bench-engine ARGS=f`, or
a container) that is the limit. Elsewhere it is RLIMIT_DATA of 4 GB, and the size of the weights' files on top, since
Linux counts maps of files there although they take no memory of the process; pages of files are then not limited.
The child is told that the machine has 4 GB, which sizes its keys and values.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.inference.random_weights import Figures

LIMIT = 4 << 30
CLIENTS = 8
GLANCE_S = 0.01
STARTS = {"first": True, "second": True, "third, files in memory": False}  # name -> from a cold page cache


def small_server(folder: Path, each: int) -> Figures:
    """Start the worker's model three times and let eight clients ask `each` questions every time."""
    found: Figures = {"model": folder.name, "limit": limited_by(), "starts": {}}
    with TemporaryDirectory(prefix="model-cache-", dir=folder.parent) as cache:
        for name, cold in STARTS.items():
            if cold:
                drop_from_page_cache([*folder.glob("*.safetensors"), *Path(cache).rglob("*.safetensors")])
            row = found["starts"][name] = _start(folder, Path(cache), each)
            print(f"  {name} start: {json.dumps(row)}", flush=True)
    rows = found["starts"]
    if all("error" not in row for row in rows.values()):
        for part in ("ready_s", "load_s"):
            found[f"second_faster_{part}"] = round(rows["first"][part] / rows["second"][part], 2)
        for part in ("idle_mb", "serving_most_mb", "after_mb", "peak_mb"):
            found[part] = max(row[part] for row in rows.values())
    return found


def limited_by() -> str:
    """In words, what keeps the child within 4 GB."""
    given = _cgroup_limit()
    if given and given <= LIMIT:
        return f"cgroup, {given / 2**30:.2f} GiB"
    return "RLIMIT_DATA, 4 GiB and the size of the weights' files; pages of files are not limited"


def drop_from_page_cache(files: list[Path]) -> None:
    """Let the next reader read from the disk, as after a restart of the machine."""
    for file in files:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())  # what is not written yet cannot be dropped
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _start(folder: Path, cache: Path, each: int) -> Figures:
    words = [sys.executable, "-m", __name__, str(folder), str(cache), str(each)]
    begun = time.monotonic()
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout
    first = child.stdout.readline()
    ready_s = time.monotonic() - begun
    rest, errors = child.communicate()
    if child.returncode:
        return {"error": f"ended with {child.returncode}: {errors.strip().splitlines()[-1:]}"}
    facts: Figures = json.loads(first) | json.loads(rest)
    return {"ready_s": round(ready_s, 2)} | facts


def _cgroup_limit() -> int | None:
    """The memory limit of this process's cgroup, of either version; None when there is none."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kinds, path = line.split(":", 2)
        version_1 = "memory" in kinds.split(",")
        if kinds and not version_1:
            continue
        name = f"memory{path}/memory.limit_in_bytes" if version_1 else f"{path.lstrip('/')}/memory.max"
        for file in (Path("/sys/fs/cgroup") / name, Path("/sys/fs/cgroup") / Path(name).name):
            if file.exists() and (text := file.read_text().strip()) != "max":
                return int(text)
    return None


class Watch(threading.Thread):
    """The most memory that this process holds of its own, looked at a hundred times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most_mb = 0.0

    def run(self) -> None:
        while True:
            self.most_mb = max(self.most_mb, anonymous_mb())
            time.sleep(GLANCE_S)

    def since_last(self) -> float:
        most, self.most_mb = self.most_mb, anonymous_mb()
        return round(most)


def anonymous_mb() -> float:
    """Memory of this process that is no file's, in MB."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def serve(folder: Path, cache: Path, each: int) -> None:
    """The child: two lines of JSON, one when ready and one at the end."""
    if not (given := _cgroup_limit()) or given > LIMIT:
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        most = LIMIT + weights + weights // 4  # the packed weights are a quarter
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    watch = Watch()
    watch.start()
    # As late as a worker's: after its start, in the thread that loads.
    from benchmarks.inference.clients import closed_loop, percentile, ragged
    from benchmarks.inference.sides import Ours
    from shared.settings import ProcessRole, load
    from workers.model import engines, loader
    from workers.model.engine import Engine

    for module in (loader, engines):
        vars(module)["memory_limit"] = lambda: LIMIT
    given_settings: dict[str, Any] = {"MODEL_NAME": str(folder), "MODEL_DEVICE": "cpu", "MODEL_THREADS": 1}
    begun = time.monotonic()
    loaded = loader.load(load(ProcessRole.TOOL, MODEL_CACHE_DIR=cache, **given_settings))
    engine = engines.engine_for(loaded)
    assert isinstance(engine, Engine)
    load_s, side = time.monotonic() - begun, Ours(engine)
    facts = {"load_s": round(load_s, 2), "precision": loaded.info.precision, "idle_mb": round(anonymous_mb())}
    print(json.dumps(facts | {"loading_most_mb": (loading := watch.since_last())}), flush=True)
    cost = closed_loop(side, ragged(CLIENTS * each, 1), CLIENTS)
    after, stats = anonymous_mb(), engine.stats()
    serving = watch.since_last()
    side.close()
    figures = {
        "replies": len(cost.latencies),
        "cpu_s_per_reply": round(cost.cpu_s / len(cost.latencies), 2),
        "p50_s": round(percentile(cost.latencies, 50), 2),
        "p95_s": round(percentile(cost.latencies, 95), 2),
        "serving_most_mb": round(max(after, serving)),
        "after_mb": round(after),
        "peak_mb": round(max(loading, serving)),
        "most_rows": max(asdict(stats)["batch_sizes"], default=0),
        "kept_prefix_mb": round(stats.prefix_bytes / 1e6),
    }
    print(json.dumps(figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("each", type=int)
    asked = parser.parse_args()
    serve(asked.folder, asked.cache, asked.each)


if __name__ == "__main__":
    main()
