"""Sage X3, as "Make your first API calls" has it: JSON tokens for a pairing, folders, GraphQL.

``[decided]`` marks what the vendor's pages leave open and the sandbox had to choose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from linkauth.sandbox import graphql
from linkauth.sandbox.part import Endpoint
from linkauth.sandbox.sagex3_pairing import (
    DISABLED,
    EXPIRED,
    GRANT_TYPE,
    MISSING,
    NO_CLIENT,
    NOT_ACCEPTED,
    NOT_FOUND,
    UNAUTHORISED,
    Pairing,
    Pairings,
    Settings,
    refusal,
)
from linkauth.sandbox.tokens import NotGood, Session, number, signed
from linkauth.sandbox.wire import BadRequest, bearer, json_answer, json_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp import web

__all__ = ["Pairing", "SageX3", "Settings"]


class SageX3(Pairings):
    """Sage X3 on loopback, with a customer's region on a second port."""

    def endpoints(self) -> Iterator[Endpoint]:
        """As documented, and the pages of a pairing."""
        yield Endpoint("root", "GET", "", self._root)
        yield from super().endpoints()
        yield Endpoint("token", "POST", "/token", self._token)
        yield Endpoint("folders", "GET", "/folders", self._folders, api=True)
        yield Endpoint("graphql", "POST", "/service/{service}/graphQL", self._graphql, api=True)
        yield Endpoint("nothing", "*", "/{rest:.*}", self._nothing)

    async def _root(self, request: web.Request) -> web.Response:
        here = self._here(request)
        access = {"authorise": f"{here}/token/authorise", "token": f"{here}/token"}
        usage = {"folder": f"{here}/folders", "graphQL": f"{here}/service/{{service}}/graphQL"}
        return json_answer({"customerAccess": access, "customerUsage": usage})

    # B. Tokens: JSON.

    async def _token(self, request: web.Request) -> web.Response:
        try:
            body = await json_object(request)
        except BadRequest as error:
            raise refusal(400, str(error)) from None  # [decided] what a body meets that is no JSON object
        needed = {"authorization_code": ("code", "redirect_uri"), "refresh_token": ("refresh_token",)}
        kind = body.get("grant_type")
        if kind is not None and kind not in needed:
            raise refusal(*GRANT_TYPE)
        for name in ("grant_type", "client_id", "client_secret", *needed.get(str(kind), ())):
            if not isinstance(body.get(name), str) or not body[name]:
                raise refusal(*MISSING)
        if (body["client_id"], body["client_secret"]) != (self.client_id, self.client_secret):
            # [decided] What a wrong secret meets is not documented: no application has it.
            raise refusal(*NO_CLIENT)
        if self.settings.disabled:
            raise refusal(*DISABLED)
        here = self._here(request)
        answer = self._exchanged(body, here) if kind == "authorization_code" else self._refreshed(body, here)
        self.counts["tokens"] += 1
        self.counts[str(kind)] += 1
        return json_answer(answer)

    def _exchanged(self, body: Mapping[str, str], here: str) -> dict[str, Any]:
        self._application(body["client_id"], body["redirect_uri"])
        pairing = next((each for each in self.pairings.values() if each.code == body["code"]), None)
        # [decided] A rejected pairing, a code used twice, and another region's are all "not found".
        if pairing is None or pairing.status == "rejected" or pairing.redirect_uri != body["redirect_uri"]:
            raise refusal(*NOT_FOUND)
        if self.clock() >= pairing.expires_at:
            raise refusal(*EXPIRED)
        if pairing.status == "pending":
            raise refusal(*NOT_ACCEPTED)
        if pairing.root != here:
            raise refusal(*NOT_FOUND)
        if pairing.session is not None:
            self.counts["code_reuse"] += 1
            pairing.session.revoked = True
            raise refusal(*NOT_FOUND)
        granted = " ".join([*pairing.scope.split(), *(f"folder.{each}" for each in pairing.folders)])
        data = {"root": here, "folders": pairing.folders}
        pairing.session = session = Session(
            client_id=self.client_id, subject=pairing.customer, scope=granted, data=data
        )
        refresh = self.tokens.issue_refresh(session, self.settings.refresh_lifetime, self._refresh_token(session))
        return self._pair(session, refresh.value)

    def _refreshed(self, body: Mapping[str, str], here: str) -> dict[str, Any]:
        owner = self.tokens.find(body["refresh_token"])
        if owner is not None and owner.data["root"] != here:
            raise refusal(*NOT_FOUND)
        try:
            issued = self.tokens.redeem(body["refresh_token"], replay_window=self.settings.replay_window)
        except NotGood as error:
            # [decided] What a refresh token that was used or revoked meets is not documented.
            self.counts["refresh_reuse"] += int(error.reason == "reused")
            raise refusal(*(EXPIRED if error.reason == "expired" else NOT_FOUND)) from None
        self.counts["replays"] += int(issued.spent_at is not None)
        refresh = self.tokens.rotate(issued, self.settings.refresh_lifetime, self._refresh_token(issued.session))
        return self._pair(issued.session, refresh.value)

    def _pair(self, session: Session, refresh: str) -> dict[str, Any]:
        lifetime = self.settings.token_lifetime
        access = self.tokens.issue(session, lifetime, self._jwt(session, lifetime)).value
        return {
            "access_token": access,
            "scope": session.scope,
            "token_type": "bearer",
            "expires_in": number(lifetime),
            "refresh_token": refresh,
            "refresh_token_expires_in": number(self.settings.refresh_lifetime),
        }

    def _refresh_token(self, session: Session) -> str:
        return self._jwt(session, self.settings.refresh_lifetime)

    def _jwt(self, session: Session, lifetime: float) -> str:
        """[decided] ``sub`` (a customer's configuration) and ``azp`` (the app) are ids of Sage's own: made of what is here."""
        root: str = session.data["root"]
        issuer, now = urlsplit(root).netloc, self.clock()
        claims: dict[str, object] = {
            "iss": issuer,
            "aud": issuer,
            "iat": number(now),
            "exp": number(now + lifetime),
            "region": "customer" if root == self.region_url else "sandbox",
            "sub": str(uuid5(NAMESPACE_URL, session.subject)),
            "azp": str(uuid5(NAMESPACE_URL, session.client_id)),
            "scopes": session.scope,
        }
        return signed(claims, self._key, "HS512")

    # D. Calls.

    def _here(self, request: web.Request) -> str:
        """The root that the request came to, told by its port: the ``Host`` header is the client's to choose."""
        address = request.get_extra_info("sockname")
        return self.region_url if address and address[1] == urlsplit(self.region_origin).port else self.base_url

    def _session(self, request: web.Request) -> Session:
        try:
            session = self.tokens.check(bearer(request) or "")
        except NotGood:
            raise refusal(*UNAUTHORISED) from None
        if session.data["root"] != self._here(request):
            raise refusal(*UNAUTHORISED)
        return session

    async def _folders(self, request: web.Request) -> web.Response:
        session = self._session(request)
        root = session.data["root"]
        folders = [
            {"name": each, "$urls": {"dataService": f"{root}/service/X3CLOUDV2_{each}/graphQL"}}
            for each in session.data["folders"]
        ]
        return json_answer({"folders": folders})

    async def _graphql(self, request: web.Request) -> web.Response:
        session = self._session(request)
        folder = request.match_info["service"].removeprefix("X3CLOUDV2_")
        if folder not in session.data["folders"] or "api.graphQL" not in session.scope.split():
            raise refusal(*UNAUTHORISED)
        try:
            body = await json_object(request)
            return json_answer({"data": graphql.answer(body), "extensions": {}})
        except (BadRequest, graphql.GraphQLFault) as error:
            return json_answer({"errors": [{"message": str(error)}], "extensions": {}}, 400)

    async def _nothing(self, _: web.Request) -> web.Response:
        raise refusal(404, "Not found")  # [decided] not documented
