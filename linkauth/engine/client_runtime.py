"""Does what the steps of ``protocol.client_secret`` want: the runtime of a credential, with the client's record in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.engine.client_secrets import as_record
from linkauth.engine.lease import Lease
from linkauth.engine.runtime import Runtime
from linkauth.errors import LinkAuthError, StoreError
from linkauth.protocol import client_secret, timing
from linkauth.protocol.records import answer_key, secret_key
from linkauth.store import Superseded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.engine.context import EngineContext
    from linkauth.engine.replica import Replica
    from linkauth.oauth.token import Secret, Token
    from linkauth.protocol import effects
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.records import SecretRecord
    from linkauth.store import Claim, Committed, Granted, Reading

__all__ = ["ClientRuntime", "NotDue", "adopt"]


class NotDue(LinkAuthError):
    """Another worker has rotated meanwhile. Raised by an authority; never leaves the engine."""


class _ClientRecord:
    """The record of a client's secret, as it is read and claimed."""

    def __init__(self, context: EngineContext, key: str) -> None:
        self.ttl = context.timeout + timing.LEASE_MORE
        self._context = context
        self._key = key

    async def read(self) -> tuple[Reading, StoreTime]:
        store_client = self._context.store_client
        return await store_client.ask(store_client.store.read(self._key))

    async def claim(self, note: bytes, newer_than: int, owner: str) -> tuple[Claim, StoreTime]:
        store_client = self._context.store_client
        return await store_client.ask(store_client.store.claim(self._key, owner, self.ttl, newer_than, note))

    async def wait(self, seconds: float, newer_than: int) -> None:
        store_client = self._context.store_client
        with self._context.flights.idle():
            await store_client.do(store_client.store.wait_for_change(self._key, newer_than, seconds), extra=seconds)

    def lease(self, claim: Granted, time: StoreTime, note: bytes, owner: str) -> Lease:
        del note, owner  # what was lost with the store's data is not taken again: a rotation begins anew
        return Lease(self._context.store_client, self._context.world, self._key, claim.number, self.ttl, time)


async def adopt(replica: Replica, secret: Secret) -> None:
    """Let every worker on this store go on with ``secret``. Raises as ``client_secret.adopt``."""
    await ClientRuntime(replica).run(client_secret.adopt, secret)


class ClientRuntime(Runtime):
    """One run of steps for the client of the credential of ``replica``. ``authority`` brings a token of the client's."""

    def __init__(self, replica: Replica, authority: Callable[[], Awaitable[Token]] | None = None) -> None:
        super().__init__(replica, _ClientRecord(replica.context, secret_key(replica.vendor)))
        self._authority = authority

    @property
    def version(self) -> int:
        """The newest secret's, 0 for the constructor's."""
        return self._context.client_secrets.version(self.vendor)

    async def _newest(self, _: effects.Newest) -> None:
        await self._context.client_secrets.look(self.vendor)

    async def _authorize(self, _: effects.Authorize) -> Token:
        assert self._authority is not None  # noqa: S101  # no other steps need it
        return await self._authority()

    async def _commitsecret(self, effect: effects.CommitSecret) -> Committed | Superseded:
        assert self._lease is not None  # noqa: S101  # no steps commit without one
        number, key = self._lease.number, secret_key(self.vendor)
        await self._stop_extending()
        record = as_record(self.vendor, effect.secret, self.store_now())
        if effect.irreplaceable:
            self._context.client_secrets.learn(self.vendor, record, number)
            return await self._keep(key, number, record)
        value = self._context.codec.close(key, number, record)
        outcome, _ = await self._context.store_client.ask(self._context.store_client.store.commit(key, number, value))
        if not isinstance(outcome, Superseded):
            self._context.client_secrets.learn(self.vendor, record, number)
        return outcome

    async def _keepanswer(self, effect: effects.KeepAnswer) -> str:
        assert self._lease is not None  # noqa: S101
        key = answer_key(self.vendor)
        try:
            await self._keep(key, self._lease.number, as_record(self.vendor, effect.answer, self.store_now()))
        except StoreError:
            return "the store has yet to take it"
        return f"it is kept in record {key}"

    async def _dropanswer(self, _: effects.DropAnswer) -> None:
        assert self._lease is not None  # noqa: S101
        await self._context.store_client.quietly(
            self._context.store_client.store.delete(answer_key(self.vendor), self._lease.number)
        )

    async def _keep(self, key: str, number: int, record: SecretRecord) -> Committed | Superseded:
        outbox = self._context.client_secrets.outbox(key)
        try:
            outcome, _ = await outbox.commit(number, self._context.codec.close(key, number, record))
        except StoreError:
            outbox.go_on(f"{self.vendor.name}: closing, and the store has not taken what a rotation brought")
            raise
        return outcome
