"""The vendors' flows as a state machine: any sequence of steps and faults against a model of the vendor."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linkauth import Linkkit, LinkXG, LinkXGUser, SageX3
from linkauth.errors import (
    MalformedResponse,
    OAuthError,
    ReauthorizationRequired,
    UnsupportedGrant,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.oauth.exchange import Request, Response
from linkauth.oauth.token import Secret
from linkauth.vendors import Dialect, OAuth2, Pending
from tests.fuzz.targets import fit
from tests.oauth.test_fuzz import bodies, params, statuses

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Token

BASE = "https://api.eu-sagex3.com/v1"
APP = {"client_id": "app", "client_secret": "the-apps-secret", "base_url": BASE}
GENERIC = {"name": "x", "client_id": "app", "client_secret": "the-apps-secret", "token_url": f"{BASE}/token"}
VENDORS = [
    LinkXG(**APP),
    LinkXGUser(base_url=BASE),
    Linkkit(**APP),
    Linkkit(**APP, pkce=True),
    SageX3(**APP, customer="https://x3.example"),
    OAuth2(**GENERIC),
    OAuth2(**GENERIC, authorize_url=f"{BASE}/authorize", revoke_url=f"{BASE}/revoke", client_auth="basic"),
    OAuth2(**{**GENERIC, "client_secret": None}, authorize_url=f"{BASE}/authorize"),
    OAuth2(
        **GENERIC,
        authorize_url=f"{BASE}/authorize",
        lifetime=math.inf,
        refresh_lifetime=900.0,
        session_lifetime=9000.0,
        dialect=Dialect(
            body="json",
            answer_in="data",
            answer_names={"accessToken": "access_token"},
            dead=["gone"],
            keep_params=["state"],
            api_from={"endpoint": ["https://*.sagex3.example.com"]},
            ask=lambda request: request.with_fields(request.fields),
            hear=dict,
        ),
    ),
]
PENDING = Pending(redirect_uri="https://app.example/back", scope="read", verifier="v" * 43)
TAKEN = {"access_token": "other", "token_type": "Bearer", "expires_in": 900}
EVIL = {**TAKEN, "access_token": "a\r\nX: y", "accessToken": "a\r\nX: y"}
BODIES = [
    *(b"", b"<html>", b"[]", b"null", b"[" * 99, b"\xff", b'{"error": "invalid_grant"}'),
    *(
        json.dumps(value).encode()
        for value in (
            TAKEN,
            {**TAKEN, "refresh_token": "other-refresh"},
            {**TAKEN, "refresh_token": 5},
            {**TAKEN, "expires_in": -1},
            EVIL,
            {"success": True, "data": EVIL},
            {"success": True, "data": {"accessToken": "other", "refreshToken": "other-refresh"}},
            {"success": False, "error": {"code": "TOKEN_EXPIRED", "message": "\x1b[2J"}},
            {"error": "\x1b[2J", "error_description": "\ud800" * 999, "message": "\x1b[2J"},
        )
    ),
]
KNOWN = st.builds(
    Response,
    status=st.sampled_from([200, 200, 200, 400, 401, 429, 503]),
    body=st.sampled_from(BODIES),
    sent_at=st.just(1e9),
)
FAULT = st.one_of(
    st.none(),
    st.none(),
    st.none(),
    KNOWN,
    KNOWN,
    st.builds(Response, status=statuses, body=bodies, sent_at=st.just(1e9)),
)
TRUSTED = re.compile(r"api\.[a-z-]+-sagex3\.com")


class Model:
    """What a vendor remembers: codes, the living refresh token of each session, and the client's secret."""

    def __init__(self, vendor: Any) -> None:
        self.vendor = vendor
        self.rotates = vendor.rotation.rotates
        self.numbers = itertools.count(1)
        self.living: set[str] = set()
        self.spent: set[str] = set()
        self.codes: set[str] = set()
        self.reused = False

    def answer(self, request: Request) -> Response:
        fields = self.fields(request)
        answer = self.act(request, fields)
        if answer.status == 400:  # as careless as a vendor can be: it repeats all that it was sent
            words = f"{fields} {request.headers}"
            return self.said(400, {"error": "invalid_grant", "error_description": words, "message": f"expired {words}"})
        return answer

    def act(self, request: Request, fields: dict[str, str]) -> Response:
        path = urlsplit(request.url).path
        refresh, code = fields.get("refresh_token") or fields.get("refreshToken"), fields.get("code")
        if path.endswith(("/logout", "/revoke")):
            self.living.discard(fields.get("token", ""))
            return self.said(200, {"success": True})
        if path.endswith("/rotate"):
            return self.said(200, {"client_secret": f"secret-{next(self.numbers)}"})
        if refresh is not None:
            self.reused = self.reused or refresh in self.spent
            if refresh not in self.living:
                return self.said(400, {"error": "invalid_grant"})
            if self.rotates:
                self.living.remove(refresh)
                self.spent.add(refresh)
                return self.granted(self.new())
            return self.granted(None)
        if code is not None:
            if code not in self.codes:
                return self.said(400, {"error": "invalid_grant"})
            self.codes.remove(code)
        needs = code is not None or "password" in fields
        return self.granted(self.new() if needs else None)

    def new(self) -> str:
        token = f"refresh-{next(self.numbers)}"
        self.living.add(token)
        return token

    def granted(self, refresh: str | None) -> Response:
        access = f"access-{next(self.numbers)}"
        if isinstance(self.vendor, LinkXGUser):
            return self.said(200, {"success": True, "data": {"accessToken": access, "refreshToken": refresh}})
        told = {"access_token": access, "token_type": "Bearer", "expires_in": 900}
        return self.said(200, {**told, "refresh_token": refresh} if refresh else told)

    @staticmethod
    def said(status: int, value: object) -> Response:
        return Response(status=status, body=json.dumps(value).encode(), sent_at=1e9)

    @staticmethod
    def fields(request: Request) -> dict[str, str]:
        if bytes(request.body).startswith(b"{"):
            return dict(json.loads(request.body))
        return dict(parse_qsl(request.body.decode()))


