"""Kept prefixes: found by whole blocks of equal tokens, bounded in bytes and in time."""

from __future__ import annotations

import torch  # noqa: TID253

from workers.model.backend import BLOCK, Prefix
from workers.model.prefixes import KEPT_S, Prefixes

RULES = list(range(40))


def prefix(length: int) -> Prefix:
    return Prefix(torch.zeros(length), length)


def kept(prefixes: Prefixes, ids: list[int]) -> None:
    length = prefixes.wants(ids, 4)
    assert length
    prefixes.keep(ids, prefix(length))


def test_the_longest_common_start_is_found_in_whole_blocks() -> None:
    prefixes = Prefixes(10_000)
    kept(prefixes, [*RULES, *[1] * 30])
    kept(prefixes, [*RULES, *[2] * 30])
    found = prefixes.find([*RULES, *[2] * 20, 9])
    assert found
    assert found[1] == 56
    only_rules = prefixes.find([*RULES, 7])
    assert only_rules
    assert only_rules[1] == 40
    assert prefixes.find([9, *RULES]) is None


def test_one_token_of_the_prompt_is_always_left_to_be_computed() -> None:
    prefixes = Prefixes(10_000)
    ids = RULES[: 2 * BLOCK]
    kept(prefixes, ids)
    found = prefixes.find(ids)
    assert found
    assert found[1] == BLOCK


def test_what_is_kept_already_is_not_wanted_and_what_it_continues_is_dropped() -> None:
    prefixes = Prefixes(10_000)
    kept(prefixes, RULES)
    assert prefixes.wants(RULES, 4) == 0
    kept(prefixes, [*RULES, *[1] * 30])
    assert len(prefixes) == 1
    assert prefixes.wants(RULES, 4) == 0
    assert prefixes.wants(RULES[:5], 4) == 0  # no whole block
    assert prefixes.wants([3] * 10_000, 4) == 2496  # the part that fits
    assert prefixes.wants(RULES[::-1], 0) == 0  # a backend that keeps none


def test_the_oldest_go_when_it_is_full_and_all_go_after_their_time() -> None:
    now = 0.0
    prefixes = Prefixes(3 * BLOCK * 4, lambda: now)
    starts = [[n] * BLOCK for n in range(4)]
    for ids in starts[:3]:
        kept(prefixes, ids)
    assert prefixes.find([*starts[0], 5])  # used: the second is the oldest now
    kept(prefixes, starts[3])
    assert prefixes.bytes == 3 * BLOCK * 4
    assert prefixes.find([*starts[1], 5]) is None
    assert prefixes.find([*starts[0], 5])
    now = KEPT_S + 1
    assert prefixes.find([*starts[0], 5]) is None
    assert (len(prefixes), prefixes.bytes) == (0, 0)
