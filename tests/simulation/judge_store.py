"""The judge at the store: who is given which lease, and who writes what over what (promises 1, 4 and 10)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from linkauth.protocol import timing
from linkauth_stores.slot import Lease, Slot
from tests.simulation.evidence import Claimed
from tests.simulation.judge_vendor import VendorJudge
from tests.simulation.vendor import GENERATION, Grant, Refusal, Rotation

if TYPE_CHECKING:
    from linkauth.store import Granted
    from tests.simulation.loop import Node

NEAR = 1.0
"""Seconds that lie between a login's claim and its request, at the most."""


@attrs.define
class StoreJudge(VendorJudge):
    """Sees every write."""

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
                self._deleted(who, key, before)
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
        held = sim.vendor.grant_of(old["token"]) if old and old["kind"] == "token" else None
        if new["kind"] == "token":
            grant = self.grant_of(new)
            if sim.elsewhere and not grant.refresh and grant.access not in self.durable_at:
                self._came_in(who, grant, held)
            sim.tell("store", f"has {grant.access} of {who.name} as version {after.version}")
            if grant.account != account:
                self.fail(10, f"{who} writes {grant.account}'s token under {account}'s key")
            grant.overtaken = grant.overtaken or self.numbers.get(key, 0) > after.version
            # Of two logins at the same time the one that was answered later stands, whichever the vendor saw first.
            late = held is not None and not held.refresh and not grant.refresh and held.sent < grant.at
            late = late or (held is not None and held.elsewhere and not grant.refresh)
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

    def _came_in(self, who: Node, grant: Grant, held: Grant | None) -> None:
        """A session is stored for the first time. One from elsewhere takes no live one's place, unless it is to."""
        stood = held is not None and self.durable_at.get(held.access, 1e9) < grant.sent
        if grant.elsewhere and stood and held is not None and not grant.replaces:
            self.fail(4, f"{who} brings in {grant.gives} over {held.gives}, and nobody said that it may")
        self.sim.vendor.becomes(grant)

    def _deleted(self, who: Node, key: str, before: Slot) -> None:
        """Only what came in dead leaves nothing, and only once its mark has told so."""
        old = self.reading(key, before.version, before.value) if before.value else None
        marked = old is None or (old["kind"] == "reauthorize" and not old["by_user"])
        if who not in self.handing or not marked:
            self.fail(4, f"{who} deletes the record")

    def _secret_written(self, who: Node, serial: int) -> None:
        if serial < self.stored_secret and not self.epoch:
            self.fail(4, f"{who} overwrites client secret {self.stored_secret} with {serial}")
        self.sim.tell("store", f"has client secret {serial} of {who.name}")
        self.stored_secret, self.secret_stored_at = serial, self.sim.loop.now
        for answer in [a for a in self.open if isinstance(a, Rotation) and a.serial <= serial]:
            answer.durable = True
            self.open.remove(answer)

    def _refused_at(self, who: Node, account: str, held: Grant) -> float:
        """When the vendor refused what ``held`` came instead of: the token that it was given for, or one before a login."""
        families = (family for family in self.sim.vendor.by_refresh.values() if family.account == account)
        refusals = (refusal for family in families for refusal in family.refusals.values())
        before = (each for each in refusals if (each.refresh == held.refresh if held.refresh else each.by is who))
        return max((each.at for each in before), default=1e9)
