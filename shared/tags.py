"""Names of the special tokens of the tagged format, one per closed-class value (dialogue specification, section 4).

Used by `shared.tagged`, `shared.grammar`, `training` (the tokenizer) and the model's loader.
"""

from __future__ import annotations

from shared.prediction import Intent, Reason
from shared.prompt import END_OF_TEXT, PROMPT_TOKENS

# Slot of the contract -> its opener, in the fixed order of the format.
SLOT_TOKENS: dict[str, str] = {
    "date": "<s:fecha>",
    "time": "<s:hora>",
    "old_date": "<s:fecha_ant>",
    "old_time": "<s:hora_ant>",
    "appointment_ref": "<s:ref>",
    "reason": "<s:motivo>",
    "name": "<s:nombre>",
}
REPLY_TOKEN = "<rsp>"  # noqa: S105 - not a password
INTENT_TOKENS: dict[Intent, str] = {intent: f"<i:{intent}>" for intent in Intent}
SECONDARY_TOKENS: dict[Intent, str] = {intent: f"<j:{intent}>" for intent in Intent}
DANGER_TOKENS: dict[bool, str] = {False: "<d:0>", True: "<d:1>"}
REASON_TOKENS: dict[Reason, str] = {reason: f"<m:{reason}>" for reason in Reason}
MAX_SECONDARY = 2

SPECIAL_TOKENS: tuple[str, ...] = (
    END_OF_TEXT,
    *PROMPT_TOKENS,
    *INTENT_TOKENS.values(),
    *DANGER_TOKENS.values(),
    *SECONDARY_TOKENS.values(),
    *SLOT_TOKENS.values(),
    *REASON_TOKENS.values(),
    REPLY_TOKEN,
)
