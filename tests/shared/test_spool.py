"""The folder of the spool: order, bounds, torn files, several processes, and one patient taken out."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from shared.cipher import Cipher
from shared.identity import patient_id
from shared.settings import Settings
from shared.spool import Body, Spool, SpoolError, UnreadableFile, erase_from_spool

KEY = Fernet.generate_key().decode()
ANA, LUIS = "59170000001", "59170000002"


def spool_in(folder: Path, *, key: str = KEY, max_bytes: int = 1 << 20) -> Spool:
    return Spool(folder / "spool", Cipher((key,) if key else ()), max_bytes).open()


def contents(spool: Spool) -> list[bytes]:
    return [body.content for name in spool.names() for body in spool.read(name)]


def bodies(*texts: str) -> list[Body]:
    return [Body(1_700_000_000_000 + n, text.encode()) for n, text in enumerate(texts)]


def test_bodies_come_out_as_they_went_in_and_in_order(tmp_path: Path) -> None:
    first, second = spool_in(tmp_path), spool_in(tmp_path)
    first.put(bodies("a", "b"))
    second.put([Body(5, b"\x00\xff no JSON")])  # earlier by the clock, later in the order: clocks jump
    first.put(bodies("c"))
    assert contents(second) == [b"a", b"b", b"\x00\xff no JSON", b"c"]
    assert second.read(second.names()[0])[1].received_ms == 1_700_000_000_001


def test_what_waits_is_known_without_opening_a_file(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, key="")
    assert (spool.holds(), spool.size().bodies, spool.size().age_s(9)) == (False, 0, 0)
    spool.put(bodies("a", "b"))
    spool.put(bodies("c"))
    size = spool.size()
    assert (spool.holds(), size.files, size.bodies, size.bytes) == (True, 2, 3, 8192)
    assert size.age_s(1_700_000_060) == 60
    spool.remove(spool.names())
    assert (spool.holds(), spool.size().bytes) == (False, 0)


def test_nothing_on_the_disk_can_be_read_without_the_key(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.put(bodies("me duele el pecho " * 50))
    data = b"".join(path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file())
    assert b"gAAAA" in data
    assert b"pecho" not in data
    stranger = spool_in(tmp_path, key=Fernet.generate_key().decode())
    with pytest.raises(UnreadableFile):
        stranger.read(stranger.names()[0])


@pytest.mark.parametrize("key", [KEY, ""], ids=["encrypted", "demo"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_torn_file_is_set_aside_and_holds_nobody_up(kept: float, key: str, tmp_path: Path) -> None:
    spool = spool_in(tmp_path, key=key)
    spool.put(bodies("torn, because a disk lied about its fsync"))
    spool.put(bodies("whole"))
    torn = tmp_path / "spool/bodies" / spool.names()[0]
    os.truncate(torn, int(torn.stat().st_size * kept))
    with pytest.raises(UnreadableFile):
        spool.read(torn.name)
    spool.set_aside(torn.name)
    assert contents(spool) == [b"whole"]
    assert (tmp_path / "spool/aside" / torn.name).exists()


def test_what_is_set_aside_is_removed_after_eight_days(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.keep_aside(bodies("old")[0])
    spool.keep_aside(bodies("new")[0])
    old, new = sorted((tmp_path / "spool/aside").iterdir())
    os.utime(old, (time.time() - 9 * 86400,) * 2)
    spool_in(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_half_written_file_of_a_crash_is_never_replayed(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    (tmp_path / "spool/new").write_bytes(b"half")
    assert not spool.holds()
    spool.put(bodies("next"))
    assert contents(spool) == [b"next"]


def test_it_is_bounded_and_has_room_again_once_replayed(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, max_bytes=3 * 4096)
    for text in "abc":
        spool.put(bodies(text))
    assert not spool.has_room()
    with pytest.raises(SpoolError, match="SPOOL_MAX_MB"):
        spool.put(bodies("d"))
    assert spool.refused_lately(60)
    assert contents(spool) == [b"a", b"b", b"c"]
    spool.remove(spool.names()[:1])
    spool.put(bodies("d"))
    assert contents(spool) == [b"b", b"c", b"d"]


def test_a_full_disk_is_a_refusal_and_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = spool_in(tmp_path)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        with pytest.raises(SpoolError, match="No space left"):
            spool.put(bodies("a"))
    assert not spool.holds()
    spool.put(bodies("b"))
    assert contents(spool) == [b"b"]


def test_a_folder_that_cannot_be_written_ends_the_start_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(_env_file=None, DEMO=True, SPOOL_DIR=tmp_path / "file/spool")
    with pytest.raises(SystemExit) as ended:
        Spool.open_or_end(settings)
    said = capsys.readouterr().err
    assert ended.value.code == 78
    assert said.startswith("SPOOL_DIR: the folder ")
    assert "cannot be written (Not a directory)" in said


def test_after_a_lost_state_places_go_on_behind_what_lies_there(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    for text in "abc":
        spool.put(bodies(text))
    (tmp_path / "spool/write.lock").write_bytes(b"")
    again = spool_in(tmp_path)
    again.put(bodies("d"))
    assert contents(again) == [b"a", b"b", b"c", b"d"]


def test_one_process_leads_and_another_when_it_has_ended(tmp_path: Path) -> None:
    first, second = spool_in(tmp_path), spool_in(tmp_path)
    assert first.leads()
    assert first.leads()
    assert not second.leads()
    first.close()
    assert second.leads()


def put_many(folder: Path, key: str, writer: int) -> None:
    spool = spool_in(folder, key=key, max_bytes=1 << 30)
    for n in range(100):
        spool.put([Body(0, f"{writer}:{n}".encode())])


def test_several_processes_write_and_remove_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, max_bytes=1 << 30)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=put_many, args=(tmp_path, KEY, n)) for n in range(3)]
    for writer in writers:
        writer.start()
    read: list[str] = []
    while any(writer.is_alive() for writer in writers) or spool.holds():
        names = spool.names()
        read += [body.content.decode() for name in names for body in spool.read(name)]
        spool.remove(names)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    for n in range(3):
        assert [one for one in read if one.startswith(f"{n}:")] == [f"{n}:{k}" for k in range(100)]
    assert len(read) == 300


# Erasing


def body(*items: tuple[str, str], statuses: tuple[str, ...] = ()) -> bytes:
    """A webhook with one message for each (sender, text), and statuses of messages to these numbers."""
    value = {
        "messaging_product": "whatsapp",
        "contacts": [{"wa_id": sender, "profile": {"name": "N"}} for sender, _ in items],
        "messages": [{"from": s, "id": f"wamid.{t}", "type": "text", "text": {"body": t}} for s, t in items],
        "statuses": [{"id": "wamid.s", "status": "read", "recipient_id": number} for number in statuses],
    }
    return json.dumps({"entry": [{"changes": [{"field": "messages", "value": value}]}]}).encode()


@pytest.fixture
def erased(tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        DEMO=True,
        PATIENT_ID_KEY="test-key",
        ENCRYPTION_KEYS=SecretStr(KEY),
        SPOOL_DIR=tmp_path / "spool",
    )


@pytest.mark.parametrize("name", ["+591 7000 0001", ANA, patient_id(b"test-key", ANA), "70000001"])
def test_one_patient_is_taken_out_and_the_others_stay(name: str, erased: Settings) -> None:
    spool = Spool.from_settings(erased).open()
    spool.put([Body(1, body((ANA, "secreto"))), Body(2, body((ANA, "secreto"), (LUIS, "hola"), statuses=(ANA,)))])
    spool.put([Body(3, body((LUIS, "chau")))])
    spool.put([Body(4, body((ANA, "secreto"))), Body(5, body(statuses=(ANA,)))])
    assert erase_from_spool(erased, [name]) == 4
    left = [one.decode() for one in contents(spool)]
    assert len(left) == 2
    assert not any("secreto" in one or ANA in one for one in left)
    assert "hola" in left[0]
    assert "chau" in left[1]
    assert spool.size().bodies == 2
    assert erase_from_spool(erased, [name]) == 0


def test_a_person_known_by_user_id_alone_is_found_also_in_what_is_set_aside(erased: Settings) -> None:
    spool = Spool.from_settings(erased).open()
    content = json.loads(body(("x", "secreto")))
    message = content["entry"][0]["changes"][0]["value"]["messages"][0]
    del message["from"]
    message["from_user_id"] = "BO.1349120865530274"
    spool.keep_aside(Body(1, json.dumps(content).encode()))
    spool.put([Body(2, b"not JSON, but of BO.1349120865530274 all the same")])
    assert erase_from_spool(erased, ["BO.1349120865530274"]) == 2
    assert spool.paths() == []


def test_erasing_waits_for_who_replays_and_a_host_without_spool_has_nothing_to_erase(
    erased: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert erase_from_spool(erased, [ANA]) == 0
    assert not erased.SPOOL_DIR.exists()
    monkeypatch.setattr("shared.spool.erase.WAIT_S", 0.05)
    with Spool.from_settings(erased).open().replaying() as mine:
        assert mine
        with pytest.raises(SpoolError, match="is being replayed"):
            erase_from_spool(erased, [ANA])