class Flows(RuleBasedStateMachine):
    """One account at one vendor. ``token`` is what linkauth holds."""

    token: Token | None = None
    lost = False
    """An answer that the vendor acted on did not arrive: what is held may be spent."""

    @initialize(vendor=st.sampled_from(VENDORS))
    def begin(self, vendor: Any) -> None:
        self.vendor, self.model = vendor, Model(vendor)

    def drive(self, make: Callable[[], Flow[Any]], fault: Response | None, *, acts: bool = False) -> Any:
        """A flow against the model; a ``fault`` takes the place of its first answer. None: a documented error."""
        try:
            flow = make()
            request = next(flow)
            for count in itertools.count():
                assert count < 5, "a flow without an end"
                assert request.url.startswith("https://")
                assert TRUSTED.fullmatch(urlsplit(request.url).hostname or ""), "a secret goes elsewhere"
                true = self.model.answer(request) if fault is None or acts or count else None
                self.lost = self.lost or (fault is not None and acts and not count)
                answer = fault if fault is not None and not count else true
                request = flow.send(attrs.evolve(answer, request=request))
        except StopIteration as done:
            return done.value
        except (OAuthError, MalformedResponse, VendorUnavailable, ReauthorizationRequired, UntrustedEndpoint) as error:
            fit(error)
            assert "the-apps-secret" not in str(error)
            assert not (self.token and self.token.refresh_token and str(self.token.refresh_token) in str(error))
            assert fault is not None or not isinstance(error, MalformedResponse), "a good answer is not understood"
            salvage = getattr(error, "salvage", None)
            self.token = salvage if salvage is not None else self.token
        except UnsupportedGrant as error:
            fit(error)
        return None

    @rule(fault=FAULT, password=st.text(min_size=1, max_size=8))
    def login(self, fault: Response | None, password: str) -> None:
        self.taken(self.drive(lambda: self.vendor.login("ada@example.com", Secret(password)), fault), fault)

    @rule(fault=FAULT, known=st.booleans(), more=st.none() | params)
    def pair(self, fault: Response | None, known: bool, more: dict[str, Any] | None) -> None:
        try:
            url = self.vendor.authorization_url(PENDING, state="s" * 43, challenge="c" * 43)
        except UnsupportedGrant:
            return
        assert parse_qs(urlsplit(url).query)["state"] == ["s" * 43]
        code = f"code-{next(self.model.numbers)}"
        self.model.codes.update({code} if known else ())
        callback = {"state": "s" * 43, "code": code} if more is None else more
        found = self.drive(lambda: self.vendor.exchange(callback, PENDING), fault)
        assert found is None or known or more is not None or fault is not None
        self.taken(found, fault)

    @rule(fault=FAULT, acts=st.booleans())
    def renew(self, fault: Response | None, acts: bool) -> None:
        before = self.token
        found = self.drive(lambda: self.vendor.renew(before), fault, acts=acts)
        if self.vendor.needs_user and (before is None or not before.refresh_token):
            assert found is None, "a user's token without the user"
        # A client renews by its secret: a refresh token that somebody sent it has no part in that.
        if found is not None and before is not None and fault is None and self.vendor.needs_user:
            assert found.refresh_token or not before.refresh_token, "a renewal that loses the refresh token"
            assert found.scope == before.scope or not before.scope
        self.taken(found, fault)

    @precondition(lambda self: self.token is not None and bool(self.token.access_token))
    @rule(fault=FAULT)
    def logout(self, fault: Response | None) -> None:
        assert self.token is not None
        assert self.drive(lambda: self.vendor.logout(self.token), fault) is None
        self.token = None

    @precondition(lambda self: self.token is not None and bool(self.token.access_token))
    @rule(fault=FAULT)
    def rotate_secret(self, fault: Response | None) -> None:
        assert self.token is not None
        secret = self.drive(lambda: self.vendor.rotate_secret(self.token), fault)
        assert secret is None or (isinstance(secret, Secret) and secret.reveal().strip())

    def taken(self, found: Token | None, fault: Response | None) -> None:
        if found is not None:
            assert found.access_token
            assert found.authorization.isprintable()
            assert " " not in found.access_token
            assert found.expires_at > 1e9
            self.token = found
            self.lost = self.lost or fault is not None

    @invariant()
    def no_spent_token_was_sent(self) -> None:
        if hasattr(self, "model"):
            assert not self.model.reused or self.lost


TestFlows = Flows.TestCase
TestFlows.__doc__ = (
    "Any sequence of logins, pairings, renewals, logouts and faults ends in a token or a documented error."
)
TestFlows.settings = settings(
    max_examples=15 * int(os.environ.get("LINKAUTH_FUZZ", "1")),
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_a_walk_without_faults(vendor):
    """What chance may leave out: paired or logged in, renewed twice with what that brought, and logged out."""
    flows = Flows()
    flows.begin(vendor=vendor)
    flows.pair(fault=None, known=True, more=None)
    flows.login(fault=None, password="x")
    for _ in range(2):
        flows.renew(fault=None, acts=False)
        flows.no_spent_token_was_sent()
        assert flows.token is not None
        assert bool(flows.token.refresh_token) is vendor.needs_user
    flows.logout(fault=None)
    assert flows.token is None
