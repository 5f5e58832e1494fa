"""The operators' page /ops: health, alarms, calls, hand-offs and what else waits for a person. `register` wires it.

Behind a login it shows what logs, e-mail and Slack never do: a patient's number and words.
"""

from webhook.ops.blueprint import register

__all__ = ["register"]
