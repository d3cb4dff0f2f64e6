"""A mountable aiohttp app: ``GET /VENDOR`` sends the user to the vendor, ``/VENDOR/callback`` takes the answer.

Whose answer it is, is in its state, which the store keeps (RFC 6749 §10.12). That the answer comes from the browser
that asked is looked at as well, wherever it can be (RFC 9700 §4.7): otherwise somebody could ask in his own name, have
another person accept, and so get at that person's data.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast
from urllib.parse import parse_qs, quote, urlsplit

import attrs
from aiohttp import web

from linkauth.errors import ConfigurationError, LinkAuthError, StateMismatch, UnsupportedGrant
from linkauth.oauth.url import base_url, given
from linkauth.vendors.vendor import Pending
from linkauth.web.callback import BadCallback, parameters
from linkauth.web.deliveries import Deliveries, key
from linkauth.web.landing import CONNECTED, NOBODY, UNKNOWN, Landing, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from linkauth.front import AuthEngine, Credential
    from linkauth.vendors.vendor import Vendor

__all__ = ["connect_app"]

log = logging.getLogger("linkauth.web")

T = TypeVar("T")

WhoAsks: TypeAlias = "Callable[[web.Request], Awaitable[str | None] | str | None]"
AndThen: TypeAlias = "Callable[[web.Request, Credential], web.StreamResponse | Awaitable[web.StreamResponse]]"

MOST_STARTED: Final = 10
"""Cookies of authorizations that one browser has begun and not ended."""

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # a callback's URL holds code and state
    "X-Content-Type-Options": "nosniff",
}


def connect_app(
    engine: AuthEngine,
    vendors: Iterable[Vendor],
    *,
    public_url: str,
    account: WhoAsks,
    on_connected: AndThen | None = None,
    titles: Mapping[str, str] | None = None,
) -> web.Application:
    """An app that connects users to ``vendors``, to mount where ``public_url`` points (``app.add_subapp``).

    ``public_url``: how a browser reaches the mounted app; ``{public_url}/{vendor.name}/callback`` is the redirect URI
    to register with the vendor. ``account``: the request's account, by the app's own session; None where nobody is
    signed in; it may be a coroutine function, and may raise an ``aiohttp.web.HTTPException`` such as a redirect to a
    login. It is asked at the start and for a callback by GET, never for one by POST: that comes from another site
    without the app's cookies, and its state alone says whose it is. A callback by GET from a browser in which another
    account is signed in is refused; so is one where nobody is, unless the same browser started it.

    ``on_connected``: what to answer once a user is connected; None shows a plain page. It is called for each delivery of
    the callback, for a browser that sends it twice shows the second answer. ``titles``: vendors' names for
    people to read, by ``vendor.name``.

    Raises ``ConfigurationError`` for a ``public_url`` that is neither https nor loopback, for two vendors of one name,
    and for a vendor without an authorization page.
    """
    return _Connect(engine, vendors, public_url, account, on_connected, titles or {}).app()


async def _headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


async def _awaited(value: T | Awaitable[T]) -> T:
    return await cast("Awaitable[T]", value) if isinstance(value, Awaitable) else value


class _Connect:
    def __init__(
        self,
        engine: AuthEngine,
        vendors: Iterable[Vendor],
        public_url: str,
        account: WhoAsks,
        on_connected: AndThen | None,
        titles: Mapping[str, str],
    ) -> None:
        self._engine = engine
        self._public_url = given(base_url(public_url))  # as spelt: vendors compare redirect URIs letter by letter
        self._secure = self._public_url.startswith("https:")
        # __Host-: no other host, not even a neighbour below the same domain, can have set it (RFC 6265bis §4.1.3.2).
        self._prefix = "__Host-" if self._secure else ""
        self._account = account
        self._on_connected = on_connected
        self._titles = titles
        self._deliveries = Deliveries()
        self._vendors: dict[str, Vendor] = {}
        for vendor in vendors:
            if vendor.name in self._vendors:
                raise ConfigurationError(f"connect_app: two vendors are called {vendor.name}; mount an app for each")
            self._check(vendor)
            self._vendors[vendor.name] = vendor

    def app(self) -> web.Application:
        app = web.Application()
        # HEAD is not allowed: a link scanner's look at a URL must neither begin nor end anything.
        app.router.add_get("/{vendor}", self._start, allow_head=False)
        app.router.add_get("/{vendor}/callback", self._callback, allow_head=False)
        app.router.add_post("/{vendor}/callback", self._callback)
        app.on_response_prepare.append(_headers)
        return app

    def _check(self, vendor: Vendor) -> None:
        try:
            vendor.authorization_url(Pending(redirect_uri=self._redirect_uri(vendor)), state="-", challenge=None)
        except UnsupportedGrant:
            pass
        else:
            return
        raise ConfigurationError(f"connect_app: {vendor.name} has no authorization page to send users to")

    def _start_url(self, vendor: Vendor) -> str:
        return f"{self._public_url}/{quote(vendor.name, safe='')}"

    def _redirect_uri(self, vendor: Vendor) -> str:
        return f"{self._start_url(vendor)}/callback"

    def _page(self, vendor: Vendor, landing: Landing) -> web.Response:
        return landing.page(self._titles.get(vendor.name, vendor.name), self._start_url(vendor))

    async def _whose(self, request: web.Request) -> str | None:
        account = cast("object", await _awaited(self._account(request)))
        if account is None or isinstance(account, str):
            return account
        raise ConfigurationError(f"connect_app: account() gave {type(account).__name__}, where str or None is needed")

    async def _start(self, request: web.Request) -> web.StreamResponse:
        vendor = self._vendors.get(request.match_info["vendor"])
        if vendor is None:
            return UNKNOWN.page("", self._public_url)
        try:
            account = await self._whose(request)
            if account is None:
                return self._page(vendor, NOBODY)
            url = await self._engine.credential(vendor, account).authorization_url(self._redirect_uri(vendor))
        except LinkAuthError as error:
            return self._page(vendor, self._failed(vendor, error))
        response = web.Response(status=303, headers={"Location": url})
        (state,) = parse_qs(urlsplit(url).query)["state"]
        self._remember(request, response, vendor, state)
        return response

    async def _callback(self, request: web.Request) -> web.StreamResponse:
        vendor = self._vendors.get(request.match_info["vendor"])
        if vendor is None:
            return UNKNOWN.page("", self._public_url)
        if request.method == "POST" and not vendor.posts_callback:
            # A vendor that answers by GET could be talked into a POST, past the look at the browser's session.
            raise web.HTTPMethodNotAllowed("POST", ["GET"])
        try:
            params = await parameters(request)
            account = None if request.method == "POST" else await self._whose(request)
        except BadCallback as bad:
            return self._page(vendor, bad.landing)
        except ConfigurationError as error:
            return self._page(vendor, self._failed(vendor, error))
        landing = await self._once(request, vendor, params, account)
        response = await self._answer(
            request, vendor, landing, theirs=self._is_theirs(request, vendor, params, account)
        )
        if landing.final:
            self._forget(request, response, vendor, params)
        return response

    async def _once(
        self, request: web.Request, vendor: Vendor, params: Mapping[str, str], account: str | None
    ) -> Landing:
        which = key(vendor.name, str(params.get("state")), account or "", request.method)
        earlier = await self._deliveries.earlier(which)
        if earlier is not None:
            return earlier
        with self._deliveries.first(which) as answer:
            try:
                credential = await self._complete(request, vendor, params, account)
            except LinkAuthError as error:
                landing = self._failed(vendor, error)
            else:
                landing = attrs.evolve(CONNECTED, account=credential.account)
            answer.set_result(landing)
        return landing

    async def _answer(
        self, request: web.Request, vendor: Vendor, landing: Landing, *, theirs: bool
    ) -> web.StreamResponse:
        # Each delivery has the app's own answer: of a double click's two answers a browser shows the second.
        if landing.account is None or self._on_connected is None or not theirs:
            return self._page(vendor, landing)
        return await _awaited(self._on_connected(request, self._engine.credential(vendor, landing.account)))

    def _is_theirs(self, request: web.Request, vendor: Vendor, params: Mapping[str, str], account: str | None) -> bool:
        """Whether whoever sends this callback may be the one who began. A POST has its state alone to show."""
        return request.method == "POST" or account is not None or self._started_here(request, vendor, params)

    async def _complete(
        self, request: web.Request, vendor: Vendor, params: Mapping[str, str], account: str | None
    ) -> Credential:
        if account is not None:
            credential = self._engine.credential(vendor, account)
            await credential.complete(params)  # refuses a state of another account
            return credential
        if not self._is_theirs(request, vendor, params, account):
            raise StateMismatch(f"{vendor.name}: nobody is signed in, and this browser did not start it")
        return await self._engine.complete(vendor, params)

    def _failed(self, vendor: Vendor, error: LinkAuthError) -> Landing:
        level = logging.INFO if error.who == "the user" else logging.WARNING
        log.log(level, "%s: not connected: %s: %s", vendor.name, type(error).__name__, error)
        return failure(error)

    # -- the browser that started, where the app's session does not tell -------------------------------------------

    def _remember(self, request: web.Request, response: web.StreamResponse, vendor: Vendor, state: str) -> None:
        """For apps whose own cookie is not sent along from another site (``SameSite=Strict``)."""
        # Who starts again and again, or is made to, must not lose the app's own cookie to a browser's limit.
        ours = [name for name in request.cookies if name.startswith(f"{self._prefix}linkauth-")]
        for name in ours[: 1 - MOST_STARTED]:  # browsers name the oldest first (RFC 6265 §5.4)
            response.del_cookie(name, secure=self._secure)
        response.set_cookie(
            self._cookie(vendor, state),
            "1",
            max_age=int(vendor.pending_lifetime),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="Lax",
        )

    def _forget(
        self, request: web.Request, response: web.StreamResponse, vendor: Vendor, params: Mapping[str, str]
    ) -> None:
        if self._started_here(request, vendor, params) and not response.prepared:
            response.del_cookie(self._cookie(vendor, str(params.get("state"))), secure=self._secure)

    def _started_here(self, request: web.Request, vendor: Vendor, params: Mapping[str, str]) -> bool:
        return self._cookie(vendor, str(params.get("state"))) in request.cookies

    def _cookie(self, vendor: Vendor, state: str) -> str:
        return f"{self._prefix}linkauth-{key(vendor.name, state).hex()[:32]}"
