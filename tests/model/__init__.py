"""The model: the very generators of ``linkauth.protocol``, through every order of the steps of two and three workers.

A renewal, a login, a logout, a session that was made elsewhere; and the rotation of a client's secret, whose record is of another kind and has promises of its own.

Nothing of the engine runs here, and no event loop. A world is a value: the store's real ``Slot``, a vendor, and workers, each
at some effect that its generator has yielded. ``explore`` goes from each world to all that may come next (a step of somebody,
the vendor's act, a fault, time passing when nobody has anything to do) and meets equal worlds once, the nearest first; of two workers
that are alike but for their names, the first begins. What it finds is the shortest schedule that breaks something, and it is printed as
a list of lines that can be read.

- ``values``, ``vendor``: tokens, records, and the vendor as a value.
- ``worker``: what a worker knows (a fake of ``protocol.Worker``); ``point``: how its generator is taken a step further.
- ``effects``, ``secret_effects``: what is done for each class of effect. One that nobody has written down here fails loudly.
  ``step``: what comes of it.
- ``adopted``: what comes in, and how. ``world``: everything at one moment; ``beginning``: the first. ``moves``: what may come next; ``troubles``: what may happen.
- ``promises``, ``secret_promises``: what must hold, by the numbers of the ten promises; ``judges``: which of them. ``losses``: when a
  session may be lost.
- ``cases``: from where, with which vendor, and with how many faults. ``faults``, ``secret_faults``,
  ``adoption_faults``: wrong protocols that must be found.

What it takes for granted, because it is no generator yet: a caller asks again when the engine would let it (``worker.pause``); a lease is
extended on time by whoever is not stopped; a call to the store that fails, fails at once; whoever is connected hears of a loss of data within
``LISTEN_AGAIN + LOSS_SPREAD``; workers' clocks run as the store's does. Six and ten of the promises are about callers
and keys: here is one key, and nobody is cancelled.

``python -m tests.model`` tells what was explored; with ``--more 1`` every case has one fault more.
"""
