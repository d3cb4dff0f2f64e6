"""Sage X3, as "Make your first API calls" has it: pairing that is answered later, JSON tokens, folders, GraphQL.

``[decided]`` marks what the vendor's pages leave open and the sandbox had to choose.
"""

from __future__ import annotations

import secrets
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import aiohttp
import attrs

from linkauth.sandbox import graphql
from linkauth.sandbox.consent import Callback, is_registered, query, redirect
from linkauth.sandbox.pages import page, posting
from linkauth.sandbox.part import Endpoint, Registration, Vendor, secret
from linkauth.sandbox.tokens import NotGood, Session, number, signed
from linkauth.sandbox.wire import BadRequest, Refusal, bearer, json_answer, json_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aiohttp import web

    from linkauth.sandbox.clock import Clock

__all__ = ["Pairing", "SageX3", "Settings"]

CUSTOMER: Final = "https://x3.customer.example"
ALONE: Final = {"api.dataDelivery", "api.dataIngestion"}
"""APIs that are asked for without a right."""

# The sentences of "Response codes", each with its status.
MISSING: Final = (400, "Missing required request parameters")
GRANT_TYPE: Final = (400, "Invalid grant type")
DISABLED: Final = (403, "The application registered on Sage Business Cloud is disabled")
NOT_ACCEPTED: Final = (403, "The pairing request has not been accepted.")
EXPIRED: Final = (403, "The request has expired.")
NOT_FOUND: Final = (403, "Pairing request not found")
NO_CLIENT: Final = (404, "Could not associate the values with an active application registered on Sage Business Cloud")
NO_REDIRECT: Final = (404, "Could not associate the values with an application registered on Sage Business Cloud")
UNAUTHORISED: Final = (401, "Unauthorised")


@attrs.define(kw_only=True)
class Settings(Registration):
    """What can be set. Lifetimes in seconds."""

    client_id: str = "sandbox-sagex3"
    client_secret: str = attrs.field(factory=lambda: secret("sagex3"), repr=False)
    redirect_uris: list[str] = attrs.field(factory=lambda: ["http://127.0.0.1:8080/connect/sagex3/callback"])
    loopback_redirects: bool = False
    """Take any http redirect URI on this machine, too."""
    folders: list[str] = attrs.field(factory=lambda: ["SEED", "X3"])
    customer_region: bool = False
    """The customer is in another region: the callback names its ``endpoint``, and all that follows happens there."""
    callback: Literal["form", "json", "query"] = "form"
    """A POST with a form, a POST with JSON, or a GET. The browser sends forms and queries, the sandbox sends JSON."""
    pairing_lifetime: float = 86400.0
    """Seconds that the user has to answer in, and the app to fetch its tokens."""
    token_lifetime: float = 300.0
    refresh_lifetime: float = 2_678_400.0
    replay_window: float = 0.0
    disabled: bool = False
    """The application is disabled."""


@attrs.define(kw_only=True, eq=False)
class Pairing:
    """One pairing request and what became of it."""

    id: str = attrs.field(factory=lambda: secrets.token_urlsafe(16))
    scope: str
    customer: str
    redirect_uri: str
    state: str
    expires_at: float
    code: str = attrs.field(factory=lambda: secret("code"), repr=False)
    """[decided] It is fixed from the start, or "has not been accepted" could not be met."""
    status: Literal["pending", "accepted", "rejected"] = "pending"
    root: str = ""
    """Where the tokens will be had, once accepted."""
    folders: tuple[str, ...] = ()
    session: Session | None = None
    """What the code was exchanged for."""


