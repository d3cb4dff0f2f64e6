"""The ten promises of the renewal protocol, checked by one who sees everything. What excuses a loss: ``evidence``."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import attrs

from linkauth.protocol import timing
from linkauth_stores.slot import Lease, Slot
from tests.model.losses import why_lost
from tests.simulation.evidence import HEARD, UNHEARD, Claimed, Evidence
from tests.simulation.store import TRIES, TRY
from tests.simulation.vendor import GENERATION, VAIN, Family, Grant, Refusal, Rotation, field, refresh_token

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Request
    from linkauth.oauth.token import Token
    from linkauth.store import Granted
    from tests.simulation.fleet import Worker
    from tests.simulation.loop import Node

LEAST_GAP = 0.12
"""Seconds between a failure of the vendor and the next try: a quarter of a second, jittered by a half."""
ACTED = 1.0
"""Seconds after it has seen a logout or a login in which a worker may still be on its way to act on it."""
TOLD = TRIES * TRY + timing.FAILED_AGAIN
"""Seconds after the store is back, or a record that it had lost, in which somebody may still be told otherwise: three
tries, and half a second for which a failure is remembered."""
PATIENT = timing.GRACE - timing.LOSS_SPREAD
"""Seconds after a store's return in which whoever saw it come back without a session sends for nobody."""
NEAR = 1.0
"""Seconds that lie between a login's claim and its request, at the most."""
ROUNDED = 1e-6
"""Seconds that sums of times may be off."""
SAME = 1e-10
"""Seconds within which two workers' windows are the same: chance does not bring that about."""
MOST_REFUSALS = 12
"""Requests with dead refresh tokens in one schedule; more is a loop."""


