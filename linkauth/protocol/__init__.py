"""The renewal protocol: what a worker does with a credential that any number of others share. Pure: no loop, clock or socket.

Steps are generators that yield what they want of the world (``effects``) and are sent what came of it; ``engine.runtime`` performs
them. So the rules stand here from top to bottom, and a test, a simulation or a model drives the very same code.

**To know what a renewal does, read** ``renewal``. To know how, these as well, in this order:

============= =================================================================================================
``claim``     the loop in which a lease is waited for; step 1: when a token's is asked for, and what note goes with it
``patience``  step 2: who may hold something newer is given time
``refusal``   steps 3 and 4, where the vendor gives no token: a note for the fleet, or the end of a session
``intent``    the note: what a claimant leaves for whoever comes after a crash
``effects``   what a step may want of the world, and what it is sent; ``worker``: what it knows without asking
============= =================================================================================================

What else there is:

================= ===========================================================================================
``session``       login, pairing, logout: they override whatever is there
``adoption``      a session that was made elsewhere comes in, likewise
``session_end``   when only the user can help though nobody was refused, and how long before it he is to be asked
``client_secret`` the rotation of a client's secret
``records``       what is stored; ``keys``: under which keys
``freshness``     the life of a token in a worker: when it is served, renewed behind, waited for
``state``         what one worker knows of a credential: a value, and the one way by which a record changes it
``lineage``       which of two records is later: the only place that says so
``limits``        what a vendor said of a client, and how much of its stated limit is used
``timing``        every number of seconds, with the relations that the rules need
================= ===========================================================================================

What always holds (``tests/test_promises.py``):

1. One exchange for each credential at any time over all workers, as long as none stalls past its lease.
2. A refresh token that is known to be spent is never sent. One in doubt is, once, when nothing else is left.
3. Nobody is given a token that the store does not have, unless it could not take it; then that is said.
4. A late worker never overwrites a newer token, nor deletes one.
5. An answer that has arrived is not lost while the process lives, nor after it with escrow.
6. Cancelling callers, at any await, changes nothing for anybody else.
7. Nobody waits for a renewal while a valid token exists; nobody gets one that is known to have expired.
8. A dead refresh token is asked about once in the whole fleet.
9. A storm of 401s renews once.
10. Two credentials never share a flight, a lease or a record.

The words (``docs/glossary.md`` has all of them):

- A **lease** is the right to work on a key for some seconds. Its **number** grows with each claim and **fences**: whoever claimed
  later wins, and whoever wakes up late overwrites nothing. It does not order.
- A **session** begins with a login or pairing, a **generation** is one renewal of it. They are in the record, and they order.
- An **attempt** is what a worker does under one lease: look, exchange, commit.
- **In doubt** is a refresh token that was sent, with an answer that nobody has.
- **Suspicion** is the time in which others may still put back what a store has lost (**read repair**).
- A holder whose lease is lost while its request is in the air **reasserts** it, so that nobody else spends the same token.
- A **permit** is leave to ask a vendor for one client, which bears only so many requests at a time.
"""
