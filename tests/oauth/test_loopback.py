"""What counts as this machine."""

from __future__ import annotations

import pytest

from linkauth.oauth.url import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine(host):
    """By name and by address."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "localhost.example.com",
        "notlocalhost",
        "a.localhost",
        "10.0.0.1",
        "0.0.0.0",
        "::",
        "x",
        "::ffff:127.0.0.1",
        "2130706433",
        "127.1",
        "0x7f.1",
    ],
)
def test_not_this_machine(host):
    """A URL without a host is not on this machine either."""
    assert not is_loopback(host)
