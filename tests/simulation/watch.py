"""The ten promises of the renewal protocol, checked by one who sees everything.

What may be lost: a session dies only where a worker died, or was cut off, between the vendor's answer and the first
durable write. In terms of what is seen here, the answer that nobody has any more was *cut* by one of these:

- its worker was killed, or stopped for long enough that its lease ended (``LONG``);
- it was lost on its way, came after the time limit, or the vendor acted after the worker had given up;
- its worker was cut off from the store for long enough that its lease ended;
- the store lost its data (emptied, or fell back to a replica that was behind) while somebody was asking the vendor or
  had not stored the answer; or nobody who lives and reaches the store held the newest token; or before the others
  had heard of the loss (``UNHEARD``).

A store that is merely away, however long, excuses nothing; nor does a lost or repeated message to the store, a
vendor's failure that it says it is, a clock, or a cancelled caller.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import attrs

from linkauth.engine.records import KINDS
from linkauth.oauth import wire
from linkauth.store import Record
from linkauth_stores.slot import Lease, Slot
from tests.simulation.store import EMPTY
from tests.simulation.vendor import GENERATION, Answer, Family, Grant, Refusal, Rotation, field, refresh_token

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Request
    from linkauth.oauth.token import Token
    from linkauth.store import Granted
    from tests.simulation.fleet import Worker
    from tests.simulation.loop import Node
    from tests.simulation.world import Simulation

_DECODER = json.JSONDecoder()
LONG = 7.0
"""Seconds: a lease has at least so many left when an answer arrives (15, extended every 5, some spent on the way)."""
UNHEARD = 3.0
"""Seconds in which not everybody has heard that the store lost data, nor put back what it lost; numbers collide."""
LEAST_GAP = 0.12
"""Seconds between a failure of the vendor and the next try: a quarter of a second, jittered by a half."""
HEARD = 8.0
"""Seconds after a login in which somebody may still be told of the logout before it: he asked a store that was slow."""
ACTED = 1.0
"""Seconds after it has seen a logout or a login in which a worker may still be on its way to act on it."""
TOLD = 3.5
"""Seconds after the store is back, or a record that it had lost, in which somebody may still be told otherwise: three
tries, and half a second for which a failure is remembered."""
SAME = 1e-10
"""Seconds within which two workers' windows are the same: chance does not bring that about."""
MOST_REFUSALS = 12
"""Requests with dead refresh tokens in one schedule; more is a loop."""


@attrs.frozen
class Claimed:
    """A lease as it was granted."""

    at: float
    number: int
    epoch: int
    retry_at: float
    """Before then (the store's clock) the fleet has agreed to leave the vendor alone."""


