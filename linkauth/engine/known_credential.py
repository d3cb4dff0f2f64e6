"""What this worker knows of one credential: one frozen value, replaced as a whole, and what that is good for now."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from linkauth.engine.replica import Replica
from linkauth.engine.valid_token import NONE, valid_token
from linkauth.errors import CorruptRecord, ReauthorizationRequired
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.lineage import UNKNOWN, Entry, Lineage
from linkauth.protocol.records import DeadRecord, TokenRecord
from linkauth.protocol.session_end import hopeless
from linkauth.protocol.state import CredentialState, Habits

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.context import EngineContext
    from linkauth.engine.valid_token import Holder
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import Verdict
    from linkauth.protocol.records import CredentialRecord, StoredRecord
    from linkauth.store import Record
    from linkauth.vendors.vendor import Vendor

__all__ = ["KnownCredential"]


class KnownCredential(Replica):
    """The token, or the mark, that this worker holds of one credential's record, in ``state``."""

    __slots__ = ("account", "credential", "state", "vendor")

    def __init__(
        self, context: EngineContext, key: str, ttl: float, vendor: Vendor, account: str, credential: Holder
    ) -> None:
        """``credential``: hands the token out, and goes with the error that sends for the user."""
        super().__init__(context, key, ttl)
        self.vendor = vendor
        self.account = account
        ahead = context.refresh_ahead if vendor.refresh_ahead is None else vendor.refresh_ahead
        self.state = _nothing_known(ahead, vendor.needs_user, vendor.rotation.rotates, vendor.rotation.ends_access)
        self.credential = credential

    @property
    def name(self) -> str:
        """As for any record."""
        return f"{self.vendor.name}/{self.account}"

    def current(self) -> Token:
        """The token that is held."""
        if self.state.token is None:
            raise self.reauthorization(self.state.dead or "there is no token")
        return self.state.token

    def reauthorization(self, reason: str) -> ReauthorizationRequired:
        """The error that sends for the user."""
        message = f"{self.vendor.name}/{self.account}: {reason}; the user must log in or pair again"
        return ReauthorizationRequired(message, credential=self.credential)

    def held(self) -> Entry[CredentialRecord] | None:
        """What this worker holds of the record."""
        return self.state.entry

    def is_newer_than(self, version: int) -> bool:
        """Whether a store that has ``version`` has lost what is held here."""
        return self.state.record is not None and self.state.stored and self.state.version > version

    def entry(self, record: Record) -> Entry[CredentialRecord]:
        """As for any record; of another kind it is corrupt."""
        found = self.context.codec.open(self.key, record)
        if not isinstance(found, TokenRecord | DeadRecord):
            raise CorruptRecord(f"record {self.key} (version {record.version}) is of another kind than its key")
        return Entry(found, record.version)

    def supersedes(self, record: Record) -> bool:
        """Whether ``record`` comes after what is held (``lineage``); of what cannot be read the number tells."""
        try:
            found = self.entry(record)
        except CorruptRecord:
            return record.version > self.state.version
        return self.state.supersedes(found, self.context.clock.store_now())

    def lineage_over(self, record: Record | None) -> Lineage:
        """As ``protocol.worker`` says. What is held, under its own number, is not opened for it."""
        own = self.state.lineage
        if record is None or record.version <= self.state.version:
            return own
        try:
            return own.over(self.entry(record).record)
        except CorruptRecord:
            return own

    def is_later(self, record: Record) -> bool:
        """As ``supersedes``; but what is held, under another number, is not."""
        try:
            found = self.entry(record)
        except CorruptRecord:
            return False
        return self.supersedes(record) and found.record != self.state.record

    def hopeless(self, token: Token | None) -> str:
        """Why there is no way to another token than from the user; empty: there is one."""
        return hopeless(self.vendor, token, self.context.clock.store_now())

    # -- knowing ---------------------------------------------------------------------------------------------------

    def learn(self, change: Callable[[CredentialState], CredentialState]) -> bool:
        """Replace what is known by what ``change`` makes of it. Whether that is of another record."""
        with self.context.learning:
            before, self.state = self.state, change(self.state)
            self.credential.forget()
            return self.state.entry != before.entry

    def observe(self, entry: Entry[CredentialRecord], time: StoreTime, *, stored: bool = True) -> bool:
        """After a look at a record, whoever brought it: know it, if it comes later. Whether it did."""
        time, spread = self._present(time), self._spread()
        return self.learn(lambda state: state.observe(entry, time, spread, stored=stored))

    def announced(self, version: int) -> None:
        """Somebody has written since: where only the user could help he may have, so that is not answered from memory any more."""
        if version > self.state.version and isinstance(self.state.failure, ReauthorizationRequired):
            self.learn(lambda state: state.succeeded())

    def deleted(self, held: Entry[StoredRecord]) -> None:
        """As for any record."""
        self.learn(lambda state: state.forgotten(held.number) if state.entry == held else state)

    def hold(self, token: Token) -> None:
        """Serve ``token``, which has no end and which the store never sees."""
        entry, time = self._entry(token, 0, UNKNOWN), StoreTime(now=0.0, before=0.0, after=0.0)  # whatever time it is
        self.learn(lambda state: state.observe(entry, time, 0.0))

    def serve_alone(self, token: Token, lineage: Lineage, time: StoreTime) -> None:
        """Serve what the store has not got. ``time``: the clock that its times are by, this host's where the store was away."""
        time, spread = self._present(time), self._spread()
        record = self._record(token, lineage)
        self.learn(lambda state: state.alone(record, time, spread).new_since(time.after))

    def new_since(self, moment: float) -> None:
        """Who asked for a new token up to ``moment`` (monotonic) has it with the one that is held."""
        self.learn(lambda state: state.new_since(moment))

    def serve(self) -> Token | None:
        """The token that is held, where nothing is to be done about it yet; so it is handed out for a while."""
        state, clock = self.state, self.context.clock
        if state.token is None or clock.monotonic() >= state.soft or clock.wall() >= state.wall_limit:
            return None
        self.hand_out(state, state.soft, state.wall_limit)
        return state.token

    def hand_out(self, state: CredentialState, until: float, wall_until: float = math.inf) -> None:
        """Nothing is to be done about the token of ``state`` before ``until`` (monotonic) unless something is learned."""
        token, clock = state.token, self.context.clock
        self.credential.valid = NONE if token is None else valid_token(token, clock, until, wall_until)
        if self.state is not state:  # another thread's loop has learned something meanwhile
            self.credential.valid = NONE

    def judge(self) -> Verdict:
        """What the token is good for now."""
        return self.state.judge(self.context.clock.monotonic())

    def unexpired(self) -> bool:
        """Whether the token may still be used when nothing better can be had."""
        clock, state = self.context.clock, self.state
        if state.token is None:
            return False
        # Time that passed unnoticed counts here, where there is no margin left.
        return state.unexpired(clock.monotonic() + clock.missed(state.ahead, state.epoch))

    def jumped(self) -> bool:
        """Whether the token's windows are not to be believed, for the clocks have jumped since they were computed."""
        return self.state.token is not None and self.state.is_outdated(self.context.clock.epoch.host)

    def believe_wall(self) -> None:
        """After a jump with no store to ask: count what the wall clock says has passed."""
        now = self.context.clock.glance()
        self.learn(lambda state: state.slept(now.ahead, now.epoch.host))

    def _place(self, time: StoreTime) -> None:
        time, spread = self._present(time), self._spread()
        self.learn(lambda state: state.placed(time, spread))

    def _present(self, time: StoreTime) -> StoreTime:
        """A look as seen from now: an answer may have come long after it."""
        return time.later(self.context.clock.monotonic())

    def _spread(self) -> float:
        return self.context.world.random.random()

    # -- as it is written -------------------------------------------------------------------------------------------

    def _entry(self, token: Token, number: int, lineage: Lineage) -> Entry[TokenRecord]:
        return Entry(self._record(token, lineage), number)

    def _record(self, token: Token, lineage: Lineage) -> TokenRecord:
        return TokenRecord(
            vendor=self.vendor.name,
            account=self.account,
            token=token,
            client_id=getattr(self.vendor, "client_id", ""),
            session=lineage.session,
            generation=lineage.generation,
        )


@lru_cache(maxsize=1000)
def _nothing_known(ahead: float | None, needs_user: bool, rotates: bool, renews_late: bool) -> CredentialState:  # noqa: FBT001  # the cache knows no names
    """How every credential of a vendor begins: one value for all of them."""
    habits = Habits(refresh_ahead=ahead, needs_user=needs_user, rotates=rotates, renews_late=renews_late)
    return CredentialState(habits=habits)
