"""The app's own functions in a dialect, ``ask`` and ``hear``: what they may change, and what they cannot."""

from __future__ import annotations

import json
import traceback

import attrs
import pytest

from linkauth import errors
from linkauth.errors import ConfigurationError, MalformedResponse, UntrustedEndpoint
from linkauth.oauth.exchange import Request
from linkauth.oauth.token import SecretStr
from linkauth.vendors import Dialect
from tests.vendors.dialects import CASE, POST, form, of, renewed
from tests.vendors.vendor_answers import CURRENT, MACHINE, PENDING, SENT_AT, answer, first, nothing_sent


def _renamed(request):
    names = {"client_id": "client_key"}
    return request.with_fields({names.get(name, name): value for name, value in request.fields.items()})


@pytest.mark.parametrize("body", ["form", "json"])
def test_ask(body):
    """TikTok's ``client_key``: the fields by their names, written as they were."""
    request = first(attrs.evolve(POST, dialect=Dialect(body=body, ask=_renamed)).renew(CURRENT))
    fields = json.loads(request.body) if body == "json" else form(request)
    assert fields["client_key"] == "the-client"
    assert "client_id" not in fields
    assert fields["refresh_token"] == "canary-refresh"


def test_ask_is_asked_every_time():
    """Logins, renewals and machines' requests alike."""
    seen = []

    def ask(request):
        seen.append(request.fields["grant_type"])
        return request

    for flow in (
        of(ask=ask).renew(CURRENT),
        of(ask=ask).exchange({"code": "c"}, PENDING),
        of(MACHINE, ask=ask).renew(None),
    ):
        first(flow)
    assert seen == ["refresh_token", "authorization_code", "client_credentials"]


def _loud(data):
    raise ValueError(f"{data} {data.fields if isinstance(data, Request) else list(data.values())}")


def test_hooks_undo_no_secrecy():
    """What they are given is masked wherever it is shown; what they raise is told by its class alone."""
    seen = []

    def look(data):
        seen.append(f"{data!r} {data.fields!r}" if isinstance(data, Request) else f"{data!r} {list(data.values())!r}")
        return data

    renewed(of(POST, ask=look, hear=look), CASE.ok(note="canary-note"))
    assert len(seen) == 2
    assert "canary" not in "".join(seen)
    assert "rt-2" not in "".join(seen)
    for vendor, kind in ((of(POST, ask=_loud), ConfigurationError), (of(hear=_loud), MalformedResponse)):
        with pytest.raises(kind, match="failed: ValueError") as caught:
            renewed(vendor)
        shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert "canary-refresh" not in shown
        assert "rt-2" not in shown


def test_ask_sends_nothing_elsewhere():
    """Another path or query of the token server, and no other host; a function that gives no request is told."""
    moved = first(of(ask=lambda request: attrs.evolve(request, url=request.url + "?a=b")).renew(CURRENT))
    assert moved.url == "https://auth.example.com/token?a=b"
    for url in ("https://evil.com/token", "http://auth.example.com/token", "https://auth.example.com:8443/token"):
        nothing_sent(of(ask=lambda request, url=url: attrs.evolve(request, url=url)).renew(CURRENT), UntrustedEndpoint)
    nothing_sent(of(ask=lambda request: None).renew(CURRENT), ConfigurationError)


def test_what_ask_adds_is_masked_in_the_vendors_words():
    """A secret under a name of the app's own, should the vendor repeat it."""
    vendor = of(ask=lambda request: request.with_fields({**request.fields, "extra": "canary-added"}))
    with pytest.raises(errors.OAuthError) as caught:
        renewed(vendor, answer({"message": "bad canary-added"}, 400))
    assert caught.value.description == "bad ****"


def test_hear():
    """Milliseconds, say; granting and refusing answers, before every other field of the dialect."""

    def hear(said):
        if "fehler" in said:
            return {"error": said["fehler"]}
        return {**said, "inner": {"access_token": said["tok"], "expires_in": said["ms"] / 1000}}

    vendor = of(hear=hear, answer_in="inner")
    token = renewed(vendor, answer({"tok": "at-9", "ms": 60_000, "scope": "no"}))
    assert (token.access_token, token.expires_at) == ("at-9", SENT_AT + 60)
    assert type(token.access_token) is SecretStr
    with pytest.raises(errors.InvalidGrant):
        renewed(vendor, answer({"fehler": "invalid_grant"}, 400))


@pytest.mark.parametrize(
    "hear", [lambda said: None, lambda said: [said], lambda said: said["x"], lambda said: {"a": {1, 2}}]
)
def test_a_hear_that_fails_costs_no_refresh_token(hear):
    """What the answer rotated is kept; a refusal is then read as it came."""
    with pytest.raises(MalformedResponse, match="hear=") as caught:
        renewed(of(hear=hear))
    assert caught.value.salvage.refresh_token == "rt-2"
    assert caught.value.__context__ is None
    with pytest.raises(errors.InvalidGrant):
        renewed(of(hear=hear), answer({"error": "invalid_grant"}, 400))


def test_what_hear_gives_can_be_stored():
    """Texts are texts again, so that a scope is shown, and secrets are masked."""
    token = renewed(of(hear=lambda said: {**said, "scope": "a,b", "again": said}))
    assert "scope='a b'" in repr(token)
    assert "at-2" not in repr(token.extra)
