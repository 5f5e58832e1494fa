"""`make demo`: a private Redis, webhook, worker, beat, Flower and the simulated world, all on loopback.

Prints `ready http://127.0.0.1:8080` when a message can be sent. Ctrl-C stops all of it. Any setting of .env.example
given in the environment wins; the ports are PORT (8000), SIMULATOR_PORT (8080) and FLOWER_PORT (5555).
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import requests

from demo import processes
from demo.redis_server import RedisMissing, RedisServer

READY_TIMEOUT_S = 120


def demo_environment(redis_url: str) -> dict[str, str]:
    """The settings of the demo; what the user's environment says already is left out, so it wins."""
    port, simulator_port = os.environ.get("PORT", "8000"), os.environ.get("SIMULATOR_PORT", "8080")
    world = f"http://127.0.0.1:{simulator_port}"
    settings = {
        "DEMO": "true",
        "PORT": port,
        "SIMULATOR_PORT": simulator_port,
        "REDIS_URL": redis_url,
        "WHATSAPP_API_URL": world,
        "WHATSAPP_ACCESS_TOKEN": "demo-token",
        "WHATSAPP_PHONE_NUMBER_ID": "200000000000002",
        "WHATSAPP_APP_SECRET": "demo-app-secret",
        "WHATSAPP_VERIFY_TOKEN": "demo-verify-token",
        "SEGUIMIENTO_SERVICE_URL": f"{world}/backend",
        "CHAT_API_KEY": "demo-chat-key",
        "OPS_BASIC_AUTH": "demo:demo",
        "PATIENT_ID_KEY": secrets.token_hex(16),
        "WEBHOOK_URL": f"http://127.0.0.1:{port}/webhook/whatsapp",
        "CANARY_MINUTES": "1",
        "CANARY_URL": f"http://127.0.0.1:{port}",
        "PYTHONUNBUFFERED": "1",
    }
    if "MODEL_NAME" not in os.environ:
        settings["HF_HUB_OFFLINE"] = "1"  # the bundled model needs nobody
    return {name: value for name, value in settings.items() if name not in os.environ}


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_ready(running: list[processes.Process], webhook_url: str, page_url: str) -> str | None:
    """Wait for /health and the page; None when ready, else a sentence on what went wrong."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    state = "starting"
    while time.monotonic() < deadline:
        for process in running:
            if not process.is_running():
                return f"{process.name} ended; the last lines of {process.log_path}:\n{process.log()[-1500:]}"
        try:
            health = requests.get(f"{webhook_url}/health", timeout=5)
            page = requests.get(page_url, timeout=5)
            loading = any(w.get("model_state") == "loading" for w in health.json().get("workers", []))
            if health.ok and page.ok and not loading:
                return None
            state = "; ".join(health.json().get("problems", [])) or "the model is loading"
        except (requests.RequestException, ValueError):
            state = "the webhook does not answer yet"
        time.sleep(0.25)
    return f"not ready after {READY_TIMEOUT_S} s: {state}. Logs are in {running[0].log_path.parent}"


def main() -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    ports = {
        "PORT": int(os.environ.get("PORT", "8000")),
        "SIMULATOR_PORT": int(os.environ.get("SIMULATOR_PORT", "8080")),
        "FLOWER_PORT": int(os.environ.get("FLOWER_PORT", "5555")),
    }
    for name, port in ports.items():
        if is_taken(port):
            print(f"Port {port} is in use: stop what listens there, or set {name} to another port.", file=sys.stderr)
            return 1
    folder = processes.ROOT / "var" / f"demo-{ports['PORT']}"
    shutil.rmtree(folder, ignore_errors=True)  # the simulated world begins anew, so the state does too
    logs = folder / "logs"
    own_redis = "REDIS_URL" not in os.environ
    redis_server = RedisServer(folder / "redis") if own_redis else None
    running: list[processes.Process] = []
    try:
        if redis_server:
            redis_server.start()
        environment = demo_environment(redis_server.url if redis_server else os.environ["REDIS_URL"])
        if "SPOOL_DIR" not in os.environ:
            environment["SPOOL_DIR"] = str(folder / "spool")
        print("starting redis, webhook, worker, beat, flower and the simulator ...", flush=True)
        running = [
            processes.simulator(environment, logs),
            processes.webhook(environment, logs),
            processes.worker(environment, logs),
            processes.beat(environment, logs),
            processes.flower(environment, logs, ports["FLOWER_PORT"]),
        ]
        for process in running:
            process.start()
        page_url = f"http://127.0.0.1:{ports['SIMULATOR_PORT']}"
        problem = wait_until_ready(running, f"http://127.0.0.1:{ports['PORT']}", page_url)
        if problem and not stop.is_set():
            print(problem, file=sys.stderr)
            return 1
        print(f"webhook http://127.0.0.1:{ports['PORT']}/health   flower http://127.0.0.1:{ports['FLOWER_PORT']}")
        login = " (user demo, password demo)" if "OPS_BASIC_AUTH" in environment else ""
        print(f"staff page http://127.0.0.1:{ports['PORT']}/ops{login}")
        print(f"logs in {Path(os.path.relpath(logs))}; Ctrl-C stops everything")
        print(f"ready {page_url}", flush=True)
        while not stop.wait(0.5):
            for process in running:
                if not process.is_running():
                    print(f"{process.name} ended:\n{process.log()[-1500:]}", file=sys.stderr)
                    return 1
        return 0
    except (RedisMissing, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        print("stopping ...", flush=True)
        processes.stop_all(running)
        if redis_server:
            redis_server.stop()


if __name__ == "__main__":
    raise SystemExit(main())
