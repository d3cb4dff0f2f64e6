"""Sage X3's pairing, as "Make your first API calls" has it: asked for now, answered later, by POST.

``[decided]`` marks what the vendor's pages leave open and the sandbox had to choose.
"""

from __future__ import annotations

import secrets
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

import aiohttp
import attrs

from linkauth import vendors
from linkauth.sandbox.connecting import Connecting, Redirecting
from linkauth.sandbox.consent import Callback, is_registered, query, redirect
from linkauth.sandbox.pages import page, posting
from linkauth.sandbox.part import Endpoint, secret
from linkauth.sandbox.wire import Refusal, json_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiohttp import web

    from linkauth.sandbox.clock import Clock
    from linkauth.sandbox.tokens import Session

__all__ = ["Pairing", "Pairings", "Settings", "refusal"]

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
class Settings(Redirecting):
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


class Pairings(Connecting[Settings]):
    """What a user and a browser see: a pairing request, and its answer."""

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
        yield Endpoint("authorise", "GET", "/token/authorise", self._authorise)
        yield Endpoint("pairing", "GET", "/token/authorise/{id}", self._show)
        yield Endpoint("answer", "POST", "/token/authorise/{id}", self._answer)

    def links(self) -> dict[str, str]:
        """The pairings that wait for an answer, for the page of counters."""
        waiting = [each for each in self.pairings.values() if each.status == "pending"]
        return {f"Answer the pairing for {each.customer}": self._page_of(each) for each in waiting}

    @property
    def registration(self) -> dict[str, Any]:
        """As for any vendor, and the customer."""
        return {**super().registration, "customer": self.customer}

    def vendor(self, **more: Any) -> vendors.SageX3:
        """The registered client, as an app has it; ``more`` are further arguments of ``linkauth.SageX3``."""
        return vendors.SageX3(**{**self.registration, **more})

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


def _is_whole(scopes: Sequence[str]) -> bool:
    """Whether a scope names an API and the right that it is used under, or APIs that need none, and these alone."""
    if ALONE.intersection(scopes):
        return ALONE.issuperset(scopes)
    right = any(scope == "businessDomain.ALL" or scope.startswith("user.") for scope in scopes)
    return right and any(scope.startswith("api.") for scope in scopes)


def refusal(status: int, message: str) -> Refusal:
    """An error of Sage's: C."""
    return Refusal(json_answer({"message": message}, status))
