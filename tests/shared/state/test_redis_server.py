"""The private Redis of demo and tests."""

from __future__ import annotations

from pathlib import Path

import redis

from demo.redis_server import RedisServer


def test_starting_it_twice_leaves_the_one_that_runs(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    try:
        first = server.start().process
        assert server.start().process is first
        server.kill()
        assert server.start().process is not first
        assert redis.Redis.from_url(server.url).ping()
    finally:
        server.stop()
