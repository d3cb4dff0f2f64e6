"""What users hold: the engine with real sockets, real clocks and real randomness."""

from __future__ import annotations

import random
import secrets
import time
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

from linkauth import vendors
from linkauth.engine.encryption import hidden
from linkauth.engine.engine import Engine, checked_timeout
from linkauth.engine.exchange import drive
from linkauth.engine.world import World
from linkauth.middleware import Credential
from linkauth.oauth.authorization import masked as masked_params
from linkauth.oauth.discovery import discovery
from linkauth.oauth.token import secret_str
from linkauth.processes import LocalProcesses
from linkauth.transport import Proxies, Transport, masked, verifying
from linkauth.vendors.vendor import discreet

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Mapping, Sequence
    from ssl import SSLContext
    from types import TracebackType

    from aiohttp import web
    from yarl import URL

    from linkauth.engine.escrow import Escrow
    from linkauth.engine.events import Listener
    from linkauth.oauth.token import Secret
    from linkauth.store import TokenStore
    from linkauth.vendors.vendor import Vendor

__all__ = ["AuthEngine", "Credential", "OAuth2"]


class OAuth2(vendors.OAuth2):
    """Any RFC 6749 vendor (``linkauth.vendors.OAuth2``), and the way to read its addresses from the vendor itself."""

    @classmethod
    async def discover(
        cls,
        issuer: str,
        *,
        timeout: float = 10.0,  # one exchange's limit
        proxy: str | URL | Secret | None = None,
        ssl: SSLContext | bool | None = None,
        trust_env: bool = False,
        **arguments: Any,
    ) -> Self:
        """The vendor that ``issuer`` describes (RFC 8414, OpenID Connect Discovery); ``arguments`` as for the class.

        What is among ``arguments`` goes before what the metadata says; ``authorize_url=None`` makes it client
        credentials. ``name`` defaults to the issuer's host. ``timeout``: seconds for the answer of each of the two
        places looked at. ``proxy``, ``ssl``, ``trust_env``: as for ``AuthEngine``.
        Raises ``ConfigurationError``, ``UntrustedEndpoint`` where the metadata names another issuer,
        ``MalformedResponse``, ``VendorUnavailable``.
        """
        proxy, arguments = masked(proxy), discreet(arguments)
        seconds = checked_timeout(timeout)
        transport = Transport(Proxies.chosen(proxy, trust_env=trust_env), verifying(ssl))
        metadata = await drive(discovery(issuer), lambda request: transport.send(request, seconds))
        return cls.from_metadata(metadata, **{"name": urlsplit(issuer).hostname or issuer, **arguments})


class AuthEngine(Engine):
    """Keeps credentials valid for any number of tasks, processes and hosts that use the same store.

    ::

        async with AuthEngine("redis://localhost:6379/0") as engine:
            credential = engine.credential(linkxg)
    """

    def __init__(
        self,
        store: str | TokenStore = "memory:",
        *,
        keys: str | Secret | Sequence[str | Secret] | None = None,
        refresh_ahead: float | None = None,
        timeout: float = 10.0,
        escrow: str | os.PathLike[str] | Escrow | None = None,
        on_event: Listener | Sequence[Listener] | None = None,
        proxy: str | URL | Secret | None = None,
        ssl: SSLContext | bool | None = None,
        trust_env: bool = False,
    ) -> None:
        """Make an engine. No I/O happens here.

        ``store``: a URL (``open_store``) or a store, which then stays its owner's to close. ``keys``: a base64 256-bit
        key or several, newest first, with which everything that is stored is encrypted; the word ``plain`` among them also reads what is in clear.
        ``refresh_ahead``: seconds
        before expiry at which renewal begins; None: a fifth of the token's lifetime, at most 300. ``timeout``: seconds
        for one exchange with a vendor, its retries included; a caller waits no longer than this and a second. (The engine
        itself waits for two minutes for an answer that nobody can get again, also when it is closed.)
        ``escrow``: the path of a folder where answers wait, encrypted, while the store is away; it needs ``keys``.
        ``on_event``: is called with each ``Event``; a function or several, plain or ``async``.

        ``proxy``: the ``http://`` or ``https://`` URL of a proxy for token requests, user and password in it where it
        asks for them. ``trust_env``: where no ``proxy`` is given take it from ``HTTPS_PROXY``, but for the hosts in
        ``NO_PROXY``; they are read here, once, and a netrc never is. A request goes through a proxy by CONNECT alone, so
        that the proxy sees the vendor's name and nothing else, and what stays on this machine goes there directly.
        ``ssl``: a context with another list of authorities or with a client certificate; it must verify the server.

        Raises ``ConfigurationError`` for an argument that cannot work.
        """
        store = secret_str(store) if isinstance(store, str) else store
        keys = hidden(keys)
        proxy = masked(proxy)
        transport = Transport(Proxies.chosen(proxy, trust_env=trust_env), verifying(ssl))
        world = World(
            send=transport.send,
            hang_up=transport.aclose,
            monotonic=time.monotonic,
            wall=time.time,
            random=random.Random(),  # noqa: S311  # spreads load; secrets come from entropy
            entropy=secrets.token_bytes,
            processes=LocalProcesses(),
        )
        super().__init__(
            store,
            world,
            Credential,
            keys=keys,
            refresh_ahead=refresh_ahead,
            timeout=timeout,
            escrow=escrow,
            on_event=on_event,
        )

    # What a credential of this world is, said to checkers and to help() without a type variable.

    def credential(self, vendor: Vendor, account: str = "default") -> Credential:
        """``account``'s authority at ``vendor``. No I/O. Equal arguments give the same object as long as it is held or needed.

        To name it for each request is fine: the last 10,000 that were used keep their tokens in memory though nobody holds
        them. One that was let go of costs a look at the store when it is named again.

        Raises ``ConfigurationError`` for an ``account`` that is empty, unprintable or no text.
        """
        return cast("Credential", super().credential(vendor, account))

    async def complete(self, vendor: Vendor, params: Mapping[str, str]) -> Credential:
        """The credential of a callback's ``state``, completed. Binds it to no browser: whoever has the callback's URL can finish it.

        That it comes from the browser that was sent away is for the caller to see to (RFC 9700 §4.7), with a ``BrowserBinding`` in
        a cookie; ``connect_app`` does. Raises as ``Credential.complete`` does.
        """
        params = masked_params(params, *vendor.open_params)  # for a traceback of this frame
        return cast("Credential", await super().complete(vendor, params))

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def cleanup_ctx(self, app: web.Application) -> AsyncIterator[None]:
        """For an aiohttp web app: ``app.cleanup_ctx.append(engine.cleanup_ctx)``."""
        del app
        self.open()
        yield
        await self.leave()
