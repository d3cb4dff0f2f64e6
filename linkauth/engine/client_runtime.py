"""Does what the steps of ``protocol.client_secret`` want: the runtime of a credential, with the client's record in its place."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from linkauth.engine.client_secrets import as_record
from linkauth.engine.outbox import Outbox
from linkauth.engine.replica import Replica
from linkauth.engine.runtime import Runtime
from linkauth.errors import LinkAuthError, StoreError
from linkauth.protocol import client_secret
from linkauth.protocol.keys import answer_key
from linkauth.store import Superseded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.engine.token_replica import TokenReplica
    from linkauth.oauth.token import Secret, Token

__all__ = ["ClientRuntime", "NotDue", "adopt"]


class NotDue(LinkAuthError):
    """Another worker has rotated meanwhile. Raised by an authority; never leaves the engine."""


async def adopt(replica: TokenReplica, secret: Secret) -> None:
    """Let every worker on this store go on with ``secret``. Raises as ``client_secret.adopt``."""
    await ClientRuntime(replica).run(client_secret.adopt, secret)


class ClientRuntime(Runtime):
    """One run of steps for the client of the credential of ``replica``. ``authority`` brings a token of the client's."""

    def __init__(self, replica: TokenReplica, authority: Callable[[], Awaitable[Token]] | None = None) -> None:
        self._secret = replica.context.client_secrets.of(replica.vendor)
        super().__init__(replica, self._secret)
        self._authority = authority

    @property
    def version(self) -> int:
        """The newest secret's, 0 for the constructor's."""
        return self._secret.version

    async def _newest(self, _: client_secret.Newest) -> float:
        await self._secret.look()
        return self._secret.after()

    async def _authorize(self, _: client_secret.Authorize) -> Token:
        assert self._authority is not None  # noqa: S101  # no other steps need it
        return await self._authority()

    async def _commit_secret(self, effect: client_secret.CommitSecret) -> bool:
        assert self._lease is not None  # noqa: S101  # no steps commit without one
        number = self._lease.number
        await self._stop_extending()
        record = as_record(self.vendor, effect.secret, effect.at or self._secret.after())
        if effect.irreplaceable:
            return (await self._secret.store(record, number)).mine
        outcome, _ = await self._secret.commit(number, record)
        if isinstance(outcome, Superseded):
            return False
        self._secret.learn(record, number)
        return True

    async def _keep_answer(self, effect: client_secret.KeepAnswer) -> str:
        assert self._lease is not None  # noqa: S101
        record, number = self._answer(), self._lease.number
        value = self._context.codec.close(record.key, number, as_record(self.vendor, effect.answer, self.store_now()))
        try:
            await Outbox(record).deliver(number, value)
        except StoreError:
            return "the store has yet to take it"
        return f"it is kept in record {record.key}"

    async def _drop_answer(self, _: client_secret.DropAnswer) -> None:
        assert self._lease is not None  # noqa: S101
        with contextlib.suppress(StoreError):
            await self._answer().delete(self._lease.number)

    def _answer(self) -> Replica:
        return Replica(
            self._context, answer_key(self.vendor), self.ttl, f"{self.vendor.name}: the answer to a rotation"
        )
