"""A disk call that fails is told to whoever waits for it, also where not even stderr can be written any more."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from demo.processes import ROOT

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import os
from webhook.elsewhere import Elsewhere

def refuse():
    raise OSError(28, "No space left on device")

try:
    Elsewhere()(refuse)
except OSError as error:
    os.write(1, error.strerror.encode())
"""


def test_a_refusal_comes_back_when_the_log_is_on_the_full_disk_too(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            timeout=30,
            check=False,
            restore_signals=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)),
        )
    assert done.stdout == b"No space left on device"
