"""The world at its beginning."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from linkauth.protocol import client_secret, session
from linkauth.protocol.lineage import Lineage
from linkauth.protocol.records import Session
from linkauth_stores.slot import Slot
from tests.model.adopted import at_the_vendor, brings_in, grants, renewed
from tests.model.point import Point, Program
from tests.model.values import record, secret, secret_record, stored, token
from tests.model.worker import Fake, Known
from tests.model.world import LOGS_IN, LOGS_OUT, RENEWS, REPLACES, Case, Life, World

__all__ = ["begin", "first_slot", "steps"]

NAMES: Final = "ABCD"
BEGUN: Final = Lineage(Session(0, "s"), 0)


def _first(case: Case) -> Known:
    """What everybody knows, and the store has."""
    kind = case.vendor
    if kind.rotates_secret:
        return Known(record=secret_record(secret(0), 0.0), version=1)
    if case.empty or not kind.needs_user:
        return Known()
    return Known(record=record(token(0, 0.0, kind.refresh(0)), BEGUN), version=1, new_until=0.0)


def first_slot(case: Case) -> Slot:
    known = _first(case)
    return Slot() if known.record is None else Slot().commit(known.version, stored(known.record), None, 0.0)[0]


def _of_the_user(what: str, name: str) -> Program:
    """The steps of a login, a logout or an adoption by the worker of that name."""

    def program(me: Fake, *_: Any) -> Generator[Any, Any, Any]:
        me.entropy = lambda count: name.encode() * count  # type: ignore[method-assign]
        if what == LOGS_OUT:
            return session.end(me)
        if what == LOGS_IN:
            return session.begin(me, lambda vendor, _: vendor.login())  # type: ignore[attr-defined]
        return brings_in(me, replace=what == REPLACES)

    return program


def steps(me: Fake, *told: Any) -> Generator[Any, Any, Any]:
    """Of a renewal, or of a rotation where the record is of a client's secret."""
    return client_secret.rotate(me) if me.vendor.rotates_secret else renewed(me, *told)  # type: ignore[arg-type]


def begin(case: Case, program: Program) -> World:
    """``program``: the steps of whoever is not the user."""
    known = _first(case)
    renews = Point(program, case.vendor)

    def first(who: int) -> Point:
        what = case.does_what(who)
        return renews if what == RENEWS else Point(_of_the_user(what, NAMES[who]), case.vendor)

    lives = tuple(
        Life(
            name=NAMES[who],
            known=Known() if who in case.fresh else known,
            renewals=case.renewals if case.does_what(who) == RENEWS else 1,
            starts_at=case.age + start,
            first=first(who),
        )
        for who, start in enumerate(case.starts)
    )
    return World(
        case=case,
        now=case.age,
        slot=first_slot(case),
        session=at_the_vendor(case),
        lives=lives,
        faults=case.faults,
        together=case.together,
        grants=grants(case),
        excuse="the vendor ended it" if case.ended else "",
    )
