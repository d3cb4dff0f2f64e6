"""What all credentials of an engine share."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import attrs

from linkauth.engine.client_secrets import ClientSecrets
from linkauth.engine.read_repair import ReadRepair
from linkauth.engine.session_ends import SessionEnds

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.clock import Clock
    from linkauth.engine.codec import Codec
    from linkauth.engine.credential_cache import Cached
    from linkauth.engine.escrow import Escrow
    from linkauth.engine.events import EventLog
    from linkauth.engine.flight import Flights
    from linkauth.engine.outages import Outages
    from linkauth.engine.per_loop import PerLoop
    from linkauth.engine.store_client import StoreClient
    from linkauth.engine.world import World
    from linkauth.store import Busy

__all__ = ["EngineContext"]


@attrs.frozen(kw_only=True)
class EngineContext:
    """``timeout``: seconds for one exchange; ``refresh_ahead``: seconds, None for the default."""

    world: World
    clock: Clock
    per_loop: PerLoop
    store_client: StoreClient
    codec: Codec
    event_log: EventLog
    outages: Outages
    flights: Flights
    escrow: Escrow | None
    timeout: float
    refresh_ahead: float | None
    used: Callable[[Cached], None]
    """Tells that something begins with a credential (``CredentialCache.used``)."""
    learning: Lock = attrs.field(init=False, factory=Lock)
    """Held for the moment in which what is known of a credential is replaced: two threads' loops may do so at once."""
    read_repair: ReadRepair = attrs.field(init=False, default=attrs.Factory(ReadRepair, takes_self=True))
    client_secrets: ClientSecrets = attrs.field(init=False, default=attrs.Factory(ClientSecrets, takes_self=True))
    session_ends: SessionEnds = attrs.field(init=False, default=attrs.Factory(SessionEnds, takes_self=True))

    def owner(self) -> str:
        """A fresh id for one acquisition of a lease; behind a dot the name of this process, where it has one."""
        return f"{self.world.entropy(12).hex()}.{self.world.processes.own()}".removesuffix(".")

    def is_alive(self, busy: Busy | None) -> bool | None:
        """Whether the process lives that holds the lease. None: that cannot be told, or nothing could be done about it."""
        if busy is None or not busy.number:
            return None
        return self.world.processes.is_alive(busy.holder.partition(".")[2])
