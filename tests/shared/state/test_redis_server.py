"""The private Redis of demo and tests."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a server listen on a port that is held")
def test_while_it_is_killed_its_port_is_given_to_nobody_else(tmp_path: Path) -> None:
    server = RedisServer(tmp_path).start()
    server.kill()
    with pytest.raises(OSError, match="in use"), socket.socket() as other:
        other.bind(("127.0.0.1", server.port))
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(server.url).ping()
    server.start()
    assert redis.Redis.from_url(server.url).ping()
    server.stop()
