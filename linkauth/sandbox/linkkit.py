"""Linkkit, as its page "OAuth Applications" and its OpenAPI description have it: code grant, a refresh token that stays.

``[decided]`` marks what the vendor's pages leave open and the sandbox had to choose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import attrs

from linkauth import vendors
from linkauth.sandbox import samples
from linkauth.sandbox.connecting import Connecting, Redirecting
from linkauth.sandbox.consent import Asked, Callback, Consents, followed, is_registered, query, redirect
from linkauth.sandbox.pages import page
from linkauth.sandbox.part import Endpoint, secret
from linkauth.sandbox.tokens import NotGood, Session, number
from linkauth.sandbox.wire import BadRequest, Refusal, bearer, form, integer, json_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp import web

    from linkauth.sandbox.clock import Clock

__all__ = ["Linkkit", "Settings"]

USER: Final = {
    "user_id": str(uuid5(NAMESPACE_URL, "https://sandbox.invalid/user/1")),
    "workspace_id": None,
    "email": None,
    "name": "Ada",
}
"""Whose tokens all of them are, as ``/v1/auth/test`` tells it."""


@attrs.define(kw_only=True)
class Settings(Redirecting):
    """What can be set. Lifetimes in seconds."""

    client_id: str = "sandbox-linkkit"
    client_secret: str = attrs.field(factory=lambda: secret("linkkit"), repr=False)
    redirect_uris: list[str] = attrs.field(factory=lambda: ["http://127.0.0.1:8080/connect/linkkit/callback"])
    loopback_redirects: bool = False
    """Take any http redirect URI on this machine, too."""
    token_lifetime: float = 3600.0
    refresh_lifetime: float | None = None
    """No expiry is documented."""
    code_lifetime: float = 600.0
    scopes: list[str] | None = None
    """The scopes that there are; None: any, for their names are not documented."""
    rotates: bool = False
    """Answer a refresh with a new refresh token, too, which Linkkit does not document."""


class Linkkit(Connecting[Settings]):
    """Linkkit on loopback."""

    name: ClassVar[str] = "linkkit"
    prefix: ClassVar[str] = "/linkkit"

    def __init__(self, clock: Clock, settings: Settings) -> None:
        super().__init__(clock, settings)
        self.consents = Consents(clock)

    def vendor(self, **more: Any) -> vendors.Linkkit:
        """The registered client, as an app has it; ``more`` are further arguments of ``linkauth.Linkkit``."""
        return vendors.Linkkit(**{**self.registration, **more})

    def consent(self, url: str, *, accept: bool = True) -> Callback:
        """Be the user who was sent to ``url`` (of ``/oauth/authorize``) and accepts, or refuses, without a browser."""
        try:
            asked = self._asked(urlsplit(url).query)
        except Refusal as refusal:
            return followed(refusal.response)
        return followed(self._answered(asked, accept=accept))

    def endpoints(self) -> Iterator[Endpoint]:
        """As documented, and ``/oauth/authorize/answer`` behind the consent page's buttons."""
        yield Endpoint("authorize", "GET", "/oauth/authorize", self._authorize)
        yield Endpoint("answer", "POST", "/oauth/authorize/answer", self._answer)
        yield Endpoint("token", "POST", "/oauth/token", self._token)
        yield Endpoint("links", "GET", "/v1/links", self._links, api=True)
        yield Endpoint("auth test", "GET", "/v1/auth/test", self._auth_test, api=True)
        yield Endpoint("nothing", "*", "/{rest:.*}", self._nothing)

    # A. Authorization code grant.

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = self._asked(request.url.raw_query_string)
        return self.consents.page("Linkkit", asked, f"{self.prefix}/oauth/authorize/answer")

    def _asked(self, text: str) -> Asked:
        params = query(text)
        uri = params.get("redirect_uri", "")
        known = is_registered(uri, self.settings.redirect_uris, loopback=self.settings.loopback_redirects)
        if params.get("client_id") != self.client_id or not known:
            # RFC 6749 §4.1.2.1: with a wrong client or redirect URI nobody is sent anywhere.
            words = "<p>The app is not known, or its redirect URI is not one that it registered.</p>"
            raise Refusal(page("This request cannot be answered", words, status=400))
        state, scope = params.get("state"), params.get("scope", "")

        def refuse(error: str, description: str) -> Refusal:
            return Refusal(redirect(uri, {"error": error, "error_description": description, "state": state}))

        if params.get("response_type") != "code":
            raise refuse("unsupported_response_type", "response_type must be code")
        if self.settings.scopes is not None and set(scope.split()) - set(self.settings.scopes):
            raise refuse("invalid_scope", "A requested scope is not supported")
        challenge = params.get("code_challenge")
        if challenge is not None and params.get("code_challenge_method") != "S256":
            raise refuse("invalid_request", "code_challenge_method must be S256")
        return Asked(client_id=self.client_id, redirect_uri=uri, scope=scope, state=state, challenge=challenge)

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
        if not accept:
            # [decided] A refusal comes back as in RFC 6749 §4.1.2.1.
            self.counts["refused"] += 1
            params = {"error": "access_denied", "error_description": "The user refused", "state": asked.state}
            return redirect(asked.redirect_uri, params)
        self.counts["accepted"] += 1
        code = self.consents.code(asked, self.settings.code_lifetime)
        return redirect(asked.redirect_uri, {"code": code, "state": asked.state})

    # B. Tokens: form-encoded, no token_type.

    async def _token(self, request: web.Request) -> web.Response:
        try:
            fields = await form(request)
        except BadRequest as error:
            raise refusal("invalid_request", str(error)) from None
        needed = {"authorization_code": ("code", "redirect_uri"), "refresh_token": ("refresh_token",)}
        kind = fields.get("grant_type", "")
        for name in ("grant_type", "client_id", "client_secret", *needed.get(kind, ())):
            if name not in fields:
                raise refusal("invalid_request", f"{name} is missing")
        if (fields["client_id"], fields["client_secret"]) != (self.client_id, self.client_secret):
            raise refusal("invalid_client", "client_authentication_failed", 401)
        if kind not in needed:
            # [decided] RFC 6749's unsupported_grant_type is not among Linkkit's errors.
            raise refusal("unauthorized_client", "grant_type_not_allowed")
        body = self._exchanged(fields) if kind == "authorization_code" else self._refreshed(fields)
        self.counts["tokens"] += 1
        self.counts[kind] += 1
        return json_answer(body)

    def _exchanged(self, fields: Mapping[str, str]) -> dict[str, Any]:
        try:
            code = self.consents.redeem(
                fields["code"], fields["client_id"], fields["redirect_uri"], fields.get("code_verifier")
            )
        except NotGood as error:
            self.counts["code_reuse"] += int(error.reason == "reused")
            raise refusal("invalid_grant", "code_invalid_or_expired") from None
        code.session = session = Session(client_id=self.client_id, scope=code.asked.scope)
        refresh = self.tokens.issue_refresh(session, self.settings.refresh_lifetime)
        return {**self._access(session), "refresh_token": refresh.value, "scope": session.scope}

    def _refreshed(self, fields: Mapping[str, str]) -> dict[str, Any]:
        try:
            issued = self.tokens.redeem(fields["refresh_token"])
        except NotGood as error:
            self.counts["refresh_reuse"] += int(error.reason == "reused")
            raise refusal("invalid_grant", "refresh_token_invalid_or_expired") from None
        body = self._access(issued.session)
        if self.settings.rotates:
            body["refresh_token"] = self.tokens.rotate(issued, self.settings.refresh_lifetime).value
        return body

    def _access(self, session: Session) -> dict[str, Any]:
        lifetime = self.settings.token_lifetime
        return {"access_token": self.tokens.issue(session, lifetime).value, "expires_in": number(lifetime)}

    # D. Calls.

    async def _links(self, request: web.Request) -> web.Response:
        try:
            self.tokens.check(bearer(request) or "")
        except NotGood:
            return json_answer({"error": "Unauthorized"}, 401)
        try:
            number_of_page, limit = integer(request, "page", 1), integer(request, "limit", 20, at_most=100)
            rows = self._found(request.query)
        except BadRequest as error:
            return json_answer({"error": str(error)}, 400)
        data = rows[(number_of_page - 1) * limit : number_of_page * limit]
        return json_answer({"data": data, "meta": {"page": number_of_page, "limit": limit, "total": len(rows)}})

    async def _auth_test(self, request: web.Request) -> web.Response:
        try:
            self.tokens.check(bearer(request) or "")
        except NotGood:
            return json_answer({"error": "Unauthorized"}, 401)
        return json_answer(USER)

    async def _nothing(self, _: web.Request) -> web.Response:
        return json_answer({"error": "Not found"}, 404)  # as the API words its errors

    @staticmethod
    def _found(params: Mapping[str, str]) -> list[dict[str, Any]]:
        words, list_id, active = params.get("search", "").lower(), params.get("list_id"), params.get("is_active")
        if active not in {None, "true", "false"}:
            raise BadRequest("is_active must be true or false")
        return [
            link
            for link in samples.links()
            if (words in link["original_url"].lower() or words in (link["title"] or "").lower())
            and list_id in {None, link["list_id"]}
            and active in {None, str(link["is_active"]).lower()}
        ]


def refusal(error: str, description: str, status: int = 400) -> Refusal:
    """An error of the token endpoint: C. [decided] The status codes are those of RFC 6749 §5.2."""
    return Refusal(json_answer({"error": error, "error_description": description}, status))