@attrs.define
class Watch:
    """``fail`` is told the first promise that is broken."""

    sim: Simulation
    open: list[Answer] = attrs.field(factory=list)
    claims: dict[tuple[Node, str], Claimed] = attrs.field(factory=dict)
    flying: dict[Node, str] = attrs.field(factory=dict)
    """Who waits for the vendor's answer, for which key."""
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
    up_at: float = -1e9
    """When the store was last back."""
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
    left: dict[str, float] = attrs.field(factory=dict)
    """By account: when a logout was asked for, and no login has been stored since."""
    back: dict[str, float] = attrs.field(factory=dict)
    """By account: when a login was stored after that."""
    upset: dict[str, float] = attrs.field(factory=dict)
    """By account: when a login or logout last began or ended."""
    ended: dict[str, int] = attrs.field(factory=dict)
    """By account: tokens of serials below this are of a session that the user has ended, as the store was told."""
    forgotten: dict[str, Family | None] = attrs.field(factory=dict)
    """By account: the session that the last logout found in the store."""
    seen: dict[tuple[Node, str], tuple[int, float]] = attrs.field(factory=dict)
    """By worker and account: what ``ended`` was for the newest record that it has seen, and when."""
    secrets_cut: set[str] = attrs.field(factory=set)
    """Why the client's newest secret may be lost."""
    rotations: list[Rotation] = attrs.field(factory=list)
    stored_secret: int = 0
    refused_secrets: dict[Node, tuple[tuple[str, int] | None, float, int]] = attrs.field(factory=dict)
    """What a worker was refused with while the store had a newer one, how often the store had failed it; when; how often."""

    def fail(self, promise: int, words: str) -> None:
        self.sim.fail(f"promise {promise}: {words}")

    # -- the vendor --------------------------------------------------------------------------------------------------

    def sending(self, me: Node, request: Request) -> None:
        sim = self.sim
        if not request.url.endswith("/token"):
            return
        refresh, login = refresh_token(request), field(request, b"username")
        family = sim.vendor.family_of(refresh) if refresh else None
        account = login or (family.account if family else "default")
        key = sim.keys[account]
        now = sim.loop.now
        claim = self.claims.get((me, key))
        if sim.plan.rotates:
            lease = sim.store.slot(key).lease
            if claim is None:
                self.fail(1, f"{me} asks the vendor without a lease")
                return
            held = lease is not None and lease.number == claim.number and lease.until > sim.store.now()
            other = (
                login and self.epoch
            )  # its lease may have been lost, and the claim be another flight's of this worker
            if not held and not other and self._is_settled(key, claim) and not self._knows_no_time(me):
                self.fail(1, f"{me} asks the vendor and its lease has ended")
            for node, theirs in self.flying.items():
                began = self.claims.get((node, key))
                if theirs != key or node is me or not node.alive or began is None:
                    continue
                stopped = self.stopped.get(node, -1.0) >= began.at
                if not stopped and claim.epoch == self.epoch and self._is_settled(key, began):
                    self.fail(1, f"{me} and {node} ask the vendor at the same time")
            self._check_doubt(me, family, refresh, claim)
        if login:  # by the user's word, whatever the fleet has agreed on
            self.flying[me] = key
            return
        if claim is not None and claim.retry_at > sim.store.now() and claim.epoch == self.epoch:
            self.fail(8, f"{me} asks the vendor {claim.retry_at - sim.store.now():.1f} s before the fleet may")
        if not sim.plan.window and now - self.failed_at.get((me, request.url, refresh), -1e9) < LEAST_GAP:
            self.fail(8, f"{me} asks the vendor again at once, after a failure")
        self.flying[me] = key
        latest = sim.vendor.latest.get(account)
        if claim is None or latest is None or latest.revoked or claim.epoch != self.epoch:
            return
        durable = self.durable_at.get(latest.access)
        fresh = now - latest.at < 0.5 * latest.lifetime
        if self.epoch and sim.comings:
            return  # "logged out" may have had the number that a token has now
        if self.epoch and not sim.plan.rotates and self._is_ahead(me, account):
            return  # its number is of a time before the loss, and nobody puts back what can be had again
        asked_for = self.refreshed.get(me, -1.0) >= latest.at
        late = latest.by in self.stopped  # its estimate of the store's clock errs, to the early side
        if durable is not None and durable < claim.at and fresh and not (asked_for or late):
            self.fail(9, f"{me} renews {latest.access}, which is new and in the store since {durable:.2f}")

    def _knows_no_time(self, node: Node) -> bool:
        """Whether neither of its clocks tells how long it slept."""
        return node in self.slept and node in self.stepped

    def _is_settled(self, key: str, claim: Claimed) -> bool:
        """Whether it was granted by the store as it is now, under a number that was not given before a loss as well.

        Else whoever had that number first puts back what he holds under it, which ends this lease.
        """
        return claim.epoch == self.epoch and claim.number > self.lost_numbers.get(key, 0)

    def _check_doubt(self, me: Node, family: Family | None, refresh: str, claim: Claimed) -> None:
        """What may be spent is spent only when nothing else is left; what is not stored, not at all."""
        sim, now = self.sim, self.sim.loop.now
        if family is None or self.epoch:
            return
        parent = max((g for g in sim.vendor.grants.values() if g.gives == refresh), key=lambda g: g.at)
        stored = any(g.gives == refresh and g.access in self.durable_at for g in sim.vendor.grants.values())
        if not stored and parent.serial:
            self.fail(5, f"{me} spends {refresh}, which the store never had")
        if sim.plan.window:
            return
        if self.unanswered.get((me, claim.number)) == refresh:
            self.fail(2, f"{me} sends {refresh} again, and had no answer the first time")
        good = now < parent.sent + parent.lifetime * 14 / 15 - 5.0
        if refresh in family.spent and good and not {me, parent.by} & (self.stopped.keys() | self.stepped.keys()):
            self.fail(2, f"{me} spends {refresh}, which is in doubt, while {parent.access} is good")

    def no_answer(self, me: Node, request: Request) -> None:
        refresh = refresh_token(request)
        family = self.sim.vendor.family_of(refresh)
        claim = self.claims.get((me, self.sim.keys[family.account])) if family else None
        if claim is not None:
            self.unanswered[me, claim.number] = refresh

    def sent(self, me: Node) -> None:
        self.flying.pop(me, None)

    # -- the user ----------------------------------------------------------------------------------------------------

    def leaving(self, account: str) -> None:
        """A logout is asked for."""
        self.left[account] = self.upset[account] = self.sim.loop.now

    def gone(self, worker: Worker, account: str, before: int) -> None:
        """A logout has returned: nothing of the session that it found is in the store."""
        self.upset[account] = self.sim.loop.now
        slot = self.sim.store.slot(self.sim.keys[account])
        if not self.epoch and self._serial(slot) // GENERATION <= before // GENERATION:
            self.fail(4, f"{worker.node} has logged out {account}, and the store has its token")
        family = self.forgotten.get(account)
        if family is not None and family.alive and not self.epoch and not self.stopped:
            self.fail(4, f"{worker.node} has logged out {account}, and {family.current} is good at the vendor")

    def is_out(self, node: Node, account: str, since: float) -> bool:
        """Whether the user logged out, or had not logged in again when somebody on ``node`` asked at ``since``."""
        return account in self.left or since < self.back.get(account, -1e9) + HEARD or node in self.stopped

    def has_left(self, account: str, seconds: float) -> bool:
        """Whether the store says so, for at least as long."""
        value = self.sim.store.slot(self.sim.keys[account]).value
        out = value is not None and bool(self.read[value].get("by_user"))
        return out and self.left.get(account, 0.0) + seconds < self.sim.loop.now

    def saw(self, node: Node, key: str, record: Record | None) -> None:
        """``node`` has read ``record``: from now on it knows of the logout or login that it tells of."""
        account = self.sim.accounts_by_key.get(key)
        if record is None or account is None or self.epoch:
            return
        found = self._read(key, record.version, record.value)
        if found["kind"] == "token":
            serial = self.sim.vendor.grants[found["token"]["access_token"]].serial
            ended = serial - serial % GENERATION
        else:
            ended = self.ended.get(account, 0) if found["by_user"] else 0
        if ended > self.seen.get((node, account), (0, 0.0))[0]:
            self.seen[node, account] = (ended, self.sim.loop.now)

    def secret_lost(self) -> bool:
        """Whether nobody needs to have the client's newest secret."""
        late = any(rotation.cut for rotation in self.rotations if rotation.serial > self.stored_secret)
        return self.stored_secret < self.sim.vendor.secret and (late or bool(self.secrets_cut))

    def client_refused(self, by: Node, shown: str) -> None:
        """A client secret is no good: whoever showed it looks into the store before the next time."""
        worker = self.sim.worker_of(by)
        if worker is None or self.epoch or self.stored_secret != self.sim.vendor.secret:
            return  # whatever the store has is no good either
        last, since, often = self.refused_secrets.get(by, (None, 0.0, 0))
        now = (shown, worker.client.failures)
        if last != now:
            self.refused_secrets[by] = (now, self.sim.loop.now, 1)
        elif self.sim.loop.now > since + HEARD:
            # Once more is nobody's fault: the store may have been away when it was refused the first time.
            self.refused_secrets[by] = (now, self.sim.loop.now, often + 1)
            if often > 1:
                self.fail(8, f"{by} shows {shown} again and again, and the store has a newer one")

    def _secret_written(self, who: Node, serial: int) -> None:
        if serial < self.stored_secret and not self.epoch:
            self.fail(4, f"{who} overwrites client secret {self.stored_secret} with {serial}")
        self.sim.tell("store", f"has client secret {serial} of {who.name}")
        self.stored_secret = serial
        for answer in [a for a in self.open if isinstance(a, Rotation) and a.serial <= serial]:
            answer.durable = True
            self.open.remove(answer)

    def reuse(self, family: Family, refresh: str, by: Node) -> None:
        child = family.spent.get(refresh)
        if child is None or (self.epoch and family.account in self.left):
            return  # the store lost the logout, and who obeyed it has forgotten what was spent before
        claim = self.claims.get((by, self.sim.keys[family.account]))
        if claim is not None and (claim.epoch != self.epoch or claim.at < self.lost_at + UNHEARD):
            child.cut.add("the store lost a lease that was being used")
        if child.by is by and child.arrived:
            self.fail(2, f"{by} sends {refresh} and has itself had the answer to it")
        elif not child.cut:
            self.fail(2, f"{by} sends {refresh}, spent by {child.by} for {child.gives}, and nothing was cut off")

    def refusing(self, family: Family, refusal: Refusal) -> None:
        before = family.refusals.get(refusal.refresh)
        claim = self.claims.get((refusal.by, self.sim.keys[family.account]))
        dead = self.dead_at.get(self.sim.keys[family.account]) if before is not None and before.durable else None
        self.sim.refusals += 1
        if self.sim.refusals > MOST_REFUSALS:
            self.fail(8, f"{self.sim.refusals} requests with dead refresh tokens: a loop")
        if dead is not None and claim is not None and claim.at > dead:
            self.fail(8, f"{refusal.by} asks about {refusal.refresh}, which the store has as dead since {dead:.2f}")
        worker = self.sim.worker_of(refusal.by)
        alone = worker is not None and worker.client.failures and not self.sim.plan.rotates
        if before is not None and before.arrived and not before.cut and not alone:
            self.fail(8, f"{refusal.by} asks about {refusal.refresh}, and {before.by} had been told that it is dead")

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
        claim = next((c for (node, _), c in self.claims.items() if node is by), None)
        if claim is not None and claim.epoch != self.epoch:
            answer.cut.add("the store lost its lease")
        worker = self.sim.worker_of(by)
        alone = worker is not None and worker.client.failures and not self.sim.plan.rotates
        if isinstance(answer, Refusal) and ("store" in self.sim.net.down or alone):
            answer.cut.add("the store was away")

    def answer_lost(self, answer: Answer) -> None:
        if answer in self.open:
            self.sim.tell(answer.by.name, f"  (what the vendor decided is lost: {', '.join(sorted(answer.cut))})")

    def arrived(self, answer: Answer) -> None:
        worker = self.sim.worker_of(answer.by)
        answer.failed_before = worker.client.failures if worker else 0

    def closed(self, node: Node) -> None:
        for answer in self.open:
            away = "store" in self.sim.net.down or self.sim.store.refuses or self.sim.net.cuts
            away = away or self.sim.loop.now < self.up_at + TOLD  # its last tries began before
            kind = Grant if self.sim.plan.rotates else Rotation
            mine = answer.by is node and isinstance(answer, kind | Rotation)
            fenced = isinstance(answer, Grant) and answer.overtaken  # the store has said that somebody claimed later
            if mine and answer.arrived and not (answer.cut or away or fenced):
                self.fail(5, f"{node} was closed with an answer that the store has not")

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    def disturb(self, node: Node | None, reason: str, seconds: float) -> None:
        """``node`` (None: the store) is in trouble for ``seconds``."""
        for answer in self.open:
            mine = node is None or answer.by is node
            if mine and ((node is not None and seconds >= LONG) or isinstance(answer, Refusal)):
                answer.cut.add(reason)
        for account, latest in self.sim.vendor.latest.items() if node is not None and seconds >= LONG else ():
            others = [worker for worker in self._holders(account) if worker.node is not node]
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
                held = not self.open and self._is_held(account or "")
                back = self._serial(left.get(key))
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

    def _is_ahead(self, node: Node, account: str) -> bool:
        """Whether ``node`` knows a higher version than the store has, which lost it, or what the store never had."""
        worker = self.sim.worker_of(node)
        if worker is None:
            return False
        holding = worker.credential(account).ledger.holding
        return not holding.stored or holding.version > self.sim.store.slot(self.sim.keys[account]).version

    def _is_held(self, account: str) -> bool:
        """Whether a worker that lives and reaches the store holds the newest token, and nobody asks the vendor."""
        # Where messages get lost, whoever holds it may not listen just then.
        away = self.sim.net.cuts or self.sim.net.down or self.sim.net.loss
        if self.flying or away or not self.sim.plan.rotates:
            return False
        return any(not worker.node.frozen and not worker.closing for worker in self._holders(account))

    def _holders(self, account: str) -> list[Worker]:
        """Who has the newest token."""
        latest = self.sim.vendor.latest.get(account)
        found = []
        for worker in self.sim.workers.values():
            held = worker.credential(account).ledger.holding.token
            if held is not None and latest is not None and held.access_token == latest.access:
                found.append(worker)
        return found

    def _read(self, key: str, version: int, value: bytes) -> Any:
        found = self.read.get(value)
        if found is None:
            if self.sim.plan.sealed:
                record = self.sim.envelope.open(key, Record(version, value))
                kind = next(name for name, known in KINDS.items() if type(record) is known)
                found = {"kind": kind, **wire.unstructure(record)}
            else:
                found = _DECODER.decode(value.decode())
            self.read[value] = found
        return found

    def _serial(self, slot: Slot | None) -> int:
        if slot is None or slot.value is None:
            return -1
        found = self.read[slot.value]
        return self.sim.vendor.grants[found["token"]["access_token"]].serial if found["kind"] == "token" else 10**9

    # -- the store ---------------------------------------------------------------------------------------------------

    def granted(self, who: Node, key: str, before: Slot, answer: Granted) -> None:
        known = self.claims.get((who, key))
        if known is None or known.number != answer.number or known.epoch != self.epoch:
            if answer.number <= self.numbers.get(key, 0):
                self.fail(4, f"{who} is given number {answer.number}, which somebody had before: it fences nobody")
            self.numbers[key] = answer.number
            retry_at = json.loads(answer.note).get("retry_at", 0.0) if answer.note else 0.0
            self.claims[who, key] = Claimed(self.sim.loop.now, answer.number, self.epoch, retry_at)

    def returned(self, who: Node, number: int, lease: Lease) -> None:
        if lease.number != number:
            self.fail(4, f"{who} gives back lease {lease.number} with its own number {number}")

    def superseded(self, who: Node) -> None:
        for answer in self.open:
            if answer.by is who and isinstance(answer, Grant):
                answer.overtaken = True

    def written(self, who: Node, key: str, before: Slot, after: Slot) -> None:
        sim, now = self.sim, self.sim.loop.now
        if after.version < before.version:
            self.fail(4, f"{who} overwrites version {before.version} with {after.version}")
        account = sim.accounts_by_key.get(key)
        if after.value is None:
            if account is not None:
                self.fail(4, f"{who} deletes the record")
            return
        new = self._read(key, after.version, after.value)
        if account is None:
            if new["kind"] == "secret":
                self._secret_written(who, int(new["client_secret"].removeprefix("secret-")))
            elif (claim := self.claims.get((who, key))) is None or claim.number != after.version:
                self.fail(1, f"{who} ends a round of keep-alive that is another's")
            return
        old = self._read(key, before.version, before.value) if before.value else None
        held = sim.vendor.grants.get(old["token"]["access_token"]) if old and old["kind"] == "token" else None
        if new["kind"] == "token":
            grant = sim.vendor.grants[new["token"]["access_token"]]
            sim.tell("store", f"has {grant.access} of {who.name} as version {after.version}")
            if grant.account != account:
                self.fail(10, f"{who} writes {grant.account}'s token under {account}'s key")
            grant.overtaken = grant.overtaken or self.numbers.get(key, 0) > after.version
            # A renewal that was claimed when a login's lease had ended goes before it.
            late = held is not None and not held.refresh and (held.overtaken or bool(self.epoch))
            late = late or bool(self.epoch and not sim.plan.rotates)  # nobody puts back what can be had again
            if held is not None and held.serial > grant.serial:
                if not late:
                    self.fail(4, f"{who} overwrites {held.gives} with {grant.gives}, which is older")
                self.seen = {seen: what for seen, what in self.seen.items() if seen[1] != account}
            if grant.serial < self.ended.get(account, 0) and not self.epoch:
                self.fail(4, f"{who} brings {grant.gives} back, whose session the user has ended")
            self.durable_at.setdefault(grant.access, now)
            self.dead_at.pop(key, None)
            if self.epoch and before.value is None:
                self.put_back_at[account] = now
            login = grant.refresh == "" and grant.access not in self.wiped  # else one of before is put back
            if account in self.left and grant.serial >= self.ended.get(account, 0) and login:
                del self.left[account]
                self.back[account] = now
            for answer in [a for a in self.open if isinstance(a, Grant) and a.account == account]:
                if answer.serial <= grant.serial:
                    answer.durable = True
                    self.open.remove(answer)
            return
        sim.tell("store", f"is told by {who.name} that only the user can help")
        self.dead_at[key] = now
        if new["by_user"]:
            self.left[account] = now
            family = sim.vendor.by_refresh[held.gives] if held is not None else None
            self.forgotten[account] = family if held is not None and family and family.current == held.gives else None
            logins = [a for a in self.open if isinstance(a, Grant) and a.account == account and not a.refresh]
            # The logout was stopped for longer than its lease: a login that was claimed meanwhile comes after it.
            later = [a for a in logins if self.claims[a.by, key].number > after.version]
            serial = sim.vendor.families[account].serial
            self.ended[account] = min([a.serial for a in later] or [serial // GENERATION * GENERATION + GENERATION])
            self.open = [a for a in self.open if not (isinstance(a, Grant) and a.account == account) or a in later]
        elif held is not None:
            family = sim.vendor.by_refresh[held.gives]
            replaced = self.epoch and family is not sim.vendor.families[account]  # the later login's record was lost
            # Who was stopped for longer than its lease has come back after the look at the store that followed the refusal.
            refused, looked = family.refusals.get(held.refresh), self.looked_at.get((who, key), -1.0)
            late = held.cut and refused and refused.at < looked < self.durable_at.get(held.access, -1.0)
            if family.alive and held.gives == family.current and now < family.lapses and not (replaced or late):
                self.fail(4, f"{who} buries {held.gives}, which is alive")
        for answer in [a for a in self.open if isinstance(a, Refusal)]:
            if (family := sim.vendor.by_refresh.get(answer.refresh)) is not None and answer.refresh in family.refusals:
                answer.durable = True
                self.open.remove(answer)

    # -- the callers -------------------------------------------------------------------------------------------------

    def handed(self, worker: Worker, account: str, token: Token, began: float, valid: Grant | None) -> None:
        sim, now, node = self.sim, self.sim.loop.now, worker.node
        grant = sim.vendor.grants.get(token.access_token)
        if grant is None or grant.account != account:
            self.fail(10, f"a caller on {node} asked for {account} and got {token.access_token}")
            return
        ended, saw = self.seen.get((node, account), (0, 0.0))
        if grant.serial < ended and began > saw + ACTED and not self.epoch:
            self.fail(
                4, f"a caller on {node} got {grant.access}, of a session that it knows to have ended since {saw:.2f}"
            )
        stopped = self.stopped.get(node, -1.0) >= began
        if now >= grant.expires and not stopped and not self._knows_no_time(node):
            self.fail(7, f"a caller on {node} was given {grant.access}, which expired at {grant.expires:.2f}")
        if grant.access not in self.durable_at and grant.access not in self.wiped:
            # Step 5: the store would not take it, or could not be asked whether the winner is one that died of it.
            failed = worker.client.failures > grant.failed_before
            if not (failed or (not sim.plan.rotates and worker.client.failures)):
                self.fail(3, f"a caller on {node} was given {grant.access}, and the store never had it")
        troubled = (
            node in self.stepped
            or node in self.stopped
            or grant.by in self.stopped
            or (valid is not None and valid.by in self.stopped)
        )  # their estimates of the store's clock err more, to the early side
        if valid is not None and now > began and not troubled:
            self.fail(7, f"a caller on {node} waited {now - began:.2f} s while {valid.access} was good")

    def may_be_lost(self, account: str) -> bool:
        """Whether the loss of ``account``'s session is excused."""
        family = self.sim.vendor.families.get(account)
        if family is None:
            return False
        if self.sim.plan.window > 100 and self.epoch == 0 and not family.late:
            return False  # the spent token may be sent again
        return any(grant.cut for grant in self.sim.vendor.grants.values() if grant.account == account)

    def needs_user(self, node: Node, account: str, words: str, began: float) -> None:
        value = self.sim.store.slot(self.sim.keys[account]).value
        if value is not None and self.read[value].get("spent") and self.may_be_lost(account):
            self.lost.add(account)  # though it may be the user's doing as well
        if self.sim.comings and self.is_out(node, account, began):
            return
        latest, looked = self.sim.vendor.latest[account], self.looked_at.get((node, self.sim.keys[account]), -1.0)
        if began <= looked < self.durable_at.get(latest.access, -1.0):
            return  # it looked, for this very caller, before the store had what there is now
        lost = self.epoch and self.sim.store.slot(self.sim.keys[account]).value is None
        back = began < self.put_back_at.get(account, -1e9) + TOLD
        if (lost or back) and self._holders(account):
            return  # who never had a token cannot know of a store that lost it; whoever asks next puts it back
        if self.may_be_lost(account):
            self.lost.add(account)
        else:
            self.fail(5, f"{node} sends for the user, and nothing was cut off: {words}")

    def at_the_end(self, workers: list[Worker]) -> None:
        """Promise 5: what arrived at somebody who lives is in the store."""
        for account, latest in self.sim.vendor.latest.items():
            family = self.sim.vendor.families[account]
            mine = any(worker.node is latest.by for worker in workers)
            if family.alive and latest.arrived and mine and account not in self.lost and self.sim.plan.rotates:
                slot = self.sim.store.slot(self.sim.keys[account])
                if account in self.left or (not latest.refresh and (self.epoch or latest.cut or latest.overtaken)):
                    continue  # logged out; or a login that another one took the place of
                if self._serial(slot) < latest.serial:
                    self.fail(5, f"{latest.by} had {latest.gives}, and the store has not")
        if self.stored_secret < self.sim.vendor.secret and not self.secret_lost():
            self.fail(5, f"client secret {self.sim.vendor.secret} is nowhere")
        for worker in workers:
            for kept in worker.host.escrow.kept.values():
                if kept.key not in self.sim.accounts_by_key and self.sim.store.slot(kept.key).version >= kept.number:
                    continue  # a client secret that was replaced since
                self.fail(5, f"{worker.node}'s escrow has an answer, number {kept.number}, that nobody looks at")
        self._check_spread(workers)

    def _check_spread(self, workers: list[Worker]) -> None:
        """Two workers never begin to renew at the very same moment."""
        leads: dict[str, list[float]] = {}
        for worker in workers:
            for account in self.sim.plan.accounts:
                holding = worker.credential(account).ledger.holding
                if holding.token is not None:
                    leads.setdefault(holding.token.access_token, []).append(holding.windows.end - holding.soft)
        for access, found in leads.items():
            found.sort()
            if any(later - sooner < SAME for sooner, later in itertools.pairwise(found)):
                self.fail(1, f"two workers would renew {access} at the same moment")
