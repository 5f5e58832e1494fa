"""Addresses of a Redis behind Sentinel: what is read, and what stops a process with a sentence."""

from __future__ import annotations

import pytest

from shared.celery_app import Role, create_celery
from shared.sentinels import Sentinels, parse
from shared.settings import Settings


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("sentinel://a", Sentinels((("a", 26379),), "mymaster")),
        ("sentinel://a:1,b/clinic", Sentinels((("a", 1), ("b", 26379)), "clinic")),
        ("sentinel://:p%40ss@a,b:2,c:3/m", Sentinels((("a", 26379), ("b", 2), ("c", 3)), "m", None, "p@ss")),
        ("sentinel://clerk:word@[::1]:5/", Sentinels((("::1", 5),), "mymaster", "clerk", "word")),
        ("sentinel://:w@a/m?sentinel_password=s%2Fs", Sentinels((("a", 26379),), "m", None, "w", "s/s")),
    ],
)
def test_an_address_is_read(url: str, found: Sentinels) -> None:
    assert parse(url) == found


@pytest.mark.parametrize(
    "url", ["sentinel://", "sentinel:///m", "sentinel://a:b/m", "sentinel://a;b", "sentinel://a,,b"]
)
def test_another_form_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="must look like"):
        parse(url)


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing else"):
        parse("sentinel://a/m?db=3")


def test_shown_without_its_passwords() -> None:
    assert parse("sentinel://u:word@a,b:2/m?sentinel_password=other").shown() == "sentinel://a:26379,b:2/m"


def test_celery_gets_it_as_it_writes_it() -> None:
    url = "sentinel://:p%40ss@a,b:2/clinic?sentinel_password=other"
    celery = create_celery(Settings(_env_file=None, DEMO=True, REDIS_URL=url), Role.WEB)
    assert celery.conf.broker_url == "sentinel://:p%40ss@a:26379/0;sentinel://:p%40ss@b:2/0"
    options = celery.conf.broker_transport_options
    assert options["master_name"] == "clinic"
    assert options["sentinel_kwargs"]["password"] == "other"
    assert options["sentinel_kwargs"]["socket_timeout"] < 0.5
