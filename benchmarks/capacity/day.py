"""How a day's messages fall on its hours (pure)."""

from __future__ import annotations

# Assumed: clinic hours, a dip at noon, an evening. One's own: `assistant_messages_total` by hour.
USUAL = (1, 1, 1, 1, 1, 2, 5, 12, 20, 20, 18, 14, 10, 12, 17, 16, 14, 12, 12, 14, 13, 9, 5, 2)


def shares(peak: float, curve: tuple[float, ...] = USUAL) -> tuple[float, ...]:
    """24 shares of a day that sum to 1, shaped like `curve`, the largest being `peak`.

    Raises:
        ValueError: when no day has such an hour: less than 1/24, or more than the curve's equal peaks allow.
    """
    lowest, highest = 0.0, 200.0
    if not 1 / 24 <= peak <= _largest(curve, highest) + 1e-9:
        raise ValueError(f"no hour of this day can have {peak:.3f} of it")
    for _ in range(80):  # a higher power makes the day more peaked
        middle = (lowest + highest) / 2
        if _largest(curve, middle) < peak:
            lowest = middle
        else:
            highest = middle
    return _powered(curve, highest)


def _powered(curve: tuple[float, ...], power: float) -> tuple[float, ...]:
    most = max(curve)
    raised = [(hour / most) ** power for hour in curve]
    return tuple(hour / sum(raised) for hour in raised)


def _largest(curve: tuple[float, ...], power: float) -> float:
    return max(_powered(curve, power))
