"""The link in an alert: only ours are read."""

from __future__ import annotations

import pytest
from itsdangerous import URLSafeSerializer

from shared.alerts import links
from shared.settings import Settings

SETTINGS = Settings(_env_file=None, PATIENT_ID_KEY="clave", PUBLIC_URL="https://tb.ejemplo.bo/")


def test_a_link_says_which_alarm_and_who_got_it() -> None:
    address = links.link(SETTINGS, "a_1", "jefa@ejemplo.bo")
    assert address is not None
    assert address.startswith("https://tb.ejemplo.bo/avisos/")
    assert links.read(SETTINGS, address.rpartition("/")[2]) == ("a_1", "jefa@ejemplo.bo")


def test_without_a_public_address_or_an_alarm_there_is_none() -> None:
    assert links.link(SETTINGS.model_copy(update={"PUBLIC_URL": None}), "a_1", "slack") is None
    assert links.link(SETTINGS, "", "slack") is None


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "x",
        "WyJhXzEiLCJzbGFjayJd.firma",
        links.token(SETTINGS, "a_1", "slack")[:-1],
        "x" + links.token(SETTINGS, "a_1", "slack"),
        links.token(SETTINGS.model_copy(update={"PATIENT_ID_KEY": None}), "a_1", "slack"),
        URLSafeSerializer(SETTINGS.patient_id_key, salt="otra").dumps(["a_1", "slack"]),
        URLSafeSerializer(SETTINGS.patient_id_key, salt="danger-acknowledgement").dumps("a_1"),
    ],
)
def test_what_we_did_not_sign_is_not_read(forged: str) -> None:
    assert links.read(SETTINGS, forged) is None
