"""How the credentials in a store are doing, for operators. Never a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from linkauth.errors import CorruptRecord
from linkauth.protocol.records import DeadRecord, TokenRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from linkauth.engine.office import Office
    from linkauth.store import Reading

__all__ = ["Status", "statuses"]


@attrs.frozen(kw_only=True)
class Status:
    """One credential as the store has it. All times are Unix seconds by the store's clock."""

    vendor: str
    account: str
    key: str
    """Its record's key in the store."""
    version: int
    expires_at: float | None = None
    """When the access token expires; None: there is none."""
    refresh_expires_at: float | None = None
    scope: str = ""
    in_doubt: bool = False
    """A worker set out to renew and has not said how it ended."""
    retry_at: float | None = None
    """The vendor failed; nobody asks again before then."""
    error: str = ""
    """The last failure in words, or why only the user can help; empty: all is well."""
    needs_user: bool = False
    """Only the user can help."""
    now: float
    """The store's clock when this was read."""


async def statuses(office: Office) -> AsyncIterator[Status]:
    """Every credential that the store holds, one read each. Raises ``StoreError``; a broken record is told as one."""
    async for key in office.shelf.store.keys("token/"):
        reading, _ = await office.shelf.ask(office.shelf.store.read(key))
        if reading.record is not None:
            yield _status(office, key, reading)


def _status(office: Office, key: str, reading: Reading) -> Status:
    assert reading.record is not None  # noqa: S101  # the caller looked
    note = office.envelope.open_note(key, reading.note)
    told = Status(
        vendor=key.split("/")[1],
        account="",
        key=key,
        version=reading.record.version,
        in_doubt=bool(note.doubt),
        retry_at=note.retry_at or None,
        error=note.description or note.error or note.kind,
        now=reading.now,
    )
    try:
        found = office.envelope.open(key, reading.record)
    except CorruptRecord as error:
        return attrs.evolve(told, error=str(error))
    if isinstance(found, TokenRecord):
        token = found.token
        return attrs.evolve(
            told,
            vendor=found.vendor,
            account=found.account,
            expires_at=token.expires_at,
            refresh_expires_at=token.refresh_expires_at,
            scope=token.scope,
        )
    if isinstance(found, DeadRecord):
        return attrs.evolve(told, vendor=found.vendor, account=found.account, error=found.reason, needs_user=True)
    return attrs.evolve(told, error="of another kind than its key")
