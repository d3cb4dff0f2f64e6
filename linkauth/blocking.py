"""The engine for code that has no event loop: the same arguments and names, without ``await``.

::

    with AuthEngine("file:~/.linkauth") as engine:
        token = engine.credential(linkxg).token()

Safe from many threads, in processes forked after it was made, and at the end of the process: a renewal in the air then is
landed and stored. For use beside an event loop of the caller's there is ``linkauth.AuthEngine``.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from weakref import WeakValueDictionary

from linkauth import front
from linkauth.background import BACKGROUND
from linkauth.engine.encryption import hidden
from linkauth.oauth.authorization import masked as hidden_params
from linkauth.oauth.token import masked, secret_str
from linkauth.transport import masked as masked_proxy

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
    from ssl import SSLContext

    from yarl import URL

    from linkauth.engine.escrow import Escrow
    from linkauth.engine.events import Listener
    from linkauth.engine.status import Status
    from linkauth.engine.vendor_of import VendorOf
    from linkauth.oauth.token import Secret, Token
    from linkauth.store import TokenStore
    from linkauth.vendors.vendor import Vendor

__all__ = ["AuthEngine", "Credential"]

T = TypeVar("T")


class Credential:
    """One account's authority at one vendor. Made by ``AuthEngine.credential``; equal arguments give the same object.

    Each method is its namesake's of ``linkauth.Credential``, waited for; it raises what that one raises.
    """

    def __init__(self, awaitable: front.Credential) -> None:
        self.awaitable = awaitable
        """The same credential for an event loop."""
        self.vendor = awaitable.vendor
        self.account = awaitable.account

    def __repr__(self) -> str:
        return f"<linkauth.blocking.Credential {self.vendor.name}/{self.account}>"

    def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``call`` comes to in the background loop."""
        return BACKGROUND.run(call)

    def token(self) -> Token:
        """A token that is valid now."""
        return self.run(self.awaitable.token)

    def peek(self) -> Token | None:
        """The token that ``token()`` would return at once; None where it would have to wait. Begins no renewal."""
        return self.awaitable.peek()

    def status(self) -> Status:
        """How this credential is doing in the store. Never a secret."""
        return self.run(self.awaitable.status)

    def refresh(self) -> Token:
        """A token that was sent for after this call, or was in the air then."""
        return self.run(self.awaitable.refresh)

    def replacement(self, failed: Token) -> Token:
        """A token other than ``failed``, which the vendor has refused with a 401."""
        return self.run(partial(self.awaitable.replacement, failed))

    def accepted(self, token: Token, *, yes: bool) -> None:
        """Say whether the vendor's API took ``token``."""
        self.awaitable.accepted(token, yes=yes)

    def login(self, *, email: str, password: str) -> Token:
        """Log in with an e-mail address and a password (LinkXG users)."""
        password = secret_str(password)  # a traceback with locals would show it
        return self.run(partial(self.awaitable.login, email=email, password=password))

    def authorization_url(
        self, redirect_uri: str, *, scope: str | None = None, tenant: str = "", next_path: str = ""
    ) -> str:
        """Where to send the user (RFC 6749 §4.1.1)."""
        begin = partial(self.awaitable.authorization_url, redirect_uri, scope=scope, tenant=tenant, next_path=next_path)
        return self.run(begin)

    def complete(self, params: Mapping[str, str]) -> Token:
        """The token for a callback's parameters. Binds them to this account, and to no browser: see ``BrowserBinding``."""
        params = hidden_params(params, *self.vendor.open_params)
        return self.run(partial(self.awaitable.complete, params))

    def adopt(
        self,
        *,
        refresh_token: str | None = None,
        access_token: str | None = None,
        expires_at: float | None = None,
        refresh_expires_at: float | None = None,
        scope: str | None = None,
        extra: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
        replace: bool = False,
        renew: bool = True,
    ) -> Token:
        """Bring in a session that was made elsewhere. Times are Unix seconds."""
        refresh_token, access_token, extra = masked(refresh_token), masked(access_token), masked(extra)
        adopt = partial(
            self.awaitable.adopt,
            refresh_token=refresh_token,
            access_token=access_token,
            expires_at=expires_at,
            refresh_expires_at=refresh_expires_at,
            scope=scope,
            extra=extra,
            endpoint=endpoint,
            replace=replace,
            renew=renew,
        )
        return self.run(adopt)

    def logout(self) -> None:
        """Revoke at the vendor where it can, and forget here and in the store in any case."""
        self.run(self.awaitable.logout)

    def rotate_secret(self) -> None:
        """Replace the client's secret (LinkXG)."""
        self.run(self.awaitable.rotate_secret)


