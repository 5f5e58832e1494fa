"""A real Redis started by deploy/redis/start.sh: with its password and its rules of who may do what."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import redis

from demo.redis_server import START_TIMEOUT_S, RedisServer, find_server

ROOT = Path(__file__).parents[2]
PASSWORD = "pa ss#\"w'ord %41:@/"  # every sign that a line of configuration or an address could stumble over
ADMIN = "for-the-test-only"


class GuardedRedis(RedisServer):
    """`admin` may do everything: it looks at what was refused to the login of the product."""

    @property
    def url(self) -> str:
        return f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/0"

    def admin(self) -> redis.Redis:
        return redis.Redis(port=self.port, username="admin", password=ADMIN, decode_responses=True)

    def start(self) -> GuardedRedis:
        self.folder.mkdir(parents=True, exist_ok=True)
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        (programs / "redis-server").unlink(missing_ok=True)
        (programs / "redis-server").symlink_to(find_server())  # perhaps Valkey's
        (self.folder / "password").write_text(PASSWORD + "\n")
        own = f"\nport {self.port}\nbind 127.0.0.1\nuser admin on >{ADMIN} ~* &* +@all\n"
        config = (ROOT / "deploy" / "redis" / "redis.conf").read_text().replace("dir /data", f"dir {self.folder}")
        (self.folder / "redis.conf").write_text(config + own)
        script = (ROOT / "deploy" / "redis" / "start.sh").read_text()
        script = script.replace("/run/secrets/REDIS_PASSWORD", str(self.folder / "password"))
        script = script.replace("/etc/redis/redis.conf", str(self.folder / "redis.conf"))
        environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(["sh", "-c", script], stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
                return self
            except redis.ConnectionError:
                time.sleep(0.02)
        self.stop()
        raise RuntimeError((self.folder / "redis.log").read_text())
