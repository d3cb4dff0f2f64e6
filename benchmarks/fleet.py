"""A fleet on one Redis, or on a cluster, simulated from measured costs: how busy whom, how long a claim waits, what gives out first.

Discrete events: renewals begin at random moments (linkauth spreads them), each claims, asks its vendor, commits; the commit is
announced to every worker; whoever else holds the credential claims later and is answered with the new record. A Redis serves one
command at a time, in the order in which they come.
"""

from __future__ import annotations

import random
from statistics import quantiles
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = 2
"""Of a worker at rest, to each Redis that has keys of its: those that its commands took turns on. One more listens, to one of them."""
MAXCLIENTS = 10_000
"""As a Redis is shipped."""
BUSY = 0.7
"""Of a Redis's core, above which what waits gets long."""
HEARING = 0.1
"""Of a worker's core, above which listening to others is no small thing."""
MEMORY = 8e9
"""Bytes of one Redis, above which a snapshot, or a replica's full copy, takes minutes."""
VENDOR = 0.3
"""Seconds that a vendor takes."""
JOBS = 20_000
"""Commands that one simulation looks at."""


@attrs.frozen
class Costs:
    """Microseconds of processor time, and bytes. Of the Redis but for ``hear`` and ``renew``, which are a worker's."""

    claim: float
    commit: float
    start: float
    """All that a worker sends to begin: its connections and its subscription."""
    deliver: float
    """One announcement to one listener."""
    hear: float
    """One announcement, heard."""
    renew: float
    """A renewal of a worker's own, the vendor asked over HTTP."""
    record: float
    """Bytes of a credential in Redis."""


@attrs.frozen
class Fleet:
    """``lifetime``: seconds of an access token. ``holders``: workers that use one credential. ``nodes``: primaries of a cluster."""

    workers: int
    credentials: int
    lifetime: float
    holders: int = 1
    nodes: int = 1

    @property
    def renewals(self) -> float:
        """A second, of the whole fleet: each at a fifth of the lifetime before its end, and no sooner than 300 s."""
        return self.credentials / (self.lifetime - min(self.lifetime / 5, 300.0))


@attrs.frozen
class Outcome:
    """``busy``: share of each Redis's core. ``waits``: microseconds that half of the claims, and 99 of 100, wait for their turn.

    ``hearing``: share of each worker's core. ``restart``: seconds of a Redis's core that a restart of the whole fleet takes.
    ``gives_out``: what is above its bound, the furthest first; empty where nothing is.
    """

    fleet: Fleet
    renewals: float
    messages: float
    busy: float
    waits: tuple[float, float]
    hearing: float
    restart: float
    gives_out: list[str]


def simulated(fleet: Fleet, costs: Costs, seed: int = 1) -> Outcome:
    """What becomes of a fleet: as long as ``JOBS`` commands take, of one of its Redis servers."""
    jobs = sorted(_jobs(fleet, costs, random.Random(seed)))
    free, worked, waits = 0.0, 0.0, []
    for at, takes, is_claim in jobs:
        begun = max(free, at)
        free = begun + takes
        worked += takes
        if is_claim:
            waits.append(1e6 * (begun - at))
    cuts = quantiles(waits, n=100, method="inclusive")
    # Of what is asked for, not of what was done: a Redis that cannot keep up is busy to 1.0 and no more.
    asked = _a_second(fleet, costs)
    hearing = 1e-6 * fleet.renewals * costs.hear
    restart = 1e-6 * (fleet.workers * costs.start + fleet.credentials * fleet.holders * costs.claim) / fleet.nodes
    shares = {
        "the Redis's core": asked / BUSY,
        "workers' cores, by what they hear": hearing / HEARING,
        "connections": fleet.workers * (CONNECTIONS + 1 / fleet.nodes) / MAXCLIENTS,
        "the Redis's memory": fleet.credentials * costs.record / fleet.nodes / MEMORY,
    }
    beyond = sorted((name for name, share in shares.items() if share > 1), key=lambda name: -shares[name])
    messages = fleet.renewals * fleet.workers
    return Outcome(fleet, fleet.renewals, messages, asked, (cuts[49], cuts[98]), hearing, restart, beyond)


def most_workers(fleet: Fleet, costs: Costs) -> int:
    """How many workers the Redis bears, everything else being as in ``fleet``."""
    spent = _a_second(attrs.evolve(fleet, workers=0), costs)
    each = 1e-6 * fleet.renewals * costs.deliver / fleet.nodes
    return max(0, int((BUSY - spent) / each))


def _takes(fleet: Fleet, costs: Costs) -> tuple[float, float]:
    """Seconds of a node's core for a claim, and for the announcement to the listeners that are its own."""
    return 1e-6 * costs.claim, 1e-6 * costs.deliver * fleet.workers / fleet.nodes


def _a_second(fleet: Fleet, costs: Costs) -> float:
    """Share of one Redis's core. In a cluster its keys are a part of all; each announcement goes to all nodes (PUBLISH)."""
    claim, announcement = _takes(fleet, costs)
    of_keys = fleet.renewals / fleet.nodes
    return of_keys * (claim * fleet.holders + 1e-6 * costs.commit) + fleet.renewals * announcement


def _jobs(fleet: Fleet, costs: Costs, chance: random.Random) -> Iterator[tuple[float, float, bool]]:
    """``(when, seconds of the core, whether it is a claim)`` of one node."""
    claim, announcement = _takes(fleet, costs)
    at, count = 0.0, 0
    while count < JOBS:
        at += chance.expovariate(fleet.renewals)
        if chance.random() * fleet.nodes >= 1:  # another node's key; its announcement comes by the cluster's bus
            yield at, announcement, False
            count += 1
            continue
        yield at, claim, True
        committed = at + VENDOR * chance.uniform(0.5, 1.5)
        yield committed, 1e-6 * costs.commit + announcement, False
        for _ in range(fleet.holders - 1):
            yield committed + chance.random() * fleet.lifetime / 5, claim, True
        count += 1 + fleet.holders
