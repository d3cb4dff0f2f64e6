"""The browser that began, as a value: the cookie that it sets, and what a callback is held against."""

from __future__ import annotations

import re
from typing import Any

import pytest

from linkauth.errors import ConfigurationError, StateMismatch
from linkauth.oauth.binding import BrowserBinding

URL = "https://vendor.example/authorize?client_id=c&state="


def test_what_the_cookie_is() -> None:
    """Over https ``__Host-`` with all that it demands; neither name, value nor repr tells the state; http has no ``Secure``."""
    binding = BrowserBinding.of(f"{URL}abc123", lifetime=86400.0)
    (cookie,) = binding.set_cookies({})
    assert re.fullmatch(
        r"__Host-linkauth-[0-9a-f]{32}=[0-9a-f]{32}; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure", cookie
    )
    assert "abc123" not in cookie + repr(binding)
    assert binding.value not in repr(binding)
    parts = {"max_age": 86400, "path": "/", "secure": True, "httponly": True, "samesite": "Lax"}
    assert binding.attributes == parts
    assert binding.ended == f"{binding.name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
    (plain,) = BrowserBinding.of(f"{URL}abc123", secure=False).set_cookies({})
    assert plain.startswith("linkauth-")
    assert plain.endswith("Max-Age=600; HttpOnly; SameSite=Lax")


def test_the_callback_and_the_url_agree() -> None:
    """Made of either, a binding is the same value; another state's, a value that was altered, and no cookie are not it."""
    begun, back = BrowserBinding.of(f"{URL}a%2Bb"), BrowserBinding.of({"state": "a+b", "code": "c"})
    assert begun == back
    assert hash(begun) == hash(back)
    assert back.began_in({begun.name: begun.value, "who": "ada"})
    back.check({begun.name: begun.value})
    other = BrowserBinding.of({"state": "other"})
    for cookies in ({}, {begun.name: "1"}, {begun.name: ""}, {begun.name: "é\udc80"}, {other.name: other.value}):
        assert not back.began_in(cookies)
        with pytest.raises(StateMismatch, match="did not begin"):
            back.check(cookies)


@pytest.mark.parametrize("params", [{}, {"state": ""}, {"state": ["a", "a"]}, {"state": None}])
def test_a_callback_without_one_state_began_nowhere(params: dict[str, Any]) -> None:
    """No cookie stands for a state that is missing, empty or there twice: not even an empty one under its name."""
    binding = BrowserBinding.of(params)
    assert not binding.began_in({binding.name: ""})
    assert not binding.began_in({binding.name: binding.value})


@pytest.mark.parametrize("url", ["https://app.example.com/callback", f"{URL}a&state=b", URL, ""])
def test_a_url_that_nobody_was_sent_to(url: str) -> None:
    """A URL without one state, such as the redirect URI, is the caller's mistake and told at once."""
    with pytest.raises(ConfigurationError, match=r"authorization_url\(\)"):
        BrowserBinding.of(url)


def test_ten_are_kept() -> None:
    """The oldest of more than ten are taken back, by the name that they have; the app's own cookie is left alone."""
    begun = [BrowserBinding.of(f"{URL}{n}") for n in range(12)]
    cookies = {"who": "ada"} | {each.name: each.value for each in begun[:11]}
    new, *taken_back = begun[11].set_cookies(cookies)
    assert new.startswith(f"{begun[11].name}=")
    assert taken_back == [begun[0].ended, begun[1].ended]
