"""What one worker knows of one credential: a value that does not change. Whatever is learned makes another one.

Every record enters by ``observe``, whoever brought it: a look, a claim, an answer, a login, a refusal's mark. Which of two is later
``lineage`` says, so that the order in which they arrive does not matter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from linkauth.protocol import timing
from linkauth.protocol.freshness import NEVER, Verdict, Windows, windows
from linkauth.protocol.lineage import UNKNOWN, Entry, Lineage, supersedes
from linkauth.protocol.records import CredentialRecord, DeadRecord, TokenRecord

if TYPE_CHECKING:
    from linkauth.errors import LinkAuthError
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import StoreTime

__all__ = ["CredentialState", "Habits"]


@attrs.frozen(kw_only=True)
class Habits:
    """What a credential's vendor says of all its tokens."""

    refresh_ahead: float | None = None
    """Seconds before its end at which a token is renewed; None: the default."""
    needs_user: bool = False
    """A token without a refresh token cannot be renewed."""
    rotates: bool = False
    renews_late: bool = False
    """A renewal ends the token before it: nobody serves one any more that somebody else may be renewing."""


def _token(state: CredentialState) -> Token | None:
    return state.record.token if isinstance(state.record, TokenRecord) else None


def _soft(state: CredentialState) -> float:
    return state.windows.soft


def _wall_limit(state: CredentialState) -> float:
    return state.windows.soft + state.ahead + timing.LEAST_JUMP


