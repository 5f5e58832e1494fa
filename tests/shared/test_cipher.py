"""The cipher: what it encrypts, what it leaves, how keys change, and what a wrong key says."""

from __future__ import annotations

import base64
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cipher import CLEAR, Cipher
from shared.errors import UnreadableSecret
from shared.settings import Settings


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


OLD, NEW = new_key(), new_key()
CIPHER = Cipher((OLD,))


@given(st.text())
def test_text_comes_back_whatever_it_is(text: str) -> None:
    sealed = CIPHER.seal(text)
    assert sealed != text
    assert CIPHER.open(sealed) == text


@given(st.binary())
def test_so_do_bytes(data: bytes) -> None:
    assert CIPHER.decrypt(CIPHER.encrypt(data)) == data


def test_nothing_of_the_text_is_seen_and_the_same_text_looks_different_each_time() -> None:
    first, second = CIPHER.seal("tengo tos"), CIPHER.seal("tengo tos")
    assert "tos" not in first
    assert first != second


@pytest.mark.parametrize("plain", ['{"turns": []}', "+59170000001", "BO.1a2b3c", "", "[]"])
def test_what_was_kept_before_there_were_keys_is_read_as_it_is(plain: str) -> None:
    assert CIPHER.open(plain) == plain


def test_without_keys_everything_passes_as_it_is() -> None:
    assert not CLEAR.on
    assert CLEAR.seal("hola") == "hola"
    assert CLEAR.encrypt(b"hola") == b"hola"


def test_the_first_key_encrypts_and_each_decrypts() -> None:
    both = Cipher((NEW, OLD))
    assert both.open(CIPHER.seal("hola")) == "hola"
    assert Cipher((NEW,)).open(both.seal("hola")) == "hola"


def test_rotating_puts_it_under_the_newest_key_and_leaves_what_is_there() -> None:
    both = Cipher((NEW, OLD))
    rotated = both.rotate(CIPHER.encrypt(b"hola"))
    assert Cipher((NEW,)).decrypt(rotated) == b"hola"
    assert both.rotate(rotated) == rotated
    assert Cipher((NEW,)).decrypt(both.rotate(b"plain")) == b"plain"


@pytest.mark.parametrize("cipher", [Cipher((NEW,)), CLEAR])
def test_a_wrong_key_and_none_say_what_to_set(cipher: Cipher) -> None:
    token = CIPHER.encrypt(b"hola")
    for use in (cipher.decrypt, cipher.rotate):
        with pytest.raises(UnreadableSecret, match="ENCRYPTION_KEYS"):
            use(token)


def test_a_changed_token_is_refused() -> None:
    token = bytearray(CIPHER.encrypt(b"hola"))
    token[40] ^= 1
    with pytest.raises(UnreadableSecret):
        CIPHER.decrypt(bytes(token))


def test_the_keys_come_from_the_settings() -> None:
    cipher = Cipher.from_settings(Settings(_env_file=None, ENCRYPTION_KEYS=f" {NEW} , {OLD},"))
    assert cipher.on
    assert cipher.open(CIPHER.seal("hola")) == "hola"
    assert not Cipher.from_settings(Settings(_env_file=None)).on


@pytest.mark.parametrize("keys", ["clave", OLD[:-2], f"{OLD},clave"], ids=["word", "cut", "second"])
def test_a_key_that_is_none_is_refused_at_start(keys: str) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        Settings(_env_file=None, ENCRYPTION_KEYS=keys)
