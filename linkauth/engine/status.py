"""How the credentials in a store are doing, for operators, and the client secrets beside them. Never a secret."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs

from linkauth.engine.encryption import key_id
from linkauth.engine.readings import readings
from linkauth.engine.replica import Replica
from linkauth.errors import CorruptRecord
from linkauth.oauth.shown import Shown
from linkauth.protocol.keys import answer_key, named, secret_key, token_keys
from linkauth.protocol.records import DeadRecord, SecretRecord, TokenRecord
from linkauth.protocol.session_end import ended, ends_soon
from linkauth.vendors.vendor import Vendor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from linkauth.engine.context import EngineContext
    from linkauth.store import Reading

__all__ = ["Status", "status", "status_of", "statuses"]

KINDS: Final = ("secret/", "answer/", "token/")
"""What cannot be had again, or not at once. The secrets come first: of a credential it is told when its client's was rotated."""


@attrs.frozen(kw_only=True)
class Status(metaclass=Shown):
    """One credential as the store has it. All times are Unix seconds by the store's clock.

    Or a client's secret, or an answer that such a secret must be in: their ``key`` begins with ``secret/`` or ``answer/``, a
    credential's with ``token/``, and they have no ``account``.
    """

    vendor: str
    """The vendor's name."""
    account: str
    """The account; empty: made without one, or a client's own."""
    client_id: str = ""
    """The client's id; empty: there is none, or an older linkauth wrote the record."""
    key: str
    """Its record's key in the store."""
    version: int
    """Of its record in the store, and grows with each write; 0: nothing is stored."""
    key_id: str = ""
    """The id of the key that the record is encrypted with: eight hexadecimal digits of a digest; empty: it is in clear."""
    expires_at: float | None = None
    """When the access token expires; None: there is none."""
    refresh_expires_at: float | None = None
    """When the refresh token lapses; None: there is none, or the vendor does not say."""
    session_expires_at: float | None = None
    """When the user has to consent again, whatever is renewed; None: that is not stated (``OAuth2(session_lifetime=…)``)."""
    session_ends_soon: bool = False
    """Ask the user now: that is less than a week off, and less than a fifth of the session's life."""
    scope: str = ""
    """As granted, separated by spaces; empty: none, or there is no token."""
    in_doubt: bool = False
    """A worker set out to renew and has not said how it ended."""
    retry_at: float | None = None
    """The vendor failed; nobody asks again before then."""
    error: str = ""
    """The last failure in words, or why only the user can help; empty: all is well."""
    needs_user: bool = False
    """Only the user can help: there is no session, or it has ended."""
    secret_rotated_at: float | None = None
    """When linkauth stored the client's secret; None: never, or nobody wrote it down."""
    now: float
    """The store's clock when this was read."""


async def statuses(
    context: EngineContext,
    *,
    vendor: Vendor | str | None = None,
    account: str | None = None,
    kinds: tuple[str, ...] = KINDS,
) -> AsyncIterator[Status]:
    """What the store holds, read many at a time; ``vendor``, ``account``: of those alone. Raises ``StoreError``.

    A broken record is told as one, though not where an ``account`` is asked for: whose it is cannot be read.
    """
    name = vendor.name if isinstance(vendor, Vendor) else vendor
    rotated: dict[tuple[str, str], float] = {}
    for kind in kinds:
        async for key, reading in readings(context, kind if name is None else kind + named(name)):
            if isinstance(reading, CorruptRecord):  # the store cannot read it, so nobody knows its version
                told = attrs.evolve(_nothing(key, context.clock.store_now()), error=str(reading))
            elif reading.record is None:
                continue
            else:
                told = status_of(context, key, reading)
            client = told.vendor, told.client_id
            if told.key.startswith("token/"):
                told = attrs.evolve(told, secret_rotated_at=rotated.get(client))
            elif told.secret_rotated_at is not None and told.client_id:
                # Two registrations may have the same id, at two addresses: then the older one is told, as the one to look after.
                rotated[client] = min(rotated.get(client, math.inf), told.secret_rotated_at)
            if _is_of(told, vendor, account):
                yield told


def _is_of(told: Status, vendor: Vendor | str | None, account: str | None) -> bool:
    if account is not None and told.account != account:
        return False
    if isinstance(vendor, Vendor):
        return told.key in (*token_keys(vendor, told.account), secret_key(vendor), answer_key(vendor))
    return vendor is None or told.vendor in {vendor, named(vendor)[:-1]}  # the latter of what cannot be read


async def status(context: EngineContext, vendor: Vendor, account: str, key: str) -> Status:
    """How one credential is doing: one read of the store, and ``version`` 0 where nothing is stored. Raises ``StoreUnavailable``."""
    reading, _ = await Replica(context, key).read()
    told = status_of(context, key, reading)
    rotated_at = context.client_secrets.of(vendor).rotated_at if vendor.rotates_secret else None
    return attrs.evolve(told, vendor=vendor.name, account=account, secret_rotated_at=rotated_at)


def status_of(context: EngineContext, key: str, reading: Reading) -> Status:
    """What ``reading`` says of the record ``key``; a broken one is told as one, and ``version`` 0 where there is none."""
    record = reading.record
    if record is None:
        return _nothing(key, reading.now)
    note = context.codec.open_note(key, reading.note)
    told = attrs.evolve(
        _nothing(key, reading.now),
        version=record.version,
        key_id=key_id(record.value),
        in_doubt=bool(note.doubt),
        retry_at=note.retry_at or None,
        error=note.description or note.error or note.kind,
    )
    try:
        found = context.codec.open(key, record)
    except CorruptRecord as error:
        return attrs.evolve(told, error=str(error))
    match key.partition("/")[0], found:
        case "token", TokenRecord(token=token):
            over = ended(token, reading.now)
            return attrs.evolve(
                told,
                vendor=found.vendor,
                account=found.account,
                client_id=found.client_id,
                session_expires_at=token.session_expires_at,
                session_ends_soon=ends_soon(found, reading.now),
                needs_user=bool(over),
                error=over or told.error,
                expires_at=token.expires_at if token.access_token else None,
                refresh_expires_at=token.refresh_expires_at,
                scope=token.scope,
            )
        case "token", DeadRecord():
            return attrs.evolve(told, vendor=found.vendor, account=found.account, error=found.reason, needs_user=True)
        case "secret", SecretRecord(rotated_at=at):
            return attrs.evolve(told, vendor=found.vendor, client_id=found.client_id, secret_rotated_at=at)
        case "answer", SecretRecord():
            unread = "the answer to a rotation, in which no secret was recognised; `linkauth rotate-secret --recover`"
            return attrs.evolve(told, vendor=found.vendor, client_id=found.client_id, error=unread)
        case _:
            return attrs.evolve(told, error="of another kind than its key")


def _nothing(key: str, now: float) -> Status:
    return Status(vendor=key.split("/")[1], account="", key=key, version=0, now=now)