@attrs.define
class Judge(Evidence):
    """``fail`` tells the simulation of the first promise that is broken."""

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
        self.asked_at[me] = now = sim.loop.now
        claim = self.claims.get((me, key))
        if login:  # the user needs no lease, where a renewal takes long, and heeds nothing that the fleet agreed on
            return
        if sim.plan.rotates:
            lease = sim.store.slot(key).lease
            if claim is None:
                self.fail(1, f"{me} asks the vendor without a lease")
                return
            held = lease is not None and lease.number == claim.number and lease.until > sim.store.now()
            if not held and self.is_settled(key, claim) and not self.knows_no_time(me):
                self.fail(1, f"{me} asks the vendor and its lease has ended")
            for node, theirs in self.flying.items():
                began = self.claims.get((node, key))
                if theirs != key or node is me or not node.alive or began is None:
                    continue
                # From before a loss, what is seen here as its claim may be another flight's of this worker.
                late = self.stopped.get(node, -1.0) >= began.at or self.asked_at[node] <= self.lost_at
                if not late and claim.epoch == self.epoch and self.is_settled(key, began):
                    self.fail(1, f"{me} and {node} ask the vendor at the same time")
            self._check_doubt(me, family, refresh, claim)
            heard = self.heard.get(me, -1e9)
            if not login and heard <= claim.at < heard + timing.GRACE - ROUNDED and me not in self.slept:
                self.fail(2, f"{me} claims {claim.at - heard:.2f} s after it heard that the store may have lost data")
        if claim is not None and claim.retry_at > sim.store.now() and claim.epoch == self.epoch:
            self.fail(8, f"{me} asks the vendor {claim.retry_at - sim.store.now():.1f} s before the fleet may")
        if not sim.plan.window and now - self.failed_at.get((me, request.url, refresh), -1e9) < LEAST_GAP:
            self.fail(8, f"{me} asks the vendor again at once, after a failure")
        self.flying[me] = key
        latest = sim.vendor.latest.get(account)
        if claim is None or latest is None or latest.revoked or claim.epoch != self.epoch:
            return
        durable = self.durable_at.get(latest.access)
        fresh = now - (latest.sent or latest.at) < 0.5 * latest.lifetime
        if self.epoch and sim.comings:
            return  # "logged out" may have had the number that a token has now
        if self.epoch and not sim.plan.rotates and self.is_ahead(me, account):
            return  # its number is of a time before the loss, and nobody puts back what can be had again
        # What was sent for before the call does not count, unless its lease was met on the way.
        asked_for = self.refreshed.get(me, -1.0) >= (latest.sent or latest.at)
        asked_for = asked_for or (me in self.refreshed and me in self.stopped)  # it does not know when it was asked
        asked_for = asked_for or self.set_at >= latest.sent  # its end is by the clock as it was
        late = latest.by in self.stopped  # its estimate of the store's clock errs, to the early side
        worker = sim.worker_of(me)  # with no store to ask, a clock that was set is believed, and what is begun ended
        blind = me in self.stepped.keys() | self.stopped.keys() and worker is not None and worker.client.failures > 0
        if durable is not None and durable < claim.at and fresh and not (asked_for or late or blind):
            self.fail(9, f"{me} renews {latest.access}, which is new and in the store since {durable:.2f}")

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

    # -- the user ----------------------------------------------------------------------------------------------------

    def gone(self, worker: Worker, account: str, before: int) -> None:
        """A logout has returned: nothing of the session that it found is in the store."""
        self.upset[account] = self.sim.loop.now
        slot = self.sim.store.slot(self.sim.keys[account])
        if not self.epoch and self.serial(slot) // GENERATION <= before // GENERATION:
            self.fail(4, f"{worker.node} has logged out {account}, and the store has its token")
        family = self.forgotten.get(account)
        # A session that a later login has replaced is nobody's any more.
        current = family is not None and family is self.sim.vendor.families[account]
        # Stopped between its last look and the forgetting, it could not know of what came meanwhile.
        stopped = self.stopped.get(worker.node, -1.0) > self.looked_at.get((worker.node, self.sim.keys[account]), -1.0)
        if family is not None and current and family.alive and not self.epoch and not stopped:
            self.fail(4, f"{worker.node} has logged out {account}, and {family.current} is good at the vendor")

    def client_refused(self, by: Node, shown: str, sent_at: float) -> None:
        """A client secret is no good: whoever showed it looks into the store before the next time, and who could before this."""
        worker = self.sim.worker_of(by)
        if worker is None or self.epoch or self.stored_secret != self.sim.vendor.secret:
            return  # whatever the store has is no good either
        undisturbed = not worker.client.failures and by not in self.stopped and by not in self.stepped
        if undisturbed and sent_at > self.secret_stored_at + HEARD:
            self.fail(8, f"{by} shows {shown}, and the store has had a newer one since {self.secret_stored_at:.1f}")
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
        self.stored_secret, self.secret_stored_at = serial, self.sim.loop.now
        for answer in [a for a in self.open if isinstance(a, Rotation) and a.serial <= serial]:
            answer.durable = True
            self.open.remove(answer)

    def reuse(self, family: Family, refresh: str, by: Node, sent: float) -> None:
        """The vendor sees ``refresh`` again. ``by`` sent it at ``sent``, and may have died or given up since."""
        child = family.spent.get(refresh)
        if child is None or self._lost_logout(family):
            return  # who obeyed it has forgotten what was spent before
        claim = self.claims.get((by, self.sim.keys[family.account]))
        if claim is not None and claim.at > sent:
            claim = None  # not the one under which that was sent
        heard = self.heard.get(by, -1e9)
        unheard = min(self.lost_at + UNHEARD, heard if heard >= self.lost_at else 1e9)
        if claim is not None and (claim.epoch != self.epoch or claim.at < unheard):
            child.cut.add("the store lost a lease that was being used")
        gone = child.access in self.wiped
        if gone and claim is not None and claim.at < min(self.up_at + UNHEARD, self.durable_at.get(child.access, 1e9)):
            child.cut.add("who could put back what the store had lost had been cut off from it")
        if gone and child.access not in self.durable_at:
            child.cut |= self.sim.vendor.latest[family.account].cut  # nobody is left who could
        if child.by is by and child.arrived and child.at < sent:
            self.fail(2, f"{by} sends {refresh} and has itself had the answer to it")
            return
        fate = self.fate(child)
        seen = claim is not None and self.durable_at.get(child.access, 1e9) < claim.at
        reason = why_lost(attrs.evolve(fate, durable=fate.durable and seen))
        self.excused[family] = self.excused.get(family) or reason
        if not reason:
            self.fail(2, f"{by} sends {refresh}, spent by {child.by} for {child.gives}, and nothing was cut off")

    def _lost_logout(self, family: Family) -> bool:
        """Whether the user has left, and the store may have lost the word of it."""
        return bool(self.epoch) and family.account in self.left

    def refusing(self, family: Family, refusal: Refusal) -> None:
        before = family.refusals.get(refusal.refresh)
        key = self.sim.keys[family.account]
        claim = self.claims.get((refusal.by, key))
        twice = claim is not None and not self.is_settled(
            key, claim
        )  # the record that says so has a number given twice
        dead = self.dead_at.get(key) if before is not None and before.durable else None
        self.sim.refusals += 1
        if self.sim.refusals > MOST_REFUSALS:
            self.fail(8, f"{self.sim.refusals} requests with dead refresh tokens: a loop")
        if dead is not None and claim is not None and claim.at > dead and not twice:
            self.fail(8, f"{refusal.by} asks about {refusal.refresh}, which the store has as dead since {dead:.2f}")
        worker = self.sim.worker_of(refusal.by)
        alone = worker is not None and worker.client.failures and not self.sim.plan.rotates
        crossed = before is not None and before.at > self.asked_at.get(refusal.by, -1.0)
        undone = self._lost_logout(family)  # its worker obeyed that, and wrote nothing down
        if before is not None and before.arrived and not (before.cut or alone or twice or crossed or undone):
            self.fail(8, f"{refusal.by} asks about {refusal.refresh}, and {before.by} had been told that it is dead")

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

    def written(self, who: Node, key: str, before: Slot, after: Slot) -> None:
        sim, now = self.sim, self.sim.loop.now
        if after.version < before.version:
            self.fail(4, f"{who} overwrites version {before.version} with {after.version}")
        account = sim.accounts_by_key.get(key)
        if after.value is None:
            if account is not None:
                self.fail(4, f"{who} deletes the record")
            return
        new = self.reading(key, after.version, after.value)
        if account is None:
            if new["kind"] == "secret":
                self._secret_written(who, int(new["client_secret"].removeprefix("secret-")))
            elif new["kind"] == "round" and (
                (claim := self.claims.get((who, key))) is None or claim.number != after.version
            ):
                self.fail(1, f"{who} ends a round of keep-alive that is another's")
            return
        old = self.reading(key, before.version, before.value) if before.value else None
        held = sim.vendor.grants.get(old["token"]["access_token"]) if old and old["kind"] == "token" else None
        if new["kind"] == "token":
            grant = sim.vendor.grants[new["token"]["access_token"]]
            sim.tell("store", f"has {grant.access} of {who.name} as version {after.version}")
            if grant.account != account:
                self.fail(10, f"{who} writes {grant.account}'s token under {account}'s key")
            grant.overtaken = grant.overtaken or self.numbers.get(key, 0) > after.version
            # Of two logins at the same time the one that was answered later stands, whichever the vendor saw first.
            late = held is not None and not held.refresh and not grant.refresh and held.sent < grant.at
            late = late or bool(self.epoch and not sim.plan.user)  # nobody puts back what can be had again
            if held is not None and held.serial > grant.serial:
                if not late:
                    self.fail(4, f"{who} overwrites {held.gives} with {grant.gives}, which is older")
                self.undone[account] = held.serial - held.serial % GENERATION
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
        self.gave_up(who, account)
        if new["by_user"]:
            self.left[account] = now
            family = sim.vendor.by_refresh[held.gives] if held is not None else None
            current = held is not None and family is not None and family.current == held.gives
            # An answer that an outage had kept back may land between the logout's last look at the store and this, which
            # are no further apart than a message takes on its way.
            near = now - 3 * sim.net.slowest < self.looked_at.get((who, key), -1.0)
            landed = held is not None and near and self.is_unseen(who, key, held.access)
            self.forgotten[account] = family if current and not landed else None
            logins = [a for a in self.open if isinstance(a, Grant) and a.account == account and not a.refresh]
            # A login that was asked for since the logout took its number comes after it (both count milliseconds).
            claimed = after.version - timing.CLAIMED_MEANWHILE
            later = [a for a in logins if (sim.store.now() - now + a.sent + NEAR) * 1000 > claimed]
            serial = sim.vendor.families[account].serial
            self.ended[account] = min([a.serial for a in later] or [serial // GENERATION * GENERATION + GENERATION])
            self.open = [a for a in self.open if not (isinstance(a, Grant) and a.account == account) or a in later]
        elif held is not None:
            family = sim.vendor.by_refresh[held.gives]
            replaced = self.epoch and family is not sim.vendor.families[account]  # the later login's record was lost
            # Who was stopped for longer than its lease, or kept from the store, has come back between the look at the
            # store that followed the refusal and this. (The claim of a store as Redis is waits until that is known.)
            looked_again = self._refused_at(who, account, held) < self.looked_at.get((who, key), -1.0)
            late = looked_again and self.is_unseen(who, key, held.access)
            owner = sim.worker_of(held.by)
            if late and owner is not None and owner.client.failures > held.failed_before:
                held.cut.add("the store was away, and a refusal came on top of it")
            excused = replaced or (late and held.cut)
            if family.alive and held.gives == family.current and now < family.lapses and not excused:
                self.fail(4, f"{who} buries {held.gives}, which is alive")
        for answer in [a for a in self.open if isinstance(a, Refusal)]:
            if (family := sim.vendor.by_refresh.get(answer.refresh)) is not None and answer.refresh in family.refusals:
                answer.durable = True
                self.open.remove(answer)

    def _refused_at(self, who: Node, account: str, held: Grant) -> float:
        """When the vendor refused what ``held`` came instead of: the token that it was given for, or one before a login."""
        families = (family for family in self.sim.vendor.by_refresh.values() if family.account == account)
        refusals = (refusal for family in families for refusal in family.refusals.values())
        before = (each for each in refusals if (each.refresh == held.refresh if held.refresh else each.by is who))
        return max((each.at for each in before), default=1e9)

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
        # By a clock that was set back nobody knows how old a token is: from the first look at it its own lifetime counts.
        end = grant.expires
        if self.set_back_at < now:
            end = max(end, self.first_seen.get((node, grant.access), -1e9) + grant.lifetime)
        if now >= end and not stopped and not self.knows_no_time(node):
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
            # What was fetched alone gives way to what the store has, which may be of another login.
            or (valid is not None and not sim.plan.rotates and sim.plan.user and valid.access not in self.durable_at)
        )  # their estimates of the store's clock err more, to the early side
        if valid is not None and now > began and not troubled:
            self.fail(7, f"a caller on {node} waited {now - began:.2f} s while {valid.access} was good")

    def needs_user(self, node: Node, account: str, words: str, began: float) -> None:
        value = self.sim.store.slot(self.sim.keys[account]).value
        if value is not None and self.read[value].get("spent") and self.may_be_lost(account):
            self.lost.add(account)  # though it may be the user's doing as well
        if self.sim.comings and self.is_out(node, account, began):
            return
        latest, looked = self.sim.vendor.latest[account], self.looked_at.get((node, self.sim.keys[account]), -1.0)
        # What it was told, up to half a second after it looked, is remembered for half a second: of its own clock where
        # it fell asleep right after.
        recent = began <= looked + 1.0 or looked <= self.slept.get(node, -1.0) < looked + 0.5
        if recent and self.is_unseen(node, self.sim.keys[account], latest.access):
            return  # it looked, for this very caller, before the store had what there is now
        lost = self.epoch and self.sim.store.slot(self.sim.keys[account]).value is None
        back = began < self.put_back_at.get(account, -1e9) + TOLD
        arriving = any(
            isinstance(answer, Grant) and answer.account == account and answer.by.alive and not answer.cut & VAIN
            for answer in self.open
        )
        if (lost or back) and (arriving or self.holders(account)):
            worker = self.sim.worker_of(node)
            known = max(self.heard.get(node, -1e9), worker.client.back_at if worker is not None else -1e9)
            if worker is not None and self.sim.plan.announces and self.sim.loop.now < known + PATIENT:
                self.fail(5, f"{node} sends for the user, and saw the store come back a moment ago: {words}")
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
                if account in self.left or (
                    not latest.refresh and (why_lost(self.fate(latest)) or self._crossed(latest))
                ):
                    continue  # logged out; or a login that another one took the place of
                if self.serial(slot) < latest.serial:
                    self.fail(5, f"{latest.by} had {latest.gives}, and the store has not")
        if self.stored_secret < self.sim.vendor.secret and not self.secret_lost():
            self.fail(5, f"client secret {self.sim.vendor.secret} is nowhere")
        for worker in workers:
            for kept in worker.host.machine.escrow.kept.values():
                if kept.key not in self.sim.accounts_by_key and self.sim.store.slot(kept.key).version >= kept.number:
                    continue  # a client secret that was replaced since
                self.fail(5, f"{worker.node}'s escrow has an answer, number {kept.number}, that nobody looks at")
        self._check_spread(workers)

    def _crossed(self, login: Grant) -> bool:
        """Whether another login was on its way at the same time: the one that was claimed later stands."""
        grants = self.sim.vendor.grants.values()
        others = (each for each in grants if each.account == login.account and not each.refresh and each is not login)
        return any(login.began < each.at < login.at or each.began < login.at < each.at for each in others)

    def _check_spread(self, workers: list[Worker]) -> None:
        """Two workers never begin to renew at the very same moment."""
        leads: dict[str, list[float]] = {}
        for worker in workers:
            for account in self.sim.plan.accounts:
                state = worker.credential(account).replica.state
                if state.token is not None:
                    leads.setdefault(state.token.access_token, []).append(state.windows.end - state.soft)
        for access, found in leads.items():
            found.sort()
            if any(later - sooner < SAME for sooner, later in itertools.pairwise(found)):
                self.fail(1, f"two workers would renew {access} at the same moment")
