"""The renewal protocol: what a worker does with a credential that any number of others share. Pure: no loop, clock or socket.

Steps are generators that yield what they want of the world (``effects``) and are sent what came of it; ``engine.runtime`` performs
them. So the rules stand here from top to bottom, and a test, a simulation or a model drives the very same code.

::

     sent                        soft                     hard          end
      |---------------------------|------------------------|-------------|
         serve                      serve, renew behind      wait          dead

=================== ===================================================================================
``records``         what is stored, and under which keys
``lineage``         which of two records is later
``freshness``       what a token is good for now
``intent``          what a claimant leaves behind for whoever comes after a crash
``limits``          what a vendor said of a client, and how much of its stated limit is used
``timing``          every number of seconds, with the relations that the rules need
``effects``         what a step may want of the world
``renewal``         claim, look, exchange, commit; ``patience``: whom it gives time before it spends
``session``         login, pairing, logout
``client_secret``   rotation of a client's secret
=================== ===================================================================================

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

The words: a *lease* is the right to work on a key for some seconds; its *number* grows with each claim and *fences*: whoever claimed
later wins. A *session* begins with a login or pairing, a *generation* is one renewal of it. *In doubt* is what was sent, with an answer
that nobody has. *Suspicion* is the time in which others may still put back what a store has lost.
"""
