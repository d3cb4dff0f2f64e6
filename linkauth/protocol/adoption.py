"""A session that was made elsewhere comes in, which overrides as a login does (``session``); but no vendor is asked.

1. **Claim**, as a login. What lives stays as it is, unless it is to be replaced.
2. **Commit** what was brought as a new session, before anything is spent: nobody has it but whoever handed it over.
3. Where its access token is over, or there is none, it is renewed as ever (``renewal``), by whoever comes first.
4. **Withdraw** what the vendor refused then, where nothing stood before: once its mark has told those who waited for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from linkauth.errors import AlreadyConnected, ConfigurationError
from linkauth.protocol import timing
from linkauth.protocol.effects import Commit, Forget, Release, Sleep
from linkauth.protocol.session import claim
from linkauth.protocol.session_end import hopeless

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.oauth.token import Token
    from linkauth.protocol.effects import Steps
    from linkauth.protocol.records import Session
    from linkauth.protocol.worker import Worker
    from linkauth.store import Record

__all__ = ["Adopted", "adopt", "withdraw"]


@attrs.frozen
class Adopted:
    """A session that came in."""

    session: Session | None
    alone: bool
    """Nothing stood in its place before."""


def adopt(me: Worker, brought: Callable[[float], Token], *, replace: bool) -> Steps[Adopted]:
    """Store what is ``brought`` (by the store's clock, Unix seconds) as a session of its own.

    Raises ``AlreadyConnected`` where one lives that is not to be replaced, ``ConfigurationError`` where this one is over,
    ``StoreError``.
    """
    override = yield from claim(me)
    token = brought(me.store_now())
    if (fault := _fault(me, token, override.record, replace=replace)) is not None:
        yield Release(override.note)
        raise fault
    yield Commit(token, override.lineage, irreplaceable=True, number=override.number)
    yield Release()
    me.tell("connected", "a session that was made elsewhere")
    return Adopted(override.lineage.session, alone=override.record is None)


def _fault(me: Worker, token: Token, record: Record | None, *, replace: bool) -> ConfigurationError | None:
    """Why ``token`` does not come in. ``record``: what the store has."""
    now = me.store_now()
    if token.expires_at <= now and (over := hopeless(me.vendor, token, now)):
        return ConfigurationError(f"adopt: the access token has expired, and {over}")
    if replace:
        return None
    held, found = me.token, ""
    if held is not None and (me.unexpired() or not hopeless(me.vendor, held, now)):
        found = "a live session"
    elif record is not None and me.supersedes(record):  # taken note of, it would not: it cannot be read
        found = "a record that cannot be read"
    if not found:
        return None
    return AlreadyConnected(f"{me.vendor.name}: {found} is here; adopt(…, replace=True) takes its place")


def withdraw(me: Worker, adopted: Adopted) -> Steps[None]:
    """Leave nothing of what was ``adopted`` and is dead, unless somebody has logged in since. Raises ``StoreError``."""
    # A worker that has yet to read the mark would take a record that is gone for one that the store has lost.
    yield Sleep(timing.MARK_READ)
    override = yield from claim(me)
    if override.record is not None and me.token is None and me.lineage.session == adopted.session:
        # Just above what is here: a late answer to the very renewal may have come since.
        yield Forget("", override.record.version + 1, None)
    yield Release()
