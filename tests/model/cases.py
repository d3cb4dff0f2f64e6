"""From where the model sets out: each with all orders of its workers' steps, and its faults at every possible place."""

from __future__ import annotations

from tests.model.vendor import CLIENT, KEEPS, ROTATES, ROTATES_MILDLY, SECRETS, window
from tests.model.world import BRINGS_IN, LOGS_IN, LOGS_OUT, REPLACES, Case

__all__ = ["CASES", "LONG"]

DIES, STOPS, CUT = ("dies", 1), ("stops 20", 1), ("cut 20", 1)
AWAY, UNHEARD = ("away", 1), ("unheard", 1)
NOT_SENT, NO_ANSWER, LIMITED = ("not sent", 1), ("no answer", 1), ("rate limited", 1)
UNREADABLE = ("unreadable", 1)
REFUSES = ("refuses 20", 1)
LEASE_ENDS, LOSES_DATA = ("lease ends", 1), ("loses data", 1)
WORKERS = (DIES, STOPS, CUT)
STORE = (AWAY, UNHEARD, LEASE_ENDS)
VENDOR = (NOT_SENT, NO_ANSWER, LIMITED)
ALL = (*WORKERS, *STORE, *VENDOR)
THREE = (0.0, 0.0, 0.0)
GOOD, PAST_ITS_MARGIN, OVER = 20.0, 57.0, 61.0
"""How old the token of 60 s is: its margin begins at 56."""


def _by_the_user(name: str, does: str) -> list[Case]:
    """With one fault: while the token is good, when it has ended, at a slow vendor, and where nothing rotates."""
    return [
        Case(name=name, vendor=ROTATES, does=(does,), renewals=2, faults=ALL, together=1),
        Case(name=f"{name}, expired", vendor=ROTATES, does=(does,), renewals=2, age=OVER, faults=ALL, together=1),
        Case(
            name=f"{name}, and a vendor that takes 8 s",
            vendor=ROTATES,
            does=(does,),
            age=OVER,
            slow=8.0,
            faults=ALL,
            together=1,
        ),
        Case(
            name=f"{name} where nothing rotates",
            vendor=KEEPS,
            does=(does,),
            renewals=2,
            age=OVER,
            faults=ALL,
            together=1,
        ),
    ]


CASES = [
    Case(name="three workers, nothing goes wrong", vendor=ROTATES, starts=THREE, renewals=2),
    Case(name="called outright", vendor=ROTATES, renewals=2, outright=True, faults=ALL, together=1),
    Case(name="a good token", vendor=ROTATES, renewals=2, age=GOOD, faults=ALL, together=1),
    Case(name="past its margin", vendor=ROTATES, renewals=2, age=PAST_ITS_MARGIN, faults=ALL, together=1),
    Case(name="expired", vendor=ROTATES, renewals=2, age=OVER, faults=ALL, together=1),
    Case(name="expired, two faults", vendor=ROTATES, age=OVER, faults=ALL, together=2),
    Case(name="a vendor that takes 8 s", vendor=ROTATES, age=OVER, slow=8.0, faults=ALL, together=1),
    Case(name="three workers", vendor=ROTATES, starts=THREE, age=OVER, faults=ALL, together=1),
    Case(name="three workers, a good token", vendor=ROTATES, starts=THREE, faults=(DIES, NO_ANSWER), together=1),
    Case(name="one of three comes late", vendor=ROTATES, starts=(0.0, 0.0, 17.0), age=OVER, faults=WORKERS, together=1),
    Case(name="a session that outlives a reuse", vendor=ROTATES_MILDLY, age=OVER, faults=(CUT, STOPS), together=2),
    Case(name="the late answer comes at last", vendor=ROTATES_MILDLY, age=OVER, slow=8.0, faults=(CUT,)),
    Case(name="the store takes nothing of a worker", vendor=ROTATES, age=OVER, faults=(REFUSES,)),
    Case(name="a window of 30 s", vendor=window(30.0), renewals=2, age=OVER, faults=ALL, together=1),
    Case(
        name="the vendor has ended the session",
        vendor=ROTATES,
        starts=THREE,
        age=OVER,
        ended=True,
        faults=ALL,
        together=1,
    ),
    Case(name="and nothing rotates", vendor=KEEPS, starts=THREE, age=OVER, ended=True, faults=ALL, together=1),
    Case(name="the store comes back empty", vendor=ROTATES, faults=(LOSES_DATA,)),
    Case(name="the store comes back older", vendor=ROTATES, faults=(LOSES_DATA,), loses_all=False),
    Case(name="the refresh token stays", vendor=KEEPS, age=OVER, renewals=2, faults=ALL, together=1),
    *_by_the_user("a login", LOGS_IN),
    Case(name="a login while two renew", vendor=ROTATES, does=(LOGS_IN,), starts=THREE, age=OVER),
    Case(
        name="a login, and the store comes back older",
        vendor=ROTATES,
        does=(LOGS_IN,),
        faults=(LOSES_DATA,),
        loses_all=False,
    ),
    Case(name="two logins", vendor=ROTATES, does=(LOGS_IN, LOGS_IN), starts=THREE, age=OVER),
    *_by_the_user("a logout", LOGS_OUT),
    Case(name="a logout and a login", vendor=ROTATES, does=(LOGS_OUT, LOGS_IN), starts=THREE),
    Case(name="a session comes in", vendor=ROTATES, does=(BRINGS_IN,), empty=True, renewals=2, faults=ALL, together=1),
    Case(name="one comes in, and one is here", vendor=ROTATES, does=(BRINGS_IN,), age=OVER, faults=ALL, together=1),
    Case(name="one comes in as the user goes", vendor=ROTATES, does=(LOGS_OUT, BRINGS_IN)),
    Case(
        name="one takes the place of another", vendor=ROTATES, does=(REPLACES,), faults=(DIES, LEASE_ENDS), together=1
    ),
    Case(
        name="what comes in is dead",
        vendor=ROTATES,
        does=(BRINGS_IN,),
        empty=True,
        ended=True,
        faults=(DIES, *STORE, *VENDOR),
        together=1,
    ),
    Case(name="it is dead, and the user logs in", vendor=ROTATES, does=(BRINGS_IN, LOGS_IN), empty=True, ended=True),
    Case(name="a client's secret", vendor=SECRETS, renewals=2, faults=(DIES, LEASE_ENDS, NO_ANSWER), together=1),
    Case(
        name="a client's secret, and a vendor that takes 8 s",
        vendor=SECRETS,
        slow=8.0,
        faults=(*ALL, UNREADABLE),
        together=1,
    ),
    Case(
        name="a client's secret, and the store comes back older", vendor=SECRETS, faults=(LOSES_DATA,), loses_all=False
    ),
    Case(name="client credentials", vendor=CLIENT, age=0.0, renewals=2, faults=ALL, together=1),
    Case(name="client credentials, two faults of the store", vendor=CLIENT, age=0.0, faults=STORE, together=2),
]

