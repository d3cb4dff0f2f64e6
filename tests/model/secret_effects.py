"""What is done for the effects that only the rotation of a client's secret has: a fake of ``engine.client_runtime``.

An answer in which no secret is recognised stands beside the record as soon as its worker reaches the store: he waits for that here,
as the engine goes on offering it while nobody waits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from linkauth.protocol import client_secret, timing
from linkauth.protocol.lineage import Entry
from linkauth.protocol.records import SecretRecord
from tests.model.step import WAIT, Raised, Step
from tests.model.values import evolve, secret_record, serial_in, serial_of, token
from tests.model.worker import adopt
from tests.model.world import Kept

__all__ = ["PERFORM"]


def _newest(step: Step, _: client_secret.Newest) -> Any:
    found = step.ask(lambda slot: (slot, slot.record(step.now)))
    if step.me.began_with is None:
        step.set(began_with=max(serial_of(found), serial_in(step.me.known.record)))
    if found is not None and step.supersedes(found):
        step.set(known=adopt(found, step.me.known))
    known = step.me.known.record
    return max(step.now, (known.rotated_at or 0.0) if isinstance(known, SecretRecord) else 0.0)


def _authorize(_: Step, __: client_secret.Authorize) -> Any:
    """A token is there: renewing it has a model of its own."""
    return token(0, 0.0, None)


def _commit_secret(step: Step, effect: client_secret.CommitSecret) -> Any:
    if step.me.doing != "commits":
        assert step.me.lease is not None
        fresh = Entry(secret_record(effect.secret, effect.at), step.me.lease.number)
        step.set(kept=Kept(fresh, irreplaceable=True), known=step.me.known.take(fresh, stored=False), doing="commits")
        step.stop_extending()
    kept = step.me.kept
    assert kept is not None
    if step.now < kept.offer_at:
        return WAIT
    try:
        if not step.offer():
            return WAIT
    except Raised:
        assert step.me.kept is not None
        again = max(step.now + timing.OFFER_FIRST, step.me.cut_until, step.me.refused_until)
        step.set(kept=evolve(step.me.kept, offer_at=again))
        step.extend_kept()
        raise
    return step.me.known.record == kept.entry.record


def _keep_answer(step: Step, effect: client_secret.KeepAnswer) -> Any:
    if not step.me.reaches(step.now):
        return WAIT
    assert step.me.lease is not None
    number, serial = step.me.lease.number, int(effect.answer.reveal()[1:])
    try:
        step.ask(lambda slot: (slot, None))
    except Raised:
        return WAIT
    if number > step.before.beside[0]:
        step.more["beside"] = number, serial
    return "it is kept"


def _drop_answer(step: Step, _: client_secret.DropAnswer) -> Any:
    assert step.me.lease is not None
    with suppress(Raised):
        step.ask(lambda slot: (slot, None))
        if step.before.beside[0] < step.me.lease.number:
            step.more["beside"] = 0, -1


PERFORM: dict[type, Callable[[Step, Any], Any]] = {
    client_secret.Newest: _newest,
    client_secret.Authorize: _authorize,
    client_secret.CommitSecret: _commit_secret,
    client_secret.KeepAnswer: _keep_answer,
    client_secret.DropAnswer: _drop_answer,
}
