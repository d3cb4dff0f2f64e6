"""An authorization server by the book: RFC 6749, PKCE (7636), revocation (7009), metadata (8414), ``iss`` (9207).

With the scope ``openid`` an ID Token comes with the tokens (OpenID Connect Core 1.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import attrs

from linkauth import vendors
from linkauth.sandbox import openid
from linkauth.sandbox.client_auth import credentials, refusal
from linkauth.sandbox.connecting import Connecting, Redirecting
from linkauth.sandbox.consent import Asked, Callback, Consents, followed, is_registered, query, redirect
from linkauth.sandbox.pages import page
from linkauth.sandbox.part import Endpoint, secret
from linkauth.sandbox.tokens import NotGood, Session, number
from linkauth.sandbox.wire import BadRequest, Refusal, bearer, form, json_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp import web

    from linkauth.sandbox.clock import Clock

__all__ = ["OAuth2", "Settings"]


@attrs.define(kw_only=True)
class Settings(Redirecting):
    """What can be set. Lifetimes and windows in seconds."""

    client_id: str = "sandbox-oauth2"
    client_secret: str = attrs.field(factory=lambda: secret("oauth2"), repr=False)
    public_client_id: str = "sandbox-public"
    """A client without a secret: its method is ``none``, its grants are the code and refresh."""
    redirect_uris: list[str] = attrs.field(factory=lambda: ["http://127.0.0.1:8080/connect/oauth2/callback"])
    loopback_redirects: bool = False
    client_auth: list[str] = attrs.field(factory=lambda: ["post", "basic", "none"])
    """The ways in which clients may authenticate."""
    scopes: list[str] = attrs.field(factory=lambda: ["read", "write"])
    require_pkce: bool = True
    token_lifetime: float = 3600.0
    refresh_lifetime: float | None = None
    refresh_at_each_consent: bool = True
    """False: only the first consent of a user brings a refresh token, and one with ``prompt=consent``, as at Google."""
    subject: str = "sandbox-user"
    """Who the user is: ``sub`` in the ID Token."""
    code_lifetime: float = 60.0
    ends_access: bool = False
    """A renewal ends the access token before it at once, as at GitHub Apps and GitLab."""
    rotates: bool = True
    """Each refresh brings a new refresh token and spends the old one."""
    replay_window: float = 0.0
    reuse_revokes: bool = True
    iss: bool = True
    """Whether the callback carries ``iss``."""
    well_known: list[str] = attrs.field(factory=lambda: ["oauth-authorization-server", "openid-configuration"])
    """The metadata documents that there are."""
    metadata: dict[str, Any] = attrs.field(factory=dict[str, Any])
    """Laid over the metadata; a member that is None is left out."""


class OAuth2(Connecting[Settings]):
    """A generic authorization server with one resource, ``GET {api_url}/me``."""

    name: ClassVar[str] = "oauth2"
    prefix: ClassVar[str] = "/oauth2"

    def __init__(self, clock: Clock, settings: Settings) -> None:
        super().__init__(clock, settings)
        self.consents = Consents(clock)
        self._known: set[tuple[str, str]] = set()
        """Clients and the users who have consented to them."""

    @property
    def issuer(self) -> str:
        """The issuer's identifier (RFC 8414 §2)."""
        return self.base_url

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return f"{self.base_url}/token"

    @property
    def authorize_url(self) -> str:
        """The authorization endpoint."""
        return f"{self.base_url}/authorize"

    @property
    def revoke_url(self) -> str:
        """The revocation endpoint."""
        return f"{self.base_url}/revoke"

    @property
    def api_url(self) -> str:
        """Where the resource is."""
        return f"{self.base_url}/api"

    @property
    def registration(self) -> dict[str, Any]:
        """As for any vendor; the endpoints are named one by one."""
        urls = {name: getattr(self, name) for name in ("token_url", "authorize_url", "revoke_url", "api_url")}
        return {"name": self.name, "client_id": self.client_id, "client_secret": self.client_secret, **urls}

    def vendor(self, **more: Any) -> vendors.OAuth2:
        """The registered client, as an app has it; ``more`` are further arguments of ``linkauth.OAuth2``."""
        return vendors.OAuth2(**{**self.registration, **more})

    def consent(self, url: str, *, accept: bool = True) -> Callback:
        """Be the user who was sent to ``url`` (of ``authorize_url``) and accepts, or refuses, without a browser."""
        try:
            asked = self._asked(urlsplit(url).query)
        except Refusal as refused:
            return followed(refused.response)
        return followed(self._answered(asked, accept=accept))

    def endpoints(self) -> Iterator[Endpoint]:
        """The server's, its metadata's two places, and the resource."""
        yield Endpoint("authorize", "GET", "/authorize", self._authorize)
        yield Endpoint("answer", "POST", "/authorize/answer", self._answer)
        yield Endpoint("token", "POST", "/token", self._token)
        yield Endpoint("revoke", "POST", "/revoke", self._revoke)
        yield Endpoint("metadata", "GET", "/.well-known/openid-configuration", self._metadata)
        # RFC 8414 §3.1: between the host and the issuer's path.
        path = f"/.well-known/oauth-authorization-server{self.prefix}"
        yield Endpoint("metadata", "GET", path, self._metadata, absolute=True)
        yield Endpoint("me", "GET", "/api/me", self._me, api=True)

    # Metadata.

    async def _metadata(self, request: web.Request) -> web.Response:
        if not any(each in request.path for each in self.settings.well_known):
            return json_answer({"error": "not_found"}, 404)
        names = {"post": "client_secret_post", "basic": "client_secret_basic", "none": "none"}
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": self.authorize_url,
            "token_endpoint": self.token_url,
            "revocation_endpoint": self.revoke_url,
            "scopes_supported": [*self.settings.scopes, openid.SCOPE],
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
            "token_endpoint_auth_methods_supported": [names[each] for each in self.settings.client_auth],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": self.settings.iss,
            **self.settings.metadata,
        }
        return json_answer({name: value for name, value in document.items() if value is not None})

    # Authorization endpoint.

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = self._asked(request.url.raw_query_string)
        return self.consents.page("The sandbox's OAuth2 server", asked, f"{self.prefix}/authorize/answer")

    def _asked(self, text: str) -> Asked:
        params = query(text)
        uri, client = params.get("redirect_uri", ""), params.get("client_id", "")
        known = is_registered(uri, self.settings.redirect_uris, loopback=self.settings.loopback_redirects)
        if client not in {self.client_id, self.settings.public_client_id} or not known:
            words = "<p>The app is not known, or its redirect URI is not one that it registered.</p>"
            raise Refusal(page("This request cannot be answered", words, status=400))

        def refuse(error: str, description: str) -> Refusal:
            params_back = {"error": error, "error_description": description, "state": params.get("state")}
            return Refusal(redirect(uri, {**params_back, "iss": self._iss()}))

        if params.get("response_type") != "code":
            raise refuse("unsupported_response_type", "response_type must be code")
        challenge = params.get("code_challenge")
        if challenge is None and (self.settings.require_pkce or client == self.settings.public_client_id):
            raise refuse("invalid_request", "code_challenge is needed")
        if challenge is not None and params.get("code_challenge_method") != "S256":
            raise refuse("invalid_request", "code_challenge_method must be S256")
        scope = params.get("scope", "")
        if set(scope.split()) - {*self.settings.scopes, openid.SCOPE}:
            raise refuse("invalid_scope", "A requested scope is not supported")
        return Asked(
            client_id=client,
            redirect_uri=uri,
            scope=scope,
            state=params.get("state"),
            challenge=challenge,
            nonce=params.get("nonce"),
            prompt=params.get("prompt", ""),
        )

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            fields = await form(request)
        except BadRequest:
            fields = {}
        asked = self.consents.take(fields.get("ticket", ""))
        if asked is None:
            return page("This page was answered before", "<p>Go back to the app and begin again.</p>", status=400)
        return self._answered(asked, accept=fields.get("answer") == "accept")

    def _answered(self, asked: Asked, *, accept: bool) -> web.Response:
        self.counts["accepted" if accept else "refused"] += 1
        said: dict[str, str | None] = {"error": "access_denied", "error_description": "The user refused"}
        if accept:
            said = {"code": self.consents.code(asked, self.settings.code_lifetime)}
        return redirect(asked.redirect_uri, {**said, "state": asked.state, "iss": self._iss()})

    def _iss(self) -> str | None:
        return self.issuer if self.settings.iss else None

    # Token endpoint.

    async def _token(self, request: web.Request) -> web.Response:
        fields = await self._fields(request)
        client = self._client(request, fields)
        kind = fields.get("grant_type")
        if kind is None:
            raise refusal("invalid_request", "grant_type is missing")
        if kind == "authorization_code":
            body = self._exchanged(fields, client)
        elif kind == "refresh_token":
            body = self._refreshed(fields, client)
        elif kind == "client_credentials":
            if client == self.settings.public_client_id:
                raise refusal("unauthorized_client", "A public client has no credentials")
            body = self._access(Session(client_id=client, scope=self._scope(fields, self.settings.scopes)))
        else:
            raise refusal("unsupported_grant_type", "There is no such grant")
        self.counts["tokens"] += 1
        self.counts[kind] += 1
        return json_answer(body)

    def _exchanged(self, fields: Mapping[str, str], client: str) -> dict[str, Any]:
        if "code" not in fields or "redirect_uri" not in fields:
            raise refusal("invalid_request", "code and redirect_uri are needed")
        try:
            code = self.consents.redeem(fields["code"], client, fields["redirect_uri"], fields.get("code_verifier"))
        except NotGood as error:
            self.counts["code_reuse"] += int(error.reason == "reused")
            raise refusal("invalid_grant", f"The code is {error.reason}, or does not fit") from None
        user, asked = self.settings.subject, code.asked
        code.session = session = Session(client_id=client, subject=user, scope=asked.scope)
        body = self._access(session, asked.nonce)
        anew = (client, user) not in self._known or asked.prompt == "consent"
        self._known.add((client, user))
        if anew or self.settings.refresh_at_each_consent:
            body["refresh_token"] = self.tokens.issue_refresh(session, self.settings.refresh_lifetime).value
        return body

    def _refreshed(self, fields: Mapping[str, str], client: str) -> dict[str, Any]:
        settings = self.settings
        if "refresh_token" not in fields:
            raise refusal("invalid_request", "refresh_token is missing")
        owner = self.tokens.find(fields["refresh_token"])
        if owner is not None and owner.client_id != client:
            raise refusal("invalid_grant", "The refresh token is another client's")
        try:
            issued = self.tokens.redeem(
                fields["refresh_token"], replay_window=settings.replay_window, reuse_revokes=settings.reuse_revokes
            )
        except NotGood as error:
            self.counts["refresh_reuse"] += int(error.reason == "reused")
            raise refusal("invalid_grant", f"The refresh token is {error.reason}") from None
        scope = self._scope(fields, issued.session.scope.split())
        self.counts["replays"] += int(issued.spent_at is not None)
        if settings.ends_access:
            self.tokens.end_access(issued.session)
        body = {**self._access(issued.session), "scope": scope}
        if settings.rotates:
            body["refresh_token"] = self.tokens.rotate(issued, settings.refresh_lifetime).value
        return body

    def _scope(self, fields: Mapping[str, str], allowed: list[str]) -> str:
        asked = fields.get("scope", " ".join(allowed))
        if set(asked.split()) - set(allowed):
            raise refusal("invalid_scope", "The scope is unknown or more than was granted")
        return asked

    def _access(self, session: Session, nonce: str | None = None) -> dict[str, Any]:
        lifetime = self.settings.token_lifetime
        access = self.tokens.issue(session, lifetime).value
        body = {"access_token": access, "token_type": "Bearer", "expires_in": number(lifetime), "scope": session.scope}
        if session.subject and openid.SCOPE in session.scope.split():
            key = self.client_secret
            body["id_token"] = openid.id_token(self.issuer, session, key, self.clock(), lifetime, nonce)
        return body

    # Client authentication (RFC 6749 §2.3).

    async def _fields(self, request: web.Request) -> dict[str, str]:
        try:
            return await form(request)
        except BadRequest as error:
            raise refusal("invalid_request", str(error)) from None

    def _client(self, request: web.Request, fields: Mapping[str, str]) -> str:
        method, client, given = credentials(request, fields)
        challenge = {"WWW-Authenticate": 'Basic realm="sandbox"'} if method == "basic" else {}
        wanted = {self.client_id: self.client_secret, self.settings.public_client_id: None}
        if method not in self.settings.client_auth or client not in wanted or wanted[client] != given:
            raise refusal("invalid_client", "Client authentication failed", 401, challenge)
        return client

    # Revocation (RFC 7009) and the resource.

    async def _revoke(self, request: web.Request) -> web.Response:
        fields = await self._fields(request)
        client = self._client(request, fields)
        if "token" not in fields:
            raise refusal("invalid_request", "token is missing")
        session = self.tokens.find(fields["token"])
        if session is not None and session.client_id != client:
            raise refusal("unauthorized_client", "The token is another client's")
        if session is not None:  # an unknown token is answered 200 all the same (§2.2)
            session.revoked = True
            self.counts["revocations"] += 1
        return json_answer({})

    async def _me(self, request: web.Request) -> web.Response:
        try:
            session = self.tokens.check(bearer(request) or "")
        except NotGood as error:
            words = f'Bearer error="invalid_token", error_description="The token is {error.reason}"'
            return json_answer({"error": "invalid_token"}, 401, {"WWW-Authenticate": words})
        return json_answer({"client_id": session.client_id, "scope": session.scope})
