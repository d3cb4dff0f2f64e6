"""The judge at the vendor: what it is asked, by whom, and whether that was to be sent (promises 1, 2, 5, 8 and 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from linkauth.protocol import timing
from tests.model.losses import why_lost
from tests.simulation.evidence import HEARD, UNHEARD, Claimed, Evidence
from tests.simulation.vendor import DEAD, Family, Refusal, field, refresh_token

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Request
    from tests.simulation.loop import Node

LEAST_GAP = 0.12
"""Seconds between a failure of the vendor and the next try: a quarter of a second, jittered by a half."""
ROUNDED = 1e-6
"""Seconds that sums of times may be off."""
MOST_REFUSALS = 12
"""Requests with dead refresh tokens in one schedule; more is a loop."""


@attrs.define
class VendorJudge(Evidence):
    """``fail`` tells the simulation of the first promise that is broken."""

    def fail(self, promise: int, words: str) -> None:
        self.sim.fail(f"promise {promise}: {words}")

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
        # The record that says so has a number given twice.
        twice = claim is not None and not self.is_settled(key, claim)
        dead = self.dead_at.get(key) if before is not None and before.durable else None
        self.sim.refusals += 1
        if self.sim.refusals > MOST_REFUSALS:
            self.fail(8, f"{self.sim.refusals} requests with dead refresh tokens: a loop")
        if family.why == DEAD and before is not None and before.by is not refusal.by:
            return  # nothing of it is left, its mark neither: who had read it is told once more, by the vendor
        if dead is not None and claim is not None and claim.at > dead and not twice:
            self.fail(8, f"{refusal.by} asks about {refusal.refresh}, which the store has as dead since {dead:.2f}")
        worker = self.sim.worker_of(refusal.by)
        alone = worker is not None and worker.client.failures and not self.sim.plan.rotates
        crossed = before is not None and before.at > self.asked_at.get(refusal.by, -1.0)
        undone = self._lost_logout(family)  # its worker obeyed that, and wrote nothing down
        if before is not None and before.arrived and not (before.cut or alone or twice or crossed or undone):
            self.fail(8, f"{refusal.by} asks about {refusal.refresh}, and {before.by} had been told that it is dead")
