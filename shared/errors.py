"""Every error of ours, and the three things each knows: try again? wake someone? what does the patient read?

AssistantError
├── RetryLater          a partner or Redis is down or slow; certainly nothing happened
├── PartnerRefused      this request will fail for ever
│   ├── NotFound        the backend does not know the appointment or patient
│   ├── SlotUnavailable the backend will not give that time; it may offer others
│   └── NeedsPerson     the backend has no way to do it by itself: staff do it
├── BadCredentials      every request will fail until a person acts
├── OutcomeUnknown      it may have happened: read back before saying or repeating anything
├── UnreadableSecret  no key of ours opens what lies encrypted: a person must set the right ENCRYPTION_KEYS
├── UnreadablePrediction  the model wrote something that is not an answer
├── PromptTooLong       prompt and answer do not fit the model's context
├── EngineBusy          the model's queue is full, or the deadline passed
└── ModelUnavailable    no model is loaded: rules and cards answer
"""

from __future__ import annotations

from datetime import datetime


class AssistantError(Exception):
    """Base of all. `retry`: the same call may succeed later. `alert`: a person must hear of it."""

    retry = False
    alert = False
    patient_text = "fallo"  # key in shared/assets/texts.yaml

    def __init__(self, message: str = "", *, code: int | str | None = None) -> None:
        super().__init__(message)
        self.code = code


class RetryLater(AssistantError):
    """The partner cannot serve now and nothing was done.

    `partner_down` says that the cause is not this message (rate limit, outage): it does not count as a failed try.
    """

    retry = True

    def __init__(
        self,
        message: str = "",
        *,
        code: int | str | None = None,
        after_s: float | None = None,
        partner_down: bool = True,
    ) -> None:
        super().__init__(message, code=code)
        self.after_s = after_s
        self.partner_down = partner_down


class PartnerRefused(AssistantError):
    """The partner understood and said no; the same request fails for ever."""

    alert = True


class NotFound(PartnerRefused):
    """The backend does not know this appointment or patient."""

    alert = False


class SlotUnavailable(PartnerRefused):
    """The asked time is taken, outside opening hours or past: the patient chooses another."""

    alert = False

    def __init__(self, reason: str, alternatives: tuple[datetime, ...] = ()) -> None:
        super().__init__(f"slot unavailable: {reason}", code=reason)
        self.reason = reason  # slot_taken | closed | past
        self.alternatives = alternatives  # timezone-aware, in the backend's order


class NeedsPerson(PartnerRefused):
    """The backend has no way to do this by itself: it goes on the call list, and staff do it."""

    alert = False

    def __init__(self, why: str) -> None:
        super().__init__(f"needs a person: {why}", code=why)
        self.why = why  # sin_registro | anular | por_persona, as on the call list


class BadCredentials(AssistantError):
    """Token, number or account refused: every send is affected until a person acts."""

    retry = True
    alert = True


class OutcomeUnknown(AssistantError):
    """The request left us and no answer came: it may have been done."""


class UnreadableSecret(AssistantError):
    """Something at rest is encrypted with a key that this process does not have; it stays where it is."""

    retry = True
    alert = True


class UnreadablePrediction(AssistantError):
    """The model's text follows neither the tagged form nor JSON."""


class PromptTooLong(AssistantError):
    """Prompt and answer do not fit in the model's context."""


class EngineBusy(AssistantError):
    """The engine's queue is full or the request's deadline passed; answer from rules and cards."""


class ModelUnavailable(AssistantError):
    """No model is loaded (loading, refused or failed); answer from rules and cards."""

    alert = True
