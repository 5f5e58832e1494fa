"""`python -m simulator [--port 8080] [--backend-port N]`: plays the outside world until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from dataclasses import replace

from simulator.app import Simulator
from simulator.options import from_environment


def main() -> int:
    """Start, print the address, wait for a signal, end."""
    try:
        options = from_environment()
    except ValueError as problem:
        print(f"simulator: {problem}", file=sys.stderr)
        return 78
    parser = argparse.ArgumentParser(prog="python -m simulator", description="Plays the outside world.")
    parser.add_argument("--host", default=options.host, help="address to listen on (SIMULATOR_HOST)")
    parser.add_argument("--port", type=int, default=options.port, help="0 takes a free one (SIMULATOR_PORT)")
    parser.add_argument("--backend-port", type=int, default=options.backend_port, help="backend at this port's root")
    parser.add_argument("--backend", choices=("contract", "seguimiento"), default=options.backend, help="which one")
    parser.add_argument("--webhook-url", default=options.webhook_url, help="where patients' messages go (WEBHOOK_URL)")
    parser.add_argument("--db", default=options.database, help="SQLite file of the backend (SIMULATOR_DB)")
    parser.add_argument("--no-seed", action="store_true", help="begin without patients and appointments")
    wish = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    simulator = Simulator(
        replace(
            options,
            host=wish.host,
            port=wish.port,
            backend_port=wish.backend_port,
            backend=wish.backend,
            webhook_url=wish.webhook_url,
            database=wish.db,
            seed=not wish.no_seed,
        )
    )
    print(f"simulator {simulator.url}", flush=True)
    if wish.backend_port is not None:
        print(f"backend {simulator.backend_url}", flush=True)
    stopped.wait()
    simulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
