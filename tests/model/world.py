"""Everything at one moment, as values."""

from __future__ import annotations

import math
from typing import Final

import attrs

from linkauth.oauth.token import Secret, Token
from linkauth.protocol.lineage import Entry
from linkauth.store import Granted
from linkauth_stores.slot import Slot
from tests.model.losses import Fate
from tests.model.point import Point
from tests.model.values import serial_in
from tests.model.vendor import Kind, Login, Logout, Rotation, Session
from tests.model.worker import Ended, Known, Outcome

__all__ = [
    "BRINGS_IN",
    "CUT_OFF",
    "LEASE_ENDED",
    "LOGS_IN",
    "LOGS_OUT",
    "LOST_DATA",
    "NOT_HEARD",
    "RENEWS",
    "REPLACES",
    "STOPPED",
    "UNNOTICED",
    "Air",
    "Case",
    "Grant",
    "Kept",
    "Lease",
    "Life",
    "World",
]

STOPPED: Final = "it was stopped"
CUT_OFF: Final = "it was cut off from the store"
LEASE_ENDED: Final = "the store ended its lease"
LOST_DATA: Final = "the store lost its data, and its lease with it"
NOT_HEARD: Final = "the store had lost its data, and it had yet to hear of that"
RENEWS: Final = "renews"
LOGS_IN: Final = "logs in"
LOGS_OUT: Final = "logs out"
BRINGS_IN: Final = "brings in a session that was made elsewhere"
REPLACES: Final = "brings one in, in the place of what is here"
UNNOTICED: Final = frozenset((LEASE_ENDED, LOST_DATA, NOT_HEARD))
"""A worker that goes on cannot know."""


@attrs.frozen(cache_hash=True)
class Lease:
    """A lease as its holder knows it (``engine.lease``)."""

    owner: str
    number: int
    note: bytes
    granted: Granted
    deadline: float
    extend_at: float
    """``inf``: it is not extended any more."""
    used: bool = True
    """Somebody works under it: until something is written, or it is given back."""
    sent: bool = False
    lost: bool = False
    gone: bool = False


@attrs.frozen(cache_hash=True)
class Air:
    """A request to the vendor, and the answer once it has acted."""

    asks: Token | Login | Logout | Rotation | None
    """What is asked with; None: a client's own secret."""
    sent_at: float
    first_at: float
    answer: Token | Secret | Outcome | None = None


@attrs.frozen(cache_hash=True)
class Kept:
    """An answer that the store has yet to take."""

    entry: Entry
    irreplaceable: bool
    offer_at: float = -math.inf
    extend_at: float = -math.inf
    """When the lease is extended under which it came; ``inf``: that is not this worker's any more."""
    above: int = 0
    """The version of a record that stands in the way and is of an earlier token: a claim above that comes first."""


@attrs.frozen(cache_hash=True)
class Life:
    """One worker."""

    name: str
    known: Known
    renewals: int
    """How many more it begins."""
    starts_at: float
    first: Point
    """Where its steps begin."""
    point: Point | None = None
    """Where its steps are; None: none are being taken."""
    since: float = 0.0
    """When the effect was first tried."""
    doing: str = ""
    """How far an effect is that takes more than one step."""
    result: Ended | None = None
    lease: Lease | None = None
    air: Air | None = None
    kept: Kept | None = None
    up: bool = True
    stopped_until: float = -math.inf
    cut_until: float = -math.inf
    """Until then it does not reach the store."""
    refused_until: float = -math.inf
    """Until then the store takes nothing that it writes."""
    hear_by: float = math.inf
    """By then it hears that the store may have lost data."""
    puts_back: Entry | None = None
    """What it is about to put back."""
    claims: int = 0
    began_with: int | None = None
    """What the store had when its steps looked before they claimed, by its serial."""
    failed: bool = False
    """Its last call to the store failed."""
    failures: int = 0
    trouble: frozenset[str] = frozenset()
    """What has happened to it since it was granted the lease."""
    overtaken: bool = False
    """And somebody else has been granted that meanwhile."""

    def is_stopped(self, now: float) -> bool:
        return not self.up or now < self.stopped_until

    def reaches(self, now: float) -> bool:
        return not self.is_stopped(now) and now >= self.cut_until

    @property
    def is_done(self) -> bool:
        return not self.up or (self.point is None and self.renewals == 0)


