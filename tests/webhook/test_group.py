"""Many threads share few writes; each gets its own results, and a failure reaches those whom it concerns."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from webhook.group import GroupWriter


def test_alone_a_request_writes_at_once() -> None:
    calls: list[list[int]] = []

    def write(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        return [item * 2 for item in items]

    assert GroupWriter(write)([1, 2]) == [2, 4]
    assert calls == [[1, 2]]


def test_who_comes_during_a_write_shares_the_next_and_everybody_gets_his_own() -> None:
    calls: list[list[int]] = []
    first_is_under_way, go_on = threading.Event(), threading.Event()

    def write(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        if len(calls) == 1:
            first_is_under_way.set()
            go_on.wait(5)
        return [item * 2 for item in items]

    group = GroupWriter(write)
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(group, [0])
        assert first_is_under_way.wait(5)
        others = [pool.submit(group, [n, n + 100]) for n in range(1, 11)]
        while len(group._queue) < 10:
            threading.Event().wait(0.001)
        go_on.set()
        assert first.result(5) == [0]
        assert [other.result(5) for other in others] == [[2 * n, 2 * (n + 100)] for n in range(1, 11)]
    assert len(calls) == 2
    assert len(calls[1]) == 20


def test_a_failure_reaches_its_own_group_and_the_next_write_goes_on() -> None:
    def write(items: Sequence[int]) -> list[int]:
        if 13 in items:
            raise ConnectionError("down")
        return list(items)

    group = GroupWriter(write)
    with pytest.raises(ConnectionError):
        group([13])
    assert group([1]) == [1]


def test_under_a_storm_nothing_is_lost_or_mixed_up() -> None:
    writes = 0

    def write(items: Sequence[int]) -> list[int]:
        nonlocal writes
        writes += 1
        return [-item for item in items]

    group = GroupWriter(write, at_most=7)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda n: group([n]), range(2000))) == [[-n] for n in range(2000)]
    assert writes <= 2000
    assert not group._writing
