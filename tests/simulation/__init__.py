"""The real engine in a simulated world: virtual time, seeded schedules, and everything that can go wrong.

- ``loop``: an asyncio event loop in which time is a number and the seed decides who runs next;
- ``net``, ``store``, ``vendor``: what a worker reaches, as nodes of their own, with delays, losses and repeats;
- ``plan``: a seed becomes a schedule: vendor, network, callers, logins and logouts, new client secrets, keep-alive,
  and what goes wrong when;
- ``world``: runs one schedule, with its machines (``fleet``), those who ask (``callers``), and what goes wrong (``mischief``);
- ``watch``: the ten promises; ``evidence``: what was seen, and what of it excuses a lost session;
- ``campaign``: many schedules; ``python -m tests.simulation`` runs them, and tells the story of a seed;
- ``baseline``: fixed seeds, and how they came out before, so that every change to the engine can be compared;
- ``faults``: wrong engines and stores, each of which must be caught.

A store whose clock is wrong throughout is simulated, one whose clock steps is not: time is the store's, so whatever a
step does to leases and expiries is the store's to answer for.

Nothing of linkauth is replaced but what the engine is handed: the store, ``World``, the escrow.
"""
