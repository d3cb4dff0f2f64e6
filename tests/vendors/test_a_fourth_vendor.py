"""A vendor that linkauth has never heard of, written in this file alone: nothing else had to be touched."""

from __future__ import annotations

from inspect import signature

import attrs
import pytest

from linkauth.errors import InvalidGrant, UnsupportedGrant
from linkauth.oauth import authorization, grants
from linkauth.oauth.token import Secret
from linkauth.oauth.url import base_url
from linkauth.testing import play
from linkauth.vendors import Pending, RotationProfile, Vendor
from linkauth.vendors.vendor import client_secret, required
from tests.vendors.vendor_answers import CURRENT, PENDING, SENT_AT, answer


@attrs.frozen(kw_only=True)
class Fictional(Vendor):
    """Fictional Ltd.: codes called tickets, a grant of its own, refresh tokens that may be sent twice in 30 s."""

    name: str = attrs.field(default="fictional", init=False)
    client_id: str = attrs.field(validator=required)
    client_secret: Secret = attrs.field(converter=client_secret, validator=required)
    base_url: str = attrs.field(default="https://api.fictional.example", converter=base_url)

    rotation = RotationProfile(rotates=True, replay_window=30.0)
    needs_user = True

    def identity(self):
        return self.registration()

    def registration(self):
        return (self.base_url, self.client_id)

    def api(self, token):
        return self.base_url

    def authorization_url(self, pending, *, state, challenge):
        return authorization.url(f"{self.base_url}/ask", {"redirect_uri": pending.redirect_uri, "state": state})

    def exchange(self, params, pending):
        params = authorization.masked(params)
        authorization.raise_if_refused(params)
        return (yield from self._grant({"grant_type": "ticket", "code": authorization.the_code(params, "ticket")}))

    def renew(self, current):
        keep, refresh_token = grants.kept(current, self.name)
        return (yield from self._grant({"grant_type": "refresh_token", "refresh_token": refresh_token}, keep=keep))

    def _grant(self, fields, **how):
        fields = {**fields, "client_secret": self.client_secret.reveal()}
        return (yield from grants.grant(f"{self.base_url}/token", fields, vendor=self.name, lifetime=600.0, **how))


FICTIONAL = Fictional(client_id="c", client_secret="s")
GRANTED = answer({"access_token": "a", "token_type": "bearer", "refresh_token": "r"})


def test_it_speaks():
    """Page, exchange, renewal and refusal work from what ``linkauth.oauth`` has."""
    assert "state=st" in FICTIONAL.authorization_url(PENDING, state="st", challenge=None)
    token, (request,) = play(FICTIONAL.exchange({"ticket": "t"}, Pending(redirect_uri="https://a/cb")), GRANTED)
    assert request.body == b"grant_type=ticket&code=t&client_secret=s"
    assert (token.expires_at, token.refresh_token) == (SENT_AT + 600, "r")
    assert play(FICTIONAL.renew(CURRENT), GRANTED)[0].extra == CURRENT.extra
    with pytest.raises(InvalidGrant):
        play(FICTIONAL.renew(CURRENT), answer({"error": "invalid_grant"}, 400))


def test_what_it_does_not_have():
    """Flows that it does not override are refused in words, and a logout makes no request."""
    for flow in (lambda: FICTIONAL.login("a", Secret("b")), lambda: FICTIONAL.rotate_secret(CURRENT)):
        with pytest.raises(UnsupportedGrant, match="fictional"):
            flow()
    assert play(FICTIONAL.logout(CURRENT)) == (None, [])


def test_what_it_forgot_is_told():
    """The three facts that nobody can guess, at their first use; flows that it lacks, as such."""

    class Bare(Vendor):
        name = "bare"

    for fact in (Bare().identity, Bare().registration, lambda: Bare().api(None)):
        with pytest.raises(NotImplementedError):
            fact()
    for flow in (lambda: Bare().renew(None), lambda: Bare().exchange({}, PENDING)):
        with pytest.raises(UnsupportedGrant, match="bare"):
            flow()


def test_its_signature_is_its_constructors():
    """``help()`` and editors show the arguments, though a metaclass looks at them first."""
    assert str(signature(Fictional)).startswith("(*, client_id")
    assert "self" not in signature(Fictional).parameters