@attrs.frozen(kw_only=True)
class CredentialState:
    """The newest record that is known, what it is good for, and the last failure. Moments are monotonic, in seconds."""

    habits: Habits = Habits()
    record: CredentialRecord | None = None
    """A token stays when it has expired: its refresh token is what renews it."""
    version: int = 0
    """The newest record's version that this worker knows of."""
    stored: bool = True
    """Whether the store has this record."""
    windows: Windows = NEVER
    ahead: float = 0.0
    """By how much the wall clock was ahead of the monotonic one when the windows were computed."""
    epoch: int = 0
    """That of this host's clocks (``Epoch.host``) that the windows were computed in."""
    first_seen: float = math.inf
    """When this token was first read: from then on it is good for its own lifetime at the most."""
    new_until: float = -math.inf
    """Who asked for a new token up to this moment has it with this one: it was sent for after that, or was in the air then."""
    failure: LinkAuthError | None = attrs.field(default=None, repr=False)
    failures: int = 0
    retry_at: float = -math.inf
    """Not before this moment is anything tried again."""

    # What the hit path looks at, where it finds it at once:
    token: Token | None = attrs.field(init=False, default=attrs.Factory(_token, takes_self=True))
    soft: float = attrs.field(init=False, default=attrs.Factory(_soft, takes_self=True))
    wall_limit: float = attrs.field(init=False, default=attrs.Factory(_wall_limit, takes_self=True))
    """The wall clock past this, with the monotonic one before ``soft``: time passed unnoticed."""

    # -- what is known ---------------------------------------------------------------------------------------------

    @property
    def entry(self) -> Entry[CredentialRecord] | None:
        """The record and its version."""
        return None if self.record is None else Entry(self.record, self.version)

    @property
    def lineage(self) -> Lineage:
        """Where the record comes from, a mark included."""
        return UNKNOWN if self.record is None else Lineage(self.record.session, self.record.generation)

    @property
    def dead(self) -> str:
        """Why only the user can help; empty: there is hope."""
        return self.record.reason if isinstance(self.record, DeadRecord) else ""

    def judge(self, now: float) -> Verdict:
        """What to do at ``now``."""
        return Verdict.WAIT if self.token is None else self.windows.judge(now)

    def is_outdated(self, epoch: int) -> bool:
        """Whether, in this ``epoch`` of the host's clocks, time may have passed that the windows know nothing of."""
        return self.token is not None and not math.isinf(self.windows.end) and self.epoch != epoch

    def unexpired(self, now: float) -> bool:
        """Whether the token may still be used at ``now`` when nothing better can be had."""
        return self.token is not None and now < self.windows.end

    def supersedes(self, entry: Entry[CredentialRecord], store_now: float) -> bool:
        """Whether ``entry`` comes after what is known. ``store_now``: the store's clock, Unix seconds."""
        if isinstance(entry.record, TokenRecord) and self._is_alone():
            # Fetched for this process alone, its times may be by this host's clock: whatever serves takes its place, and what
            # the user has brought since, whether it still serves or not.
            own, session = self.lineage.session, entry.record.session
            since = session is not None and own is not None and session > own
            return entry.number > self.version and (since or entry.record.token.expires_at > store_now)
        return supersedes(entry, self.entry)

    def _is_alone(self) -> bool:
        """Whether what the store has not got was fetched without it."""
        return self.token is not None and not self.stored and not self.habits.rotates

    # -- what is learned -------------------------------------------------------------------------------------------

    def observe(
        self, entry: Entry[CredentialRecord], time: StoreTime, spread: float, *, stored: bool = True
    ) -> CredentialState:
        """After a look at ``entry``: it is known from now on, if it comes after what is known.

        ``spread``: from 0 up to 1, for ``soft``. ``stored``: whether the store has it.
        """
        if self.supersedes(entry, time.now):
            return self._knowing(entry, time, spread, stored=stored)
        if entry == self.entry:
            return attrs.evolve(self, stored=self.stored or stored).placed(time, spread)
        return self

    def alone(self, record: TokenRecord, time: StoreTime, spread: float) -> CredentialState:
        """With a token that was fetched without the store: it says nothing of the order of what is stored."""
        return self._knowing(Entry(record, self.version), time, spread, stored=False)

    def _knowing(
        self, entry: Entry[CredentialRecord], time: StoreTime, spread: float, *, stored: bool
    ) -> CredentialState:
        if isinstance(entry.record, DeadRecord):
            return self._without_token(entry.record, entry.number, stored=stored)
        token = entry.record.token
        known = attrs.evolve(self, record=entry.record, version=entry.number, stored=stored)
        if token != self.token:  # else it was only written anew: reading it again makes it no younger
            # From the future: a clock was set back, and nobody knows what was sent for when.
            new = time.latest(token.issued_at) if token.issued_at <= time.now else -math.inf
            known = attrs.evolve(known, first_seen=time.before, new_until=new)
        return known.placed(time, spread).succeeded()

    def refused(
        self, mark: DeadRecord, version: int, of: Entry[CredentialRecord] | None, *, stored: bool = True
    ) -> CredentialState:
        """``of`` is no good any more, as ``mark`` says: unless something came meanwhile that this does not speak of."""
        if self.entry != of and not supersedes(Entry(mark, version), self.entry):
            return self
        return self._without_token(mark, version, stored=stored)

    def forgotten(self, version: int) -> CredentialState:
        """Nothing is known any more; ``version``: the one that was deleted."""
        return self._without_token(None, version, stored=True)

    def _without_token(self, mark: DeadRecord | None, version: int, *, stored: bool) -> CredentialState:
        bare = CredentialState(habits=self.habits, record=mark, version=version, stored=stored)
        return attrs.evolve(bare, failure=self.failure, failures=self.failures, retry_at=self.retry_at)

    def not_served(self) -> CredentialState:
        """The token is not served any more, whatever its times say."""
        return attrs.evolve(self, windows=NEVER)

    def placed(self, time: StoreTime, spread: float) -> CredentialState:
        """With the token's windows by a look at the store's clock; ``spread`` as in ``observe``."""
        if self.token is None:
            return self
        # What cannot be renewed is served to its end.
        lead = self.habits.refresh_ahead if self.token.refresh_token or not self.habits.needs_user else 0.0
        placed = windows(self.token, time, lead, spread, self.first_seen)
        if self.habits.renews_late:
            placed = attrs.evolve(placed, soft=placed.hard)
        # Counted from the look, not from now: the machine may have slept between the two.
        return attrs.evolve(self, windows=placed, ahead=time.ahead, epoch=time.epoch.host)

    def slept(self, ahead: float, epoch: int) -> CredentialState:
        """With no store to ask: as much time has passed as the wall clock says, which is ``ahead`` of the monotonic one now."""
        passed = max(ahead - self.ahead, 0.0)
        old, first = self.windows, self.first_seen - passed
        shifted = Windows(old.soft - passed, old.hard - passed, old.end - passed)
        return attrs.evolve(self, windows=shifted, first_seen=first, ahead=ahead, epoch=epoch)

    def new_since(self, moment: float) -> CredentialState:
        """Who asked for a new token up to ``moment`` has it with this one."""
        return attrs.evolve(self, new_until=moment)

    def failed(self, error: LinkAuthError, until: float) -> CredentialState:
        """Nothing is tried again before the moment ``until``."""
        return attrs.evolve(self, failure=error, failures=self.failures + 1, retry_at=until)

    def succeeded(self) -> CredentialState:
        """The last failure is forgotten."""
        return attrs.evolve(self, failure=None, failures=0, retry_at=-math.inf)