class SageX3(Vendor[Settings]):
    """Sage X3 on loopback, with a customer's region on a second port."""

    name: ClassVar[str] = "sagex3"
    prefix: ClassVar[str] = "/sagex3/v1"
    customer: ClassVar[str] = CUSTOMER
    """The test customer's own X3."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        super().__init__(clock, settings)
        self.region_origin = ""
        self.pairings: dict[str, Pairing] = {}

    @property
    def region_url(self) -> str:
        """The root of the customer's region: the callback's ``endpoint`` when ``customer_region`` is on."""
        return self.region_origin + self.prefix

    def endpoints(self) -> Iterator[Endpoint]:
        """As documented, and below ``/token/authorise`` what is behind the page's buttons."""
        yield Endpoint("root", "GET", "", self._root)
        yield Endpoint("authorise", "GET", "/token/authorise", self._authorise)
        yield Endpoint("pairing", "GET", "/token/authorise/{id}", self._show)
        yield Endpoint("answer", "POST", "/token/authorise/{id}", self._answer)
        yield Endpoint("token", "POST", "/token", self._token)
        yield Endpoint("folders", "GET", "/folders", self._folders, api=True)
        yield Endpoint("graphql", "POST", "/service/{service}/graphQL", self._graphql, api=True)
        yield Endpoint("nothing", "*", "/{rest:.*}", self._nothing)

    def links(self) -> dict[str, str]:
        """The pairings that wait for an answer, for the page of counters."""
        waiting = [each for each in self.pairings.values() if each.status == "pending"]
        return {f"Answer the pairing for {each.customer}": self._page_of(each) for each in waiting}

    # The user, without a browser.

    def visit(self, url: str) -> Pairing:
        """Be the X3 user who was sent to ``url`` (of ``/token/authorise``): the pairing is then pending."""
        try:
            return self._asked(urlsplit(url).query)
        except Refusal as refused:
            raise ValueError(f"authorise answered {refused.response.status}") from None

    def consent(self, url: str, *, accept: bool = True, folders: Sequence[str] = ("SEED",)) -> Callback:
        """Visit ``url`` and answer at once; the callback, which is for the caller to deliver."""
        return self._answered(self.visit(url), folders if accept else ())

    async def accept(self, state: str, folders: Sequence[str] = ("SEED",), *, deliver: bool = False) -> Callback:
        """Accept the pairing that was asked with ``state``; ``deliver``: the sandbox itself calls the app back."""
        return await self._finish(state, folders, deliver=deliver)

    async def reject(self, state: str, *, deliver: bool = False) -> Callback:
        """Reject the pairing that was asked with ``state``."""
        return await self._finish(state, (), deliver=deliver)

    def pairing(self, state: str) -> Pairing:
        """The newest pairing with ``state``. Raises ``KeyError``."""
        for pairing in reversed(self.pairings.values()):
            if pairing.state == state:
                return pairing
        raise KeyError("no pairing has this state")

    async def _finish(self, state: str, folders: Sequence[str], *, deliver: bool) -> Callback:
        callback = self._answered(self.pairing(state), folders)
        if deliver:
            await self._deliver(callback)
        return callback

    async def _deliver(self, callback: Callback) -> None:
        how: dict[str, Any] = (
            {"json": callback.params} if self.settings.callback == "json" else {"data": callback.params}
        )
        how = how if callback.method == "POST" else {}
        async with (
            aiohttp.ClientSession() as session,
            session.request(callback.method, callback.url, **how) as response,
        ):
            self.counts[f"callback_{response.status}"] += 1

    # A. Pairing.

    async def _root(self, request: web.Request) -> web.Response:
        here = self._here(request)
        access = {"authorise": f"{here}/token/authorise", "token": f"{here}/token"}
        usage = {"folder": f"{here}/folders", "graphQL": f"{here}/service/{{service}}/graphQL"}
        return json_answer({"customerAccess": access, "customerUsage": usage})

    async def _authorise(self, request: web.Request) -> web.Response:
        return self._page(self._asked(request.url.raw_query_string))

    def _asked(self, text: str) -> Pairing:
        params = query(text)
        for name in ("client_id", "scope", "customer", "redirect_uri", "state"):
            if name not in params:
                raise refusal(*MISSING)
        self._application(params["client_id"], params["redirect_uri"])
        customer = urlsplit(params["customer"])
        # [decided] What a scope or customer meets that cannot be one is not documented.
        if not _is_whole(params["scope"].split()) or customer.scheme not in {"http", "https"} or not customer.hostname:
            raise refusal(*MISSING)
        pairing = Pairing(
            scope=params["scope"],
            customer=params["customer"],
            redirect_uri=params["redirect_uri"],
            state=params["state"],
            expires_at=self.clock() + self.settings.pairing_lifetime,
        )
        self.pairings[pairing.id] = pairing
        self.counts["pairings"] += 1
        return pairing

    def _application(self, client_id: str, redirect_uri: str) -> None:
        settings = self.settings
        known = is_registered(redirect_uri, settings.redirect_uris, loopback=settings.loopback_redirects)
        if client_id != self.client_id:
            raise refusal(*NO_CLIENT)
        if not known:
            raise refusal(*NO_REDIRECT)
        if settings.disabled:
            raise refusal(*DISABLED)

    def _page_of(self, pairing: Pairing) -> str:
        return f"{self.prefix}/token/authorise/{pairing.id}"

    async def _show(self, request: web.Request) -> web.Response:
        return self._page(self._of(request))

    def _of(self, request: web.Request) -> Pairing:
        pairing = self.pairings.get(request.match_info["id"])
        if pairing is None or pairing.status != "pending" or self.clock() >= pairing.expires_at:
            words = "<p>It was answered before, or it has expired. Go back to the app and begin again.</p>"
            raise Refusal(page("This pairing request is over", words, status=400))
        return pairing

    def _page(self, pairing: Pairing, note: str = "") -> web.Response:
        boxes = "".join(
            f'<p><label><input type="checkbox" name="folder" value="{escape(each)}"> {escape(each)}</label></p>'
            for each in self.settings.folders
        )
        body = (
            f"<p>The app <strong>{escape(self.client_id)}</strong> asks to be paired with {escape(pairing.customer)}, "
            f"for <code>{escape(pairing.scope)}</code>. You may answer now, or come back to this page later.</p>{note}"
            f'<form method="post" action="{escape(self._page_of(pairing))}">'
            f"<fieldset><legend>Folders that the app may use</legend>{boxes}</fieldset>"
            '<button name="answer" value="accept">Accept</button>'
            '<button name="answer" value="reject">Reject</button></form>'
        )
        return page("Sage X3: pending application", body)

    async def _answer(self, request: web.Request) -> web.Response:
        pairing = self._of(request)
        fields = await request.post()
        accepted = fields.get("answer") == "accept"
        folders = [each for each in self.settings.folders if each in fields.getall("folder", [])] if accepted else []
        if accepted and not folders:
            return self._page(pairing, '<p role="alert">Choose at least one folder.</p>')
        callback = self._answered(pairing, folders)
        if self.settings.callback == "json":
            await self._deliver(callback)
            return page("Thank you", "<p>The app has been told. You can close this page.</p>")
        if callback.method == "GET":
            return redirect(callback.redirect_uri, callback.params)
        return posting("Back to the app", callback.redirect_uri, callback.params)

    def _answered(self, pairing: Pairing, folders: Sequence[str]) -> Callback:
        if pairing.status != "pending" or self.clock() >= pairing.expires_at:
            raise ValueError("the pairing was answered before, or has expired")
        if unknown := set(folders) - set(self.settings.folders):
            raise ValueError(f"no such folder: {', '.join(sorted(unknown))}")
        pairing.status = "accepted" if folders else "rejected"
        pairing.folders = tuple(folders)
        pairing.root = self.region_url if self.settings.customer_region else self.base_url
        self.counts[pairing.status] += 1
        params = {"authorizationCode": pairing.code, "state": pairing.state}
        if not folders:
            # [decided] How a rejection is told is not documented: as in RFC 6749 §4.1.2.1.
            params = {"error": "access_denied", "error_description": "The pairing was rejected", "state": pairing.state}
        elif self.settings.customer_region:
            params["endpoint"] = self.region_url
        method: Literal["GET", "POST"] = "GET" if self.settings.callback == "query" else "POST"
        return Callback(method=method, redirect_uri=pairing.redirect_uri, params=params)

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


def _is_whole(scopes: Sequence[str]) -> bool:
    """Whether a scope names an API and the right that it is used under, or APIs that need none, and these alone."""
    if ALONE.intersection(scopes):
        return ALONE.issuperset(scopes)
    right = any(scope == "businessDomain.ALL" or scope.startswith("user.") for scope in scopes)
    return right and any(scope.startswith("api.") for scope in scopes)


def refusal(status: int, message: str) -> Refusal:
    """An error of Sage's: C."""
    return Refusal(json_answer({"message": message}, status))
