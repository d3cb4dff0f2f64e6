"""A mountable aiohttp app: ``GET /VENDOR`` sends the user to the vendor, ``/VENDOR/callback`` takes the answer.

Whose answer it is, and which tenant's, is in its state, which the store keeps (RFC 6749 §10.12). That the answer comes from
the browser that asked is looked at as well, wherever it can be (RFC 9700 §4.7): otherwise somebody could ask in his own
name, have another person accept, and so get at that person's data.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast
from urllib.parse import parse_qs, quote, urlsplit

import attrs
from aiohttp import web

from linkauth.errors import ConfigurationError, InvalidRequest, LinkAuthError, StateMismatch
from linkauth.oauth.url import base_url, given
from linkauth.web.callback import BadCallback, parameters
from linkauth.web.cookies import Cookies
from linkauth.web.deliveries import Deliveries, key
from linkauth.web.landing import CONNECTED, NO_PATH, NO_TENANT, NOBODY, UNKNOWN, Landing
from linkauth.web.outcome import Outcome, failed
from linkauth.web.start import Start
from linkauth.web.tenants import Vendors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from linkauth.front import AuthEngine, Credential
    from linkauth.vendors.vendor import Vendor
    from linkauth.web.tenants import OfTenant

__all__ = ["connect_app"]

log = logging.getLogger("linkauth.web")

T = TypeVar("T")

WhoAsks: TypeAlias = "Callable[[web.Request], Awaitable[str | None] | str | None]"
Answer: TypeAlias = "web.StreamResponse | None"
AndThen: TypeAlias = "Callable[[web.Request, Credential], Answer | Awaitable[Answer]]"
OrElse: TypeAlias = "Callable[[web.Request, LinkAuthError], Answer | Awaitable[Answer]]"

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # a callback's URL holds code and state
    "X-Content-Type-Options": "nosniff",
}


def connect_app(
    engine: AuthEngine,
    vendors: Iterable[Vendor] | Mapping[str, Vendor | OfTenant],
    *,
    public_url: str,
    account: WhoAsks,
    on_connected: AndThen | None = None,
    on_failed: OrElse | None = None,
    titles: Mapping[str, str] | None = None,
) -> web.Application:
    """An app that connects users to ``vendors``, to mount where ``public_url`` points (``app.add_subapp``).

    ``vendors``: several, each by its ``name``; or a mapping from the word in the path to a vendor, or to a function from a
    tenant to its vendor, for vendors with a URL or customer per tenant: ``GET /sagex3?tenant=acme``. None means that there
    is no such tenant. What a tenant may be called is letters, digits, ``.``, ``_``, ``~`` and ``-``; that it is one of the
    app's the function has to know, before it makes a URL of it. A callback is for the tenant that was asked for.

    ``public_url``: how a browser reaches the mounted app; ``{public_url}/{word}/callback`` is the redirect URI
    to register with the vendor. ``account``: the request's account, by the app's own session; None where nobody is
    signed in; it may raise an ``aiohttp.web.HTTPException`` such as a redirect to a
    login. It is asked at the start and for a callback by GET, never for one by POST: that comes from another site
    without the app's cookies, and its state alone says whose it is. A callback by GET from a browser in which another
    account is signed in is refused; so is one where nobody is, unless the same browser started it.

    ``on_connected``: what to answer once a user is connected; where it is None, or gives None, the user is sent to the
    ``next`` that the start named (``GET /sagex3?next=/settings``, a path of the app's own), else sees a plain page. It is
    called for each delivery of the callback, for a browser that sends it twice shows the second answer. ``on_failed``: what
    to answer where a start or a callback failed; None, or what gives None, shows a plain page. All of these functions may be
    coroutine functions. ``titles``: vendors' names for people to read, by the word in the path.

    Raises ``ConfigurationError`` for a ``public_url`` that is neither https nor loopback, for two vendors of one name,
    and for a vendor without an authorization page.
    """
    return _Connect(engine, vendors, public_url, account, on_connected, on_failed, titles or {}).app()


async def _headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


async def _awaited(value: T | Awaitable[T]) -> T:
    return await cast("Awaitable[T]", value) if isinstance(value, Awaitable) else value


class _Connect:
    def __init__(
        self,
        engine: AuthEngine,
        vendors: Iterable[Vendor] | Mapping[str, Vendor | OfTenant],
        public_url: str,
        account: WhoAsks,
        on_connected: AndThen | None,
        on_failed: OrElse | None,
        titles: Mapping[str, str],
    ) -> None:
        self._engine = engine
        self._public_url = given(base_url(public_url))  # as spelt: vendors compare redirect URIs letter by letter
        self._cookies = Cookies(secure=self._public_url.startswith("https:"))
        self._account = account
        self._on_connected = on_connected
        self._on_failed = on_failed
        self._titles = titles
        self._deliveries = Deliveries()
        self._vendors = Vendors(vendors, self._redirect_uri)

    def app(self) -> web.Application:
        app = web.Application()
        # HEAD is not allowed: a link scanner's look at a URL must neither begin nor end anything.
        app.router.add_get("/{vendor}", self._start, allow_head=False)
        app.router.add_get("/{vendor}/callback", self._callback, allow_head=False)
        app.router.add_post("/{vendor}/callback", self._callback)
        app.on_response_prepare.append(_headers)
        return app

    def _redirect_uri(self, word: str) -> str:
        return f"{self._public_url}/{quote(word, safe='')}/callback"

    def _page(self, landing: Landing, start: Start) -> web.Response:
        if self._vendors.one(start.word) is None and not start.tenant:
            landing = attrs.evolve(landing, again=False)  # at whose vendor, nobody knows any more
        title = self._titles.get(start.word, start.word)
        return landing.page(title, f"{self._public_url}{start.path}")

    async def _whose(self, request: web.Request) -> str | None:
        account = cast("object", await _awaited(self._account(request)))
        if account is None or isinstance(account, str):
            return account
        raise ConfigurationError(f"connect_app: account() gave {type(account).__name__}, where str or None is needed")

    async def _start(self, request: web.Request) -> web.StreamResponse:
        word = request.match_info["vendor"]
        if word not in self._vendors:
            return UNKNOWN.page("", self._public_url)
        start = Start.asked(request)
        if start is None:
            return self._page(NO_PATH, Start(word))
        try:
            account = await self._whose(request)
            if account is None:
                return self._page(NOBODY, start)
            vendor = await self._vendors.of(start)
            if vendor is None:
                return self._page(NO_TENANT, start)
            return await self._sent(request, start, vendor, account)
        except LinkAuthError as error:
            return await self._answer(request, self._failed(error, start), start)

    async def _sent(self, request: web.Request, start: Start, vendor: Vendor, account: str) -> web.Response:
        """The redirect that sends the user to the vendor."""
        url = await self._engine.credential(vendor, account).authorization_url(
            self._redirect_uri(start.word),
            tenant="" if self._vendors.one(start.word) else start.tenant,
            next_path=start.next_path,
        )
        response = web.Response(status=303, headers={"Location": url})
        (state,) = parse_qs(urlsplit(url).query)["state"]
        self._cookies.remember(request, response, start.word, state, vendor.pending_lifetime)
        return response

    async def _callback(self, request: web.Request) -> web.StreamResponse:
        word = request.match_info["vendor"]
        if word not in self._vendors:
            return UNKNOWN.page("", self._public_url)
        start = Start(word)
        vendor = self._vendors.one(word)
        if vendor is not None:
            _refuse_a_post(request, vendor)
        try:
            params = await parameters(request)
            account = None if request.method == "POST" else await self._whose(request)
        except BadCallback as bad:
            error = InvalidRequest("", bad.landing.text)
            return await self._answer(request, Outcome(landing=bad.landing, error=error), start)
        except ConfigurationError as error:
            return await self._answer(request, self._failed(error, start), start)
        state = str(params.get("state"))
        # Whether whoever sends this callback may be the one who began. A POST has its state alone to show.
        theirs = request.method == "POST" or account is not None or self._cookies.started_here(request, word, state)
        which = key(word, state, account or "", request.method)
        outcome = await self._deliveries.earlier(which)
        if outcome is None:
            with self._deliveries.first(which) as answer:
                outcome = await self._completed(request, start, params, account, theirs=theirs)
                answer.set_result(outcome)
        response = await self._answer(request, outcome, start, theirs=theirs)
        if outcome.landing.final:
            self._cookies.forget(request, response, word, state)
        return response

    async def _completed(
        self, request: web.Request, start: Start, params: Mapping[str, str], account: str | None, *, theirs: bool
    ) -> Outcome:
        try:
            if not theirs:
                raise StateMismatch(f"{start.word}: nobody is signed in, and this browser did not start it")
            vendor = self._vendors.one(start.word)
            begun = await self._engine.pending(vendor, params)
            start = Start(start.word, begun.tenant, begun.next_path)
            if vendor is None:
                vendor = await self._vendors.of(start)
                if vendor is None:
                    return Outcome(landing=NO_TENANT, start=start)
                _refuse_a_post(request, vendor)
            if account is None:
                credential = await self._engine.complete(vendor, params)
            else:
                credential = self._engine.credential(vendor, account)
                await credential.complete(params)  # refuses a state of another account
        except LinkAuthError as error:
            return self._failed(error, start)
        return Outcome(landing=CONNECTED, start=start, connected=(vendor, credential.account))

    async def _answer(
        self, request: web.Request, outcome: Outcome, start: Start, *, theirs: bool = False
    ) -> web.StreamResponse:
        """What the app answers, else ``next``, else the page."""
        # Each delivery has the app's own answer: of a double click's two answers a browser shows the second.
        start = outcome.start or start
        said: web.StreamResponse | None = None
        if outcome.error is not None and self._on_failed is not None:
            said = await _awaited(self._on_failed(request, outcome.error.again()))
        elif outcome.connected is not None and theirs:
            if self._on_connected is not None:
                said = await _awaited(self._on_connected(request, self._engine.credential(*outcome.connected)))
            if said is None and start.location:
                said = web.Response(status=303, headers={"Location": start.location})
        return self._page(outcome.landing, start) if said is None else said

    def _failed(self, error: LinkAuthError, start: Start) -> Outcome:
        level = logging.INFO if error.who == "the user" else logging.WARNING
        log.log(level, "%s: not connected: %s: %s", start.word, type(error).__name__, error)
        return failed(error, start)


def _refuse_a_post(request: web.Request, vendor: Vendor) -> None:
    """A vendor that answers by GET could be talked into a POST, past the look at the browser's session."""
    if request.method == "POST" and not vendor.posts_callback:
        raise web.HTTPMethodNotAllowed("POST", ["GET"])
