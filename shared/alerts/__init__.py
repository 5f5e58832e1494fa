"""Tell staff: of danger at once and until somebody acknowledges it, of faults when they open and when they close.

`Alerts` (alerts.py) is what other modules call; the watch (watch.py) closes, repeats and walks the ladder (ladder.py).
E-mail and Slack leave the clinic: they carry category, time and the opaque patient id, never text, name or number.
"""

from shared.alerts.alerts import DANGER_LIMIT_S, Alerts, Post

__all__ = ["DANGER_LIMIT_S", "Alerts", "Post"]
