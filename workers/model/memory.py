"""How much memory this process holds, for the line that says what was loaded. Called by `loader`."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path


def resident_mb() -> float:
    """Return the resident set in MB (10^6 bytes); where the kernel does not tell the present one, its peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3  # macOS counts bytes, others KiB
