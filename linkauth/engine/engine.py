"""The engine: a store, the world, and the credentials between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from linkauth.engine import authorization, secret_age
from linkauth.engine.check import check
from linkauth.engine.clock import Clock
from linkauth.engine.codec import Codec
from linkauth.engine.context import EngineContext
from linkauth.engine.credential_cache import CredentialCache
from linkauth.engine.encryption import Sealer, hidden
from linkauth.engine.entries import Entries
from linkauth.engine.escrow import chosen
from linkauth.engine.events import EventLog
from linkauth.engine.flight import Flights
from linkauth.engine.keep_alive import KeepAlive
from linkauth.engine.outages import Outages
from linkauth.engine.outbox import bring_back
from linkauth.engine.per_loop import PerLoop
from linkauth.engine.reseal import reseal
from linkauth.engine.status import Status, statuses
from linkauth.engine.store_client import StoreClient
from linkauth.errors import ConfigurationError, StateMismatch
from linkauth.oauth.authorization import masked
from linkauth.oauth.token import secret_str
from linkauth.store import TokenStore, open_store
from linkauth.vendors.vendor import Vendor

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from linkauth.engine.credential import Credential
    from linkauth.engine.escrow import Escrow
    from linkauth.engine.events import Listener
    from linkauth.engine.vendor_of import VendorOf
    from linkauth.engine.world import World
    from linkauth.oauth.token import Secret
    from linkauth.protocol.records import PendingRecord

__all__ = ["Engine", "checked_timeout"]


class Engine:
    """Credentials of one store, in one world. ``linkauth.AuthEngine`` is this one with real sockets."""

    def __init__(
        self,
        store: str | TokenStore,
        world: World,
        make: Callable[[EngineContext, Vendor, str], Credential],
        *,
        keys: str | Secret | Sequence[str | Secret] | None = None,
        refresh_ahead: float | None = None,
        timeout: float = 10.0,
        escrow: str | os.PathLike[str] | Escrow | None = None,
        on_event: Listener | Sequence[Listener] | None = None,
    ) -> None:
        # A traceback with locals shows what is wrong with one argument beside all the others.
        store = secret_str(store) if isinstance(store, str) else store  # its URL may hold a password
        keys = hidden(keys)
        if not isinstance(store, str) and (isinstance(store, type) or not hasattr(store, "claim")):
            raise ConfigurationError("store: a URL such as file:~/.linkauth is needed, or a TokenStore")
        timeout = checked_timeout(timeout)
        if refresh_ahead is not None and not (_is_number(refresh_ahead) and refresh_ahead >= 0):
            raise ConfigurationError("refresh_ahead: seconds from 0 up are needed, or None")
        sealer = None
        if keys is not None:
            sealer = Sealer(keys, world.entropy)
        kept = chosen(escrow, world.entropy, sealed=sealer is not None)
        self._owns_store = isinstance(store, str)
        self._entries = Entries()
        opened = open_store(store) if isinstance(store, str) else store
        clock = Clock(world)
        flights = Flights()
        event_log = EventLog(on_event, clock.wall, flights)
        outages = Outages(clock.monotonic)
        store_client = StoreClient(opened, clock, event_log, timeout, self._store_is_back, outages.store)
        codec = Codec(sealer)
        self._make = make
        self._credentials: CredentialCache[Credential] = CredentialCache()
        self.context = EngineContext(
            world=world,
            clock=clock,
            per_loop=PerLoop(),
            store_client=store_client,
            codec=codec,
            event_log=event_log,
            outages=outages,
            flights=flights,
            escrow=kept,
            timeout=timeout,
            refresh_ahead=refresh_ahead,
            used=self._credentials.used,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with a {type(self.context.store_client.store).__name__}>"  # whose URL may hold a password

    def credential(self, vendor: Vendor, account: str = "default") -> Credential:
        """As ``AuthEngine.credential`` says, of the kind that ``make`` makes."""
        name = cast("object", account)
        if not isinstance(name, str) or not name or not name.isprintable():
            raise ConfigurationError(
                f"account: a printable name is needed, of type str; this one is {type(name).__name__}"
            )
        return self._known(vendor, account)

    def _store_is_back(self) -> None:
        self.context.read_repair.beware()

    def _known(self, vendor: Vendor, account: str) -> Credential:
        return self._credentials.get(vendor, account, lambda: self._make(self.context, vendor, account))

    async def complete(self, vendor: Vendor, params: Mapping[str, str]) -> Credential:
        """As ``AuthEngine.complete`` says."""
        params = masked(params, *vendor.open_params)
        record = await authorization.pending(self.context, vendor, params)
        credential = self.credential(vendor, record.account)
        if record.token_key not in credential.replica.record_key.keys:
            raise StateMismatch(f"{vendor.name}: the state belongs to another registration")
        await credential.complete(params)
        return credential

    async def pending(self, vendor: Vendor | None, params: Mapping[str, str]) -> PendingRecord:
        """What was begun with the ``state`` of a callback: whose it is, its ``tenant`` and ``next_path``. Uses nothing up.

        ``vendor``: None where that is yet to be told by the tenant; then only states that were begun for one are known.
        Raises ``StateMismatch``, ``UnsupportedGrant`` and ``StoreError``.
        """
        params = masked(params, *(() if vendor is None else vendor.open_params))
        return await authorization.pending(self.context, vendor, params)

    def statuses(self, *, vendor: Vendor | str | None = None, account: str | None = None) -> AsyncIterator[Status]:
        """How every credential, and every client secret, in the store is doing. Raises ``StoreError``. Never a secret.

        ``vendor``: of this registration alone, or of all vendors of that name; ``account``: of that one alone, and then no client
        secret and nothing that cannot be read, for those are nobody's.
        """
        return statuses(self.context, vendor=vendor, account=account)

    async def check(self) -> None:
        """Return where the store can be read and written and the keys open what is in it: for readiness probes.

        Two calls of the store, on a record of its own. Raises ``StoreUnavailable``, or ``CorruptRecord`` where the keys are others
        than those that the store was written with.
        """
        await check(self.context)

    async def reseal(self) -> int:
        """Write everything in the store under the newest key, client secrets too. How many records were written.

        What is in clear is encrypted, where ``"plain"`` is among the keys. May be interrupted and called again, in the
        middle of all work. What cannot be read is left as it is, and told in the log. Raises ``ConfigurationError`` where
        the engine has no keys, ``StoreUnavailable``.
        """
        return await reseal(self.context)

    async def keep_alive(
        self,
        *vendors: Vendor | VendorOf,
        every: float = 3600.0,
        rounds: int | None = None,
        rotate_secrets_after: float | None = None,
    ) -> int:
        """Renew the credentials of ``vendors`` whose refresh tokens would lapse, until cancelled.

        Run it in as many workers as you like: one at a time makes a round every ``every`` seconds, and another takes
        over should it die. ``vendors``: those that this engine has credentials of, where none is named. For vendors of which
        each tenant has one a function from a ``Status`` to its vendor, or to several of which its record is one's, or to
        None; it may be a coroutine function, and is asked of what may be due and is of no vendor that is named. All workers
        give the same one. ``rounds``: stop after so many. ``rotate_secrets_after``: replace client secrets that are older than
        so many seconds, once in the fleet, where the vendor can (LinkXG); one that linkauth has not rotated counts from the
        first round that saw it. A round also writes under the newest key what lies under an older one.

        Returns how many were renewed here. Raises ``ConfigurationError`` for no vendor at all, for what is neither a vendor nor
        a function, and where secrets are to be rotated in a store that ends with this process.
        """
        several = vendors or tuple(self._credentials.vendors)
        if not all(isinstance(one, Vendor) or callable(one) for one in several):
            raise ConfigurationError("keep_alive: vendors, and functions from a Status to a vendor, are needed")
        if not several:
            raise ConfigurationError("keep_alive: name the vendors whose credentials are to be kept")
        if rotate_secrets_after is not None:
            secret_age.check(self.context, rotate_secrets_after)
        keeping = KeepAlive(self.context, several, self._known, every=every, rotate_secrets_after=rotate_secrets_after)
        return await keeping.run(rounds)

    def open(self) -> None:
        """Enter: to be left again with ``leave``. What an earlier process left in escrow is offered to the store.

        Waits for nothing. Raises ``ConfigurationError`` where the store cannot be used from this loop.
        """
        if (binds := getattr(self.context.store_client.store, "bind", None)) is not None:
            binds()
        first = not self._entries.anywhere()
        self._entries.enter()
        self.context.flights.closing = False
        if first and self.context.escrow is not None:
            self.context.flights.start(bring_back(self.context, self.context.escrow), "linkauth escrow")

    async def leave(self) -> None:
        """As ``aclose`` for who is the last inside; nothing ends for those who are inside still."""
        self._entries.leave()
        if self._entries.here():
            return
        if not self._entries.anywhere():
            self.context.flights.closing = True
            if self._entries.anywhere():  # somebody came in meanwhile, in another thread
                self.context.flights.closing = False
        await self._come_down()

    async def aclose(self) -> None:
        """Wait for what is in the air, store its answers, and let go of the store if it was opened here.

        Whoever is inside is not any more; the engine may be entered again.
        """
        self._entries.clear()
        self.context.flights.closing = True
        await self._come_down()

    async def _come_down(self) -> None:
        # Who waits for another worker has nothing to lose; who asked a vendor has, and is waited for: by every caller,
        # or the second would take the store away from what the first still waits for.
        self.context.flights.come_down()
        await self.context.flights.landed()
        if self._entries.here():
            return  # somebody came in meanwhile, who needs what is open here
        await self.context.read_repair.aclose()
        await self.context.world.hang_up()
        if self._owns_store:
            await self.context.store_client.store.aclose()


def checked_timeout(timeout: float) -> float:
    """``timeout``, seconds for one exchange. Raises ``ConfigurationError`` for what is no number above 0."""
    if not _is_number(timeout) or not timeout > 0:
        raise ConfigurationError("timeout: seconds above 0 are needed")
    return timeout


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