LONG = [
    Case(
        name="the refresh token stays, and the store comes back empty", vendor=KEEPS, renewals=2, faults=(LOSES_DATA,)
    ),
    Case(
        name="a login where nothing rotates, and the store comes back older",
        vendor=KEEPS,
        does=(LOGS_IN,),
        faults=(LOSES_DATA,),
        loses_all=False,
    ),
    Case(name="one takes another's place, expired", vendor=ROTATES, does=(REPLACES,), age=OVER, faults=ALL, together=1),
    Case(
        name="it does, and the store comes back older",
        vendor=ROTATES,
        does=(REPLACES,),
        faults=(LOSES_DATA,),
        loses_all=False,
    ),
    Case(
        name="a session comes in, and the user goes",
        vendor=ROTATES,
        does=(LOGS_OUT, BRINGS_IN),
        starts=THREE,
        faults=ALL,
        together=1,
    ),
    Case(
        name="two sessions come in",
        vendor=KEEPS,
        does=(BRINGS_IN, BRINGS_IN),
        starts=THREE,
        empty=True,
        faults=(DIES, LEASE_ENDS),
        together=1,
    ),
    Case(
        name="a session comes in, stalls, and its lease ends",
        vendor=ROTATES,
        does=(BRINGS_IN,),
        empty=True,
        faults=(STOPS, LEASE_ENDS),
    ),
    Case(
        name="a session comes in, and two faults", vendor=ROTATES, does=(BRINGS_IN,), empty=True, faults=ALL, together=2
    ),
    Case(name="a client's secret, rotated twice", vendor=SECRETS, renewals=2, faults=(*ALL, UNREADABLE), together=1),
    Case(name="a client's secret, two faults", vendor=SECRETS, faults=(*ALL, UNREADABLE), together=2),
    Case(name="three rotate a client's secret", vendor=SECRETS, starts=THREE, faults=(*ALL, UNREADABLE), together=1),
    Case(name="a client's secret, and the store comes back empty", vendor=SECRETS, faults=(LOSES_DATA,)),
    Case(name="the store takes nothing of who rotates", vendor=SECRETS, renewals=2, faults=(REFUSES, DIES)),
    Case(name="a login, and the store comes back empty", vendor=ROTATES, does=(LOGS_IN,), faults=(LOSES_DATA,)),
    Case(name="it comes back empty, and a worker dies", vendor=ROTATES, faults=(LOSES_DATA, DIES)),
    Case(name="it comes back empty, and one waits for 8 s", vendor=ROTATES, faults=(LOSES_DATA,), slow=8.0),
    Case(
        name="it comes back older, and they renew twice",
        vendor=ROTATES,
        renewals=2,
        faults=(LOSES_DATA,),
        loses_all=False,
    ),
    Case(name="expired, renewed twice, two faults", vendor=ROTATES, age=OVER, renewals=2, faults=ALL, together=2),
    Case(name="nothing rotates, two faults", vendor=KEEPS, age=OVER, renewals=2, faults=ALL, together=2),
    Case(
        name="client credentials, renewed twice, two faults", vendor=CLIENT, age=0.0, renewals=2, faults=ALL, together=2
    ),
]
"""Half a minute each."""
