"""How much memory this process holds and may hold. Called by `loader` and `packing`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from pathlib import Path

KV_SHARE, SMALLEST_KV, LARGEST_KV = 8, 128 << 20, 2 << 30


def resident_mb() -> float:
    """Return the resident set in MB (10^6 bytes); where the kernel does not tell the present one, its peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3  # macOS counts bytes, others KiB


def memory_limit(cgroup: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return the bytes this process may use: the machine's memory, or less where its container is given less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(cgroup.read_text()))
    except (OSError, ValueError):  # not Linux, an older cgroup, or "max"
        return machine


def give_back() -> None:
    """Return memory that was freed to the system at once, where the C library can: after packing it is gigabytes."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def kv_bytes(limit: int) -> int:
    """Return the budget for keys and values of running requests on a CPU: an eighth of the memory, within bounds."""
    return max(SMALLEST_KV, min(LARGEST_KV, limit // KV_SHARE))
