"""The real engine in a simulated world: virtual time, seeded schedules, and everything that can go wrong.

- ``loop``: an asyncio event loop in which time is a number and the seed decides who runs next;
- ``net``, ``store``, ``vendor``: what a worker reaches, as nodes of their own, with delays, losses and repeats;
- ``plan``: a seed becomes a schedule: vendor, network, callers, logins and logouts, new client secrets, keep-alive,
  and what goes wrong when;
- ``world``: runs one schedule, with its machines (``fleet``), those who ask (``callers``), and what goes wrong (``mischief``);
- ``judge``: the ten promises, what of them is seen at the vendor and at the store in ``judge_vendor`` and ``judge_store``;
  ``evidence``: what was seen, in the words of ``tests.model.losses``, which says what of it excuses a lost session;
- ``campaign``: many schedules; ``python -m tests.simulation`` runs them, and tells the story of a seed;
- ``baseline``: fixed seeds, and how they came out before, so that every change to the engine can be compared;
- ``faults``: wrong engines and stores, each of which must be caught.

Any seed may bring a store whose clock is wrong throughout. One whose clock is set is tried in the schedules that are written
for it (``faults.schedules``) alone: what it can do, for as long as a lease or a token's lifetime, is no fault of those who ask it.

Nothing of linkauth is replaced but what the engine is handed: the store, ``World``, the escrow.
"""
