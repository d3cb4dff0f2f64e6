"""What is seen of a simulation. What of it excuses that something was lost, ``tests.model.losses`` says.

Here it is noted what became of each answer (``Answer.cut``), in the words below, which are those of the model:

- ``DIED``: its worker was killed before the store had it;
- ``VAIN``: it was lost on its way, came after the time limit, or the vendor acted after the worker had given up;
- ``TROUBLED``: its worker was stopped, or cut off from the store, for long enough that its lease ended (``LONG``): an excuse where
  somebody else was granted that since;
- ``STORE_LOST``: the store lost its data (emptied, or fell back to a replica that was behind) while somebody was asking the
  vendor or had not stored the answer, or before the others had heard of the loss (``UNHEARD``);
- ``NOBODY_HELD``: the store had it and lost it, and nobody who lives and reaches the store held it.

A store that is merely away, however long, excuses nothing; nor does a lost or repeated message to the store, a
vendor's failure that it says it is, a clock, or a cancelled caller.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from linkauth.oauth import wire
from linkauth.protocol import timing
from linkauth.protocol.records import KINDS
from linkauth.store import Record
from linkauth_stores.slot import Slot
from tests.model.losses import Fate, why_lost
from tests.simulation.store import EMPTY
from tests.simulation.vendor import GENERATION, VAIN, Answer, Family, Grant, Refusal, Rotation, refresh_token

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Request
    from tests.simulation.fleet import Worker
    from tests.simulation.loop import Node
    from tests.simulation.world import Simulation

_DECODER = json.JSONDecoder()
DIED = frozenset({"its worker died", "its worker died while closing", "its worker was dead"})
TROUBLED = frozenset({"its worker was stopped", "its worker was cut off from the store"})
STORE_LOST = frozenset(
    {"the store lost its data", "the store lost its lease", "the store lost a lease that was being used"}
)
NOBODY_HELD = frozenset(
    {
        "the store lost its record",
        "the last who held what the store had lost was cut off",
        "who could put back what the store had lost had been cut off from it",
    }
)
LONG = 7.0
"""Seconds: a lease has at least so many left when an answer arrives (15, extended every 5, some spent on the way)."""
UNHEARD = timing.GRACE
"""Seconds in which not everybody has heard that the store lost data, nor put back what it lost; numbers collide."""
HEARD = 8.0
"""Seconds after a login in which somebody may still be told of the logout before it: he asked a store that was slow."""


@attrs.frozen
class Claimed:
    """A lease as it was granted."""

    at: float
    number: int
    epoch: int
    retry_at: float
    """Before then (the store's clock) the fleet has agreed to leave the vendor alone."""


@attrs.define
class Evidence:
    """All that was seen in a simulation so far."""

    sim: Simulation
    open: list[Answer] = attrs.field(factory=list)
    claims: dict[tuple[Node, str], Claimed] = attrs.field(factory=dict)
    flying: dict[Node, str] = attrs.field(factory=dict)
    """Who waits for the vendor's answer, for which key."""
    asked_at: dict[Node, float] = attrs.field(factory=dict)
    """When somebody last asked the vendor for a token."""
    stopped: dict[Node, float] = attrs.field(factory=dict)
    """When a node last thawed, or began to be stopped."""
    slept: dict[Node, float] = attrs.field(factory=dict)
    stepped: dict[Node, float] = attrs.field(factory=dict)
    refreshed: dict[Node, float] = attrs.field(factory=dict)
    """When a caller last asked for a renewal outright."""
    durable_at: dict[str, float] = attrs.field(factory=dict)
    """By access token: when the store first had it."""
    dead_at: dict[str, float] = attrs.field(factory=dict)
    """By key: when the store was told that only the user can help."""
    read: dict[bytes, Any] = attrs.field(factory=dict)
    epoch: int = 0
    """How often the store has lost data."""
    failed_at: dict[tuple[Node, str, str], float] = attrs.field(factory=dict)
    """When the vendor last failed a worker, by what it was asked with."""
    unanswered: dict[tuple[Node, int], str] = attrs.field(factory=dict)
    """By worker and lease: what was sent without an answer."""
    lost_at: float = -1e9
    heard: dict[Node, float] = attrs.field(factory=dict)
    """When a worker last heard that the store may have lost data."""
    set_at: float = -1e9
    """When the store's clock was set."""
    set_back_at: float = 1e9
    """When the store's clock was set back."""
    first_seen: dict[tuple[Node, str], float] = attrs.field(factory=dict)
    """When a worker was first shown a token that it had not fetched, by access token."""
    up_at: float = -1e9
    """When the store was last back, for one or for all."""
    looked_at: dict[tuple[Node, str], float] = attrs.field(factory=dict)
    """When the store last showed a worker a record."""
    put_back_at: dict[str, float] = attrs.field(factory=dict)
    """By account: when a record came back that the store had lost."""
    numbers: dict[str, int] = attrs.field(factory=dict)
    """By key: the highest number given."""
    lost_numbers: dict[str, int] = attrs.field(factory=dict)
    """By key: the highest number given before a loss, by all but the store forgotten."""
    wiped: set[str] = attrs.field(factory=set)
    """Access tokens that the store had, and lost."""
    lost: set[str] = attrs.field(factory=set)
    """Accounts whose session was lost, excused."""
    excused: dict[Family, str] = attrs.field(factory=dict)
    """Why a session may be lost, as it was at the moment at which that was done."""
    left: dict[str, float] = attrs.field(factory=dict)
    """By account: when a logout was asked for, and no login has been stored since."""
    back: dict[str, float] = attrs.field(factory=dict)
    """By account: when a login was stored after that."""
    handing: set[Node] = attrs.field(factory=set)
    """Who was ever handed a session from elsewhere."""
    upset: dict[str, float] = attrs.field(factory=dict)
    """By account: when a login or logout last began or ended."""
    logging_in: dict[Node, float] = attrs.field(factory=dict)
    """When a login last began at a worker."""
    ended: dict[str, int] = attrs.field(factory=dict)
    """By account: tokens of serials below this are of a session that the user has ended, as the store was told."""
    forgotten: dict[str, Family | None] = attrs.field(factory=dict)
    """By account: the session that the last logout found in the store."""
    seen: dict[tuple[Node, str], tuple[int, float]] = attrs.field(factory=dict)
    """By worker and account: what ``ended`` was for the newest record that it has seen, and when."""
    undone: dict[str, int] = attrs.field(factory=dict)
    """By account: the first serial of a login that came late, and gave way to a renewal claimed after it."""
    secrets_cut: set[str] = attrs.field(factory=set)
    """Why the client's newest secret may be lost."""
    rotations: list[Rotation] = attrs.field(factory=list)
    ran_out: dict[Node, float] = attrs.field(factory=dict)
    """When the token that a worker had shown last for a rotation ran out before the vendor got to it; -1: it was no good."""
    stored_secret: int = 0
    secret_stored_at: float = 0.0
    refused_secrets: dict[Node, tuple[tuple[str, int] | None, float, int]] = attrs.field(factory=dict)
    """What a worker was refused with while the store had a newer one, how often the store had failed it; when; how often."""

    def knows_no_time(self, node: Node) -> bool:
        """Whether neither of its clocks tells how long it slept."""
        return node in self.slept and node in self.stepped

    def is_settled(self, key: str, claim: Claimed) -> bool:
        """Whether it was granted by the store as it is now, under a number that was not given before a loss as well.

        Else whoever had that number first puts back what he holds under it, which ends this lease.
        """
        return claim.epoch == self.epoch and claim.number > self.lost_numbers.get(key, 0)

    def no_answer(self, me: Node, request: Request) -> None:
        refresh = refresh_token(request)
        family = self.sim.vendor.family_of(refresh)
        claim = self.claims.get((me, self.sim.keys[family.account])) if family else None
        if claim is not None:
            self.unanswered[me, claim.number] = refresh

    def sent(self, me: Node) -> None:
        self.flying.pop(me, None)

    def leaving(self, account: str) -> None:
        """A logout is asked for."""
        self.left[account] = self.upset[account] = self.sim.loop.now

    def is_out(self, node: Node, account: str, since: float) -> bool:
        """Whether the user logged out, or had not logged in again when somebody on ``node`` asked at ``since``."""
        return account in self.left or since < self.back.get(account, -1e9) + HEARD or node in self.stopped

    def has_left(self, account: str, seconds: float) -> bool:
        """Whether the store says so, for at least as long."""
        out = self.has_by_user(self.sim.store.slot(self.sim.keys[account]))
        return out and self.left.get(account, 0.0) + seconds < self.sim.loop.now

    def saw(self, node: Node, key: str, record: Record | None) -> None:
        """``node`` has read ``record``: from now on it knows of the logout or login that it tells of."""
        account = self.sim.accounts_by_key.get(key)
        if record is None or account is None:
            return
        found = self.reading(key, record.version, record.value)
        if found["kind"] == "reauthorize":
            self.gave_up(node, account)
        else:
            self.first_seen.setdefault((node, self.grant_of(found).access), self.sim.loop.now)
        if self.epoch or not self.sim.comings:
            return
        if found["kind"] == "token":
            serial = self.grant_of(found).serial
            ended = serial - serial % GENERATION
        else:
            ended = self.ended.get(account, 0) if found["by_user"] else 0
        if ended > max(self.seen.get((node, account), (0, 0.0))[0], self.undone.get(account, 0)):
            self.seen[node, account] = (ended, self.sim.loop.now)

    def gave_up(self, node: Node, account: str) -> None:
        """``node`` knows that only the user can help: whatever its callers were given before, it serves no more."""
        worker = self.sim.worker_of(node)
        if worker is not None:
            worker.known.pop(account, None)

    def secret_lost(self) -> bool:
        """Whether nobody needs to have the client's newest secret."""
        late = any(rotation.cut for rotation in self.rotations if rotation.serial > self.stored_secret)
        return self.stored_secret < self.sim.vendor.secret and (late or bool(self.secrets_cut))

    def decided(self, answer: Answer) -> None:
        """The vendor has acted."""
        self.open.append(answer)
        if isinstance(answer, Rotation):
            self.rotations.append(answer)
        by = answer.by
        if not by.alive:
            answer.cut.add("its worker was dead")
        for node, reason, until in self.sim.mischief.troubles:
            if node is by and until > self.sim.loop.now:
                answer.cut.add(reason)
        claim = self._claim_of(answer)
        if isinstance(answer, Grant) and claim is not None:
            answer.lease = claim.number
        if isinstance(answer, Grant) and not answer.refresh:
            answer.began = self.logging_in.get(by, answer.at)
        if claim is not None and claim.epoch != self.epoch:
            answer.cut.add("the store lost its lease")
        worker = self.sim.worker_of(by)
        alone = worker is not None and worker.client.failures and not self.sim.plan.rotates
        if isinstance(answer, Refusal) and ("store" in self.sim.net.down or alone):
            answer.cut.add("the store was away")

    def _claim_of(self, answer: Answer) -> Claimed | None:
        """The lease under which an answer came, as far as its worker's claims tell."""
        if isinstance(answer, Grant):
            return self.claims.get((answer.by, self.sim.keys[answer.account]))
        return next((claim for (node, _), claim in self.claims.items() if node is answer.by), None)

    def answer_lost(self, answer: Answer) -> None:
        if answer in self.open:
            self.sim.tell(answer.by.name, f"  (what the vendor decided is lost: {', '.join(sorted(answer.cut))})")

    def arrived(self, answer: Answer) -> None:
        worker = self.sim.worker_of(answer.by)
        answer.failed_before = worker.client.failures if worker else 0

    def disturb(self, node: Node | None, reason: str, seconds: float) -> None:
        """``node`` (None: the store) is in trouble for ``seconds``."""
        for answer in self.open:
            mine = node is None or answer.by is node
            if mine and ((node is not None and seconds >= LONG) or isinstance(answer, Refusal)):
                answer.cut.add(reason)
        for account, latest in self.sim.vendor.latest.items() if node is not None and seconds >= LONG else ():
            others = [worker for worker in self.holders(account) if worker.node is not node]
            if latest.access in self.wiped and latest.access not in self.durable_at and not others:
                latest.cut.add("the last who held what the store had lost was cut off")

    def data_lost(self, lost: dict[str, Slot], left: dict[str, Slot]) -> None:
        self.epoch += 1
        self.lost_at = self.sim.loop.now
        self.numbers.clear()
        for answer in self.open:
            answer.cut.add("the store lost its data")
        for key, slot in lost.items():
            self.lost_numbers[key] = max(slot.last, self.lost_numbers.get(key, 0))
            if slot.version > left.get(key, EMPTY).version or slot.last > left.get(key, EMPTY).last:
                account = self.sim.accounts_by_key.get(key)
                self.dead_at.pop(key, None)
                held = self.is_held(account or "")
                back = self.serial(left.get(key))
                if account is not None and self.has_by_user(left.get(key)):
                    back = self.ended.get(account, 0) - 1  # what came after that logout is lost
                for grant in self.sim.vendor.grants.values():
                    if grant.account == account and (grant.serial > back or not self.sim.plan.rotates):
                        self.wiped.add(grant.access)
                        self.durable_at.pop(grant.access, None)
                        if not held:
                            grant.cut.add("the store lost its record")
                for family in self.sim.vendor.by_refresh.values():
                    for refusal in family.refusals.values() if family.account == account else ():
                        refusal.cut.add("the store lost its record")
                if account is None:
                    self.secrets_cut.add("the store lost it")
                    self.stored_secret = 0

    def has_by_user(self, slot: Slot | None) -> bool:
        """Whether a slot says that the user has logged out."""
        return slot is not None and slot.value is not None and bool(self.read[slot.value].get("by_user"))

    def is_ahead(self, node: Node, account: str) -> bool:
        """Whether ``node`` knows a higher version than the store has, which lost it, or what the store never had."""
        worker = self.sim.worker_of(node)
        if worker is None:
            return False
        state = worker.credential(account).replica.state
        return not state.stored or state.version > self.sim.store.slot(self.sim.keys[account]).version

    def is_unseen(self, node: Node, key: str, access: str) -> bool:
        """Whether the store had ``access`` only after ``node``'s last look at it."""
        return self.looked_at.get((node, key), -1.0) < self.durable_at.get(access, -1.0)

    def is_held(self, account: str) -> bool:
        """Whether a worker that lives and reaches the store holds the newest token, and nobody asks the vendor."""
        # Where messages get lost, whoever holds it may not listen just then.
        away = self.sim.net.cuts or self.sim.net.down or self.sim.net.loss
        asked = self.sim.keys.get(account) in self.flying.values() or any(
            isinstance(answer, Grant) and answer.account == account for answer in self.open
        )
        if not account or asked or away or not self.sim.plan.user:
            return False
        return any(not worker.node.frozen and not worker.closing for worker in self.holders(account))

    def holders(self, account: str) -> list[Worker]:
        """Who has the newest token."""
        latest = self.sim.vendor.latest.get(account)
        found = []
        for worker in self.sim.workers.values():
            held = worker.credential(account).replica.state.token
            if held is not None and latest is not None and held.access_token == latest.access:
                found.append(worker)
        return found

    def reading(self, key: str, version: int, value: bytes) -> Any:
        found = self.read.get(value)
        if found is None:
            if self.sim.plan.sealed:
                record = self.sim.codec.open(key, Record(version, value))
                kind = next(name for name, known in KINDS.items() if type(record) is known)
                found = {"kind": kind, **wire.unstructure(record)}
            else:
                found = _DECODER.decode(value.decode())
            self.read[value] = found
        return found

    def serial(self, slot: Slot | None) -> int:
        if slot is None or slot.value is None:
            return -1
        found = self.read[slot.value]
        return self.grant_of(found).serial if found["kind"] == "token" else 10**9

    def grant_of(self, found: Any) -> Grant:
        """That of a token's record."""
        grant = self.sim.vendor.grant_of(found["token"])
        assert grant is not None, "a token that nobody was given"
        return grant

    def superseded(self, who: Node) -> None:
        for answer in self.open:
            if answer.by is who and isinstance(answer, Grant):
                answer.overtaken = True

    def fate(self, grant: Grant) -> Fate:
        """What became of an answer, as the model asks. No lease stands for what the user's word brought."""
        word = self.sim.plan.user and not grant.refresh
        overtaken = self.numbers.get(self.sim.keys[grant.account], 0) > grant.lease
        return Fate(
            durable=grant.access in self.durable_at,
            died=bool(grant.cut & DIED),
            unheard=bool(grant.cut & VAIN),
            taken_over=bool(grant.cut & TROUBLED) and overtaken and not word,
            store_lost=bool(grant.cut & STORE_LOST) and not word,
            wiped=grant.access in self.wiped,
            held=not grant.cut & NOBODY_HELD,
        )

    def may_be_lost(self, account: str) -> bool:
        """Whether the loss of ``account``'s session is excused: the model says what may be lost, here is what was seen of it."""
        family = self.sim.vendor.families.get(account)
        if family is None:
            return False
        if self.sim.plan.window > 100 and self.epoch == 0 and not family.late:
            return False  # the spent token may be sent again
        return bool(self.excused.get(family)) or bool(why_lost(self.fate(self.sim.vendor.latest[account])))