class AuthEngine:
    """Keeps credentials valid for any number of threads, processes and hosts that use the same store.

    Each method is its namesake's of ``linkauth.AuthEngine``, waited for; it raises what that one raises.
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
        """Make an engine, with the arguments of ``linkauth.AuthEngine``. No I/O happens here.

        ``on_event`` is called in a thread of linkauth's; it must not call this engine.
        """
        store = secret_str(store) if isinstance(store, str) else store
        keys = hidden(keys)
        proxy = masked_proxy(proxy)
        self.awaitable = front.AuthEngine(
            store,
            keys=keys,
            refresh_ahead=refresh_ahead,
            timeout=timeout,
            escrow=escrow,
            on_event=on_event,
            proxy=proxy,
            ssl=ssl,
            trust_env=trust_env,
        )
        """The same engine for an event loop."""
        self._lock = threading.Lock()
        self._credentials: WeakValueDictionary[front.Credential, Credential] = WeakValueDictionary()
        BACKGROUND.knows(self.awaitable)

    def __enter__(self) -> Self:
        async def enter() -> None:
            self.awaitable.open()

        BACKGROUND.run(enter)
        return self

    def __exit__(self, *_: object) -> None:
        BACKGROUND.run(self.awaitable.leave)

    def credential(self, vendor: Vendor, account: str = "default") -> Credential:
        """``account``'s authority at ``vendor``. No I/O."""
        return self._blocking(self.awaitable.credential(vendor, account))

    def _blocking(self, awaitable: front.Credential) -> Credential:
        with self._lock:
            found = self._credentials.get(awaitable)
            if found is None:
                found = self._credentials[awaitable] = Credential(awaitable)
            return found

    def complete(self, vendor: Vendor, params: Mapping[str, str]) -> Credential:
        """The credential of a callback's ``state``, completed. Binds it to no browser: whoever has the callback's URL can finish it."""
        params = hidden_params(params, *vendor.open_params)
        return self._blocking(BACKGROUND.run(partial(self.awaitable.complete, vendor, params)))

    def statuses(self, *, vendor: Vendor | str | None = None, account: str | None = None) -> Iterator[Status]:
        """How every credential, and every client secret, in the store is doing. Never a secret."""
        found = cast("AsyncGenerator[Status]", self.awaitable.statuses(vendor=vendor, account=account))

        async def following() -> Status | None:
            return await anext(found, None)

        try:
            while (status := BACKGROUND.run(following)) is not None:
                yield status
        finally:
            BACKGROUND.run(found.aclose)

    def check(self) -> None:
        """Return where the store can be read and written and the keys open what is in it."""
        BACKGROUND.run(self.awaitable.check)

    def reseal(self) -> int:
        """Write everything in the store under the newest key. How many records were written."""
        return BACKGROUND.run(self.awaitable.reseal)

    def keep_alive(
        self,
        *vendors: Vendor | VendorOf,
        every: float = 3600.0,
        rounds: int | None = None,
        rotate_secrets_after: float | None = None,
    ) -> int:
        """Renew the credentials of ``vendors`` whose refresh tokens would lapse, every ``every`` seconds, until interrupted."""
        keep = partial(self.awaitable.keep_alive, *vendors, every=every, rounds=rounds)
        return BACKGROUND.run(partial(keep, rotate_secrets_after=rotate_secrets_after))
