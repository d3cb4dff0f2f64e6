"""Who asks a worker for a token, logs in or out, replaces a secret; and what he may be told."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from linkauth.errors import (
    ConfigurationError,
    InvalidClient,
    InvalidGrant,
    InvalidToken,
    LinkAuthError,
    OAuthError,
    RateLimited,
    ReauthorizationRequired,
    StoreUnavailable,
    VendorUnavailable,
)
from tests.simulation.plan import ADOPTIONS

if TYPE_CHECKING:
    from linkauth.engine.credential import Credential
    from linkauth.oauth.token import Token
    from tests.simulation.fleet import Worker
    from tests.simulation.loop import Node
    from tests.simulation.plan import Ask
    from tests.simulation.vendor import Grant
    from tests.simulation.world import Simulation

__all__ = ["Callers"]


class Callers:
    """Everybody who asks in a simulation."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.cancelled: set[asyncio.Task[None]] = set()
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        """By account: how many set out to come or go, and how many came to an end of it. Who died did not."""

    def ask(self, ask: Ask) -> None:
        worker = self.sim.workers.get(ask.host)
        if worker is None or not worker.node.alive:
            return
        if self.sim.telling:
            self.sim.tell(worker.node.name, f"a caller asks: {ask.how} for {ask.account}")
        task = self.sim.loop.spawn(worker.node, self._caller(worker, ask))
        worker.callers.append(task)
        if ask.patience is not None:
            self.sim.loop.post(worker.node, ask.patience, self.cancel, task)

    def cancel(self, task: asyncio.Task[None]) -> None:
        if not task.done():
            self.cancelled.add(task)
            task.cancel()

    async def _caller(self, worker: Worker, ask: Ask) -> None:
        credential = worker.credential(ask.account)
        try:
            if ask.how in {"login", "logout", "rotate the secret", *ADOPTIONS}:
                await self._come_or_go(worker, credential, ask)
                return
            if ask.how == "refresh":
                self.sim.judge.refreshed[worker.node] = self.sim.loop.now
                await self.get(worker, ask.account, credential.refresh(), wanted=True)
                return
            token = await self.get(worker, ask.account, credential.token())
            if ask.how == "use":  # a request takes its time
                await asyncio.sleep(self.sim.loop.rng.random() * 0.5)
            if ask.how == "use" and token is not None and self.sim.vendor.grants[token.access_token].revoked:
                self.sim.tell(worker.node.name, f"  {token.access_token} is refused with a 401")
                await self.get(worker, ask.account, credential.replacement(token), wanted=True)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task not in self.cancelled:
                self.sim.fail(f"promise 6: a caller on {worker.node} was cancelled, and nobody had asked for it")
            raise

    async def _come_or_go(self, worker: Worker, credential: Credential, ask: Ask) -> None:
        """The user logs in or out, or an operator replaces the client's secret."""
        account, node, began = ask.account, worker.node, self.sim.loop.now
        failed, alone = worker.client.failures, self.begun[account] == self.ended[account]
        stood = not alone or self.sim.store.slot(self.sim.keys[account]).value is not None
        self.begun[account] += 1
        before_this = self.begun[account]
        brought = self._from_elsewhere(node, ask) if ask.how in ADOPTIONS else None
        self.sim.tally[ask.how] += 1
        before = self.sim.vendor.families[account].serial if self.sim.plan.user else 0
        self.sim.judge.upset[account] = self.sim.loop.now
        try:
            if ask.how == "login":
                self.sim.judge.logging_in[node] = began
                token = await credential.login(email=account, password="password")
                self.sim.judge.handed(worker, account, token, began, None)
            elif ask.how == "logout":
                self.sim.judge.leaving(account)
                await credential.logout()
                self.sim.judge.gone(worker, account, before)
            elif brought is not None:
                token = await credential.adopt(**self._given(brought))
                self.sim.judge.handed(worker, account, token, began, None)
            else:
                await credential.rotate_secret()
        except (VendorUnavailable, RateLimited, StoreUnavailable, ConfigurationError) as error:
            self.sim.tell(node.name, f"  {ask.how}: {type(error).__name__}: {error}")
        except ReauthorizationRequired as error:  # a logout that came later
            self.sim.tell(node.name, f"  {ask.how}: {error}")
            self.sim.judge.needs_user(node, account, str(error), began)
            if brought is not None:
                stood = stood or self.begun[account] > before_this
                self.sim.judge.refused(worker, brought, began, stood=stood, failed=failed)
        except InvalidClient as error:
            self._client_refused(worker, error)
        except LinkAuthError as error:
            # Twice in a row, the token had ended when the vendor got to it: the worker was stopped, or the vendor slow.
            disturbed = max(self.sim.judge.stopped.get(node, -1.0), self.sim.judge.ran_out.get(node, -1.0))
            late = isinstance(error, InvalidToken) and disturbed >= began
            if not worker.closing and not late:
                self.sim.fail(f"{ask.how} on {node}: {type(error).__name__}: {error}")
        else:
            self.sim.tell(node.name, f"  {ask.how}: done")
        self.ended[account] += 1
        self.sim.judge.upset[account] = self.sim.loop.now

    def _from_elsewhere(self, node: Node, ask: Ask) -> Grant:
        """The session of another program that is handed to ``node``."""
        lifetime = self.sim.plan.lifetime if ask.how == "adopt both" else 0.0  # of what comes in alone nothing is good
        grant = self.sim.vendor.elsewhere(ask.account, lifetime, dead=ask.how == "adopt dead")
        grant.replaces = ask.how == "replace"
        self.sim.judge.handing.add(node)
        self.sim.tell(node.name, f"  is handed {grant.gives} of another program")
        return grant

    def _given(self, grant: Grant) -> dict[str, Any]:
        """What ``adopt`` is given of it."""
        left = grant.expires - self.sim.loop.now
        beside = {"access_token": grant.access, "expires_at": self.sim.store.now() + left} if grant.lifetime else {}
        return {"refresh_token": grant.gives, "replace": grant.replaces, **beside}

    def _client_refused(self, worker: Worker, error: InvalidClient) -> None:
        """While the newest secret is on its way, and after it was lost."""
        self.sim.tell(worker.node.name, f"  a caller is told: {error}")
        if not self.sim.vendor.secret:
            self.sim.fail(f"a caller on {worker.node} got InvalidClient, and the secret is what it was")

    async def get(self, worker: Worker, account: str, asking: Any, *, wanted: bool = False) -> Token | None:
        began, node = self.sim.loop.now, worker.node
        known = worker.known.get(account)
        # Expiry counts from the sending, and a look at the store's clock errs by as long as the look took.
        slack = 5.0 if self.sim.plan.loss or self.sim.plan.faults else 1.0
        good = known is not None and began < known.sent + known.lifetime * 14 / 15 - slack and not wanted
        try:
            token = await asking
        except ReauthorizationRequired as error:
            self.sim.tell(node.name, f"  a caller is told: {error}")
            worker.known.pop(account, None)
            self.sim.judge.needs_user(node, account, str(error), began)
        except (VendorUnavailable, RateLimited, StoreUnavailable) as error:
            self.sim.tell(node.name, f"  a caller is told: {type(error).__name__}: {error}")
            good = good and known is not None and self.sim.judge.upset.get(account, -1.0) < known.at
            # With no store to ask, a clock that was set is believed. Whoever was stopped before it sent counts from then.
            blind = node in self.sim.judge.stopped or node in self.sim.judge.stepped
            blind = blind or (known is not None and known.by in self.sim.judge.stopped)
            if good and known is not None and not blind:
                self.sim.judge.fail(7, f"a caller on {node} got {type(error).__name__} while {known.access} was good")
        except InvalidClient as error:
            self._client_refused(worker, error)
        except InvalidGrant as error:  # of one who asked alone, for the store was away
            self.sim.tell(node.name, f"  a caller is told: {error}")
            if not self.sim.comings or not worker.client.failures:
                self.sim.fail(f"a caller on {node} got InvalidGrant: {error}")
        except (LinkAuthError, OAuthError) as error:
            if worker.closing:
                return None
            self.sim.fail(f"a caller on {node} got {type(error).__name__}: {error}")
        else:
            if self.sim.telling:
                self.sim.tell(
                    node.name, f"  a caller gets {token.access_token} after {self.sim.loop.now - began:.3f} s"
                )
            good = good and known is not None and self.sim.judge.upset.get(account, -1.0) < known.at
            self.sim.judge.handed(worker, account, token, began, known if good else None)
            worker.known[account] = self.sim.vendor.grants[token.access_token]
            return token
        return None
