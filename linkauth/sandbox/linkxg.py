"""LinkXG's token side, as docs.linkxg.com describes it: client credentials, users, and the rotation of a client's secret.

The token endpoint speaks flat errors, everything else enveloped ones. ``[decided]`` marks what the vendor's pages
leave open and the sandbox had to choose.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import attrs

from linkauth import vendors
from linkauth.sandbox.linkxg_api import Api, Settings
from linkauth.sandbox.part import Endpoint, secret
from linkauth.sandbox.tokens import NotGood, Session, number, signed
from linkauth.sandbox.wire import BadRequest, form, json_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aiohttp import web

    from linkauth.sandbox.clock import Clock

__all__ = ["Client", "LinkXG", "Settings", "User"]

SCOPES: Final = (
    "products:read",
    "products:write",
    "connections:read",
    "connections:write",
    "imports:write",
    "traceability:read",
    "dpp:read",
)

WHOLE: Final = 60.0
"""Seconds of lifetime from which a JWT's times are whole seconds."""


@attrs.define(kw_only=True)
class Client:
    """An OAuth client, as made under Account > API Access."""

    client_id: str
    client_secret: str = attrs.field(repr=False)
    scopes: frozenset[str] = frozenset(SCOPES)


@attrs.define(kw_only=True)
class User:
    """Somebody with an e-mail address and a password."""

    email: str
    password: str = attrs.field(repr=False)
    role: str = "ADMIN"
    id: str = attrs.field(factory=lambda: str(uuid4()))


