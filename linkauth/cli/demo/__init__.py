"""``linkauth demo``: a user's session that many processes share, through a store of linkauth's and through a lock by hand.

The vendor is the sandbox's LinkXG, whose refresh tokens are good for one use: who sends one twice has ended the session, and
a person must log in again. Each side has a LinkXG of its own on loopback, so that what it counts does not mix. The same happens
to both at the same moments (``play``): tokens end, a worker is killed in the middle of a renewal, the store is emptied.
"""

from linkauth.cli.demo.show import run

__all__ = ["run"]
