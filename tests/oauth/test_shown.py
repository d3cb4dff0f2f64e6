"""What ``help()`` shows of a value's class."""

from __future__ import annotations

from inspect import signature

from linkauth.oauth.token import Token


def test_what_users_call_and_read() -> None:
    """No method that attrs has written; and a default that is made anew each time stands as three dots, as in a type stub."""
    assert not [name for name in dir(Token) if name.startswith("__")]
    assert "authorization" in dir(Token)
    assert "extra: 'Mapping[str, Any]' = ..." in str(signature(Token))
