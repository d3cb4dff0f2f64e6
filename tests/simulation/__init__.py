"""The real engine in a simulated world: virtual time, seeded schedules, and everything that can go wrong.

- ``loop``: an asyncio event loop in which time is a number and the seed decides who runs next;
- ``net``, ``store``, ``vendor``: what a worker reaches, as nodes of their own, with delays, losses and repeats;
- ``plan``: a seed becomes a schedule: vendor, network, callers, and what goes wrong when;
- ``world``: runs one schedule; ``watch``: the ten promises, and what excuses a lost session;
- ``campaign``: many schedules; ``python -m tests.simulation`` runs them, and tells the story of a seed.

Nothing of linkauth is replaced but what the engine is handed: the store, ``World``, the escrow.
"""
