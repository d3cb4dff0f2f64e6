"""What ``RedisStore`` reads in a URL, and what it says of one that it cannot read."""

from __future__ import annotations

import pytest

from linkauth.errors import ConfigurationError
from linkauth.store import open_store
from linkauth_stores.redis import RedisStore
from linkauth_stores.redis.url import parse

GOOD = {
    "redis://localhost": ((("localhost", 6379),), {}),
    "redis://:p%40ssword@h:1/2": ((("h", 1),), {"password": "p@ssword", "db": 2}),
    "redis://us%2Fer:p:w@[::1]:7/?protocol=3": ((("::1", 7),), {"username": "us/er", "password": "p:w", "protocol": 3}),
    "rediss://h/0?ssl_ca_certs=/ca.pem": (
        (("h", 6379),),
        {"ssl_ca_certs": "/ca.pem", "ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True},
    ),
    "unix://u:p@/run/redis.sock?db=4": ((), {"username": "u", "password": "p", "db": 4}),
    "redis+sentinel://u:p@a:1,b,[::2]:3/main/5": (
        (("a", 1), ("b", 26379), ("::2", 3)),
        {"username": "u", "password": "p", "db": 5},
    ),
    "redis+cluster://a:1,b/0": ((("a", 1), ("b", 6379)), {}),
}

BAD = [
    "http://h",
    "redis://h:port-s3cret/0",
    "redis://h:99999999/0",
    "redis://[::s3cret/0",
    "redis://h/s3cret",
    "redis://h/0/1",
    "redis://a,b/0",
    "redis://h/0?s3cret=1",
    "redis://h/0?prefix",
    "redis://h/0?prefix=",
    "redis://h/0?prefix=a{b}",
    "redis://h/0?prefix=a%20b",
    "redis://h/0?timeout=s3cret",
    "redis://h/0?timeout=0",
    "redis://h/0?timeout=nan",
    "redis://h/0?min_replicas=-1",
    "redis://h/0?min_replicas=one",
    "redis://h/0?ssl=true",
    "redis://h/0?ssl_ca_certs=/ca.pem",
    "redis://h/0?protocol=4",
    "redis://h/-1",
    "redis://h?db=1",
    "unix://",
    "unix://run/s3cret.sock",
    "redis+sentinel://h:1",
    "redis+sentinel://h:1/service/0/1",
    "redis+sentinel://h:1/service?ssl=s3cret",
    "redis+cluster://h/3",
]


@pytest.mark.parametrize("url", GOOD)
def test_a_url_says_where_and_how(url):
    """Hosts, login, database and TLS are read as written, and percent signs undone."""
    settings, own = parse(url)
    assert (settings.hosts, settings.login) == GOOD[url]
    assert own == {}
    assert settings.path == ("/run/redis.sock" if url.startswith("unix") else "")
    assert settings.service == ("main" if "sentinel" in url else "")
    assert "ssword" not in repr(settings)


@pytest.mark.parametrize("url", ["redis://s3/cret@h/0", "redis+sentinel://s3/cret@h", "redis+cluster://s3#cret@h/0"])
def test_a_login_that_was_not_escaped_is_refused(url):
    """What stands before the first ``/`` or ``#`` would be taken for the host, and be told in errors."""
    with pytest.raises(ConfigurationError, match="escaped") as caught:
        RedisStore(url)
    assert "s3" not in str(caught.value)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("url", BAD)
def test_a_url_that_cannot_work_is_refused_and_not_quoted(url):
    """ConfigurationError when the store is made, without its URL, which may hold a password, and nothing behind it."""
    with pytest.raises(ConfigurationError) as caught:
        RedisStore(url.replace("://", "://u:hunter2@", 1))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None
    if "?s3cret" not in url:  # an option's name is told
        assert "s3cret" not in str(caught.value)


def test_the_stores_own_options_come_from_the_query():
    """The URL's word wins over the argument's."""
    store = RedisStore("redis://h/0?prefix=mine&min_replicas=2&timeout=0.5", prefix="yours")
    assert (store._prefix, store._min_replicas, store._timeout) == ("mine", 2, 0.5)


@pytest.mark.parametrize("url", GOOD)
def test_every_scheme_is_an_entry_point(url):
    """``open_store`` finds the class, and neither it nor the store shows where it leads."""
    store = open_store(url)
    assert isinstance(store, RedisStore)
    assert "ssword" not in repr(store)
    assert not vars(store)["_sessions"]


def test_sentinels_have_a_login_of_their_own():
    """In the query, and TLS counts for them as for the servers."""
    settings, _ = parse("redis+sentinel://u:p@h/main?sentinel_username=s&sentinel_password=t&ssl=true&ssl_ca_certs=/c")
    assert settings.login["username"] == "u"
    assert settings.sentinel_login == {
        "username": "s",
        "password": "t",
        "ssl": True,
        "ssl_ca_certs": "/c",
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }
