"""What else a vendor said: how long it is kept, and how much of it."""

from __future__ import annotations

import json

import attrs
import pytest

from linkauth.errors import MalformedResponse
from linkauth.oauth.extra import LARGEST
from linkauth.oauth.token import Secret
from linkauth.testing import play
from tests.vendors.vendor_answers import CURRENT, OTHER, PENDING, USER, answer, enveloped, flat

GRANTED = {"access_token": "at-2", "token_type": "Bearer", "expires_in": 60, "refresh_token": "rt-2"}


def _login(**more):
    return play(OTHER.exchange({"code": "c"}, PENDING), answer(flat(**GRANTED, **more)))[0]


def _renewed(token, **more):
    return play(OTHER.renew(token), answer(flat(**GRANTED, **more)))[0]


def test_what_a_login_brought_stays():
    """LinkXG's user is there after any number of renewals that do not name it."""
    token, _ = play(
        USER.login("a@example.com", Secret("p")),
        answer(enveloped(access_token="a", refresh_token="r", user={"id": "1"})),
    )
    for _ in range(3):
        token, _ = play(USER.renew(token), answer(enveloped(access_token="a", refresh_token="r")))
    assert token.extra == {"user": {"id": "1"}}


def test_what_a_renewal_brought_gives_way_to_the_next():
    """A vendor that names each answer anew does not fill the store: only the last renewal's own members are kept."""
    token = _login(user={"id": "1"}, note="of the login")
    for number in range(50):
        token = _renewed(token, **{f"request_{number}": "x" * 100, "note": f"of renewal {number}"})
        assert token.extra == {"user": {"id": "1"}, "note": f"of renewal {number}", f"request_{number}": "x" * 100}
    assert token.renewed == ("request_49",)
    assert _renewed(token).extra == {"user": {"id": "1"}, "note": "of renewal 49"}


def test_a_broken_renewal_in_between():
    """What is salvaged of an answer keeps what there was, and what the renewal before it brought still gives way."""
    token = _renewed(_login(user={"id": "1"}), odd="first")
    with pytest.raises(MalformedResponse) as caught:
        play(OTHER.renew(token), answer({"refresh_token": "rt-3"}))
    saved = caught.value.salvage
    assert (saved.extra, saved.renewed) == (token.extra, ("odd",))
    assert _renewed(saved, odder="second").extra == {"user": {"id": "1"}, "odder": "second"}


def test_no_more_than_64_kib():
    """The token is not lost for it: what the renewal brought goes first, the larger before the smaller."""
    token = _login(user={"id": "1"}, theme="y" * 40_000)
    fresh = _renewed(token, big="x" * LARGEST, small="z")
    assert (fresh.access_token, fresh.left_out) == ("at-2", ("big",))
    assert fresh.extra == {"user": {"id": "1"}, "theme": "y" * 40_000, "small": "z"}
    first = _login(user={"id": "1"}, big="x" * 70_000)
    assert (first.extra, first.left_out) == ({"user": {"id": "1"}}, ("big",))
    many = _login(user={"id": "1"}, **{f"n{number}": "\u00e4" * 1000 for number in range(50)})
    assert "user" in many.extra
    assert len(json.dumps(many.extra)) <= LARGEST + 100
    assert len(many.extra) + len(many.left_out) == 51


def test_a_token_of_an_earlier_release():
    """It does not say what a renewal brought: all of it stays, and what comes from now on gives way."""
    token = attrs.evolve(CURRENT, extra={"user": {"id": "1"}, "of some renewal": 1})
    token = _renewed(_renewed(token, one=1), two=2)
    assert token.extra == {"user": {"id": "1"}, "of some renewal": 1, "two": 2}
