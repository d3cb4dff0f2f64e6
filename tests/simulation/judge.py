"""The ten promises of the renewal protocol, checked by one who sees everything. What excuses a loss: ``evidence``."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import attrs

from linkauth.protocol import timing
from tests.model.losses import why_lost
from tests.simulation.judge_store import StoreJudge
from tests.simulation.store import TRIES, TRY
from tests.simulation.vendor import GENERATION, VAIN, Grant, Rotation

if TYPE_CHECKING:
    from linkauth.oauth.token import Token
    from tests.simulation.fleet import Worker
    from tests.simulation.loop import Node

ACTED = 1.0
"""Seconds after it has seen a logout or a login in which a worker may still be on its way to act on it."""
TOLD = TRIES * TRY + timing.FAILED_AGAIN
"""Seconds after the store is back, or a record that it had lost, in which somebody may still be told otherwise: three
tries, and half a second for which a failure is remembered."""
PATIENT = timing.GRACE - timing.LOSS_SPREAD
"""Seconds after a store's return in which whoever saw it come back without a session sends for nobody."""
SAME = 1e-10
"""Seconds within which two workers' windows are the same: chance does not bring that about."""


@attrs.define
class Judge(StoreJudge):
    """Hears, besides, what callers are given and told, and looks at what is left at the end."""

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

    def refused(self, worker: Worker, brought: Grant, before: float, *, stood: bool, failed: int) -> None:
        """A session from elsewhere was refused: nothing of it is here, and nothing at all where nothing ``stood`` and nobody else came."""
        account, node = brought.account, worker.node
        value = self.sim.store.slot(self.sim.keys[account]).value
        if value is None or self.epoch:
            return
        found = self.read[value]
        if found["kind"] == "token" and self.grant_of(found) is brought:
            self.fail(4, f"{brought.gives} came in dead, and the store has it still")
        undisturbed = worker.client.failures == failed and self.stopped.get(node, -1.0) < before
        if not stood and undisturbed:
            self.fail(4, f"{brought.gives} came in dead, and the store has something of it")

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

    def closed(self, node: Node) -> None:
        for answer in self.open:
            away = "store" in self.sim.net.down or self.sim.store.refuses or self.sim.net.cuts
            away = away or self.sim.loop.now < self.up_at + TOLD  # its last tries began before
            kind = Grant if self.sim.plan.rotates else Rotation
            mine = answer.by is node and isinstance(answer, kind | Rotation)
            fenced = isinstance(answer, Grant) and answer.overtaken  # the store has said that somebody claimed later
            if mine and answer.arrived and not (answer.cut or away or fenced):
                self.fail(5, f"{node} was closed with an answer that the store has not")

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
        """Whether another login was on its way at the same time, or a session from elsewhere: what was claimed later stands."""
        grants = self.sim.vendor.grants.values()
        others = (each for each in grants if each.account == login.account and not each.refresh and each is not login)
        return any(
            login.began < self.durable_at.get(each.access, -1.0)
            if each.elsewhere
            else login.began < each.at < login.at or each.began < login.at < each.at
            for each in others
        )

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