class LinkXG(Api):
    """LinkXG on loopback."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        super().__init__(clock, settings)
        self.clients: dict[str, Client] = {}
        self.users: dict[str, User] = {}
        self.add_client(client_id=settings.client_id, client_secret=settings.client_secret)
        self.add_user(email=settings.email, password=settings.password)

    @property
    def client_secret(self) -> str:
        """The test client's secret as it is now: a rotation replaces it."""
        return self.clients[self.client_id].client_secret

    def vendor(self, **more: Any) -> vendors.LinkXG:
        """The registered client, as an app has it; ``more`` are further arguments of ``linkauth.LinkXG``."""
        return vendors.LinkXG(**{**self.registration, **more})

    @property
    def email(self) -> str:
        """The test user's e-mail address."""
        return self.settings.email

    @property
    def password(self) -> str:
        """The test user's password."""
        return self.settings.password

    def add_client(self, *, scopes: Sequence[str] = SCOPES, client_id: str = "", client_secret: str = "") -> Client:
        """One more registered client."""
        client = Client(
            client_id=client_id or f"sandbox-linkxg-{len(self.clients)}",
            client_secret=client_secret or secret("linkxg"),
            scopes=frozenset(scopes),
        )
        return self.clients.setdefault(client.client_id, client)

    def add_user(self, *, email: str = "", password: str = "", role: str = "ADMIN") -> User:
        """One more user."""
        email = email or f"user{len(self.users)}@example.com"
        return self.users.setdefault(email, User(email=email, password=password or secret("password"), role=role))

    def endpoints(self) -> Iterator[Endpoint]:
        """As documented."""
        yield Endpoint("token", "POST", "/oauth/token", self._token)
        yield Endpoint("rotate", "POST", "/oauth/clients/{id}/rotate", self._rotate, api=True)
        yield Endpoint("login", "POST", "/auth/login", self._login)
        yield Endpoint("refresh", "POST", "/auth/refresh", self._refresh)
        yield Endpoint("logout", "POST", "/auth/logout", self._logout, api=True)
        yield from super().endpoints()

    # A. Client credentials: form-encoded, flat errors.

    async def _token(self, request: web.Request) -> web.Response:
        try:
            fields = await form(request)
        except BadRequest as error:
            raise self._flat(400, "invalid_request", str(error)) from None
        for name in ("grant_type", "client_id", "client_secret"):
            if name not in fields:
                raise self._flat(400, "invalid_request", f"{name} is missing")
        self._limited(f"token {fields['client_id']}", self.settings.token_limit, flat=True)
        if fields["grant_type"] != "client_credentials":
            # [decided] RFC 6749's unsupported_grant_type is not among LinkXG's errors.
            raise self._flat(400, "invalid_request", "grant_type must be client_credentials")
        client = self.clients.get(fields["client_id"])
        if client is None or client.client_secret != fields["client_secret"]:
            raise self._flat(401, "invalid_client", "Client authentication failed")
        session = Session(client_id=client.client_id, subject=client.client_id, scope=self._granted(client, fields))
        lifetime = self.settings.token_lifetime
        claims = {"sub": client.client_id, "scope": session.scope, "exp": number(self.clock() + lifetime)}
        issued = self.tokens.issue(session, lifetime, signed(claims, self._key))
        self.counts["tokens"] += 1
        self.counts["client_credentials"] += 1
        body = {
            "access_token": issued.value,
            "token_type": "Bearer",
            "expires_in": number(lifetime),
            "scope": session.scope,
        }
        return json_answer(body)

    def _granted(self, client: Client, fields: Mapping[str, str]) -> str:
        """[decided] No scope asks for all that the client has (RFC 6749 §3.3)."""
        asked = fields.get("scope", " ".join(s for s in SCOPES if s in client.scopes)).split()
        if unknown := set(asked) - set(SCOPES):
            raise self._flat(400, "invalid_request", f"{len(unknown)} of the scopes asked for do not exist")
        if set(asked) - client.scopes:
            raise self._flat(403, "insufficient_scope", "The client does not have the scope that it asks for")
        return " ".join(asked)

    # B. Rotation of the client secret.

    async def _rotate(self, request: web.Request) -> web.Response:
        session = self._caller(request)
        client = self.clients.get(request.match_info["id"])
        if client is None:
            raise self._enveloped(404, "NOT_FOUND", "There is no such client")
        if session.client_id and session.client_id != client.client_id:
            raise self._enveloped(403, "TENANT_MISMATCH", "The client is not yours")
        if not session.client_id and session.data["role"] not in {"OWNER", "ADMIN"}:
            raise self._enveloped(403, "INSUFFICIENT_PERMISSIONS", "Only an Owner or Admin may do this")
        client.client_secret = secret("linkxg")
        self.counts["rotations"] += 1
        *outer, name = self.settings.rotated_as.split(".")
        body: dict[str, Any] = {name: client.client_secret}
        for each in reversed(outer):
            body = {each: body}
        return json_answer({"success": True, **body})

    # C. Users: JSON, camelCase, enveloped errors.

    async def _login(self, request: web.Request) -> web.Response:
        self._limited(f"login {request.remote}", self.settings.login_limit)
        fields = await self._strings(request, "email", "password")
        user = self.users.get(fields["email"])
        if user is None or user.password != fields["password"]:
            raise self._enveloped(401, "INVALID_CREDENTIALS", "Invalid email or password")
        session = Session(subject=user.email, data={"role": user.role, "id": user.id})
        refresh = self.tokens.issue_refresh(session, self.settings.refresh_lifetime)
        self.counts["password"] += 1
        shown = {"id": user.id, "email": user.email, "role": user.role}
        data = {**self._pair(session, refresh.value), "user": shown}
        return json_answer({"success": True, "data": data})

    async def _refresh(self, request: web.Request) -> web.Response:
        value = (await self._strings(request, "refreshToken"))["refreshToken"]
        self._limited(f"refresh {value}", self.settings.refresh_limit)
        try:
            issued = self.tokens.redeem(value, replay_window=self.settings.replay_window)
        except NotGood as error:
            if error.reason == "reused":
                self.counts["refresh_reuse"] += 1
                raise self._enveloped(401, "REFRESH_TOKEN_REUSED", "The refresh token was used before") from None
            raise self._not_good(error) from None
        self.counts["replays"] += int(issued.spent_at is not None)
        refresh = self.tokens.rotate(issued, self.settings.refresh_lifetime)
        self.counts["refresh_token"] += 1
        # [decided] The user is in the login's answer alone.
        return json_answer({"success": True, "data": self._pair(issued.session, refresh.value)})

    async def _logout(self, request: web.Request) -> web.Response:
        session = self._caller(request)
        session.revoked = True
        self.counts["logouts"] += 1
        return json_answer({"success": True})  # [decided] the answer is not documented

    def _pair(self, session: Session, refresh: str) -> dict[str, str]:
        lifetime = self.settings.user_token_lifetime
        # Whole seconds as everybody's JWTs have them, except where a test's lifetimes are too short for rounding.
        now = math.floor(self.clock()) if lifetime >= WHOLE else self.clock()
        claims: dict[str, object] = {"sub": session.data["id"], "role": session.data["role"]}
        if self.settings.jwt_iat:
            claims["iat"] = now
        if self.settings.jwt_exp:
            claims["exp"] = number(now + lifetime)
        issued = self.tokens.issue(session, lifetime, signed(claims, self._key))
        self.counts["tokens"] += 1
        return {"accessToken": issued.value, "refreshToken": refresh}