@attrs.frozen(cache_hash=True)
class Grant:
    """A token, or a secret, that the vendor granted, as the judge sees it."""

    serial: int
    by: int
    of_the_user: bool = False
    """The user brought it, for which no lease stands."""
    arrived: bool = False
    durable: bool = False
    wiped: bool = False
    died: bool = False
    unheard: bool = False
    taken_over: bool = False
    store_lost: bool = False


@attrs.frozen(kw_only=True)
class Case:
    """Where a world begins, and what may happen to it."""

    name: str
    vendor: Kind
    starts: tuple[float, ...] = (0.0, 0.0)
    """By worker: after how many seconds it renews."""
    renewals: int = 1
    """How often each worker renews, or tries to."""
    outright: bool = False
    """A new token is asked for outright (``refresh()``); else another one than the one that is held."""
    age: float = 20.0
    """How old the token is at the beginning, of 60 s."""
    does: tuple[str, ...] = ()
    """By worker; all others renew."""
    fresh: tuple[int, ...] = ()
    """Workers that begin with nothing in their memory."""
    faults: tuple[tuple[str, int], ...] = ()
    slow: float = 0.0
    """Seconds that the vendor may take."""
    loses_all: bool = True
    """What a store that loses data comes back with: nothing; else what it had at the beginning."""
    announces: bool = True
    ended: bool = False
    """The vendor has ended the session before anybody asks."""
    empty: bool = False
    """Nobody has logged in yet."""
    together: int = 99
    """How many faults may happen in one schedule."""

    @property
    def withdraws(self) -> bool:
        """What is brought in is dead, and nobody has brought anything else."""
        return self.ended and self.empty and self.does == (BRINGS_IN,)

    def brings_in(self, who: int) -> bool:
        return self.does_what(who) in {BRINGS_IN, REPLACES}

    def does_what(self, who: int) -> str:
        return self.does[who] if who < len(self.does) else RENEWS


@attrs.frozen(cache_hash=True)
class World:
    case: Case = attrs.field(eq=False)
    now: float
    slot: Slot
    session: Session
    lives: tuple[Life, ...]
    faults: tuple[tuple[str, int], ...] = ()
    together: int = 99
    grants: tuple[Grant, ...] = ()
    dead: frozenset[str] = frozenset()
    """Digests of refresh tokens that the store was told to be dead."""
    refused: frozenset[tuple[int, str | None]] = frozenset()
    """Who was told of which refresh token that it is no good."""
    left: int = -1
    """The newest session that the store was told to be over by the user."""
    withdrawn: int = -1
    """The session that had come in, and was dead."""
    lost_at: float = -math.inf
    beside: tuple[int, int] = (0, -1)
    """The answer that is kept beside the record, for a human: under which number, and of which secret."""
    excuse: str = ""
    """Why the session may be lost, as it was at the moment at which that was done."""
    bad: str = ""

    def fate(self, serial_: int) -> Fate:
        """What became of an answer."""
        grant = next((grant for grant in self.grants if grant.serial == serial_), None)
        if grant is None:  # it was there at the beginning
            return Fate(durable=not self.was_lost, wiped=self.was_lost, held=self.is_held(serial_))
        told = {
            name: getattr(grant, name) for name in ("durable", "wiped", "died", "unheard", "taken_over", "store_lost")
        }
        return Fate(**told, held=self.is_held(serial_))

    @property
    def was_lost(self) -> bool:
        return self.lost_at > -math.inf

    def is_held(self, serial_: int) -> bool:
        return any(life.reaches(self.now) and serial_in(life.known.record) == serial_ for life in self.lives)
