"""Does what the steps of ``protocol.client_secret`` want: the runtime of a credential, with the client's record in its place."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from linkauth.engine.client_secrets import as_record
from linkauth.engine.leased import Leased
from linkauth.engine.runtime import Runtime
from linkauth.errors import LinkAuthError, StoreError
from linkauth.protocol import client_secret, timing
from linkauth.protocol.records import answer_key, secret_key
from linkauth.store import Superseded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.engine.replica import Replica
    from linkauth.oauth.token import Secret, Token
    from linkauth.protocol import effects
    from linkauth.protocol.records import SecretRecord
    from linkauth.store import Committed

__all__ = ["ClientRuntime", "NotDue", "adopt"]


class NotDue(LinkAuthError):
    """Another worker has rotated meanwhile. Raised by an authority; never leaves the engine."""


async def adopt(replica: Replica, secret: Secret) -> None:
    """Let every worker on this store go on with ``secret``. Raises as ``client_secret.adopt``."""
    await ClientRuntime(replica).run(client_secret.adopt, secret)


class ClientRuntime(Runtime):
    """One run of steps for the client of the credential of ``replica``. ``authority`` brings a token of the client's."""

    def __init__(self, replica: Replica, authority: Callable[[], Awaitable[Token]] | None = None) -> None:
        context = replica.context
        super().__init__(replica, Leased(context, secret_key(replica.vendor), context.timeout + timing.LEASE_MORE))
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
        outcome, _ = await self._record.commit(number, record)
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
        with contextlib.suppress(StoreError):
            await Leased(self._context, answer_key(self.vendor)).delete(self._lease.number)

    async def _keep(self, key: str, number: int, record: SecretRecord) -> Committed | Superseded:
        outbox = self._context.client_secrets.outbox(key)
        try:
            outcome, _ = await outbox.commit(number, self._context.codec.close(key, number, record))
        except StoreError:
            outbox.go_on(f"{self.vendor.name}: closing, and the store has not taken what a rotation brought")
            raise
        return outcome
