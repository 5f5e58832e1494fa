"""Small C libraries that are put before the C library of a process: they move its clock, or note its syncs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def build_library(source: Path, folder: Path) -> Path | None:
    """Compile one; None without a C compiler."""
    compiler, library = shutil.which("cc"), folder / f"{source.stem}.so"
    if compiler is None:
        return None
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


@contextmanager
def started_with(variables: Mapping[str, str]) -> Iterator[None]:
    """Whatever is started inside finds these in its environment."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
