"""What all credentials of an engine share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.admission import Admission
    from linkauth.engine.client_secrets import ClientSecrets
    from linkauth.engine.credential import Credential
    from linkauth.engine.envelope import Envelope
    from linkauth.engine.escrow import Escrow
    from linkauth.engine.events import Teller
    from linkauth.engine.flight import Flights
    from linkauth.engine.outages import Outages
    from linkauth.engine.shelf import Shelf
    from linkauth.engine.watch import Watch
    from linkauth.engine.world import World

__all__ = ["Office"]


@attrs.frozen(kw_only=True)
class Office:
    """``timeout``: seconds for one exchange; ``refresh_ahead``: seconds, None for the default."""

    world: World
    admission: Admission
    shelf: Shelf
    envelope: Envelope
    client_secrets: ClientSecrets
    teller: Teller
    outages: Outages
    flights: Flights
    watch: Watch
    escrow: Escrow | None
    timeout: float
    refresh_ahead: float | None
    used: Callable[[Credential], None]
    """Tells that something begins with a credential (``Roster.used``)."""

    def owner(self) -> str:
        """A fresh id for one acquisition of a lease."""
        return self.world.entropy(12).hex()
