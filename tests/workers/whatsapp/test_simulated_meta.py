"""The simulator checks sends as Meta does and shares no code with us: what `payloads` builds must pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.errors import AssistantError, BadCredentials, OutcomeUnknown, PartnerRefused, RetryLater
from shared.messages import Button, Identity, ListRow, Location, Media, Reply, Template
from shared.settings import Settings
from tests.workers.backends import SimulatedBackend, simulated_backend
from workers.whatsapp.client import WhatsAppClient
from workers.whatsapp.payloads import build

ROSA = Identity(number="59170000001")
LUZ = Identity(user_id="BO.1349120865530274")  # has no number to share
LONG = "Tome su tratamiento todos los días, aunque se sienta bien. " * 100

REPLIES = {
    "text": Reply(text="Su cita es el martes a las 9:00."),
    "long text": Reply(text=LONG),
    "emoji": Reply(text="👍" * 3000),
    "buttons": Reply(text=LONG, buttons=tuple(Button(id=str(i), title="Hablar con una persona 🙂") for i in range(3))),
    "many buttons": Reply(buttons=tuple(Button(id=str(i), title=f"Opción {i} de la lista larga") for i in range(9))),
    "list": Reply(
        text=LONG,
        rows=tuple(ListRow(id=str(i), title="Martes 24 de noviembre " * 2, description=LONG) for i in range(14)),
        rows_label="Ver todos los horarios libres",
    ),
    "template": Reply(
        template=Template(
            name="recordatorio_cita",
            language="es",
            parameters={"nombre": "Rosa\nMamani", "fecha": "martes 24 de noviembre, 10:00"},
            payloads=("recordatorio:confirmar:42", "recordatorio:cambiar:42"),
        )
    ),
    "location": Reply(text="Centro", location=Location(latitude=-17.78, longitude=-63.18, address=LONG)),
    "image": Reply(media=Media(kind="image", link="https://ejemplo.bo/mapa.png", caption=LONG)),
    "document": Reply(media=Media(kind="document", media_id="900", filename="indicaciones.pdf")),
    "contact request": Reply(asks_contact=True),
}


@pytest.fixture(scope="module")
def meta() -> Iterator[SimulatedBackend]:
    with simulated_backend() as simulator:
        yield simulator


def client_of(meta: SimulatedBackend, token: str = "demo-token") -> WhatsAppClient:
    return WhatsAppClient(
        Settings(
            _env_file=None,
            WHATSAPP_API_URL=meta.graph_url,
            WHATSAPP_ACCESS_TOKEN=token,
            WHATSAPP_PHONE_NUMBER_ID="200000000000002",
        )
    )


@pytest.fixture
def client(meta: SimulatedBackend) -> Iterator[WhatsAppClient]:
    meta.reset()
    client = client_of(meta)
    yield client
    client.close()


@pytest.mark.parametrize("to", [ROSA, LUZ], ids=["number", "user id"])
@pytest.mark.parametrize("kind", REPLIES)
def test_every_kind_of_reply_is_accepted(client: WhatsAppClient, kind: str, to: Identity) -> None:
    assert client.send(build(REPLIES[kind], to, "d_1")).startswith("wamid.")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"code": 131056}, RetryLater),
        ({"code": 130429, "headers": {"Retry-After": "7"}}, RetryLater),
        ({"code": 131026}, PartnerRefused),
        ({"code": 190, "status": 401}, BadCredentials),
        ({"code": 131000}, OutcomeUnknown),
        ({"raw_body": "<html>", "status": 502}, OutcomeUnknown),
        ({"drop": "after"}, OutcomeUnknown),
    ],
)
def test_metas_refusals_become_our_errors(
    client: WhatsAppClient, meta: SimulatedBackend, fault: dict[str, object], expected: type[AssistantError]
) -> None:
    meta.fault(target="cloud", **fault)
    with pytest.raises(AssistantError) as caught:
        client.send(build(REPLIES["text"], ROSA, "d_1"))
    assert type(caught.value) is expected
    if isinstance(caught.value, RetryLater):
        assert caught.value.after_s == (7.0 if "headers" in fault else None)


def test_a_wrong_token_stops_everything(meta: SimulatedBackend) -> None:
    client = client_of(meta, token="otra")
    with pytest.raises(BadCredentials):
        client.send(build(REPLIES["text"], ROSA, "d_1"))
    assert not client.mark_read("wamid.A")
    client.close()
