"""A mountable aiohttp app that connects users to vendors (``linkauth.web.connecting``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from aiohttp import web

from linkauth.web.connecting import Connecting
from linkauth.web.look import PLAIN
from linkauth.web.visit import HEADERS
from linkauth.web.with_aiohttp import AiohttpVisit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from linkauth.errors import LinkAuthError
    from linkauth.front import AuthEngine, Credential
    from linkauth.vendors.vendor import Vendor
    from linkauth.web.look import Look
    from linkauth.web.tenants import OfTenant

__all__ = ["connect_app"]

WhoAsks: TypeAlias = "Callable[[web.Request], Awaitable[str | None] | str | None]"
Said: TypeAlias = "web.StreamResponse | None"
AndThen: TypeAlias = "Callable[[web.Request, Credential], Said | Awaitable[Said]]"
OrElse: TypeAlias = "Callable[[web.Request, LinkAuthError], Said | Awaitable[Said]]"


def connect_app(
    engine: AuthEngine,
    vendors: Iterable[Vendor] | Mapping[str, Vendor | OfTenant],
    *,
    public_url: str,
    account: WhoAsks,
    on_connected: AndThen | None = None,
    on_failed: OrElse | None = None,
    titles: Mapping[str, str] | None = None,
    look: Look = PLAIN,
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
    coroutine functions. ``titles``: vendors' names for people to read, by the word in the path; those that linkauth knows have
    theirs already, such as "Sage X3". ``look``: the pages' colour, logo and language.

    Raises ``ConfigurationError`` for a ``public_url`` that is neither https nor loopback, for two vendors of one name,
    and for a vendor without an authorization page.
    """
    pages = Connecting(engine, vendors, public_url, account, on_connected, on_failed, titles or {}, look)

    async def start(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await pages.start(AiohttpVisit.of(request))
        return response

    async def callback(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await pages.callback(AiohttpVisit.of(request))
        return response

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await pages.elsewhere(AiohttpVisit.of(request))
        return response

    app = web.Application()
    app.router.add_route("*", "/{vendor}", start)
    app.router.add_route("*", "/{vendor}/callback", callback)
    app.router.add_route("*", "/{path:.*}", elsewhere)
    app.on_response_prepare.append(_headers)
    return app


async def _headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
