"""What a step may want of the world. A step yields one of these and is sent what came of it: what stands after ``->``.

Every ``yield`` is a place where the worker may die, be stopped for any time, or be overtaken by others. An effect whose
store fails raises ``StoreError`` where the step stands. ``engine.runtime`` performs them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import attrs

from linkauth.errors import LinkAuthError

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.intent import Note
    from linkauth.protocol.lineage import Lineage
    from linkauth.protocol.records import Session
    from linkauth.store import Busy, Record
    from linkauth.vendors.vendor import Vendor

__all__ = [
    "AcquirePermit",
    "Adopt",
    "Claim",
    "Commit",
    "Confirm",
    "Effect",
    "Exchange",
    "Failed",
    "Forget",
    "Held",
    "LeaseLost",
    "MarkDead",
    "Read",
    "Release",
    "ReleasePermit",
    "Repair",
    "Serve",
    "Settle",
    "Sleep",
    "Steps",
    "Suspicion",
    "Wait",
]

T = TypeVar("T")


class Effect:
    """Something that a step wants."""

    __slots__ = ()


Steps: TypeAlias = Generator[Effect, Any, T]
"""They yield effects and return a ``T``."""


class LeaseLost(LinkAuthError):
    """The lease ended before anything was sent, or somebody else was faster. Never leaves the engine."""


@attrs.frozen
class Settle(Effect):
    """Have the store take what it has yet to take. -> whether there was something, so that a token may be here.

    The first time that includes what an earlier process left in escrow.
    """

    anew: bool = False
    """Another process of this machine may have died meanwhile: what it left in escrow is looked for once more."""


@attrs.frozen
class Read(Effect):
    """-> ``(Reading, StoreTime)``."""


@attrs.frozen
class Claim(Effect):
    """Ask for the lease. -> ``(Newer | Busy | Granted, StoreTime)``. A lease that is granted is extended from then on."""

    newer_than: int
    note: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class AcquirePermit(Effect):
    """Wait for a permit to ask the vendor, which bears only so many requests of one client. Nothing where it is had already.

    Raises the vendor's refusal of the client, ``RateLimited`` or ``VendorUnavailable`` where none comes in time.
    """


@attrs.frozen
class ReleasePermit(Effect):
    """Give the permit to somebody else. So does the end of the steps, and a claim that is not granted."""


@attrs.frozen
class Wait(Effect):
    """For a change of the record or of its lease, ``seconds`` at the most; for no longer than its holder lives."""

    seconds: float
    newer_than: int
    busy: Busy | None = None
    """What told who that is; None: whoever it may be."""


@attrs.frozen
class Sleep(Effect):
    """Wait for others. Closing may call it off."""

    seconds: float


@attrs.frozen
class Adopt(Effect):
    """Take what the store has. Raises ``ReauthorizationRequired`` where that says that only the user can help."""

    record: Record
    time: StoreTime
    awaited: bool = False
    """It was in the air until now, and waited for: so it is new to who asked meanwhile, whenever it was sent for."""


@attrs.frozen
class Repair(Effect):
    """Put back what the store has lost and this worker holds."""


@attrs.frozen
class Suspicion(Effect):
    """-> seconds for which others may still put back what the store has lost; 0: nothing is suspected any more.

    Where the time is over that all are given, the store is asked whether anybody needs longer. To be asked before
    the store is looked at for what to act on: the other way round somebody may write in between, and be done.
    """

    anew: bool = False
    """This worker was cut off from the store meanwhile, and so may the others have been: they are given their time again."""


@attrs.frozen
class Confirm(Effect):
    """Ask the store, by owner, whether the lease is ours. -> whether it is, and was all the time."""


@attrs.frozen
class Exchange(Effect):
    """One exchange with the vendor, under the lease if there is one, with the newest client secret. -> what it brings.

    Or ``Failed``; or ``LeaseLost`` is raised, and nothing was sent.
    """

    flow: Callable[[Vendor], Flow[Any]]
    single_use: bool = False
    """What is sent is good for one use: it is not repeated where the vendor may have acted on it."""
    idempotent: bool = False
    """What is sent may be repeated at any time: a second answer is as good as the first, and ends nothing."""
    answer: float = 0.0
    """Seconds that an answer is waited for at least, once something is sent."""


@attrs.frozen
class Failed:
    """What came of an exchange that failed."""

    error: Exception
    in_doubt: bool
    """The vendor may have acted on it."""


@attrs.frozen
class Commit(Effect):
    """Write under the lease's number, then hand out. -> the token that holds from now on: another's, if it came later.

    What the store does not take is kept, served and offered on, if it is ``irreplaceable``; else ``StoreError`` is raised.
    """

    token: Token
    lineage: Lineage
    irreplaceable: bool
    number: int = 0
    """0: the lease's."""


@attrs.frozen
class MarkDead(Effect):
    """Write down, for all, that only the user can help, and raise it. -> a token, only if a later one stood in the way."""

    reason: str
    number: int = 0
    """One above what was last looked at, so that what has come since stands; 0: the lease's."""


@attrs.frozen
class Held(Effect):
    """-> whether the lease is this worker's, and for long enough; or was not needed."""


@attrs.frozen
class Forget(Effect):
    """Leave nothing of the token behind, here and in the store. -> False: a later one stands there, and was adopted."""

    reason: str
    """For the mark that only the user can help; empty: no mark is left either, as if there had been nothing."""
    number: int
    session: Session | None


@attrs.frozen
class Serve(Effect):
    """Serve a token that the store has not got, in this process alone."""

    token: Token
    lineage: Lineage


@attrs.frozen
class Release(Effect):
    """Give the lease back and leave ``note``: as it was found, or a new one."""

    note: bytes | Note = attrs.field(default=b"", repr=False)
