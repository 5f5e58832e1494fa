"""How many CPU threads one step of the model gets: asked for, or found by trying. Called by `loader`.

On a shared box a second thread often gains nothing and multiplies the CPU used, because threads spin at barriers
(bundled model, two busy cores: three times the CPU seconds). So more threads must earn their place.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch  # noqa: TID253

WORTHWHILE = 1.25  # twice the threads must be this much faster
TRIAL_S = 0.4  # per number of threads
FLAGS = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8")


def usable_cores() -> int:
    """Return the cores this process may use: affinity, where known, and the container's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # not Linux, or an older cgroup: affinity alone
    return cores


def cpu_flags() -> str:
    """Return what decides which kernels run, such as "avx2 avx512f avx512_vnni"; "" where the kernel does not tell."""
    try:
        line = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return ""
    return " ".join(flag for flag in FLAGS if flag in line.split())


def set_threads(asked: int | str, step: Callable[[], object], most: int | None = None) -> int:
    """Set torch's threads and return their number.

    Args:
        asked: a number, or "auto": double while a step gets clearly faster.
        step: one step of the model, for the trial.
        most: upper bound of the trial; default: the cores this process may use.
    """
    if isinstance(asked, int):
        torch.set_num_threads(asked)
        return asked
    most = most or usable_cores()
    threads, best = 1, _time_of(step, 1)
    while threads * 2 <= most:
        doubled = _time_of(step, threads * 2)
        if doubled * WORTHWHILE > best:
            break
        threads, best = threads * 2, doubled
    torch.set_num_threads(threads)
    return threads


def _time_of(step: Callable[[], object], threads: int) -> float:
    """Return the quickest of a few steps, in seconds: the one least disturbed by other processes."""
    torch.set_num_threads(threads)
    step()  # warms caches and the thread pool
    quickest = float("inf")
    until = time.monotonic() + TRIAL_S
    while time.monotonic() < until:
        begun = time.perf_counter()
        step()
        quickest = min(quickest, time.perf_counter() - begun)
    return quickest
