"""What Meta knows of our account beside messages: the token's state, the phone number, the apps that listen.

Read by `account_api` and `cloud_api`, changed by the control routes of `account_api`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from simulator.meta_errors import MetaError


class Account(BaseModel):
    """The state of the WhatsApp Business account. Frozen: a change makes a new one. Guarded by `changes`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: Literal["valid", "expired", "revoked", "messaging_only"] = "valid"  # noqa: S105 - a state, not a token
    subscribed: bool = True  # an app listens to this account: without one Meta sends no webhook and no error
    verified_name: str = "Centro Médico Cañada del Carmen"
    quality_rating: Literal["GREEN", "YELLOW", "RED", "UNKNOWN"] = "GREEN"
    code_verification_status: Literal["VERIFIED", "NOT_VERIFIED", "EXPIRED"] = "VERIFIED"
    throughput: Literal["STANDARD", "HIGH", "NOT_APPLICABLE"] = "STANDARD"

    def check_token(self, *, management: bool) -> None:
        """Refuse a call that the token does not open.

        Args:
            management: the call needs `whatsapp_business_management`, not only the right to send.

        Raises:
            MetaError: 190 with the subcode that says why, or 200.
        """
        if self.token == "expired":  # noqa: S105
            raise MetaError(190, "Error validating access token: Session has expired.", subcode=463)
        if self.token == "revoked":  # noqa: S105
            raise MetaError(190, "Error validating access token: The session has been invalidated.", subcode=460)
        if management and self.token == "messaging_only":  # noqa: S105
            raise MetaError(200, "You do not have the necessary permissions to access this object")

    def number(self, phone_number_id: str, display_phone_number: str) -> dict[str, Any]:
        """All fields of the phone number that are played."""
        return {
            "id": phone_number_id,
            "display_phone_number": f"+{display_phone_number}",
            "verified_name": self.verified_name,
            "quality_rating": self.quality_rating,
            "code_verification_status": self.code_verification_status,
            "throughput": {"level": self.throughput},
        }

    def apps(self) -> list[dict[str, Any]]:
        """`data` of GET /{account}/subscribed_apps."""
        app = {
            "id": "300000000000003",
            "name": "Asistente",
            "link": "https://www.facebook.com/games/?app_id=300000000000003",
        }
        return [{"whatsapp_business_api_data": app}] if self.subscribed else []
