"""A session that was made elsewhere comes in: who brings it, and what it is. As ``engine.credential.adopt`` takes the steps."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

from linkauth.errors import ReauthorizationRequired, StoreError
from linkauth.oauth.token import Token
from linkauth.protocol import adoption
from linkauth.protocol.freshness import Verdict
from linkauth.protocol.renewal import renew
from tests.model.values import LIFETIME, evolve, token
from tests.model.vendor import SESSION, Session
from tests.model.worker import Fake
from tests.model.world import BRINGS_IN, REPLACES, Case, Grant

__all__ = ["at_the_vendor", "brings_in", "grants", "renewed"]


def at_the_vendor(case: Case) -> Session:
    """What the vendor knows at the beginning: what will be brought in, too."""
    first = Session(case.vendor, alive=not case.ended)
    if REPLACES in case.does:
        return first.login()
    if BRINGS_IN not in case.does:
        return first
    if case.empty:
        return evolve(first, serial=SESSION)
    return evolve(first, former=(Session(case.vendor, serial=SESSION),))


def grants(case: Case) -> tuple[Grant, ...]:
    """What is brought in is no answer to anybody here; but it is the bringer's to lose until the store has it."""
    return tuple(
        Grant(SESSION, who, of_the_user=True, arrived=True) for who in range(len(case.starts)) if case.brings_in(who)
    )


def brings_in(me: Fake, *, replace: bool) -> Generator[Any, Any, Token]:
    """Its access token is over: it is stored, and then renewed; what is refused then, and came into nothing, is withdrawn."""

    def brought(now: float) -> Token:
        return token(SESSION, now - LIFETIME, me.vendor.refresh(SESSION))

    adopted = yield from adoption.adopt(me, brought, replace=replace)  # type: ignore[arg-type]
    try:
        return (yield from _served(me))
    except ReauthorizationRequired:
        if me.token is not None:  # it was said of the session before
            return (yield from _served(me))
        if adopted.alone:
            with suppress(StoreError):
                yield from adoption.withdraw(me, adopted)  # type: ignore[arg-type]
        raise


def _served(me: Fake) -> Generator[Any, Any, Token]:
    if me.verdict() is not Verdict.WAIT:
        return me.current()
    return (yield from renewed(me, me.version))


def renewed(me: Fake, *told: Any) -> Generator[Any, Any, Token]:
    """As ``engine.renewals``: once more where the token that came is over, or came with nothing to serve."""
    fresh = yield from renew(me, *told)  # type: ignore[arg-type]
    if fresh == me.token and not me.unexpired():
        return (yield from renew(me, me.version))  # type: ignore[arg-type]
    return fresh
